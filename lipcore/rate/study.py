"""A study: which videos are judged, how, and by which questions.

Scales and their wording are those of ITU-T Recommendation P.910: absolute category rating
(ACR), and comparison category rating (CCR), where the second video is judged against the
first. Preliminary trials come before the real ones, as P.910 asks for where it speaks of
instructions and training: they show the range of what is to be judged.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from lipcore.config import from_mapping, read_yaml
from lipcore.errors import ConfigError, MediaNotFoundError

Method = Literal["acr", "ccr"]
Scale = Literal["lip_sync", "sharpness", "overall"]

LABELS: Mapping[Method, Mapping[int, str]] = {
    "acr": {5: "Excellent", 4: "Good", 3: "Fair", 2: "Poor", 1: "Bad"},
    "ccr": {
        -3: "Much worse", -2: "Worse", -1: "Slightly worse", 0: "The same",
        1: "Slightly better", 2: "Better", 3: "Much better",
    },
}  # fmt: skip
"""Value and wording of each category."""

QUESTIONS: Mapping[Scale, tuple[str, str]] = {
    "lip_sync": ("Lip sync", "How well the lips fit the words that you hear"),
    "sharpness": ("Sharpness", "How sharp and detailed the mouth and face are"),
    "overall": ("Overall", "The quality of the video, all in all"),
}
"""Heading and explanation of each scale."""


@dataclass(frozen=True, slots=True)
class Clip:
    """One piece of content, as every system shows it."""

    name: str
    videos: Mapping[str, Path]
    """System to video; relative paths count from the study's file."""


@dataclass(frozen=True, slots=True)
class Gold:
    """A question whose answer is known to everybody who looks; raters are not told."""

    videos: tuple[Path, ...]
    """One; two where pairs are compared, in this order."""
    expect: Mapping[str, tuple[int, int]]
    """Scale to the lowest and the highest right answer (of pairs: the second against the
    first, as listed here; it turns where the sides are turned)."""


@dataclass(frozen=True, slots=True)
class Trap:
    """A video after which the page asks for one certain answer: who does not read it fails."""

    videos: tuple[Path, ...]
    answer: int


@dataclass(frozen=True, slots=True)
class Practice:
    """A preliminary trial, whose answers are kept and never counted."""

    videos: tuple[Path, ...]
    """One; two where pairs are compared."""


