"""How well the rendered mouth does what it is asked: figures on the development clips.

Run from the repository's root, with the development data beside it:

    python tests/benchmarks/measure_mouths.py [--clips markey.mp4 ...] [--tests own silent shapes]

Every render goes through ``lipcore.render_shot`` to lossless FFV1 and is measured by a face
mesh run on the written file, as on the plate:

own     the plate with its own dialogue (audio offset corrected): correlation of the inner-lip
        opening and of the lip width with the plate's. The shot renderer may not take a frame
        from within 12 frames of the one it draws.
silent  a silent dialogue: standard deviation of the opening over the plate's.
shapes  the plate's own curves moved by 50 frames: correlation with the asked opening and
        width, and ratio of standard deviations; likewise without near frames.
jitter  (from ``own``) acceleration of the lip landmarks over the plate's.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import wave
from pathlib import Path

import av
import numpy as np

import lipcore
from lipcore.analysis import analyse
from lipcore.cache import Cache
from lipcore.media.color import ColorTransform
from lipcore.media.plate import open_plate
from lipcore.shapes.basis import ShapeBasis, head_points
from lipcore.shapes.curves import write_curves
from lipcore.shapes.measure import inner_opening, lip_width
from lipcore.tracking.networks import quiet_stderr
from lipcore.types import ShapeCurves
from lipcore.weights import find_weights

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
HELD_OUT = ("markey.mp4", "klobuchar.mp4", "mcguinness.mp4", "grid_swwp2s.mpg")
MOVED = 50


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


def jitter(mesh: np.ndarray) -> float:
    """Mean size of the lips' acceleration on the pose-free head."""
    lips = head_points(mesh)[:, [13, 14, 61, 291, 0, 17]]
    return float(np.nanmean(np.linalg.norm(np.diff(lips, 2, axis=0), axis=-1)))


def silence(path: Path, seconds: float) -> None:
    """Write a silent 16 kHz WAV."""
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(16_000)
        sound.writeframes(bytes(2 * round(seconds * 16_000)))


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


def measure(name: str, tests: list[str], synthesis: str, weights: str) -> dict[str, float]:
    """All figures of one clip."""
    plate = DATA / "clips" / name
    facts = json.loads((DATA / "clips" / "manifest.json").read_text())[name]
    before = mesh_of(plate)
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)

        def render(out: str, **shot: object) -> np.ndarray:
            offset = -facts["offset_frames"] if "dialogue" in shot and out == "own.mkv" else 0
            lipcore.render_shot(
                lipcore.Shot(plate, **shot),
                lipcore.RenderConfig(
                    exclude_frames=12, offset_frames=offset, synthesis=synthesis, weights=weights
                ),
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
        if "silent" in tests:
            silence(base / "silent.wav", facts["seconds"])
            after = render("silent.mkv", dialogue=base / "silent.wav")
            _, figures["silent_deviation"] = agree(inner_opening(after), inner_opening(before))
            figures["silent_opening"] = float(np.nanmean(inner_opening(after)))
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
    return figures


def main() -> None:
    """Print a line of figures for each clip, and their mean."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", nargs="*", default=HELD_OUT)
    parser.add_argument("--tests", nargs="*", default=["own", "silent", "shapes"])
    parser.add_argument("--synthesis", default="auto")
    parser.add_argument("--weights", default="base")
    options = parser.parse_args()
    rows = []
    for name in options.clips:
        figures = measure(name, options.tests, options.synthesis, options.weights)
        rows.append(figures)
        print(name, " ".join(f"{k}={v:.3f}" for k, v in figures.items()), flush=True)
    for key in dict.fromkeys(k for row in rows for k in row):
        values = [row[key] for row in rows if key in row]
        print(f"mean {key} = {np.mean(values):.3f} over {len(values)}")


if __name__ == "__main__":
    main()
