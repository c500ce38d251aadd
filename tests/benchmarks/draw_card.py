"""Draw the pictures of the model card, from synthetic heads and a public-domain portrait alone.

Run from the repository's root, with the morphable head beside it:

    python tests/benchmarks/draw_card.py [--weights base] [--out FOLDER]
        [--head ../shared/data/head/ict_facekit_light.npz]

reconstruction.jpg  V_f: what goes in, what comes out, and four times the difference
phonemes.jpg        the mouths of ten sounds on the portrait, drawn by `render --shapes`
before_after.jpg    plate and render, moments of one sentence

The heads are people whose numbers no training of `base` has drawn. Every mouth goes through
`lipcore.render_shot`, and what is shown was read back from its files.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import cv2
import numpy as np
import soundfile
import torch
from lipcore.train.data import crops_to_tensor, mouth_region
from lipcore.train.losses import mouth_psnr
from lipcore.train.synth.head import load_head
from lipcore.train.synth.head_scene import HeadScene
from lipcore.train.synth.picture import decode
from lipcore.train.synth.portrait import Still
from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont

import lipcore
from lipcore.demo.portrait import RATE, CameraMove, read_portrait, write_plate
from lipcore.demo.run import say
from lipcore.media.color import ColorTransform
from lipcore.media.plate import Plate, open_plate
from lipcore.models.checkpoint import load_network
from lipcore.models.vqgan import VQGAN
from lipcore.shapes.basis import ShapeBasis
from lipcore.shapes.curves import STANDARD, write_curves
from lipcore.speech.espeak import Phoneme
from lipcore.speech.visemes import shapes_of_phonemes
from lipcore.tracking.align import sample
from lipcore.tracking.head import LIPS_OUTER_LOWER, LIPS_OUTER_UPPER, apply_similarity
from lipcore.tracking.tracker import track_plate
from lipcore.types import FrameRange, ShapeCurves
from lipcore.weights import find_weights

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / "lipcore" / "weights" / "base" / "pictures"
HEAD = ROOT.parent / "shared" / "data" / "head" / "ict_facekit_light.npz"
SOUNDS = ("m", "f", "θ", "s", "ʃ", "i", "ɛ", "ɑ", "o", "u")
SENTENCE = "Maybe my five thumbs push the bumpy map."
HELD = 9
"""Frames that a sound is held for; the middle one is shown."""
FIRST = 1001
_INK, _PAPER = (30, 30, 34), (250, 250, 248)


def crop_of(picture: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The canonical crop of the one face in a picture, uint8, and its lips there, 0-1."""
    plate = Still(picture)
    track = track_plate(plate, plate.info.frames, color=plate)[0]
    lips = track.landmarks[0, [*LIPS_OUTER_UPPER, *LIPS_OUTER_LOWER], :2]
    cut = sample(picture.astype(np.float32), plate.info.display, track.transforms[0], size)
    places = apply_similarity(track.transforms[0], lips)
    return cut.round().clip(0, 255).astype(np.uint8), places


def label(picture: np.ndarray, text: str, size: int = 17) -> np.ndarray:
    """A picture with a line of text below it."""
    height, width = picture.shape[:2]
    image = Image.new("RGB", (width, height + size + 10), _PAPER)
    image.paste(Image.fromarray(picture), (0, 0))
    font = ImageFont.truetype(font_manager.findfont("DejaVu Sans"), size)
    ImageDraw.Draw(image).text((width / 2, height + 3), text, _INK, font, anchor="ma")
    return np.asarray(image)


def tile(rows: list[list[np.ndarray]], gap: int = 6) -> np.ndarray:
    """Equal pictures side by side and below each other."""
    height, width = rows[0][0].shape[:2]
    out = np.full(
        (len(rows) * (height + gap) + gap, len(rows[0]) * (width + gap) + gap, 3), _PAPER, np.uint8
    )
    for i, row in enumerate(rows):
        for j, picture in enumerate(row):
            y, x = gap + i * (height + gap), gap + j * (width + gap)
            out[y : y + height, x : x + width] = picture
    return out


