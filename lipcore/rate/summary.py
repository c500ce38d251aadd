"""A study's answers, screened and counted."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from lipcore.rate.statistics import (
    LEAST_POINTS,
    LEAST_SYSTEMS,
    Estimate,
    correlation,
    krippendorff_alpha,
    mean_over_raters,
    screen_by_correlation,
    share_over_raters,
)
from lipcore.rate.store import Answers, Vote, read_answers
from lipcore.rate.study import Study, load_study

_ACR_TOP = 5


@dataclass(frozen=True, slots=True)
class Rater:
    """How one rater did."""

    number: int
    answered: int
    assigned: int
    gold: tuple[int, int]
    """Right answers, and answers, to gold questions."""
    traps: tuple[int, int]
    """Traps passed, and traps answered."""
    correlation: float
    """With the mean vote of the others, over all that they share; NaN where not known."""
    seconds: float
    """Median time a trial took."""
    out: str
    """Why the rater is left out; empty for who is kept."""
    out_of: Mapping[str, str] = field(default_factory=dict)
    """Scales whose votes of this rater are left out, and why."""


@dataclass(frozen=True, slots=True)
class Preference:
    """Two systems against each other on one scale."""

    first: str
    second: str
    comparison: Estimate
    """-3 to 3; positive where the second is better."""
    preferred: Estimate
    """Share that prefers the second, a tie counted as half."""
    counts: tuple[int, int, int]
    """Votes for the first, for neither, for the second."""


@dataclass(frozen=True, slots=True)
class ScaleSummary:
    """One question's results."""

    scale: str
    agreement: float
    """Krippendorff's alpha, interval data, of the raters kept."""
    systems: Mapping[str, Estimate]
    """ACR: mean opinion score by system."""
    clips: Mapping[tuple[str, str], Estimate]
    """ACR: by (clip, system)."""
    differences: Mapping[str, Estimate]
    """ACR with a reference: the vote less the reference's of the same rater and clip, plus 5."""
    votes: Mapping[str, tuple[int, ...]]
    """ACR: how often each system got 1 to 5."""
    pairs: tuple[Preference, ...]
    """CCR."""


@dataclass(frozen=True, slots=True)
class StudySummary:
    """All of a study's results."""

    study: Study
    answers: Answers
    raters: tuple[Rater, ...]
    scales: tuple[ScaleSummary, ...]

    @property
    def kept(self) -> frozenset[int]:
        """Numbers of the raters that count."""
        return frozenset(r.number for r in self.raters if not r.out)

    @property
    def counted(self) -> frozenset[tuple[int, str]]:
        """Each rater that counts with each scale that they count for."""
        return _counted(self.study, self.raters)


def summarize_study(path: Path, *, screen: bool = True) -> StudySummary:
    """Read a study and its answers, screen the raters, count.

    Args:
        path: The study's file.
        screen: Leave raters out who fail gold, traps or the correlation rule.

    Raises:
        ConfigError: The study is wrong, or the answers are another's.
        MediaError: A video, or the file of answers, is not there.
    """
    study = load_study(path)
    assert study.answers is not None  # load_study names them
    answers = read_answers(study.answers, study)
    raters = _screen(study, answers, screen)
    count = _counted(study, raters)
    clips = [v for v in answers.votes if v.trial.kind == "clip" and (v.rater, v.scale) in count]
    scales = tuple(
        _summarize_scale(study, scale, [v for v in clips if v.scale == scale])
        for scale in study.scales
    )
    return StudySummary(study, answers, tuple(raters), scales)


def _counted(study: Study, raters: Sequence[Rater]) -> frozenset[tuple[int, str]]:
    return frozenset(
        (r.number, scale) for r in raters if not r.out
        for scale in study.scales if scale not in r.out_of
    )  # fmt: skip


def _summarize_scale(study: Study, scale: str, votes: Sequence[Vote]) -> ScaleSummary:
    by_system: dict[str, list[tuple[int, float]]] = defaultdict(list)
    by_clip: dict[tuple[str, str], list[tuple[int, float]]] = defaultdict(list)
    counts: dict[str, list[int]] = defaultdict(lambda: [0] * _ACR_TOP)
    given: dict[tuple[int, str, str], int] = {}
    pairs: dict[tuple[str, str], list[tuple[int, float]]] = defaultdict(list)
    for vote in votes:
        if study.method == "ccr":
            first, second = vote.trial.shown[::-1] if vote.trial.turned else vote.trial.shown
            pairs[first, second].append((vote.rater, vote.upright))
            continue
        system = vote.trial.shown[0]
        by_system[system].append((vote.rater, vote.value))
        by_clip[vote.trial.item, system].append((vote.rater, vote.value))
        counts[system][vote.value - 1] += 1
        given[vote.rater, vote.trial.item, system] = vote.value
    differences: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for (rater, clip, system), value in given.items():
        true = given.get((rater, clip, study.reference))
        if true is not None and system != study.reference:
            differences[system].append((rater, value - true + _ACR_TOP))
    order = study.systems
    return ScaleSummary(
        scale,
        krippendorff_alpha({(v.rater, _judged(v)): v.upright for v in votes}),
        _estimates({s: by_system[s] for s in order if s in by_system}),
        _estimates({k: by_clip[k] for k in sorted(by_clip)}),
        _estimates({s: differences[s] for s in order if s in differences}),
        {s: tuple(counts[s]) for s in order if s in counts},
        tuple(_compare(a, b, pairs[a, b]) for a, b in pairs),
    )


