"""`lipcore plugins`: what it writes, what it leaves alone, what the doctor says."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lipcore.errors import ConfigError, OutputExistsError
from lipcore.hosts.doctor import examine
from lipcore.hosts.install import (
    PLUGINS,
    finds_nuke_folder,
    install,
    read_list,
    state,
    uninstall,
)


def run(*words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lipcore", "plugins", *words], capture_output=True, text=True,
        timeout=120, env={**os.environ, **environ}, check=False,
    )  # fmt: skip


def files(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


def test_install_twice_then_uninstall_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "a b é"
    ended = run("install", "nuke", "--target", str(target))
    assert ended.returncode == 0, ended.stderr
    there = files(target)
    assert {"init.py", "lipcore/init.py", "lipcore/menu.py"} <= there
    assert "lipcore/lipcore_plugins/nuke/node.py" in there
    told = {line[6:] for line in ended.stdout.splitlines() if line.startswith("wrote ")}
    assert told == {str(target / name) for name in there}  # it tells all that it wrote
    assert "LIPCORE_PYTHON=" in ended.stdout
    install("nuke", target)
    assert files(target) == there
    ended = run("uninstall", "nuke", "--target", str(target))
    assert ended.returncode == 0, ended.stderr
    assert files(target) == set() and not (target / "lipcore").exists()
    assert run("uninstall", "nuke", "--target", str(target)).returncode == 2


def test_a_users_init_is_not_touched(tmp_path: Path) -> None:
    init = tmp_path / "init.py"
    init.write_text("import nuke\n")
    report = install("nuke", tmp_path)
    assert init.read_text() == "import nuke\n" and init not in report.written
    assert any('nuke.pluginAddPath("lipcore")' in line for line in report.advice)
    uninstall("nuke", tmp_path)
    assert init.read_text() == "import nuke\n"


def test_what_is_not_ours_is_not_overwritten(tmp_path: Path) -> None:
    theirs = tmp_path / "lipcore" / "menu.py"
    theirs.parent.mkdir()
    theirs.write_text("print('mine')\n")
    with pytest.raises(OutputExistsError, match="not a file of lipcore"):
        install("nuke", tmp_path)
    assert files(tmp_path) == {"lipcore/menu.py"}  # nothing was begun


def test_what_was_changed_is_neither_overwritten_nor_deleted(tmp_path: Path) -> None:
    install("nuke", tmp_path)
    node = tmp_path / "lipcore/lipcore_plugins/nuke/node.py"
    node.write_text(node.read_text() + "# mine\n")
    assert state("nuke", tmp_path)[1] == [node]
    with pytest.raises(OutputExistsError):
        install("nuke", tmp_path)
    report = uninstall("nuke", tmp_path)
    assert report.kept == [node] and node.read_text().endswith("# mine\n")


def test_a_list_that_points_outside_is_not_believed(tmp_path: Path) -> None:
    install("nuke", tmp_path)
    path = tmp_path / "lipcore" / "lipcore-files.json"
    assert '"lipcore/menu.py"' in path.read_text()
    path.write_text(path.read_text().replace('"lipcore/menu.py"', '"../../secret"'))
    listed = read_list(PLUGINS["nuke"], tmp_path)
    assert listed and "../../secret" not in listed


def test_files_of_an_earlier_version_go(tmp_path: Path) -> None:
    install("nuke", tmp_path)
    import hashlib
    import json

    folder = tmp_path / "lipcore"
    old = folder / "lipcore_plugins/nuke/old.py"
    old.write_text("x = 1\n")
    told = json.loads((folder / "lipcore-files.json").read_text())
    name = "lipcore/lipcore_plugins/nuke/old.py"
    told["files"][name] = hashlib.sha256(old.read_bytes()).hexdigest()
    (folder / "lipcore-files.json").write_text(json.dumps(told))
    assert old in install("nuke", tmp_path).removed and not old.exists()


def test_the_folders_of_three_systems(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APPDATA", "/home/x/AppData/Roaming")
    for plugin in PLUGINS.values():
        for platform in ("linux", "darwin", "win32"):
            target = plugin.default_target(platform)
            assert target.is_absolute() and "%" not in str(target) and "~" not in str(target)
    assert PLUGINS["nuke"].default_target("darwin") == Path.home() / ".nuke"


def test_an_unknown_host_is_a_usage_error() -> None:
    assert run("install", "flame").returncode == 2
    with pytest.raises(ConfigError):
        uninstall("nuke", Path("/nowhere"))


@pytest.mark.parametrize(("named", "state"), [("python-of-ours", "ok"), ("no-python", "fault")])
def test_the_doctor_takes_a_python_on_the_path_as_plugins_do(
    named: str, state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "python-of-ours").symlink_to(sys.executable)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("LIPCORE_PYTHON", named)
    _, told = itertools.islice(examine(), 2)
    assert told.name == "python" and told.state == state


@pytest.mark.slow
def test_the_doctor_finds_faults_and_says_what_to_do(tmp_path: Path) -> None:
    home = tmp_path / "home"
    install("nuke", home / ".nuke")
    well = run("doctor", HOME=str(home), LIPCORE_PYTHON=sys.executable)
    assert well.returncode == 0, well.stdout + well.stderr
    assert not [line for line in well.stdout.splitlines() if line.startswith("fault ")]
    for name in ("python", "worker", "weights", "gpu", "ocio", "codecs", "exr", "nuke"):
        assert f" {name:<8} " in well.stdout
    (home / ".nuke/lipcore/menu.py").unlink()
    ill = run("doctor", HOME=str(home), LIPCORE_PYTHON="/no/python", OCIO="/no/config.ocio")
    assert ill.returncode == 9
    faults = [line.split()[1] for line in ill.stdout.splitlines() if line.startswith("fault ")]
    assert faults == ["python", "ocio", "nuke"]
    assert "Set it to" in ill.stdout and "lipcore plugins install nuke" in ill.stdout


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('nuke.pluginAddPath("lipcore")', True),
        ("import os; nuke.pluginAddPath('./lipcore/')", True),
        ('nuke.pluginAddPath(os.path.join("lipcore"), addToSysPath=False)', True),
        ('nuke.pluginAddPath("{target}/lipcore")', True),
        ('print "Python 2"\nnuke.pluginAddPath("lipcore")', True),
        ('# nuke.pluginAddPath("lipcore")', False),
        ('print "Python 2"\n# nuke.pluginAddPath("lipcore")', False),
        ("'''\nnuke.pluginAddPath(\"lipcore\")\n'''", False),
        ('nuke.pluginAddPath("/elsewhere/lipcore")', False),
        ('nuke.pluginAddPath("gizmos")', False),
    ],
)
def test_only_a_line_that_runs_loads_the_plugin(
    line: str, told: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NUKE_PATH", raising=False)
    init = tmp_path / "init.py"
    init.write_text(f"import nuke\n{line.format(target=tmp_path)}\n", encoding="utf-8")
    report = install("nuke", tmp_path)
    assert any("Add this line" in advice for advice in report.advice) is not told
    assert finds_nuke_folder(tmp_path) is told
    advice = uninstall("nuke", tmp_path).advice
    assert any("Take this line out" in text for text in advice) is told


def test_a_folder_of_nuke_path_needs_no_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NUKE_PATH", os.pathsep.join(["/other", str(tmp_path / "lipcore")]))
    assert finds_nuke_folder(tmp_path)


def test_the_doctor_names_the_encoders_that_lack(monkeypatch: pytest.MonkeyPatch) -> None:
    from lipcore.hosts import doctor

    (well, *_) = doctor._codecs()
    assert well.state == "ok" and "H.264" in well.text
    (exr,) = doctor._exr()
    assert exr.state == "ok"
    assert doctor._encodes("libx264") and not doctor._encodes("libx264_of_nobody")
    there = doctor._encodes
    monkeypatch.setattr(doctor, "_encodes", lambda name: name != "libx264" and there(name))
    (ill,) = doctor._codecs()
    assert (ill.state, ill.text) == ("fault", "no encoder for H.264 (libx264)")
    assert "pip install" in ill.do


def test_the_doctor_sees_that_nuke_is_not_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lipcore.hosts import doctor

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("NUKE_PATH", raising=False)
    (tmp_path / ".nuke").mkdir()
    (tmp_path / ".nuke/init.py").write_text('# nuke.pluginAddPath("lipcore")\n', encoding="utf-8")
    install("nuke", tmp_path / ".nuke")
    (nuke,) = [found for found in doctor._plugins() if found.name == "nuke"]
    assert nuke.state == "fault" and 'nuke.pluginAddPath("lipcore")' in nuke.do
