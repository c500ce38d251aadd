"""What the knobs of a node ask for, as a request to the worker."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nuke

from ..client import WorkerError
from . import frames_out, paths


@dataclass(frozen=True)
class Asked:
    """A node's knobs, read and checked."""

    first: int
    last: int
    picture: str
    """Pattern of the result, without its version's folder."""
    params: dict[str, Any] = field(default_factory=dict)
    """Of ``render``, less plate, matte and output."""
    environ: dict[str, str] = field(default_factory=dict)
    """Of the worker."""

    @property
    def folder(self) -> str:
        """The folder of all that the node writes."""
        return self.picture.rpartition("/")[0]


def read(group: Any) -> Asked:
    """Read the knobs; nothing is written.

    Raises:
        WorkerError: Something is missing or wrong, or the script is in proxy mode.
    """
    if nuke.root()["proxy"].value():
        raise WorkerError(
            "the script is in proxy mode: small frames would be rendered",
            "Switch proxy mode off (Ctrl+P), then render again.",
        )
    if group.input(0) is None:
        raise WorkerError("the input 'plate' is not connected", "Connect the plate.")
    first, last = _range(group)
    picture = paths.pattern(paths.resolve(group["output"].value()))
    environ, working = _color()
    settings: dict[str, Any] = {
        "feather": float(group["feather"].value()),
        "offset_frames": float(group["offset"].value()),
        "synthesis": group["synthesis"].value(),
        "refine": _share(group["refiner"].value()),
        "weights": group["weights"].value().strip() or "base",
        "strength": _share(group["strength"].value()),
    }
    params = {
        "dialogue": _dialogue(group),
        "frames": f"{first}-{last}",
        "rate": group["rate"].value().strip() or f"{nuke.root()['fps'].value():g}",
        "colorspace": group["colorspace"].value().strip() or working,
        "speaker": _speaker(group),
        "settings": settings,
    }
    return Asked(first, last, picture, params, environ)


def write_strength(group: Any, asked: Asked) -> None:
    """Where strength is animated, write its curve beside the frames and ask for it."""
    knob = group["strength"]
    if not knob.isAnimated():
        return
    lines = []
    for frame in range(asked.first, asked.last + 1):
        value = _share(knob.getValueAt(frame))
        lines.append(f"{frame} {value:.6g}\n")
    path = Path(asked.folder) / f"{group.name()}.strength.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(lines), encoding="utf-8")
    asked.params["settings"]["strength_curve"] = str(path)
    asked.params["settings"]["strength"] = 1.0


def write_inputs(group: Any, asked: Asked) -> dict[str, Any]:
    """Write plate and matte, where they are not there yet; the parameters of a render."""
    full = bool(group["full_float"].value())
    plate = frames_out.write_frames(
        group, 0, asked.folder, "plate", asked.first, asked.last,
        channels="all", full_float=full,
    )  # fmt: skip
    params = {**asked.params, "plate": plate}
    if group.input(1) is not None:
        params["holdout"] = frames_out.write_frames(
            group, 1, asked.folder, "matte", asked.first, asked.last,
            channels="alpha", full_float=False,
        )  # fmt: skip
    write_strength(group, asked)
    return params


def _share(value: float) -> float:
    """A knob's value inside of 0 to 1: its slider does not bound what is typed."""
    return min(1.0, max(0.0, float(value)))


def _range(group: Any) -> tuple[int, int]:
    text = group["frames"].value().strip()
    if not text:
        span = group.input(0).frameRange()
        return int(span.first()), int(span.last())
    match = re.fullmatch(r"(-?\d+)(?:\s*-\s*(-?\d+))?", text)
    if match is None or int(match[2] or match[1]) < int(match[1]):
        raise WorkerError(f"{text!r} is not a frame range", "Write it as 1001-1050.")
    return int(match[1]), int(match[2] or match[1])


def _dialogue(group: Any) -> str:
    path = paths.resolve(group["dialogue"].value() or "")
    name = group["audio_node"].value().strip()
    if not path and name:
        source = nuke.toNode(name)
        if source is None or source.knob("file") is None:
            raise WorkerError(f"no node {name} with a file is there", "Name a Read or AudioRead.")
        path = paths.resolve(nuke.filename(source) or "")
    if not path:
        raise WorkerError("no dialogue is set", "Choose a sound file.")
    if not Path(path).is_file():
        raise WorkerError(f"the dialogue {path} is not there", "Choose a sound file that exists.")
    return path


def _speaker(group: Any) -> str:
    choice = str(group["speaker"].value())
    if choice == "track":
        return f"track:{int(group['track'].value())}"
    if choice == "point":
        # Nuke counts rows from the bottom.
        x, y = group["point"].value(0), group["point"].value(1)
        return f"{x:g},{group.input(0).height() - y:g}"
    return choice


def _color() -> tuple[dict[str, str], str]:
    """The worker's OCIO, and the name of the working space."""
    root = nuke.root()
    if root.knob("colorManagement") is None or root["colorManagement"].value() != "OCIO":
        return {}, "lin_rec709_scene"
    working = root["workingSpaceLUT"].value() or "scene_linear"
    environ = {}
    if os.environ.get("OCIO"):
        pass  # the worker inherits it
    elif root["OCIO_config"].value() == "custom":
        environ["OCIO"] = paths.resolve(root["customOCIOConfigPath"].value())
    else:
        # Nuke's own configs write "ACES - ACEScg", the worker's has the same spaces by name.
        working = working.rpartition(" - ")[2]
    return environ, working
