"""Readers of what is not trusted meet damaged files; `tests/benchmarks/fuzz_parsers.py` goes on."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lipcore.errors import LipcoreError

from .targets import make_targets

TARGETS = make_targets()
LONGEST_S = 20


@pytest.fixture(autouse=True)
def no_hang() -> Iterator[None]:
    """A reader that does not come back is a fault as well."""

    def cry(_number: int, _frame: object) -> None:
        raise TimeoutError(f"a reader took {LONGEST_S} s")

    before = signal.signal(signal.SIGALRM, cry)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def read(name: str, content: bytes, folder: Path) -> None:
    """Have a target read bytes; only errors of ours may come."""
    path = folder / f"given{TARGETS[name].suffix}"
    path.write_bytes(content)
    signal.alarm(LONGEST_S)
    try:
        TARGETS[name].read(path)
    except LipcoreError as error:
        assert error.message
    finally:
        signal.alarm(0)


_edits = st.lists(
    st.tuples(
        st.floats(0, 1), st.integers(0, 12),
        st.binary(max_size=8) | st.sampled_from(
            [b"\xff\xff\xff\x7f", b"\0\0\0\x80", b"1e999", b"NaN", b"-1", b"[" * 200, b"{{", b"\0"]
        ),
    ),
    min_size=1, max_size=6,
)  # fmt: skip


@pytest.mark.parametrize("name", TARGETS)
@settings(
    max_examples=60, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_damaged_content_is_one_error(name: str, tmp_path: Path, data: st.DataObject) -> None:
    content = data.draw(st.sampled_from(TARGETS[name].seeds))
    for place, cut, put in data.draw(_edits):
        at = int(place * len(content))
        content = content[:at] + put + content[at + cut :]
    read(name, content, tmp_path)


@pytest.mark.parametrize("name", TARGETS)
def test_whole_examples_and_nothing_at_all(name: str, tmp_path: Path) -> None:
    for content in (*TARGETS[name].seeds, b"", b"\0" * 64, b"\xff\xfe" + b"a" * 50):
        read(name, content, tmp_path)


@pytest.mark.parametrize("name", ["jobs", "shot_settings", "protocol", "sidecar", "otio"])
def test_depth_is_bounded(name: str, tmp_path: Path) -> None:
    for opening in (b"[", b'{"a":', b"{a: "):
        read(name, opening * 100_000, tmp_path)


def test_a_file_that_ends_the_parser_ends_no_process(tmp_path: Path) -> None:
    """Valid JSON, on which OpenTimelineIO 0.18's parser ends in a segmentation fault."""
    warp = b'{"OTIO_SCHEMA": "LinearTimeWarp.1", "time_scalar": -2.0}'
    times = b'"source_range": {"duration": {}, "start_time": {}}'
    read("otio", b'{"effects": [], ' + times + b', "effects": [' + warp + b"]}", tmp_path)


def test_a_bundle_whose_names_are_no_text_is_refused(tmp_path: Path) -> None:
    packed = TARGETS["otioz"].seeds[0]
    read("otioz", packed.replace(b"content.otio", b"content\x83otio"), tmp_path)


def test_a_bundle_reaches_nothing_outside_itself(tmp_path: Path) -> None:
    folder = tmp_path / "given"
    folder.mkdir()
    read("otioz", TARGETS["otioz"].seeds[0], folder)
    assert {p.name for p in tmp_path.rglob("*")} == {"given", "given.otioz"}
