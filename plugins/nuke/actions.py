"""What the buttons do. Each takes the node; errors are told in a panel with their hint."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable
from typing import Any

import nuke

from ..client import Event, WorkerError
from . import bake as baking
from . import farm, node, paths, run, settings, tracks

_SHOW_EVERY_S = 1.0
_MOST_TAKES = 999


def _told(action: Callable[[Any], Any]) -> Callable[[Any], Any]:
    @functools.wraps(action)
    def wrapped(group: Any) -> Any:
        try:
            return action(group)
        except WorkerError as error:
            run.tell_error(error)
            return None

    return wrapped


@_told
def render(group: Any) -> threading.Thread | None:
    """Render the frames that are not there yet, and show them as they come."""
    asked = settings.read(group)
    params = settings.write_inputs(group, asked)
    return _render_take(group, asked, params, int(group["take"].value()))


def _render_take(
    group: Any, asked: settings.Asked, params: dict[str, Any], take: int
) -> threading.Thread | None:
    picture = paths.versioned(asked.picture, take)
    before = node.shown(group)
    frames: set[int] = set()
    told = [0.0]

    def refresh(event: Event) -> None:
        frames.add(event["frame"])
        if time.monotonic() - told[0] < _SHOW_EVERY_S:
            return
        told[0] = time.monotonic()
        _show(group, picture, sorted(frames), record=False, before=before)

    def end(result: Event | None, error: WorkerError | None) -> None:
        if error is not None and error.kind == "OutputExistsError" and take < _MOST_TAKES:
            # Other settings made those frames: they stay, and a new version begins.
            try:
                _render_take(group, asked, params, take + 1)
            except WorkerError as second:
                run.tell_error(second)
            return
        there = [n for n in range(asked.first, asked.last + 1) if n in frames]
        if error is None:
            # What an earlier run finished counts, too; on cancel, whole files are what is there.
            there = [
                n for n in range(asked.first, asked.last + 1)
                if paths.frame_file(picture, n).is_file()
            ]
        said = f"{len(there)} frames of version {take}"
        if result is not None and result["passed"]:
            said += f"; {len(result['passed'])} left as they were"
        _show(group, picture, there, record=True, before=before, take=take, said=said)
        if error is not None:
            run.tell_error(error)

    return run.start(
        group, "render", {**params, "out": picture}, asked.environ, on_event=refresh, on_end=end
    )


def _show(
    group: Any, picture: str, frames: list[int], *, record: bool,
    before: tuple[str, list[tuple[int, int]]], take: int = 1, said: str = "",
) -> None:  # fmt: skip
    """Show frames; with ``record`` as one step of undo, back to what was shown ``before``."""
    found = node.runs(frames)
    if not record:
        nuke.Undo.disable()
        try:
            node.show_frames(group, picture if found else before[0], found or before[1])
        finally:
            nuke.Undo.enable()
        return
    nuke.Undo.disable()
    try:
        node.show_frames(group, *before)
    finally:
        nuke.Undo.enable()
    if not frames:
        return
    undo = nuke.Undo()
    undo.begin("Lipsync render")
    try:
        node.show_frames(group, picture, found)
        group["take"].setValue(take)
        group["state"].setValue(said)
    finally:
        undo.end()


@_told
def cancel(group: Any) -> None:
    """Stop; finished frames stay."""
    if not run.cancel(group):
        raise WorkerError("nothing runs for this node", "Press Render to begin.")


@_told
def analyse(group: Any) -> threading.Thread | None:
    """Find the faces and draw a box around each."""
    asked = settings.read(group)
    params = settings.write_inputs(group, asked)
    wanted = {k: params[k] for k in ("plate", "frames", "rate", "colorspace")}

    def end(result: Event | None, error: WorkerError | None) -> None:
        if error is not None:
            run.tell_error(error)
        elif result is not None:
            undo = nuke.Undo()
            undo.begin("Lipsync analyse")
            try:
                tracks.draw(group, result)
            finally:
                undo.end()

    return run.start(group, "track", wanted, asked.environ, on_end=end)


@_told
def adapt(group: Any) -> threading.Thread | None:
    """Train on this shot, then use what was learnt."""
    asked = settings.read(group)
    params = settings.write_inputs(group, asked)
    wanted = {
        "plate": params["plate"], "out": f"{asked.folder}/{group.name()}.safetensors",
        "minutes": float(group["minutes"].value()), "frames": params["frames"],
        "speaker": params["speaker"], "colorspace": params["colorspace"],
        "weights": params["settings"]["weights"],
    }  # fmt: skip

    def end(result: Event | None, error: WorkerError | None) -> None:
        if error is not None:
            run.tell_error(error)
        elif result is not None:
            undo = nuke.Undo()
            undo.begin("Lipsync adapt")
            try:
                group["weights"].setValue(result["weights"])
                group["synthesis"].setValue("adapted")
                group["state"].setValue(
                    f"adapted: {result['before_db']} dB before, {result['after_db']} dB after"
                )
            finally:
                undo.end()

    return run.start(group, "adapt", wanted, asked.environ, on_end=end)


@_told
def bake(group: Any) -> list[Any]:
    """Make ordinary nodes of the result."""
    undo = nuke.Undo()
    undo.begin("Lipsync bake")
    try:
        return baking.bake(group)
    finally:
        undo.end()


@_told
def submit(group: Any) -> None:
    """Write the jobs file and have lipcore make a bundle of it."""
    asked = settings.read(group)
    params = settings.write_inputs(group, asked)
    picture = paths.versioned(asked.picture, int(group["take"].value()))
    said = farm.submit(
        {**params, "out": picture}, asked.folder, str(group.name()), asked.environ
    )
    group["state"].setValue("submitted")
    if nuke.GUI:
        nuke.message(said)
    else:
        nuke.tprint(said)
