"""Who sees what."""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from lipcore.rate.assignment import assign_trials
from lipcore.rate.study import Clip, Gold, Practice, Study, Trap


def _study(method: str, clips: int, systems: int, trials: int | None, seed: int) -> Study:
    needed = 1 if method == "acr" else 2
    videos = (Path("a.mp4"), Path("b.mp4"))[:needed]
    return Study(
        "t", method,  # type: ignore[arg-type]
        tuple(Clip(f"c{k}", {f"s{n}": Path(f"{k}_{n}.mp4") for n in range(systems)})
              for k in range(clips)),
        gold=(Gold(videos, {"overall": (1, 2)}),), traps=(Trap(videos, 2), Trap(videos, 3)),
        practice=(Practice(videos), Practice(videos[::-1])), trials=trials, seed=seed,
    )  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["acr", "ccr"]), st.integers(2, 6), st.integers(2, 4), st.integers(0, 99),
       st.data())  # fmt: skip
def test_raters_share_the_whole_evenly(
    method: str, clips: int, systems: int, seed: int, data: st.DataObject
) -> None:
    whole = _study(method, clips, systems, None, seed)
    trials = data.draw(st.integers(2, len(whole.stimuli)))
    study = _study(method, clips, systems, trials, seed)
    seen: Counter[tuple[str, frozenset[str]]] = Counter()
    for rater in range(9):
        given_ = assign_trials(study, rater)
        assert given_ == assign_trials(study, rater), "the same rater, other trials"
        shown = [(t.item, frozenset(t.shown)) for t in given_ if t.kind == "clip"]
        assert len(set(shown)) == len(shown) == trials
        assert {(t.kind, t.item) for t in given_ if t.kind in ("gold", "trap")} == {
            ("gold", "0"), ("trap", "0"), ("trap", "1")
        }
        assert [(t.kind, t.item) for t in given_[:2]] == [("practice", "0"), ("practice", "1")]
        assert given_[2].kind == "clip" and all(t.kind != "practice" for t in given_[2:])
        seen.update(shown)
    counts = [seen[clip, frozenset(pair)] for clip, pair in study.stimuli]
    assert max(counts) - min(counts) <= 1


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 8), st.integers(2, 5), st.integers(0, 999))
def test_no_clip_follows_itself(clips: int, systems: int, rater: int) -> None:
    study = _study("acr", clips, systems, None, 5)
    items = [t.item for t in assign_trials(study, rater) if t.kind == "clip"]
    assert all(a != b for a, b in itertools.pairwise(items))


def test_neighbours_see_each_pair_both_ways_round() -> None:
    study = _study("ccr", 5, 3, None, 1)
    orders = []
    for rater in range(8):
        trials = [t for t in assign_trials(study, rater) if t.kind == "clip"]
        assert all(t.turned == (t.shown != tuple(sorted(t.shown))) for t in trials)
        orders.append({(t.item, frozenset(t.shown)): t.turned for t in trials})
    for first, second in zip(orders[::2], orders[1::2], strict=True):
        assert all(first[key] != second[key] for key in first)
    assert len({tuple(sorted((k[0], *sorted(k[1]), v) for k, v in o.items()))
                for o in orders}) > 2  # fmt: skip
