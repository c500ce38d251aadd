"""How well the rendered mouth does what it is asked: figures on the development clips.

Run from the repository's root, with the development data beside it:

    python tests/benchmarks/measure_mouths.py [--clips markey.mp4 ...]
        [--tests own moved silent shapes crossed] [--synthesis shot]

For the row ``adapted``, ``lipcore adapt CLIP --out FOLDER/CLIP'S NAME.safetensors`` each clip
first, then add ``--synthesis adapted --adapted FOLDER``. For a refiner's rows, add ``--refine``
and a share from 0 to 1, with ``--weights base+FILE``.

Every render goes through ``lipcore.render_shot`` to lossless FFV1 and is measured by a face
mesh run on the written file, as on the plate. But for ``moved``, the shot renderer may not take a
frame from within 12 frames of the one it draws.

own     the plate with its own dialogue (audio offset corrected): correlation of the inner-lip
        opening and of the lip width with the plate's.
moved   the plate's own sound moved against the picture by 50 frames, or by half of a shorter clip,
        and what is cut off at one end put on at the other; held against the plate's lips moved
        alike, off the seam. What a render lets through of the plate's own mouth helps it in
        ``own``, and cannot help it here, so nothing is shut out as a source. ``asked`` is the
        correlation of the lips that the render was asked for, ``leak`` how much of the plate's
        own mouth is in what was made beside them, and ``self`` the correlation of the plate's
        moved lips with its own.
silent  a silent dialogue: standard deviation of the opening over the plate's, and the share of
        frames whose opening is under 5 % of the lip width.
shapes  the plate's own curves moved by 50 frames: correlation with the asked opening and
        width, and ratio of standard deviations; likewise without near frames. ``leak`` is how
        much of the plate's own opening is left in it.
crossed other people's dialogues: by how many frames the sound must be moved to explain the lips
        best. The judge (``lipcore.evaluate.offset``) was fitted on the real lips of clips that
        are not measured; it shares nothing with our networks.
jitter  (from ``own``) acceleration of the lip landmarks over the plate's.
sharp   (from ``own``) gradient energy of the mouth's box over the plate's.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import wave
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

import lipcore
from lipcore.analysis import analyse
from lipcore.cache import Cache
from lipcore.evaluate.mouths import CLOSED
from lipcore.evaluate.offset import OffsetJudge
from lipcore.media.audio import fit_dialogue, load_dialogue
from lipcore.media.color import ColorTransform
from lipcore.media.plate import open_plate
from lipcore.shapes.basis import ShapeBasis, head_points
from lipcore.shapes.curves import write_curves
from lipcore.shapes.measure import inner_opening, lip_width
from lipcore.sidecar import SUFFIX
from lipcore.tracking.networks import quiet_stderr
from lipcore.types import FloatArray, ShapeCurves
from lipcore.weights import find_weights

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
HELD_OUT = ("markey.mp4", "klobuchar.mp4", "mcguinness.mp4", "grid_swwp2s.mpg")
CROSSED = ("address34b_en.wav", "librispeech_1088_en.wav", "jfk_en.wav")
MOVED, APART_FRAMES = 50, 12
SEAM_FRAMES, SEAM_FADE_S = 6, 0.02
"""Where moved sound joins its own beginning: frames left out on either side, and its fade."""


def mesh_of(path: Path) -> np.ndarray:
    """``(N, 478, 3)`` raw face mesh of a video, NaN where none is found."""
    with quiet_stderr():
        import mediapipe as mp

        mesh = mp.solutions.face_mesh.FaceMesh(max_num_faces=1, refine_landmarks=True)
    rows = []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            picture = frame.to_ndarray(format="rgb24")
            height, width = picture.shape[:2]
            found = mesh.process(picture).multi_face_landmarks
            rows.append(
                [[p.x * width, p.y * height, p.z * width] for p in found[0].landmark]
                if found
                else np.full((478, 3), np.nan)
            )
    return np.array(rows, np.float32)


def agree(made: np.ndarray, asked: np.ndarray) -> tuple[float, float]:
    """(correlation, ratio of standard deviations) where both are there."""
    count = min(len(made), len(asked))
    made, asked = made[:count], asked[:count]
    both = np.isfinite(made) & np.isfinite(asked)
    correlation = np.corrcoef(made[both], asked[both])[0, 1]
    return float(correlation), float(made[both].std() / asked[both].std())


def leak(made: np.ndarray, asked: np.ndarray, plate: np.ndarray) -> float:
    """How much of the plate's own mouth comes through beside the asked one (0: nothing).

    The plate's coefficient in a regression of what was made on both, all standardised.
    """
    both = np.stack([asked[: len(made)], plate[: len(made)], made])
    both = both[:, np.isfinite(both).all(axis=0)]
    both = (both - both.mean(axis=1, keepdims=True)) / both.std(axis=1, keepdims=True)
    shares = np.linalg.lstsq(both[:2].T, both[2], rcond=None)[0]
    return float(shares[1])


def jitter(mesh: np.ndarray) -> float:
    """Mean size of the lips' acceleration on the pose-free head."""
    lips = head_points(mesh)[:, [13, 14, 61, 291, 0, 17]]
    return float(np.nanmean(np.linalg.norm(np.diff(lips, 2, axis=0), axis=-1)))


