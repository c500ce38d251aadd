"""Marks in finished mouths: nothing outside the matte, no 8-bit loss, found in the file."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lipcore.composite import merge
from lipcore.errors import ConfigError
from lipcore.media.color import ColorTransform
from lipcore.media.plate import open_plate
from lipcore.provenance.output_mark import LEAST_PSNR_DB, OutputMark
from lipcore.shot import RenderConfig, WatermarkMethod
from lipcore.types import Frame, Patch, Window

Command = Callable[..., subprocess.CompletedProcess[str]]
WINDOW = Window(0, 0, 320, 240)
MATRIX = np.array([[1 / 200, 0, -0.3], [0, 1 / 200, -0.15]], np.float32)


def drawn(alpha_at_most: float = 1.0, soft: bool = True) -> tuple[Frame, Patch]:
    """A scene-linear frame with values that 8 bits do not hold, and its patch."""
    rng = np.random.default_rng(2)
    base = np.linspace(0.02, 3.0, 320, dtype=np.float32)[None, :, None]
    rgb = (base + rng.normal(0, 0.01, (240, 320, 3))).astype(np.float32)
    rgb[130, 160] = (9.0, -0.25, 0.4)
    window = Window(100, 90, 120, 90)
    y, x = np.mgrid[:90, :120]
    edge = np.minimum.reduce([x, y, 119 - x, 89 - y]).astype(np.float32)
    alpha = np.clip(edge / 15, 0, 1) if soft else (edge > 0).astype(np.float32)
    alpha *= np.float32(alpha_at_most)
    patch = Patch(window, rgb[90:180, 100:220] * alpha[..., None] * np.float32(0.9), alpha, alpha)
    return Frame(7, rgb, WINDOW), patch


@pytest.mark.parametrize("method", ["pattern", "blocks"])
@pytest.mark.parametrize("soft", [True, False])
def test_only_what_is_under_the_matte_changes_and_little(
    method: WatermarkMethod, soft: bool
) -> None:
    frame, patch = drawn(soft=soft)
    color = ColorTransform.for_plate("lin_rec709_scene")
    new = OutputMark("lipc", method, color).apply(frame, patch, MATRIX)
    assert np.array_equal(new.alpha, patch.alpha) and new.window == patch.window
    under = patch.alpha > 0
    assert np.array_equal(new.rgb[~under], patch.rgb[~under])
    assert not np.array_equal(new.rgb[under], patch.rgb[under])
    full, marked = (merge(frame.rgb, WINDOW, p, np.float32) for p in (patch, new))
    assert np.array_equal(full[: patch.window.y], marked[: patch.window.y])
    change = color.to_display(marked) - color.to_display(full)
    inside = change[patch.window.slices_in(WINDOW)][under]
    psnr = -10 * np.log10(np.mean(inside.astype(np.float64) ** 2))
    if method == "pattern":
        assert psnr > LEAST_PSNR_DB - 0.05
        # A difference, not a copy in 8 bits: what is beyond white stays where it was.
        brightest = marked[130, 160]
        assert brightest == pytest.approx(full[130, 160], abs=0.6) and brightest[0] > 7.5
    assert psnr > 36


def test_the_plate_shines_through_a_thin_matte_unmarked() -> None:
    frame, patch = drawn(alpha_at_most=0.1)
    color = ColorTransform.for_plate("rec709")
    new = OutputMark("lipc", "pattern", color).apply(frame, patch, MATRIX)
    thin = np.abs(new.rgb - patch.rgb).max()
    _, thick_patch = drawn()
    thick = OutputMark("lipc", "pattern", color).apply(frame, thick_patch, MATRIX)
    assert 0 < thin < np.abs(thick.rgb - thick_patch.rgb).max() / 4


def test_broken_pixels_of_the_plate_do_not_spread() -> None:
    frame, patch = drawn()
    rgb = frame.rgb.copy()
    rgb[130, 150] = (np.nan, np.inf, 1)
    color = ColorTransform.for_plate("lin_rec709_scene")
    for method in ("pattern", "blocks"):
        new = OutputMark("lipc", method, color).apply(  # type: ignore[arg-type]
            Frame(7, rgb, WINDOW), patch, MATRIX
        )
        assert np.isfinite(new.rgb).all()


def test_texts_are_checked() -> None:
    with pytest.raises(ConfigError, match="empty"):
        RenderConfig(watermark=" ")
    with pytest.raises(ConfigError, match="longer than 4 bytes"):
        RenderConfig(watermark="lipcore", watermark_method="blocks")
    assert RenderConfig(watermark="lipcore").watermark_method == "pattern"
    assert RenderConfig(watermark_method="blocks").watermark == "none"


@pytest.mark.slow
def test_a_marked_render_is_found_and_a_plain_one_is_not(
    portrait_plate: Path, spoken_line: Path, tmp_path: Path, lipcore: Command
) -> None:
    """Twelve frames of EXR, through the command: half floats, mark and all."""
    common = ["--cache", tmp_path / "cache", "--workers", "1"]
    for name, more in {"plain": [], "marked": ["--watermark", "Zoë 1"]}.items():
        lipcore("render", portrait_plate, spoken_line, "--out", tmp_path / name, *common, *more)
    with open_plate(tmp_path / "plain") as plain, open_plate(tmp_path / "marked") as marked:
        a, b = plain.read(1003).rgb, marked.read(1003).rgb
    changed = np.abs(a - b).max(axis=2) > 0
    assert 0.01 < changed.mean() < 0.25
    said = json.loads((tmp_path / "marked" / "plate.lipsync.json").read_text())["settings"]
    assert said["watermark"] == "Zoë 1" and said["watermark_method"] == "pattern"

    told = {}
    for name in ("plain", "marked"):
        ended = lipcore(
            "watermark", "detect", tmp_path / name, "--text", "Zoë 1", "--text", "other",
            "--json", "--cache", tmp_path / "cache",
        )
        lines = [json.loads(line) for line in ended.stdout.splitlines()]
        told[name] = {e["text"]: e["found"] for e in lines if e["event"] == "face"}
    assert told["plain"] == {"Zoë 1": None, "other": None}
    assert told["marked"] == {"Zoë 1": "pattern", "other": None}

    # The same output with another mark is another output.
    again = lipcore(
        "render", portrait_plate, spoken_line, "--out", tmp_path / "marked", *common, code=6
    )
    assert "made from something else" in again.stderr


def test_the_command_says_what_is_wrong(tmp_path: Path, lipcore: Command) -> None:
    gone = lipcore("watermark", "detect", tmp_path / "not há.mov", code=3)
    assert re.search(r"^error: .*not há\.mov", gone.stderr, re.M)
    empty = lipcore("watermark", "detect", tmp_path, "--text", "", code=2)
    assert "empty" in empty.stderr