@dataclass(frozen=True, slots=True)
class Study:
    """A study as its file says it."""

    title: str
    method: Method
    clips: tuple[Clip, ...]
    scales: tuple[Scale, ...] = ("lip_sync", "sharpness", "overall")
    instructions: str = ""
    """Shown before the first video, below what the page says itself."""
    reference: str = ""
    """The system that is the ground truth; judged like the others, its name never shown."""
    compare: Literal["all", "reference"] = "all"
    """CCR: every two systems of a clip, or each one against the reference."""
    gold: tuple[Gold, ...] = ()
    traps: tuple[Trap, ...] = ()
    practice: tuple[Practice, ...] = ()
    """Shown before all others, in this order: best such as show the whole range of quality, and
    none of the clips."""
    trials: int | None = None
    """How many videos (or pairs) of the clips each rater sees; None shows all of them."""
    gold_needed: float = 0.75
    """Share of the gold answers that a rater must have right, 0-1."""
    seed: int = 0
    answers: Path | None = None
    """The SQLite file; None lies beside the study's file, with its name."""

    def __post_init__(self) -> None:
        _check(bool(self.title.strip()), "a study needs a title", "Write title: ...")
        _check(bool(self.clips), "a study needs clips", "List them under clips:")
        _check(
            bool(self.scales) and len(set(self.scales)) == len(self.scales),
            "scales must be one to three different ones", f"Take of {', '.join(QUESTIONS)}.",
        )
        names = [clip.name for clip in self.clips]
        for name in names:
            _check(names.count(name) == 1, f"two clips are called {name!r}", "Rename one.")
        needed = 1 if self.method == "acr" else 2
        for clip in self.clips:
            _check(
                len(clip.videos) >= needed,
                f"clip {clip.name!r} has {len(clip.videos)} videos, and {self.method} needs "
                f"{needed} at least", "Write videos: {system: path, ...}.",
            )
        if self.reference:
            missing = [c.name for c in self.clips if self.reference not in c.videos]
            _check(
                not missing, f"clip {missing[0] if missing else ''!r} has no video of the "
                f"reference {self.reference!r}", "Give it one, or leave the reference out.",
            )
        _check(
            self.method == "acr" or self.compare == "all" or bool(self.reference),
            "compare: reference needs a reference", "Write reference: SYSTEM.",
        )
        _check(0 <= self.gold_needed <= 1, f"gold_needed is {self.gold_needed}", "0 to 1.")
        _check(
            self.trials is None or 1 <= self.trials <= len(self.stimuli),
            f"trials is {self.trials}, and there are {len(self.stimuli)} to show",
            "Choose a number between, or leave it out.",
        )
        for practice in self.practice:
            _check(
                len(practice.videos) == needed, f"a practice trial shows {needed} video(s)",
                "Mend videos:",
            )
        for gold in self.gold:
            _check_gold(self, gold)
        low, high = self.bounds
        for trap in self.traps:
            _check(len(trap.videos) == needed, f"a trap shows {needed} video(s)", "Mend videos:")
            _check(
                low <= trap.answer <= high, f"a trap asks for {trap.answer}",
                f"Ask for one from {low} to {high}.",
            )

    @property
    def bounds(self) -> tuple[int, int]:
        """Lowest and highest answer."""
        values = LABELS[self.method]
        return min(values), max(values)

    @property
    def systems(self) -> tuple[str, ...]:
        """In the order in which the file names them."""
        return tuple(dict.fromkeys(s for clip in self.clips for s in clip.videos))

    @property
    def stimuli(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """What is judged: (clip, systems), one system for ACR, two for CCR."""
        if self.method == "acr":
            return tuple((c.name, (s,)) for c in self.clips for s in c.videos)
        return tuple(
            (c.name, pair)
            for c in self.clips
            for pair in itertools.combinations([s for s in self.systems if s in c.videos], 2)
            if self.compare == "all" or self.reference in pair
        )

    @property
    def videos(self) -> tuple[Path, ...]:
        """Every file that may be shown, once each."""
        listed = [v for clip in self.clips for v in clip.videos.values()]
        listed += [v for gold in self.gold for v in gold.videos]
        listed += [v for trap in self.traps for v in trap.videos]
        listed += [v for practice in self.practice for v in practice.videos]
        return tuple(dict.fromkeys(listed))

    def fingerprint(self) -> str:
        """A hash of what answers depend on: they belong to no other study."""
        home = self.answers.parent if self.answers else Path()

        def place(path: Path) -> str:
            return os.path.relpath(path, home)  # a study that moved with its videos is the same

        told: list[object] = [
            self.method, self.scales, self.stimuli, self.trials, self.seed,
            [(c.name, {s: place(v) for s, v in c.videos.items()}) for c in self.clips],
            [([place(v) for v in g.videos], dict(g.expect)) for g in self.gold],
            [([place(v) for v in t.videos], t.answer) for t in self.traps],
        ]
        if self.practice:  # studies without any stay what they were
            told.append([[place(v) for v in p.videos] for p in self.practice])
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:32]


def load_study(path: Path) -> Study:
    """Read a study; its paths become whole ones.

    Raises:
        ConfigError: The file does not hold a study.
        MediaNotFoundError: A video is not there.
    """
    study = from_mapping(Study, read_yaml(path), where=path.name)
    folder = path.resolve().parent

    def whole(paths: tuple[Path, ...]) -> tuple[Path, ...]:
        return tuple(folder / p for p in paths)

    study = replace(
        study,
        clips=tuple(
            replace(c, videos={s: folder / p for s, p in c.videos.items()}) for c in study.clips
        ),
        gold=tuple(replace(g, videos=whole(g.videos)) for g in study.gold),
        traps=tuple(replace(t, videos=whole(t.videos)) for t in study.traps),
        practice=tuple(replace(p, videos=whole(p.videos)) for p in study.practice),
        answers=folder / (study.answers or f"{path.stem}.answers.sqlite"),
    )
    for video in study.videos:
        if not video.is_file():
            raise MediaNotFoundError(
                f"{path.name} names a video that is not there: {video}",
                hint="Paths count from the study's file.", path=str(video),
            )
    return study


def _check_gold(study: Study, gold: Gold) -> None:
    low, high = study.bounds
    needed = 1 if study.method == "acr" else 2
    _check(len(gold.videos) == needed, f"a gold question shows {needed} video(s)", "Mend videos:")
    _check(bool(gold.expect), "a gold question expects nothing", "Write expect: {overall: [4, 5]}.")
    for scale, (least, most) in gold.expect.items():
        _check(
            scale in study.scales, f"a gold question expects of {scale!r}, which is not asked",
            f"The scales are {', '.join(study.scales)}.",
        )
        _check(
            low <= least <= most <= high, f"a gold question expects {least} to {most}",
            f"Answers go from {low} to {high}.",
        )


def _check(right: bool, message: str, hint: str) -> None:
    if not right:
        raise ConfigError(message, hint=hint)
