"""Dialogue from a timeline's own sound: which tracks are heard, and where in the record."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import opentimelineio as otio
import pytest
import soundfile

from lipcore.errors import DialogueError
from lipcore.timeline.dialogue import DialogueSource, load_source, parse_source
from lipcore.timeline.media_links import LinkOptions, MediaFinder
from lipcore.timeline.read import ReadTimeline
from lipcore.types import FloatArray

_FRAME = 16_000 // 25


def _span(first: float, count: float, rate: float = 25) -> Any:
    return otio.opentime.TimeRange(
        otio.opentime.RationalTime(first, rate), otio.opentime.RationalTime(count, rate)
    )


@pytest.fixture
def finder(tmp_path: Path) -> Iterator[MediaFinder]:
    """Finds ``ramp.wav``: two seconds whose level tells the time, 0 to 1."""
    ramp = np.linspace(0, 1, 2 * 48_000, dtype=np.float32)
    soundfile.write(tmp_path / "ramp.wav", ramp, 48_000, subtype="FLOAT")
    made = MediaFinder(LinkOptions(tmp_path))
    yield made
    made.close()


def _ramp(first: float, count: float, start: float = 0) -> Any:
    media = otio.schema.ExternalReference("ramp.wav", _span(start, 50))
    return otio.schema.Clip("ramp", media, _span(first, count))


def _track(name: str, *items: Any) -> Any:
    return otio.schema.Track(name, items, kind=otio.schema.TrackKind.Audio)


def _load(finder: MediaFinder, source: DialogueSource, *tracks: Any) -> FloatArray:
    timeline = otio.schema.Timeline("t")
    timeline.tracks.extend(tracks)
    read = ReadTimeline(timeline, Fraction(25), 0)
    return load_source(source, read, finder).dialogue.samples


def _level(samples: FloatArray, frame: int) -> float:
    """The mean of a record frame, in source frames of the ramp."""
    return float(samples[frame * _FRAME : (frame + 1) * _FRAME].mean()) * 50


@pytest.mark.parametrize("start", [0, 90_000])
def test_a_track_is_heard_at_its_record_times(finder: MediaFinder, start: int) -> None:
    gap = otio.schema.Gap(source_range=_span(0, 4))
    track = _track("DX", gap, _ramp(start + 10, 5, start), _ramp(start + 30, 5, start))
    found = _load(finder, DialogueSource("track", "DX"), track)
    assert len(found) == 14 * _FRAME and not found[: 4 * _FRAME].any()
    assert _level(found, 4) == pytest.approx(10.5, abs=0.1)
    assert _level(found, 13) == pytest.approx(34.5, abs=0.1)


def test_retimes_and_nests_sound_as_they_look(finder: MediaFinder) -> None:
    fast, back, still = _ramp(0, 5), _ramp(10, 5), _ramp(30, 5)
    fast.effects.append(otio.schema.LinearTimeWarp(time_scalar=2.0))
    back.effects.append(otio.schema.LinearTimeWarp(time_scalar=-1.0))
    still.effects.append(otio.schema.FreezeFrame())
    nest = otio.schema.Stack("nest", [_track("in", _ramp(20, 9))], source_range=_span(3, 4))
    found = _load(finder, DialogueSource("track", "1"), _track("", fast, back, still, nest))
    assert _level(found, 2) == pytest.approx(5, abs=0.1)
    assert _level(found, 5) == pytest.approx(14.5, abs=0.1)
    assert _level(found, 9) == pytest.approx(10.5, abs=0.1)
    assert not found[10 * _FRAME : 15 * _FRAME].any()
    assert _level(found, 15) == pytest.approx(23.5, abs=0.1)


def test_a_cross_fade_keeps_the_level(finder: MediaFinder) -> None:
    mix = otio.schema.Transition(
        in_offset=otio.opentime.RationalTime(2, 25), out_offset=otio.opentime.RationalTime(2, 25)
    )
    track = _track("DX", _ramp(10, 5), mix, _ramp(15, 5))
    found = _load(finder, DialogueSource("track", "DX"), track)
    assert [_level(found, n) for n in range(10)] == pytest.approx(
        [n + 10.5 for n in range(10)], abs=0.1
    )


def test_muted_and_soloed_tracks(finder: MediaFinder) -> None:
    dx, other, off = _track("DX", _ramp(10, 5)), _track("FX", _ramp(0, 5)), _ramp(30, 5)
    off.enabled = False
    dx.append(off)
    found = _load(finder, DialogueSource("track", "DX"), dx.clone(), other.clone())
    assert _level(found, 0) > 10 and not found[5 * _FRAME :].any()
    muted = dx.clone()
    muted.enabled = False
    with pytest.raises(DialogueError, match="is muted"):
        _load(finder, DialogueSource("track", "DX"), muted)
    other.metadata["Resolve_OTIO"] = {"SoloOn": True}
    with pytest.raises(DialogueError, match="'FX' is soloed"):
        _load(finder, DialogueSource("track", "DX"), dx.clone(), other.clone())
    with pytest.raises(DialogueError, match="no sound track 'VO'") as caught:
        _load(finder, DialogueSource("track", "VO"), dx, other)
    assert "1 'DX', 2 'FX'" in caught.value.hint


def test_the_clips_own_sound_follows_the_picture(
    finder: MediaFinder, numbered: SimpleNamespace, tmp_path: Path
) -> None:
    pictures = [np.zeros((32, 80, 3), np.uint8)] * 50
    ramp = np.linspace(0, 1, 2 * 48_000, dtype=np.float32)
    numbered.write_video(pictures, tmp_path / "a b.mkv", Fraction(25), ramp)
    media = otio.schema.ExternalReference("file:" + "a%20b.mkv", _span(0, 50))
    clip = otio.schema.Clip("a", media, _span(10, 5))
    found = _load(finder, DialogueSource("clips"), otio.schema.Track("V1", [clip]))
    assert _level(found, 0) == pytest.approx(10.5, abs=0.2)
    with pytest.raises(DialogueError, match=r"not found: gone\.mkv"):
        lost = otio.schema.Clip("b", otio.schema.ExternalReference("gone.mkv"), _span(0, 5))
        _load(finder, DialogueSource("clips"), otio.schema.Track("V1", [lost]))


def test_a_broadcast_wav_says_when_it_was_recorded(finder: MediaFinder, tmp_path: Path) -> None:
    rate = 48_000
    sound = np.round(np.sin(np.arange(rate) * 0.05) * 20_000).astype(np.int16)
    sound[: rate // 2] = 0
    bext = bytearray(602)
    bext[338:346] = (36_000 * rate).to_bytes(8, "little")  # 10:00:00:00
    body = (b"WAVEbext" + len(bext).to_bytes(4, "little") + bytes(bext) + b"fmt "
            + (16).to_bytes(4, "little") + (1).to_bytes(2, "little") + (1).to_bytes(2, "little")
            + rate.to_bytes(4, "little") + (2 * rate).to_bytes(4, "little")
            + (2).to_bytes(2, "little") + (16).to_bytes(2, "little") + b"data"
            + (2 * len(sound)).to_bytes(4, "little") + sound.tobytes())  # fmt: skip
    (tmp_path / "b.wav").write_bytes(b"RIFF" + len(body).to_bytes(4, "little") + body)
    media = otio.schema.ExternalReference("b.wav")
    clip = otio.schema.Clip("b", media, _span(36_000 * 25 + 10, 10))
    found = _load(finder, DialogueSource("track", "DX"), _track("DX", clip))
    # Half a second of silence, of which ten frames are cut off.
    assert not found[: 2 * _FRAME].any() and found[3 * _FRAME :].std() > 0.3


def test_what_the_option_means(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert parse_source("track:A 1") == DialogueSource("track", "A 1")
    assert parse_source("clips") == DialogueSource("clips")
    Path("clips").touch()
    assert parse_source("clips") == DialogueSource("file", "clips")
