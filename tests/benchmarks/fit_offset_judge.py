"""Fit the judge of sync offsets on real lips, and tell how far it can be trusted.

Run from the repository's root, with the development data beside it:

    python tests/benchmarks/fit_offset_judge.py [--write]

The clips that ``measure_mouths.py`` renders are left out of the fit that ``--write`` puts into
the package. The figures: each clip judged by a fit on clips of all other people, its own sound
(true offset from the data's manifest), and another clip's sound (there is no offset to find;
how often the judge is certain all the same).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from measure_mouths import HELD_OUT

from lipcore.evaluate.offset import OffsetJudge
from lipcore.media.audio import load_dialogue
from lipcore.media.color import ColorTransform
from lipcore.media.plate import open_plate
from lipcore.shapes.measure import inner_opening
from lipcore.tracking.speakers import select_speaker
from lipcore.tracking.tracker import track_plate

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "clips"
UNCERTAIN = ("radio10.mp4", "grid_lrwp9a.mpg")
LENGTHS_S = (3, 5, 8)


def load(name: str, lag_frames: int) -> tuple[np.ndarray, np.ndarray, float, float]:
    """A clip as ``OffsetJudge.fit`` takes it."""
    with open_plate(DATA / name) as plate:
        tracks = track_plate(
            plate, plate.info.frames, color=ColorTransform.of_plate(plate),
            progress=lambda *_: None,
        )
        rate = float(plate.info.rate)
    opening = inner_opening(select_speaker(tracks, "largest").landmarks)
    return opening, load_dialogue(DATA / name).samples, rate, lag_frames / 25


def person(name: str) -> str:
    return name.split("_")[0] if name.startswith("ocasio") else name


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    facts = json.loads((DATA / "manifest.json").read_text())
    names = [n for n, f in facts.items() if f["use"] == "train" and n not in UNCERTAIN]
    clips = {name: load(name, facts[name]["offset_frames"]) for name in names}
    if options.write:
        OffsetJudge.fit([clips[n] for n in names if n not in HELD_OUT]).save()
    rows: dict[tuple[int, str], list[tuple[int, bool]]] = {}
    for name in names:
        judge = OffsetJudge.fit([c for n, c in clips.items() if person(n) != person(name)])
        opening, samples, rate, lag_s = clips[name]
        other = clips[names[(names.index(name) + 5) % len(names)]][1]
        for seconds in LENGTHS_S:
            if len(opening) < seconds * rate * 0.98:
                continue
            part = slice(0, round(seconds * rate))
            for kind, sound in (("own", samples), ("other", other)):
                found = judge.measure(opening[part], sound[: seconds * 16_000], rate)
                assert found is not None
                error = found.frames - round(lag_s * rate)
                rows.setdefault((seconds, kind), []).append((error, found.certain))
                print(f"{name} {seconds} s {kind}: off by {error}, correlation "
                      f"{found.correlation:.2f}, lead {found.lead:.2f}, certain {found.certain}")
    for (seconds, kind), found in rows.items():
        sure = [abs(error) for error, certain in found if certain]
        near = sum(error <= 1 for error in sure)
        print(f"{seconds} s, {kind} sound: {len(found)} clips, certain of {len(sure)}, "
              f"of these within one frame {near}")


if __name__ == "__main__":
    main()
