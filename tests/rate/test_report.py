"""What answers come to, from the file to the page."""

from __future__ import annotations

import csv
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lipcore.errors import ConfigError, MediaNotFoundError, MediaUnreadableError, OutputExistsError
from lipcore.rate.report import report_lines, write_csv, write_page
from lipcore.rate.store import AnswerStore, Place
from lipcore.rate.study import load_study
from lipcore.rate.summary import summarize_study

Write = Callable[..., Path]
TRUE = {"plate": 5, "ours": 4, "other": 2}


def _rate(path: Path, raters: int, vote: Callable[[Place, str], int]) -> None:
    study = load_study(path)
    assert study.answers is not None
    with AnswerStore(study.answers, study) as store:
        for number in range(raters):
            store.add_rater(f"cookie of rater {number:09}")
            while (place := store.place_of(number)).trial is not None:
                values = {scale: vote(place, scale) for scale in study.scales}
                assert store.answer(number, place.position, values, took_ms=5000, plays=1)


def _run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lipcore", "rate", "report", *map(str, arguments)],
        capture_output=True, text=True, timeout=120, check=False,
    )


def test_scores_differences_and_screening(
    write_study: Write, footage: Path, tmp_path: Path, ask_browser: Callable[..., list[str]]
) -> None:
    path = write_study(
        gold=[{"videos": [str(footage / "s010_other.mp4")], "expect": {"overall": [1, 2]}}],
        traps=[{"videos": [str(footage / "s020_ours.mp4")], "answer": 4}],
    )

    def vote(place: Place, scale: str) -> int:
        trial, rater = place.trial, place.rater
        assert trial is not None
        if trial.kind == "trap":
            return 1 if rater == 4 else 4
        if trial.kind == "gold":
            return 5 if rater == 5 else 2
        value = TRUE[trial.shown[0]] - (rater == 3)  # a stricter rater
        return 6 - value if rater == 6 else value

    _rate(path, 7, vote)
    summary = summarize_study(path)
    assert summary.kept == {0, 1, 2, 3}
    reasons = [r.out for r in summary.raters]
    assert "1 of 1 traps" in reasons[4] and "0 of 1 gold" in reasons[5]
    assert "correlation with all -1.00" in reasons[6]
    scale = summary.scales[0]
    assert {s: e.mean for s, e in scale.systems.items()} == {
        "plate": 4.75, "ours": 3.75, "other": 1.75
    }
    assert {s: (e.mean, e.low, e.votes) for s, e in scale.differences.items()} == {
        "ours": (4, 4, 8), "other": (2, 2, 8)
    }
    assert scale.votes["ours"] == (0, 0, 2, 6, 0) and 0.85 < scale.agreement < 1
    assert summarize_study(path, screen=False).kept == set(range(7))
    page = tmp_path / "page.html"
    ended = _run(path, "--html", page, "--csv", tmp_path / "votes.csv")
    assert ended.returncode == 0 and "MOS 3.75 (2.95 to 4.55)" in ended.stdout, ended.stderr
    assert "<b>dub" not in page.read_text("utf-8"), "the title is text, not markup"
    wide, drawn, text = ask_browser(
        page, "d.documentElement.scrollWidth, d.querySelectorAll('svg').length, d.body.innerText"
        ".includes('4 of 7')",
    )  # fmt: skip
    assert int(wide) <= 390 and int(drawn) == 18 and text == "true"
    rows = list(csv.DictReader((tmp_path / "votes.csv").open(encoding="utf-8")))
    assert len(rows) == 7 * 8 * 3 and {r["kept"] for r in rows if r["rater"] == "5"} == {"0"}


def test_a_rater_may_fail_one_question_alone_and_practice_counts_for_nothing(
    write_study: Write, footage: Path, tmp_path: Path
) -> None:
    before = load_study(write_study()).fingerprint()
    path = write_study(practice=[{"videos": [str(footage / "s010_other.mp4")]}])

    assert load_study(path).fingerprint() != before

    def vote(place: Place, scale: str) -> int:
        assert place.trial is not None
        if place.trial.kind == "practice":
            assert place.position == 0
            return 1
        value = TRUE[place.trial.shown[0]]
        return 6 - value if place.rater == 4 and scale == "sharpness" else value

    _rate(path, 5, vote)
    summary = summarize_study(path)
    assert summary.kept == set(range(5))
    assert [set(r.out_of) for r in summary.raters] == [set()] * 4 + [{"sharpness"}]
    assert (summary.raters[0].answered, summary.raters[0].assigned) == (6, 6)
    by_scale = {s.scale: s for s in summary.scales}
    assert by_scale["sharpness"].systems["plate"].raters == 4
    assert by_scale["overall"].systems["plate"].raters == 5
    assert by_scale["overall"].systems["other"].mean == 2
    assert any("rater 5, Sharpness alone: correlation" in line for line in report_lines(summary))
    write_page(summary, tmp_path / "p.html")
    assert "kept, but not for Sharpness" in (tmp_path / "p.html").read_text("utf-8")
    write_csv(summary, tmp_path / "v.csv")
    rows = list(csv.DictReader((tmp_path / "v.csv").open(encoding="utf-8")))
    assert {r["scale"] for r in rows if r["kept"] == "0"} == {"sharpness"}
    assert sum(r["kind"] == "practice" for r in rows) == 5 * 3