def gradient_energy(path: Path, mesh: np.ndarray) -> float:
    """Mean squared gradient of the luma in the box of the outer lips, all frames alike."""
    energies = []
    with av.open(str(path)) as container:
        for frame, points in zip(container.decode(video=0), mesh, strict=True):
            if not np.isfinite(points).all():
                continue
            lips = points[[61, 291, 0, 17], :2]
            (left, top), (right, bottom) = lips.min(0).astype(int), lips.max(0).astype(int) + 1
            mouth = frame.to_ndarray(format="gray")[top:bottom, left:right].astype(np.float64)
            down, across = np.gradient(mouth)
            energies.append((down**2 + across**2).mean())
    return float(np.mean(energies))


def write_sound(path: Path, samples: FloatArray) -> None:
    """Write a 16 kHz WAV."""
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(16_000)
        sound.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())


def moved_sound(
    plate: Path, frames: int, rate: Fraction, offset_frames: int, lag: int
) -> FloatArray:
    """The plate's own sound, as long as its picture, so that frame i has that of i + ``lag``.

    The end runs on into the beginning; there it fades through silence.
    """
    sound = fit_dialogue(
        load_dialogue(plate), Fraction(frames) / rate, offset_s=-Fraction(offset_frames) / rate
    ).samples.copy()
    ramp = np.linspace(0, 1, round(SEAM_FADE_S * 16_000), dtype=np.float32)
    sound[: len(ramp)] *= ramp
    sound[-len(ramp) :] *= ramp[::-1]
    return np.roll(sound, -round(Fraction(lag) / rate * 16_000))


def asked_mesh(sidecar: Path) -> np.ndarray:
    """``(N, 478, 3)`` the landmarks that a render was asked for, NaN where it drew nothing."""
    rows = json.loads(sidecar.read_text())["per_frame"]
    nothing = np.full((478, 3), np.nan)
    out = []
    for row in rows:
        points = nothing if row["new_landmarks"] is None else np.array(row["landmarks"])
        if row["new_landmarks"] is not None:
            points[:, :2] = row["new_landmarks"]
        out.append(points)
    return np.array(out, np.float32)


def own_curves(plate_path: Path, out: Path) -> None:
    """The plate's own curves, moved by ``MOVED`` frames."""
    basis = ShapeBasis.load(find_weights("base"))
    with open_plate(plate_path) as plate:
        analysis = analyse(
            plate, plate.info.frames, speaker="largest",
            color=ColorTransform.for_plate(plate.info.colorspace), basis=basis, cache=Cache(),
            progress=lambda *_: None,
        )
        count = len(plate.info.frames)
        moved = analysis.values[(np.arange(count) + MOVED) % count]
        write_curves(out, ShapeCurves(
            plate.info.rate, plate.info.frames.first, moved, basis.names,
            source=f"{plate_path.name} moved by {MOVED}", weights=basis.label,
        ))


def measure_moved(
    after: np.ndarray, before: np.ndarray, asked: np.ndarray, lag: int
) -> dict[str, float]:
    """Figures of a render whose frame i says what the plate says in i + ``lag``.

    Args:
        after: ``(N, 478, 3)`` mesh of the render.
        before: The plate's.
        asked: What the render was asked for.
        lag: In frames.
    """
    places = np.arange(len(before))
    seam = len(before) - lag  # the first frame that has the beginning of the sound again
    kept = (places < seam - SEAM_FRAMES) | (places >= seam + SEAM_FRAMES)
    figures: dict[str, float] = {}
    for what, ruler in (("open", inner_opening), ("width", lip_width)):
        made, plate, wanted = (ruler(mesh) for mesh in (after, before, asked))
        truth = np.roll(plate, -lag)
        made, plate, wanted, truth = (x[kept] for x in (made, plate, wanted, truth))
        figures[f"moved_{what}"], figures[f"moved_{what}_amplitude"] = agree(made, truth)
        figures[f"moved_{what}_asked"], _ = agree(wanted, truth)
        figures[f"moved_{what}_leak"] = leak(made, wanted, plate)
        figures[f"moved_{what}_plate"], _ = agree(made, plate)
        figures[f"moved_{what}_self"], _ = agree(truth, plate)
    return figures


