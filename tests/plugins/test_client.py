"""The client of the standard library: how it finds a worker, and what it says when one fails."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from lipcore.plugins.client import (
    WorkerAbsentError,
    WorkerClient,
    WorkerDiedError,
    WorkerError,
    clean_environment,
    find_command,
)


def test_lipcore_python_goes_before_path(tmp_path: Path) -> None:
    tool = tmp_path / "lipcore"
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o755)
    path = {"PATH": str(tmp_path)}
    assert find_command(path) == [str(tool), "worker"]
    told = {**path, "LIPCORE_PYTHON": sys.executable}
    assert find_command(told) == [sys.executable, "-m", "lipcore", "worker"]


@pytest.mark.parametrize(
    ("environ", "said"),
    [({"PATH": ""}, "lipcore is not found"),
     ({"PATH": "", "LIPCORE_PYTHON": "/no/python"}, "names /no/python, which is not there")],
)  # fmt: skip
def test_an_absent_worker_is_told(environ: dict[str, str], said: str) -> None:
    with pytest.raises(WorkerAbsentError, match=said) as caught:
        find_command(environ)
    assert caught.value.hint and caught.value.exit_code == 9


def test_the_hosts_own_python_is_not_passed_on() -> None:
    given = {"PYTHONHOME": "/nuke", "LD_LIBRARY_PATH": "/nuke/lib", "OCIO": "/c.ocio", "A": "b"}
    assert clean_environment(given) == {"OCIO": "/c.ocio", "A": "b"}


def test_a_worker_that_dies_is_told_with_its_last_words() -> None:
    script = (
        "import sys; sys.stdin.readline(); print('no torch here', file=sys.stderr); sys.exit(3)"
    )
    client = WorkerClient([sys.executable, "-c", script])
    with pytest.raises(WorkerDiedError, match=r"exit code 3\): no torch here"):
        client.hello(60)
    assert not client.alive


def test_another_protocol_is_refused() -> None:
    script = (
        "import json, sys\n"
        "for line in sys.stdin:\n"
        "    told = {'event': 'result', 'id': json.loads(line)['id'], 'protocol': 99,"
        " 'version': '9.0'}\n"
        "    print('not json'); print(json.dumps(told), flush=True)\n"
    )
    with (
        WorkerClient([sys.executable, "-c", script]) as client,
        pytest.raises(WorkerError, match="speaks protocol 99"),
    ):
        client.hello(60)


def test_a_worker_is_started_again_after_it_died() -> None:
    script = (
        "import json, sys\n"
        "line = json.loads(sys.stdin.readline())\n"
        "if line['method'] == 'die': sys.exit(1)\n"
        "print(json.dumps({'event': 'result', 'id': line['id'], 'protocol': 1}), flush=True)\n"
        "sys.stdin.read()\n"
    )
    with WorkerClient([sys.executable, "-c", script]) as client:
        with pytest.raises(WorkerDiedError):
            client.submit("die").wait(60)
        assert client.hello(60)["protocol"] == 1


def test_jobs_of_a_worker_that_died_end_though_another_one_runs_already() -> None:
    script = (
        "import json, subprocess, sys\n"
        "line = json.loads(sys.stdin.readline())\n"
        "if line['method'] == 'die':\n"
        # A child keeps the pipes open: the client learns late that this one has died.
        "    subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(2)'])\n"
        "    sys.exit(1)\n"
        "print(json.dumps({'event': 'result', 'id': line['id'], 'protocol': 1}), flush=True)\n"
        "sys.stdin.read()\n"
    )
    with WorkerClient([sys.executable, "-c", script]) as client:
        lost = client.submit("die")
        while client.alive:
            pass
        assert client.hello(60)["protocol"] == 1
        with pytest.raises(WorkerDiedError):
            lost.wait(30)


def test_a_fault_of_the_listener_does_not_end_the_client(
    capsys: pytest.CaptureFixture[str],
) -> None:
    script = (
        "import json, sys\n"
        "for line in sys.stdin:\n"
        "    told = json.loads(line)['id']\n"
        "    print(json.dumps({'event': 'log', 'id': told, 'message': 'x'}))\n"
        "    print(json.dumps({'event': 'result', 'id': told, 'protocol': 1}), flush=True)\n"
    )
    with WorkerClient([sys.executable, "-c", script]) as client:
        client.submit("track", on_event=lambda event: 1 / 0).wait(60)
        assert client.hello(60)["protocol"] == 1
    assert "ZeroDivisionError" in capsys.readouterr().err
