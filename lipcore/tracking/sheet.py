"""A contact sheet of what was tracked: frames with mesh, lips, crop and names; bars over time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from lipcore.tracking.head import (
    LIPS_INNER_LOWER,
    LIPS_INNER_UPPER,
    LIPS_OUTER_LOWER,
    LIPS_OUTER_UPPER,
    apply_similarity,
    invert_similarity,
)
from lipcore.tracking.networks import Picture
from lipcore.tracking.store import write_whole
from lipcore.tracking.view import FrameView, TrackingColor
from lipcore.types import FaceTrack, FloatArray, Frame, FrameRange

_COLORS = (
    (255, 196, 0),
    (0, 200, 255),
    (255, 90, 160),
    (120, 230, 90),
    (190, 130, 255),
    (255, 140, 60),
)
_LIPS = (235, 40, 60)
_PAPER = (24, 24, 28)
_INK = (225, 225, 230)
_FAINT = (70, 70, 78)
_CUT = (255, 255, 255)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_GAP = 8
_BAR = 18
_MESH_FROM_PX = 60
"""On narrower faces the mesh would hide the face."""
_INSET_CROP = 0.7
"""Share of a close-up that the crop takes."""


class ReadablePlate(Protocol):
    """What a contact sheet needs of a plate."""

    def read(self, number: int) -> Frame:
        """One frame."""


def sheet_frames(frames: FrameRange, cuts: Sequence[int], count: int) -> list[int]:
    """Which frames a sheet shows: evenly spread, and the first of each scene.

    Args:
        frames: The tracked frames.
        cuts: Frames that begin a scene.
        count: How many at most.
    """
    if count >= len(frames):
        return list(frames)
    chosen = {frames.first, *list(cuts)[: count // 2]}
    for number in np.linspace(frames.first, frames.last, count).round().astype(int).tolist():
        if len(chosen) < count:
            chosen.add(number)
    return sorted(chosen)


def draw_sheet(
    plate: ReadablePlate,
    tracks: Sequence[FaceTrack],
    *,
    color: TrackingColor,
    count: int = 18,
    columns: int = 6,
    cell_side: int = 480,
) -> Picture:
    """Draw the contact sheet.

    Args:
        plate: The plate that was tracked.
        tracks: Its tracks, one or more, all over the same frames.
        color: As for tracking.
        count: Frames on the sheet.
        columns: Frames in a row.
        cell_side: Longer side of a frame on the sheet in pixels.

    Returns:
        ``(height, width, 3)`` uint8 sRGB.
    """
    frames, cuts = tracks[0].frames, tracks[0].cuts
    numbers = sheet_frames(frames, cuts, count)
    columns = min(columns, len(numbers))
    cells = [_cell(plate.read(n), n, tracks, color, cell_side, n in cuts) for n in numbers]
    height, width = cells[0].shape[0], cells[0].shape[1] + _GAP
    rows = -(-len(cells) // columns)
    bars = _bars(tracks, columns * width - _GAP)
    sheet = np.full(
        (rows * (height + _GAP) + bars.shape[0] + 2 * _GAP, columns * width + _GAP, 3),
        _PAPER,
        np.uint8,
    )
    for i, cell in enumerate(cells):
        y, x = _GAP + i // columns * (height + _GAP), _GAP + i % columns * width
        sheet[y : y + cell.shape[0], x : x + cell.shape[1]] = cell
    y = _GAP + rows * (height + _GAP)
    sheet[y : y + bars.shape[0], _GAP : _GAP + bars.shape[1]] = bars
    return sheet


def write_sheet(path: Path, sheet: Picture) -> None:
    """Write a sheet as PNG, whole or not at all.

    Raises:
        OutputNotWritableError: The folder is absent or does not accept files.
        DiskFullError: No space is left.
    """
    _, data = cv2.imencode(".png", sheet[..., ::-1])
    write_whole(path, lambda draft: draft.write_bytes(data.tobytes()))


def _cell(
    frame: Frame,
    number: int,
    tracks: Sequence[FaceTrack],
    color: TrackingColor,
    side: int,
    is_cut: bool,
) -> Picture:
    aspect = tracks[0].pixel_aspect
    view = FrameView(frame, color, aspect)
    scale = min(side / view.width, side / view.height)
    size = max(1, round(view.width * scale)), max(1, round(view.height * scale))
    picture, _ = view.overview(side)
    cell: Picture = np.ascontiguousarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))
    to_cell = np.array([aspect * scale, scale], np.float32)
    origin = np.array([view.x0, view.y0], np.float32) * scale
    close_up: FaceTrack | None = None
    on_left = False
    for track in tracks:
        row = track.frames.index(number)
        if not track.present[row]:
            continue
        points = track.landmarks[row, :, :2] * to_cell - origin
        corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
        box = apply_similarity(invert_similarity(track.transforms[row]), corners)
        _draw_face(cell, track, row, points, box * to_cell - origin)
        if close_up is None and float(np.ptp(points[:468, 0])) <= _MESH_FROM_PX:
            close_up, on_left = track, float(points[:, 0].mean()) < size[0] / 2
    if close_up is not None:
        inset = _close_up(view, close_up, number, round(min(cell.shape[:2]) * 0.5))
        x = size[0] - inset.shape[1] if on_left else 0  # away from the face
        cell[-inset.shape[0] :, x : x + inset.shape[1]] = inset
    label = f"{number}  cut" if is_cut else f"{number}"
    cv2.rectangle(cell, (0, 0), (12 * len(label) + 10, 24), _PAPER, -1)
    cv2.putText(cell, label, (6, 18), _FONT, 0.55, _INK, 1, cv2.LINE_AA)
    if is_cut:
        cv2.line(cell, (1, 0), (1, cell.shape[0]), _CUT, 3)
    return cell


def _close_up(view: FrameView, track: FaceTrack, number: int, side: int) -> Picture:
    """The head around the crop, for faces that are small in their frame."""
    row = track.frames.index(number)
    matrix = track.transforms[row].copy()
    matrix[:, 0] /= track.pixel_aspect  # square space, where views work
    matrix *= _INSET_CROP
    matrix[:, 2] += (1 - _INSET_CROP) / 2
    inset = np.ascontiguousarray(view.warp(matrix, side))
    points = track.landmarks[row, :, :2].copy()
    points[:, 0] *= track.pixel_aspect
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
    box = (corners * _INSET_CROP + (1 - _INSET_CROP) / 2) * side
    _draw_face(inset, track, row, apply_similarity(matrix, points) * side, box)
    cv2.rectangle(inset, (0, 0), (side - 1, side - 1), _hue(track), 2)
    return inset


def _draw_face(
    cell: Picture, track: FaceTrack, row: int, points: FloatArray, box: FloatArray
) -> None:
    """Mesh, lips and crop of a face; ``points`` and the crop's corners in pixels of the cell."""
    hue = _hue(track)
    width = float(np.ptp(points[:468, 0]))
    if width > _MESH_FROM_PX:
        for x, y in points[:468]:
            place = round(16 * float(x)), round(16 * float(y))
            cv2.circle(cell, place, max(8, round(width / 12)), hue, -1, cv2.LINE_AA, 4)
    for upper, lower in (
        (LIPS_OUTER_UPPER, LIPS_OUTER_LOWER),
        (LIPS_INNER_UPPER, LIPS_INNER_LOWER),
    ):
        _polygon(cell, points[[*upper, *lower[::-1]]], _LIPS)
    _polygon(cell, box, hue)
    name = f"{track.track_id}" if track.confidence[row] > 0.5 else f"{track.track_id} bridged"
    x, y = box[0]
    place = max(2, round(float(x))), max(40, round(float(y)) - 6)
    cv2.putText(cell, name, place, _FONT, 0.6, _PAPER, 4, cv2.LINE_AA)
    cv2.putText(cell, name, place, _FONT, 0.6, hue, 2, cv2.LINE_AA)


