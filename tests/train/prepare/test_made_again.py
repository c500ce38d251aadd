"""A prepared clip is made again when what its manifest says of the sound changes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import av
import pytest
from lipcore.train.prepare import PrepareConfig, prepare


def _beginning(source: Path, path: Path, seconds: float) -> None:
    """The first seconds of a clip, nothing encoded again."""
    with av.open(str(source)) as given, av.open(str(path), "w") as made:
        outs = {s.index: made.add_stream_from_template(s) for s in given.streams
                if s.type in ("audio", "video")}  # fmt: skip
        for packet in given.demux(*(given.streams[i] for i in outs)):
            if packet.dts is not None and float(packet.dts * packet.time_base) < seconds:
                packet.stream = outs[packet.stream.index]
                made.mux(packet)


@pytest.mark.slow
def test_a_stated_offset_that_is_removed_makes_the_shard_anew(
    shared_data: Path, tmp_path: Path
) -> None:
    source, out = tmp_path / "clips", tmp_path / "out"
    source.mkdir()
    _beginning(shared_data / "clips" / "radio10.mp4", source / "a.mkv", 0.8)
    config = PrepareConfig(
        crop_px=48, margin_px=4, native=False, shortest_s=0.3, longest_s=1, measure_sync=False
    )

    def stamp(**facts: Any) -> int:
        (source / "manifest.json").write_text(json.dumps({"a.mkv": facts}))
        prepare(source, out, config)
        (tar,) = out.rglob("*.tar")
        return tar.stat().st_mtime_ns

    first = stamp(offset_frames=0)
    assert stamp(offset_frames=0) == first
    assert stamp() != first  # nothing in the shard itself says that it may not stay
