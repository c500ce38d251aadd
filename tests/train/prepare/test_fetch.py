"""Lists of addresses: a program in the place of yt-dlp, and none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from lipcore.train.prepare.fetch import fetch, read_list
from lipcore.train.prepare.settings import PrepareConfig
from lipcore.train.prepare.sources import gather

from lipcore.errors import ConfigError, DependencyError

FAKE = """#!{python}
import pathlib, sys
args = sys.argv[1:]
address, folder = args[-1], pathlib.Path(args[args.index("--paths") + 1])
assert args[-2] == "--"
with (folder / "calls").open("a") as calls:
    calls.write(address + chr(10))
name = args[args.index("--output") + 1]
if "private" in address:
    (folder / name.replace("%(ext)s", "mkv.part")).write_bytes(b"half")
    sys.exit("WARNING: hm" + chr(10) + "ERROR: [site] this video is private")
for part in folder.glob(name.replace("%(ext)s", "*.part")):
    part.unlink()
(folder / name.replace("%(ext)s", "en.vtt")).write_text("WEBVTT")
(folder / name.replace("%(ext)s", "mkv")).write_bytes(b"a video")
if "captions" in address:
    sys.exit("ERROR: no captions")
"""


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a program of the name, alone on PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "yt-dlp"
    program.write_text(FAKE.format(python=sys.executable))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    return folder


def test_addresses_are_fetched_once_and_failures_are_told(fake: Path, tmp_path: Path) -> None:
    listed = tmp_path / "talks.txt"
    good, private = "https://site.example/watch?v=1", "https://site.example/private"
    listed.write_text(f"{good}\tAnn Ash\n{private}\n")
    kept, lines = tmp_path / "kept ü", []
    sources, rejected = gather([listed], PrepareConfig(), fetched=kept, tell=lines.append)
    (source,) = sources
    assert source.name == good and source.identity == "Ann Ash"
    assert source.path.parent == kept and source.path.read_bytes() == b"a video"
    reason = "cannot be fetched: ERROR: [site] this video is private"
    assert rejected == [{"source": private, "reason": reason}]
    again, _ = gather([listed], PrepareConfig(), fetched=kept, tell=lines.append)
    assert again == sources
    assert (kept / "calls").read_text().split() == [good, private, private]
    assert lines.count(f"{good}: fetching") == 1


def test_what_was_half_fetched_goes_on(fake: Path, tmp_path: Path) -> None:
    address = "https://site.example/later"
    first = fetch(address, tmp_path / "kept", lambda line: None)
    first.rename(first.with_name(first.name + ".part"))
    assert fetch(address, tmp_path / "kept", lambda line: None) == first
    assert len((tmp_path / "kept" / "calls").read_text().split()) == 2


def test_a_whole_video_is_taken_though_its_captions_are_not_had(
    fake: Path, tmp_path: Path
) -> None:
    lines: list[str] = []
    found = fetch("https://site.example/captions", tmp_path / "kept", lines.append)
    assert found.read_bytes() == b"a video" and lines[-1].endswith("but ERROR: no captions")


def test_without_yt_dlp_the_install_line_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "yt_dlp", None)
    with pytest.raises(DependencyError, match="yt-dlp") as caught:
        fetch("https://site.example/1", tmp_path / "kept", lambda line: None)
    assert caught.value.hint == 'Install it with: pip install "lipcore[fetch]"'
    assert not (tmp_path / "kept").exists()


def test_lists_that_hold_nothing_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("# none\n\n")
    with pytest.raises(ConfigError, match="names no video"):
        read_list(tmp_path / "a.txt")
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_list(tmp_path / "a.txt")


def test_an_address_is_never_an_option(fake: Path, tmp_path: Path) -> None:
    """`--exec` in a list is a file that is not there."""
    (tmp_path / "a.txt").write_text("--exec=touch pwned\n")
    sources, rejected = gather([tmp_path / "a.txt"], PrepareConfig(), fetched=tmp_path,
                               tell=lambda line: None)  # fmt: skip
    assert not sources and "no file is at" in rejected[0]["reason"]
    assert subprocess.run([fake / "yt-dlp"], check=False, capture_output=True).returncode != 0