def save(path: Path, picture: np.ndarray, quality: int = 88) -> None:
    """A JPEG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path, quality=quality, optimize=True)
    print(f"{path}: {picture.shape[1]}x{picture.shape[0]}, {path.stat().st_size / 1024:.0f} KB")


@torch.no_grad()
def draw_reconstruction(weights: str, head: Path) -> np.ndarray:
    """V_f, through its codebook, on five people who never lived and on the portrait."""
    face = load_network(find_weights(weights).file("vqgan_face"), kind="vqgan_face")
    assert isinstance(face, VQGAN)
    size, mesh, shown = face.config.crop_px, load_head(head), []
    for person in range(5):
        scene = HeadScene(mesh, np.random.default_rng([2026, person]), size, 40, ("espeak",))
        widest = int(scene.visemes[:, 0].argmax())
        shown.append(crop_of(decode(scene.take(widest)[0]), size))
    shown.append(crop_of((read_portrait(1) * 255).round().astype(np.uint8), size))
    rows: list[list[np.ndarray]] = [[], [], []]
    for i, (picture, lips) in enumerate(shown):
        given = crops_to_tensor([picture])
        made = face.decode(face.quantize(face.encode(given)).latents).float()
        low, high = lips.min(0) * size, lips.max(0) * size
        box = torch.tensor([[*((low + high) / 2), *((high - low) / 2)]], dtype=torch.float32)
        quality = float(mouth_psnr(made, given, mouth_region(box, size)))
        out = ((made[0].permute(1, 2, 0).numpy() + 1) * 127.5).round().clip(0, 255)
        apart = (np.abs(out - picture.astype(np.float32)) * 4).clip(0, 255)
        who = "portrait" if i == 5 else f"head {i + 1}"
        texts = who, f"mouth {quality:.1f} dB", "difference × 4"
        for row, part, text in zip(rows, (picture, out, apart), texts, strict=True):
            small = cv2.resize(part.astype(np.uint8), (190, 190), interpolation=cv2.INTER_AREA)
            row.append(label(np.asarray(small), text, 13))
    return tile(rows)


def frame_of(plate: Plate, number: int) -> np.ndarray:
    """A frame as sRGB uint8."""
    shown = ColorTransform.of_plate(plate).to_display(plate.read(number).rgb)
    return (shown * 255).round().clip(0, 255).astype(np.uint8)


def cut_mouth(picture: np.ndarray, at: tuple[float, float], size: tuple[int, int]) -> np.ndarray:
    """A part of a frame, about a place, unchanged."""
    x, y = round(at[0] - size[0] / 2), round(at[1] - size[1] / 2)
    return picture[y : y + size[1], x : x + size[0]]


def draw_phonemes(weights: str, folder: Path) -> np.ndarray:
    """Ten sounds, held one after the other, each with what the lips do then."""
    basis = ShapeBasis.load(find_weights(weights))
    move = CameraMove(FrameRange(FIRST, FIRST + HELD * len(SOUNDS) - 1))
    plate = write_plate(folder / "plate", move)
    values = np.concatenate([
        np.repeat(shapes_of_phonemes([Phoneme(s, 0, 1)], [0.5], basis.names), HELD, axis=0)
        for s in SOUNDS
    ])  # fmt: skip
    curves = folder / "sounds.json"
    write_curves(curves, ShapeCurves(
        RATE, FIRST, values, basis.names, STANDARD, "ten sounds", basis.label
    ))  # fmt: skip
    lipcore.render_shot(
        lipcore.Shot(plate, shapes=curves), lipcore.RenderConfig(weights=weights),
        folder / "sounds",
    )  # fmt: skip
    cells = []
    with open_plate(folder / "sounds") as render:
        for i, sound in enumerate(SOUNDS):
            number = FIRST + i * HELD + HELD // 2
            place = move.place((223.5, 148.0), number)
            cells.append(label(cut_mouth(frame_of(render, number), place, (300, 230)), sound, 20))
    return tile([cells[:5], cells[5:]])


def draw_before_after(weights: str, folder: Path) -> np.ndarray:
    """Eight moments of a sentence, on the plate and in the render."""
    sound = say(SENTENCE)
    count = int(len(sound) / 48_000 * RATE)
    move = CameraMove(FrameRange(FIRST, FIRST + count - 1))
    plate = write_plate(folder / "plate", move)
    soundfile.write(folder / "line.wav", sound, 48_000)
    lipcore.render_shot(
        lipcore.Shot(plate, dialogue=folder / "line.wav"), lipcore.RenderConfig(weights=weights),
        folder / "said",
    )  # fmt: skip
    rows: list[list[np.ndarray]] = [[], []]
    for row, path in zip(rows, (plate, folder / "said"), strict=True):
        with open_plate(path) as shown:
            for number in np.linspace(FIRST + 8, FIRST + count - 9, 8).round().astype(int).tolist():
                place = move.place((223.5, 128.0), number)
                part = cut_mouth(frame_of(shown, number), place, (400, 470))
                small = cv2.resize(part, (200, 235), interpolation=cv2.INTER_AREA)
                what = "plate" if row is rows[0] else "render"
                row.append(label(np.asarray(small), f"{what} {number}", 13))
    return tile(rows)


def main() -> None:
    """Write the three pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", default="base")
    parser.add_argument("--out", type=Path, default=PICTURES)
    parser.add_argument("--head", type=Path, default=HEAD)
    options = parser.parse_args()
    save(options.out / "reconstruction.jpg", draw_reconstruction(options.weights, options.head))
    with tempfile.TemporaryDirectory() as name:
        save(options.out / "phonemes.jpg", draw_phonemes(options.weights, Path(name) / "a"))
        save(options.out / "before_after.jpg", draw_before_after(options.weights, Path(name) / "b"))


if __name__ == "__main__":
    main()