def _estimates(groups: dict) -> dict:  # type: ignore[type-arg]
    return {k: e for k, v in groups.items() if (e := mean_over_raters(v)) is not None}


def _compare(first: str, second: str, votes: list[tuple[int, float]]) -> Preference:
    comparison = mean_over_raters(votes)
    preferred = share_over_raters((r, 0.5 + 0.5 * float(np.sign(v))) for r, v in votes)
    assert comparison is not None and preferred is not None  # no pair without a vote is here
    counts = tuple(sum(np.sign(v) == sign for _, v in votes) for sign in (-1, 0, 1))
    return Preference(first, second, comparison, preferred, counts)  # type: ignore[arg-type]


def _judged(vote: Vote) -> tuple[str, ...]:
    """What a vote is about, whichever way round it was shown."""
    return (vote.trial.item, *(vote.trial.shown[::-1] if vote.trial.turned else vote.trial.shown))


def _screen(study: Study, answers: Answers, screen: bool) -> list[Rater]:
    by_rater: dict[int, list[Vote]] = defaultdict(list)
    for vote in answers.votes:
        if vote.trial.kind != "practice":
            by_rater[vote.rater].append(vote)
    reasons: dict[int, str] = {}
    gold, traps = {}, {}
    for rater, votes in by_rater.items():
        gold[rater], traps[rater] = _check_gold(study, votes), _check_traps(study, votes)
        right, asked = gold[rater]
        passed, set_ = traps[rater]
        if passed < set_:
            reasons[rater] = f"failed {set_ - passed} of {set_} traps"
        elif asked and right < study.gold_needed * asked:
            reasons[rater] = f"{right} of {asked} gold answers right"
    honest = [v for v in answers.votes if v.trial.kind == "clip" and v.rater not in reasons]
    out_of = _screen_scales(study, honest)
    for rater, scales in out_of.items():
        if set(scales) == set(study.scales):
            reasons[rater] = scales[study.scales[0]]
    return [
        Rater(
            number, answers.answered[number], answers.assigned[number],
            gold.get(number, (0, 0)), traps.get(number, (0, 0)),
            _agreement_with_all(number, answers.votes),
            float(np.median([v.took_ms for v in by_rater[number]])) / 1000
            if by_rater[number] else math.nan,
            reasons.get(number, "") if screen else "",
            out_of.get(number, {}) if screen and number not in reasons else {},
        )
        for number in sorted(answers.assigned)
    ]  # fmt: skip


def _screen_scales(study: Study, votes: Sequence[Vote]) -> dict[int, dict[str, str]]:
    """Of each rater, the scales that correlation leaves them out of, and why.

    Of pairs, what was judged is the pair on its clip, and its system the pair: with fewer pairs
    of systems than r2 needs, votes of good raters differ by chance alone, and none is left out.
    """
    found: dict[int, dict[str, str]] = defaultdict(dict)
    for scale in study.scales:
        own = {(v.rater, _judged(v)): float(v.upright) for v in votes if v.scale == scale}
        systems = {unit: " / ".join(unit[1:]) for _, unit in own}
        if study.method == "ccr" and len(set(systems.values())) < LEAST_SYSTEMS:
            continue
        out = screen_by_correlation(own, systems)  # type: ignore[arg-type]
        for rater, (things, of_systems) in out.items():
            more = "" if math.isnan(of_systems) else f", {of_systems:.2f} over systems"
            found[rater][scale] = f"correlation with all {things:.2f}{more}"
    return found


def _check_gold(study: Study, votes: Sequence[Vote]) -> tuple[int, int]:
    """Right answers, and answers that something was expected of."""
    right = asked = 0
    for vote in votes:
        if vote.trial.kind == "gold":
            expected = study.gold[int(vote.trial.item)].expect.get(vote.scale)
            if expected is not None:
                asked += 1
                right += expected[0] <= vote.upright <= expected[1]
    return right, asked


def _check_traps(study: Study, votes: Sequence[Vote]) -> tuple[int, int]:
    """Traps passed, and traps answered: all questions of one must be as asked."""
    by_trap: dict[str, list[bool]] = defaultdict(list)
    for vote in votes:
        if vote.trial.kind == "trap":
            by_trap[vote.trial.item].append(vote.value == study.traps[int(vote.trial.item)].answer)
    return sum(all(given) for given in by_trap.values()), len(by_trap)


def _agreement_with_all(rater: int, votes: Sequence[Vote]) -> float:
    """Correlation of a rater's votes with the mean of the others, all scales together."""
    others: dict[tuple[object, ...], list[int]] = defaultdict(list)
    own: dict[tuple[object, ...], int] = {}
    for vote in votes:
        if vote.trial.kind != "clip":
            continue
        key = (vote.scale, _judged(vote))
        if vote.rater == rater:
            own[key] = vote.upright
        else:
            others[key].append(vote.upright)
    shared = [key for key in own if key in others]
    if len(shared) < LEAST_POINTS:
        return math.nan
    return correlation(
        [own[key] for key in shared], [float(np.mean(others[key])) for key in shared]
    )
