"""Why lips drawn from sound can please a judge of openings better than real lips do.

    python tests/benchmarks/explain_judge.py FOLDER

FOLDER is that of `lipcore benchmark tables`. For each clip: how well the judge's guess from the
clip's own sound goes with the real openings and with ours; which share of the real openings the
guess leaves unexplained; and what ours would get with that share, moved in time so that it knows
nothing of the sound, laid over it.
"""

from __future__ import annotations

import argparse
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from lipcore.evaluate.offset import OffsetJudge
from lipcore.media.audio import fit_dialogue, load_dialogue

APART = 20
"""Frames that the unexplained share is moved by, at least."""


def opening_of(facts: dict[str, Any]) -> np.ndarray:
    """Of an evaluation, standardised; where a frame is unknown, the mean."""
    values = [row["opening"] for row in facts["per_frame"]]
    known = np.array([np.nan if v is None else v for v in values])
    return np.nan_to_num((known - np.nanmean(known)) / np.nanstd(known))


def together(one: np.ndarray, other: np.ndarray) -> float:
    """Pearson's correlation."""
    return float(np.corrcoef(one, other)[0, 1])


def main() -> None:
    """Print a row a clip."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    print("| clip | frames | real lips | ours | real lips, unexplained | ours with that |")
    print("|---|---|---|---|---|---|")
    for path in sorted(parser.parse_args().folder.glob("*_own_ground-truth.json")):
        facts = json.loads(path.read_text(encoding="utf-8"))
        made = path.with_name(path.name.replace("ground-truth", "ours_shot"))
        if not made.is_file():
            continue
        about = facts["protocol"]
        count, rate = about["frames"], Fraction(about["rate"])
        sound = fit_dialogue(
            load_dialogue(Path(about["dialogue"])), count / rate,
            offset_s=Fraction(about["offset_frames"]) / rate,
        )
        guess = OffsetJudge().guess(sound.samples, count, float(rate))
        guess = (guess - guess.mean()) / guess.std()
        real = opening_of(facts)
        ours = opening_of(json.loads(made.read_text(encoding="utf-8")))
        rest = real - together(real, guess) * guess
        laid_over = [
            together(together(real, ours) * ours + np.roll(rest, shift), guess)
            for shift in range(APART, count - APART, 7)
        ]
        print(
            f"| {Path(about['plate']).name} | {count} | {together(real, guess):.2f} | "
            f"{together(ours, guess):.2f} | {rest.var():.2f} | {np.mean(laid_over):.2f} |"
        )


if __name__ == "__main__":
    main()
