"""Renders are found by whatever names them, and damaged ones are named."""

from __future__ import annotations

import json
import shutil
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lipcore.errors import ConfigError, MediaNotFoundError, MediaUnreadableError
from lipcore.report.finished import find_renders, read_render
from lipcore.report.pictures import RenderPictures


@pytest.fixture
def moved(rendered: dict[str, Path], tmp_path: Path) -> Path:
    """A copy of the full render in another folder."""
    folder = tmp_path / "ailleurs"
    shutil.copytree(rendered["full"], folder)
    return folder


def sidecar_of(folder: Path) -> Path:
    (found,) = folder.rglob("*.lipsync.json")
    return found


def rewrite(folder: Path, **changed: Any) -> Path:
    path = sidecar_of(folder)
    facts = json.loads(path.read_text())
    path.write_text(json.dumps({**facts, **changed}))
    return path


@pytest.mark.parametrize("kind", ["full", "patch", "video"])
def test_a_render_is_found_by_folder_picture_and_sidecar(
    rendered: dict[str, Path], portrait_plate: Path, kind: str
) -> None:
    sidecar = sidecar_of(rendered[kind])
    (one,) = find_renders([rendered[kind]])
    named = [sidecar, one.picture]
    if kind != "video":
        named.append(next(sidecar.parent.glob("*1005.exr")))
    (again,) = find_renders(named)  # each once
    assert again.sidecar == one.sidecar == sidecar.resolve()
    assert one.frames.first == 1001 and len(one.frames) == 12 and one.rate == 24
    assert one.plate.parent == portrait_plate or one.plate == portrait_plate
    assert one.is_patch == (kind == "patch") and one.sound_begin_s == Fraction(0)
    assert np.isfinite(one.wanted).all() and np.isfinite(one.transforms).all()


def test_all_renders_of_a_tree_are_found(rendered: dict[str, Path]) -> None:
    assert len(find_renders([rendered["full"].parent])) == 3


def test_what_is_no_render_is_named(tmp_path: Path, portrait_plate: Path) -> None:
    with pytest.raises(ConfigError):
        find_renders([])
    with pytest.raises(MediaNotFoundError, match="no render is in"):
        find_renders([tmp_path])
    with pytest.raises(MediaNotFoundError, match="no plate at"):
        find_renders([tmp_path / "nothing.mov"])
    with pytest.raises(MediaNotFoundError, match="no sidecar"):
        find_renders([next(portrait_plate.parent.rglob("*.exr"))])


@pytest.mark.parametrize(
    "changed",
    [{"format": "lipcore-sidecar-1"}, {"rate": "0"}, {"rate": "x"}, {"per_frame": []},
     {"frames": [5]}, {"per_frame": 7}, {"settings": None}, {"plate_frames": [1, 2]},
     {"sound_begin_s": "soon"}],
)  # fmt: skip
def test_a_sidecar_that_makes_no_sense_is_named(moved: Path, changed: dict[str, Any]) -> None:
    path = rewrite(moved, **changed)
    with pytest.raises(MediaUnreadableError, match="is not a sidecar that can be read"):
        read_render(path)


def test_text_that_is_no_sidecar_is_named(moved: Path) -> None:
    path = sidecar_of(moved)
    facts = json.loads(path.read_text())
    facts["per_frame"][3]["landmarks"][7][1] = float("inf")
    for text in ("", "{", "[" * 100_000, "null", json.dumps(facts)):
        path.write_text(text)
        with pytest.raises(MediaUnreadableError, match="sidecar"):
            read_render(path)


def test_a_sidecar_names_no_picture_outside_its_folder(moved: Path) -> None:
    with pytest.raises(MediaNotFoundError, match="passwd"):
        read_render(rewrite(moved, picture="/etc/passwd"))


def test_another_plate_under_the_name_is_not_taken(moved: Path) -> None:
    with RenderPictures(read_render(rewrite(moved, width=99))) as pictures:
        assert "is 640x480 now and was 99x480" in pictures.no_plate
        assert [pair.before for pair in pictures.stream()] == [None] * 12


def test_names_that_no_file_can_have_are_said(moved: Path) -> None:
    for name in ("/" + 5000 * "x", "a\0b", "/root/" + 300 * "é" + ".####.exr"):
        rewrite(moved, plate=name, settings={"dialogue": name})
        render = read_render(sidecar_of(moved))
        assert render.find_dialogue() == Path(name)
        with RenderPictures(render) as pictures:
            assert pictures.no_plate


def test_a_patch_over_its_plate_is_the_full_picture(rendered: dict[str, Path]) -> None:
    (full,), (patch,) = (find_renders([rendered[kind]]) for kind in ("full", "patch"))
    with RenderPictures(full) as one, RenderPictures(patch) as other:
        for index in (0, 7):
            a, b = one.read(index), other.read(index)
            assert np.abs(a.after.rgb - b.after.rgb).max() < 2e-3
            matte, again = one.matte(a), other.matte(b)
            assert matte is not None and again is not None
            assert matte[1].max() == again[1].max() == 1


def test_the_matte_made_again_is_the_one_that_was_drawn(rendered: dict[str, Path]) -> None:
    (full,), (video,) = (find_renders([rendered[kind]]) for kind in ("full", "video"))
    with RenderPictures(full) as one, RenderPictures(video) as other:
        stored, made = one.matte(one.read(5)), other.matte(other.read(5))
        assert stored is not None and made is not None
        (window, alpha), (again, beta) = stored, made
        common = window.intersect(again)
        apart = alpha[common.slices_in(window)] - beta[common.slices_in(again)]
        assert np.abs(apart).mean() < 0.01


def test_retimed_frames_come_from_where_they_were_taken(moved: Path) -> None:
    shown = [1012 - i for i in range(12)]
    with RenderPictures(read_render(rewrite(moved, plate_frames=shown))) as pictures:
        backwards = pictures.read(0).before
    with RenderPictures(read_render(rewrite(moved, plate_frames=None))) as pictures:
        last = pictures.read(11).before
    assert backwards is not None and last is not None
    assert backwards.number == 1001 and np.array_equal(backwards.rgb, last.rgb)