def _polygon(cell: Picture, points: FloatArray, hue: tuple[int, int, int]) -> None:
    cv2.polylines(cell, [np.round(points * 16).astype(np.int32)], True, hue, 1, cv2.LINE_AA, 4)


def _bars(tracks: Sequence[FaceTrack], width: int) -> Picture:
    """A bar a track: coloured where the face is seen, thin where bridged, white at cuts."""
    frames, left = tracks[0].frames, 130
    ordered = sorted(tracks, key=lambda t: t.track_id)
    bars = np.full((len(ordered) * (_BAR + 6) + 22, width, 3), _PAPER, np.uint8)
    edges = np.linspace(left, width - 1, len(frames) + 1).round().astype(int)
    for i, track in enumerate(ordered):
        y = i * (_BAR + 6)
        bars[y : y + _BAR, left:] = _FAINT
        for row in np.flatnonzero(track.present):
            inset = 0 if track.confidence[row] > 0.5 else _BAR // 3
            end = max(edges[row + 1], edges[row] + 1)
            bars[y + inset : y + _BAR - inset, edges[row] : end] = _hue(track)
        for cut in track.cuts:
            x = edges[frames.index(cut)]
            bars[y : y + _BAR, x : x + 2] = _CUT
        share = float(track.present.mean())
        cv2.putText(
            bars,
            f"track:{track.track_id} {share:4.0%}",
            (0, y + 14),
            _FONT,
            0.45,
            _INK,
            1,
            cv2.LINE_AA,
        )
    y = bars.shape[0] - 6
    cv2.putText(bars, str(frames.first), (left, y), _FONT, 0.45, _INK, 1, cv2.LINE_AA)
    last = str(frames.last)
    cv2.putText(bars, last, (width - 10 * len(last), y), _FONT, 0.45, _INK, 1, cv2.LINE_AA)
    return bars


def _hue(track: FaceTrack) -> tuple[int, int, int]:
    return _COLORS[(track.track_id - 1) % len(_COLORS)]
