"""Who sees what, in which order, on which side: drawn from the study's seed and the rater.

Raters that see only a part share the whole evenly. No clip follows itself where that can be
helped (P.910 asks for it), and of two neighbouring raters one sees each pair the other way
round. Gold and trap questions come in between, never first; practice comes before all.
"""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass
from typing import Literal

from lipcore.rate.study import Study

Kind = Literal["clip", "gold", "trap", "practice"]


@dataclass(frozen=True, slots=True)
class Trial:
    """One thing to judge."""

    kind: Kind
    item: str
    """The clip's name; of other trials their place in the study's list."""
    shown: tuple[str, ...]
    """What is shown, first to last: systems, or places in the list of ``videos``."""
    turned: bool = False
    """A pair whose sides are not those of the study."""


def assign_trials(study: Study, rater: int) -> list[Trial]:
    """The trials of a rater, in order.

    Args:
        study: The study.
        rater: Number of the rater, from 0.
    """
    drawn = random.Random(f"{study.seed}/{rater}")
    stimuli = list(study.stimuli)
    count = study.trials or len(stimuli)
    # One order for all raters, cut into parts that lie end to end: every stimulus is seen
    # equally often, or once more.
    common = list(range(len(stimuli)))
    random.Random(f"{study.seed}/all").shuffle(common)
    chosen = [common[(rater * count + k) % len(common)] for k in range(count)]
    trials = []
    for index in chosen:
        clip, systems = stimuli[index]
        base = random.Random(f"{study.seed}/side/{rater // 2}/{index}").random() < 0.5
        turned = len(systems) == 2 and base != bool(rater % 2)
        trials.append(Trial("clip", clip, systems[::-1] if turned else systems, turned))
    ordered = _spread(trials, drawn)
    checks: list[Trial] = []
    numbered: list[tuple[Kind, int]] = [("gold", k) for k in range(len(study.gold))]
    numbered += [("trap", k) for k in range(len(study.traps))]
    for kind, number in numbered:
        places = ("0",) if study.method == "acr" else ("0", "1")
        turned = len(places) == 2 and drawn.random() < 0.5
        checks.append(Trial(kind, str(number), places[::-1] if turned else places, turned))
    drawn.shuffle(checks)
    shown = ("0",) if study.method == "acr" else ("0", "1")
    practice = [Trial("practice", str(k), shown) for k in range(len(study.practice))]
    return [*practice, *_insert(ordered, checks, drawn)]


def _spread(trials: list[Trial], drawn: random.Random) -> list[Trial]:
    """A random order in which no clip follows itself, where there is one."""
    left: dict[str, list[Trial]] = defaultdict(list)
    for trial in trials:
        left[trial.item].append(trial)
    for of_clip in left.values():
        drawn.shuffle(of_clip)
    out: list[Trial] = []
    while left:
        last = out[-1].item if out else None
        names = [name for name in left if name != last] or list(left)
        rest = sum(map(len, left.values()))
        # A clip with more than half of what is left must come now, or it will meet itself.
        urgent = [name for name in names if 2 * len(left[name]) > rest]
        name = urgent[0] if urgent else drawn.choices(names, [len(left[n]) for n in names])[0]
        out.append(left[name].pop())
        if not left[name]:
            del left[name]
    return out


def _insert(trials: list[Trial], checks: list[Trial], drawn: random.Random) -> list[Trial]:
    """Checks one to a stretch of the order, each at a random place in it."""
    out: list[Trial] = []
    edges = [round(k * len(trials) / max(1, len(checks))) for k in range(len(checks) + 1)]
    for k, check in enumerate(checks):
        part = trials[edges[k] : edges[k + 1]]
        place = drawn.randint(1 if not out else 0, len(part)) if part else 0
        out += [*part[:place], check, *part[place:]]
    return out if checks else list(trials)
