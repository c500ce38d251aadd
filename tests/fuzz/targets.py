"""What outsiders give to lipcore, as functions of bytes, and whole examples to start from.

A target may answer or raise ``LipcoreError``; anything else is a fault.
"""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True, slots=True)
class Target:
    """A reader of what is not trusted."""

    suffix: str
    read: Callable[[Path], object]
    seeds: tuple[bytes, ...]


def _jobs(path: Path) -> object:
    from lipcore.farm.jobs import read_jobs

    return read_jobs(path)


def _shot_settings(path: Path) -> object:
    from lipcore.timeline.settings import read_settings

    return read_settings(path)


def _request(path: Path) -> object:
    from lipcore.worker.requests import RequestError, parse_request

    try:
        return parse_request(path.read_bytes())
    except RequestError as error:
        return error.error


def _timeline(path: Path) -> object:
    from lipcore.timeline.flatten import flatten
    from lipcore.timeline.read import read_timeline

    return flatten(read_timeline(path))


def _exr(path: Path) -> object:
    from lipcore.media.exr_format import read_header

    return read_header(path)


def _weights(path: Path) -> object:
    from lipcore.models.checkpoint import load_network

    return load_network(path, kind="inner_mouth")


def _curves(path: Path) -> object:
    from lipcore.shapes.curves import read_curves

    return read_curves(path, ("open", "wide"))


def _strength(path: Path) -> object:
    from lipcore.shot import RenderConfig
    from lipcore.strength import read_strength
    from lipcore.types import FrameRange

    return read_strength(RenderConfig(strength_curve=path), FrameRange(1, 9))


def _sidecar(path: Path) -> object:
    from lipcore.report.finished import read_render

    return read_render(path)


def _otio(nest: int = 0) -> bytes:
    """A timeline of one retimed clip, as deep in stacks as asked."""
    import opentimelineio as otio

    time, span = otio.opentime.RationalTime, otio.opentime.TimeRange
    whole = span(time(0, 24), time(48, 24))
    clip = otio.schema.Clip(
        "a", otio.schema.ExternalReference("a.mov", whole), span(time(4, 24), time(24, 24)))
    clip.effects.append(otio.schema.LinearTimeWarp(time_scalar=-2.0))
    item: otio.core.Item = clip
    for _ in range(nest):
        stack = otio.schema.Stack("s")
        stack.append(item)
        item = stack
    track = otio.schema.Track("v", kind=otio.schema.TrackKind.Video)
    track.append(item)
    timeline = otio.schema.Timeline("t")
    timeline.tracks.append(track)
    return timeline.to_json_string().encode()


def _otioz() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr("version.txt", "1.0.0")
        file.writestr("content.otio", _otio())
        file.writestr("media/../../outside.mov", b"x")
    return packed.getvalue()


def _exr_file() -> bytes:
    """The header of a small scan-line file, and pixels of nothing."""

    def attribute(name: str, kind: str, value: bytes) -> bytes:
        head = name.encode() + b"\0" + kind.encode() + b"\0"
        return head + struct.pack("<i", len(value)) + value

    channels = b"".join(
        name + b"\0" + struct.pack("<iiii", 1, 0, 1, 1) for name in (b"B", b"G", b"R")
    ) + b"\0"
    box = struct.pack("<iiii", 0, 0, 7, 7)
    attributes = [
        ("channels", "chlist", channels), ("compression", "compression", b"\0"),
        ("dataWindow", "box2i", box), ("displayWindow", "box2i", box),
        ("lineOrder", "lineOrder", b"\0"), ("pixelAspectRatio", "float", struct.pack("<f", 1)),
        ("screenWindowCenter", "v2f", struct.pack("<ff", 0, 0)),
        ("screenWindowWidth", "float", struct.pack("<f", 1)),
    ]  # fmt: skip
    head = struct.pack("<ii", 20000630, 2) + b"".join(attribute(*a) for a in attributes) + b"\0"
    return head + struct.pack("<8Q", *range(8)) + bytes(400)


def _weights_file() -> bytes:
    import torch
    from safetensors.torch import save

    facts = {"lipcore.format": "1", "lipcore.kind": "inner_mouth",
             "lipcore.config": json.dumps({"channels": [8, 16]}), "lipcore.record": "{}"}
    return save({"a": torch.zeros(2, 3)}, facts)


_JOB = b"defaults: {strength: 0.5}\njobs:\n  - {plate: a.mov, dialogue: b.wav, out: c.mov}\n"
_EDL = b"TITLE: x\n\n001  AX V C 00:00:01:00 00:00:02:00 01:00:00:00 01:00:01:00\nM2 AX 048.0\n"
_RENDER = {"id": "1", "method": "render", "params": {
    "plate": "a", "out": "b", "dialogue": "c", "settings": {"strength": 0.5}}}  # fmt: skip
_CURVES = b"# lipcore curves 1\n# rate: 24\nframe,open,wide\n1,0.1,0.2\n2,0.2,0.3\n"


def make_targets() -> dict[str, Target]:
    """All targets by name."""
    rng = np.random.default_rng(0)
    return {
        "jobs": Target(".yaml", _jobs, (_JOB, b"jobs: [{plate: 1, out: 2, shapes: 3}]")),
        "shot_settings": Target(
            ".yaml", _shot_settings, (b"a: {strength: 0.5, exclude: true}\n2: {offset: -1}\n",)
        ),
        "protocol": Target(
            ".json", _request,
            (json.dumps(_RENDER).encode(), b'{"id": "2", "method": "cancel", "params": {}}'),
        ),
        "otio": Target(".otio", _timeline, (_otio(), _otio(3))),
        "otioz": Target(".otioz", _timeline, (_otioz(),)),
        "edl": Target(".edl", _timeline, (_EDL,)),
        "exr": Target(".exr", _exr, (_exr_file(), rng.bytes(200))),
        "weights": Target(".safetensors", _weights, (_weights_file(),)),
        "curves": Target(".csv", _curves, (_CURVES,)),
        "strength": Target(".txt", _strength, (b"1 0.5 # in\n9, 1\n",)),
        "sidecar": Target(".json", _sidecar, (b'{"schema": "lipcore-sidecar-2", "frames": []}',)),
    }
