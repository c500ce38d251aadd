"""What the protocol page says is what a worker does."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lipcore.shot import RenderConfig
from lipcore.worker.channel import LINE_LIMIT, encode, read_lines
from lipcore.worker.requests import METHODS, RequestError, parse_request

from .conftest import Pipes

PAGE = Path(__file__).resolve().parents[2] / "plugins" / "PROTOCOL.md"
ANY = "<anything>"


def same(expected: Any, got: Any) -> bool:
    if expected == ANY:
        return True
    if isinstance(expected, dict):
        return (
            isinstance(got, dict) and expected.keys() == got.keys()
            and all(same(v, got[k]) for k, v in expected.items())
        )  # fmt: skip
    return bool(expected == got)


def test_the_examples_of_the_page(worker: Pipes) -> None:
    blocks = re.findall(r"<!-- example -->\n```\n(.*?)```", PAGE.read_text(), re.S)
    assert len(blocks) == 5
    for line in "".join(blocks).splitlines():
        mark, _, text = line.partition(" ")
        if mark == ">":
            worker.send(text)
            continue
        expected = json.loads(re.sub(r"(: )\.\.\.", rf'\1"{ANY}"', text))
        got = worker.event()
        assert same(expected, got), got
    assert worker.process.wait(30) == 0


def test_the_page_names_every_method_and_parameter() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \|[^|]*\|([^|]*)\|$", PAGE.read_text(), re.M))
    assert rows.keys() == METHODS.keys()
    for name, kind in METHODS.items():
        told = rows["render" if name in ("plan", "analyse") else name]
        assert set(re.findall(r"`(\w+)`", told)) == {f.name for f in fields(kind)}, name
    for field in fields(RenderConfig):
        assert f"`{field.name}`" in PAGE.read_text()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"[1]", "not a JSON object"),
        (b'{"id": 1, "method": "hello"}', "request: id is 1"),
        (b'{"id": "", "method": "hello"}', "an id has"),
        (b'{"id": "1", "method": "dub"}', "no method is called 'dub'"),
        (b'{"id": "1", "method": "hello", "mode": 2}', "no setting 'mode'"),
        (b'{"id": "1", "method": "render", "params": {"plate": "a"}}', "lacks 'out'"),
        (b'{"id": "1", "method": "adapt", "params": {"plate": "a", "out": "b", "minutes": NaN}}',
         "NaN is no JSON value"),
        (b'{"id": "1", "method": "adapt", "params": {"plate": "a", "out": "b", "minutes": 0.01}}',
         "minutes must be from 0.05 to 10000"),
        (b'{"id": "1", "method": "track", "params": {"plate": ["a"]}}', "params: plate is ['a']"),
        (b'{"id": "\xff"}', "not JSON"),
        (b"[" * 100_000, "not JSON"),
    ],
)  # fmt: skip
def test_what_is_refused(line: bytes, said: str) -> None:
    with pytest.raises(RequestError, match=re.escape(said)):
        parse_request(line)


def test_extra_attributes_and_ranges_are_read() -> None:
    line = {"id": "1", "method": "render", "params": {
        "plate": "a", "out": "b", "dialogue": "c", "frames": "1001-1004", "rate": "23.976",
        "settings": {"extra": {"shot": "010"}, "strength": 1}}}  # fmt: skip
    request = parse_request(json.dumps(line).encode())
    params: Any = request.params
    assert params.settings.extra == {"shot": "010"}
    assert str(params.shot().rate) == "24000/1001"
    assert len(params.shot().frames) == 4


@given(st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_any_line_is_a_request_or_an_error(line: bytes) -> None:
    with pytest.raises(RequestError):
        parse_request(b"x" + line)


@given(st.lists(st.binary(max_size=40), max_size=12))
@settings(max_examples=60, deadline=None)
def test_lines_are_split_and_bounded(tmp_path_factory: Any, parts: list[bytes]) -> None:
    lines = [part.replace(b"\n", b"") for part in parts]
    path = tmp_path_factory.mktemp("lines") / "in"
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    with path.open("rb") as file:
        got = list(read_lines(file.fileno(), limit=20))
    expected = [line for line in lines if line.strip()]
    assert len(got) >= len([x for x in expected if len(x) <= 20])
    assert [x for x in got if isinstance(x, bytes)] == [x for x in expected if len(x) <= 20]


def test_events_are_json_whatever_they_hold() -> None:
    event = encode({"event": "error", "facts": {"ratio": float("nan"), "path": Path("/ä b")}})
    assert event.endswith(b"\n") and event.count(b"\n") == 1
    json.loads(event, parse_constant=lambda name: pytest.fail(name))


def test_a_line_without_end_is_refused_and_the_next_one_read(worker: Pipes) -> None:
    worker.send(b"x" * (LINE_LIMIT + 10))
    refused = worker.event()
    assert refused["id"] is None and "longer than" in refused["message"]
    assert worker.ask("hello")["protocol"] == 1
    assert worker.end() == 0


def test_nothing_but_events_comes_on_stdout(worker: Pipes) -> None:
    """Whatever prints in the worker's process, from Python or from C, goes to stderr."""
    script = (
        "import ctypes, os, sys, lipcore.worker.serve as serve; real = serve.Worker.run\n"
        "def noisy(worker):\n"
        "    print('from Python'); os.write(1, b'raw'); ctypes.CDLL(None).puts(b'from C')\n"
        "    ctypes.CDLL(None).fflush(None); sys.stdout.flush(); os.system('echo from a child')\n"
        "    real(worker)\n"
        "serve.Worker.run = noisy; serve.serve()"
    )
    import subprocess
    import sys

    asked = b'{"id": "1", "method": "hello"}\n{"id": "2", "method": "shutdown"}\n'
    ended = subprocess.run(
        [sys.executable, "-c", script], input=asked, capture_output=True, check=True, timeout=60
    )
    assert [json.loads(line)["id"] for line in ended.stdout.splitlines()] == ["1", "2"]
    for said in (b"from Python", b"raw", b"from C", b"from a child"):
        assert said in ended.stderr