def measure(
    name: str, tests: list[str], drawn: lipcore.RenderConfig, judge: OffsetJudge | None
) -> dict[str, float]:
    """All figures of one clip."""
    plate = DATA / "clips" / name
    facts = json.loads((DATA / "clips" / "manifest.json").read_text())[name]
    before = mesh_of(plate)
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)

        def render(out: str, **shot: object) -> np.ndarray:
            offset = -facts["offset_frames"] if "dialogue" in shot and out == "own.mkv" else 0
            apart = replace(drawn, exclude_frames=-1 if out == "moved.mkv" else APART_FRAMES)
            lipcore.render_shot(
                lipcore.Shot(plate, **shot),
                replace(apart, offset_frames=offset),
                base / out,
            )
            return mesh_of(base / out)

        if "own" in tests:
            after = render("own.mkv", dialogue=plate)
            figures["own_open"], figures["own_open_amplitude"] = agree(
                inner_opening(after), inner_opening(before)
            )
            figures["own_width"], _ = agree(lip_width(after), lip_width(before))
            figures["jitter"] = jitter(after) / jitter(before)
            figures["sharp"] = gradient_energy(base / "own.mkv", after) / gradient_energy(
                plate, before
            )
        if "moved" in tests:
            lag = min(MOVED, len(before) // 2)
            sound = moved_sound(
                plate, len(before), Fraction(facts["rate"]), facts["offset_frames"], lag
            )
            write_sound(base / "moved.wav", sound)
            after = render("moved.mkv", dialogue=base / "moved.wav")
            figures |= measure_moved(
                after, before, asked_mesh(base / f"moved{SUFFIX}"), lag
            )
        if "silent" in tests:
            write_sound(base / "silent.wav", np.zeros(round(facts["seconds"] * 16_000)))
            after = render("silent.mkv", dialogue=base / "silent.wav")
            _, figures["silent_deviation"] = agree(inner_opening(after), inner_opening(before))
            shut = inner_opening(after) < CLOSED * lip_width(after)
            figures["silent_closed"] = float(shut[np.isfinite(after[:, 0, 0])].mean())
        if "shapes" in tests and facts["seconds"] > 2 * MOVED / 25:
            own_curves(plate, base / "curves.json")
            after = render("shapes.mkv", shapes=base / "curves.json")
            asked = before[(np.arange(len(before)) + MOVED) % len(before)]
            figures["shapes_open"], figures["shapes_open_amplitude"] = agree(
                inner_opening(after), inner_opening(asked)
            )
            figures["shapes_width"], figures["shapes_width_amplitude"] = agree(
                lip_width(after), lip_width(asked)
            )
            figures["shapes_leak"] = leak(
                inner_opening(after), inner_opening(asked), inner_opening(before)
            )
        for index, line in enumerate(CROSSED if judge else ()):
            after = render(f"crossed{index}.mkv", dialogue=DATA / "speech" / line)
            said = load_dialogue(DATA / "speech" / line).samples
            found = judge.measure(inner_opening(after), said, float(Fraction(facts["rate"])))
            if found is not None:
                figures[f"offset{index}"] = found.frames
                figures[f"offset{index}_correlation"] = found.correlation
    return figures


def main() -> None:
    """Print a line of figures for each clip, and their mean."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", nargs="*", default=HELD_OUT)
    parser.add_argument("--tests", nargs="*", default=["own", "silent", "shapes"])
    parser.add_argument("--synthesis", default="auto")
    parser.add_argument("--refine", type=float, default=0.0)
    parser.add_argument("--weights", default="base")
    parser.add_argument("--adapted", type=Path, help="Folder of the clips' adaptations.")
    options = parser.parse_args()
    judge, rows = OffsetJudge() if "crossed" in options.tests else None, []
    if judge:
        for name in options.clips:  # the judge must know the real lips' own offset
            path = DATA / "clips" / name
            found = judge.measure(inner_opening(mesh_of(path)), load_dialogue(path).samples, 25)
            if found is not None:
                print(f"{name} itself: sound lags {found.frames} frames, correlation "
                      f"{found.correlation:.2f}, certain {found.certain}")  # fmt: skip
    for name in options.clips:
        weights = options.weights
        if options.adapted is not None:
            weights += f"+{options.adapted / Path(name).stem}.safetensors"
        drawn = lipcore.RenderConfig(
            synthesis=options.synthesis, refine=options.refine, weights=weights
        )
        figures = measure(name, options.tests, drawn, judge)
        rows.append(figures)
        print(name, " ".join(f"{k}={v:.3f}" for k, v in figures.items()), flush=True)
    for key in dict.fromkeys(k for row in rows for k in row):
        values = [row[key] for row in rows if key in row]
        print(f"mean {key} = {np.mean(values):.3f} over {len(values)}")


if __name__ == "__main__":
    main()