@pytest.mark.parametrize(("systems", "screened"), [(4, True), (2, False)])
def test_pairs_are_screened_where_there_are_enough(
    write_study: Write, footage: Path, systems: int, screened: bool
) -> None:
    """Of four systems each with each; the last rater prefers what all others find worse."""
    names = ["a", "b", "c", "d"][:systems]
    videos = {n: str(footage / f"s010_{v}.mp4")
              for n, v in zip(names, (*TRUE, "plate"), strict=False)}  # fmt: skip
    clips = [{"name": c, "videos": dict(videos)} for c in ("s010", "s020", "s030")]
    path = write_study(method="ccr", scales=["overall"], clips=clips, reference="")

    def vote(place: Place, _scale: str) -> int:
        assert place.trial is not None
        first, second = (names.index(s) for s in place.trial.shown)
        liked = max(-3, min(3, first - second))
        return -liked if place.rater == 5 else liked

    _rate(path, 6, vote)
    found = summarize_study(path)
    assert found.kept == (set(range(5)) if screened else set(range(6)))
    assert ("correlation with all -1.00" in found.raters[5].out) == screened


def test_preferences_do_not_depend_on_sides(write_study: Write, tmp_path: Path) -> None:
    path = write_study(method="ccr", scales=["overall"])

    def vote(place: Place, _scale: str) -> int:
        assert place.trial is not None
        first, second = (TRUE[s] for s in place.trial.shown)
        return max(-3, min(3, second - first))

    _rate(path, 6, vote)
    summary = summarize_study(path)
    found = {(p.first, p.second): p for p in summary.scales[0].pairs}
    assert {k: p.comparison.mean for k, p in found.items()} == {
        ("plate", "ours"): -1, ("plate", "other"): -3, ("ours", "other"): -2
    }
    ours = found["plate", "ours"]
    assert ours.counts == (12, 0, 0) and ours.preferred.mean == 0 and ours.preferred.high > 0.3
    assert summary.scales[0].agreement == 1
    assert any("ours against plate: -1.00" in line for line in report_lines(summary))
    write_page(summary, tmp_path / "p.html")
    write_csv(summary, tmp_path / "v.csv")
    assert "P.910 CCR" in (tmp_path / "p.html").read_text("utf-8")
    labels = {r["label"] for r in csv.DictReader((tmp_path / "v.csv").open(encoding="utf-8"))}
    assert labels & {"Slightly better", "Slightly worse"} and labels & {"Much better", "Much worse"}


def test_no_answers_and_other_answers(write_study: Write, tmp_path: Path) -> None:
    path = write_study()
    with pytest.raises(MediaNotFoundError):
        summarize_study(path)
    ended = _run(path)
    assert ended.returncode == 3 and "hint: " in ended.stderr
    _rate(path, 0, lambda _p, _s: 1)
    write_page(summarize_study(path), tmp_path / "empty.html")
    assert "Nobody" in (tmp_path / "empty.html").read_text("utf-8")
    write_study(seed=9)
    with pytest.raises(ConfigError, match="another study"):
        summarize_study(path)
    changed = load_study(path)
    assert changed.answers is not None
    with pytest.raises(OutputExistsError):
        AnswerStore(changed.answers, changed)
    changed.answers.write_bytes(b"no database")
    with pytest.raises(MediaUnreadableError):
        summarize_study(path)


def test_cells_are_no_formulas(write_study: Write, footage: Path, tmp_path: Path) -> None:
    clips: list[dict[str, Any]] = [
        {"name": "=1+1", "videos": {"@sum": str(footage / "s010_ours.mp4")}}
    ]
    path = write_study(clips=clips, reference="")
    _rate(path, 1, lambda _p, _s: 3)
    write_csv(summarize_study(path), tmp_path / "v.csv")
    row = next(csv.DictReader((tmp_path / "v.csv").open(encoding="utf-8")))
    assert (row["clip"], row["first"]) == ("'=1+1", "'@sum")
