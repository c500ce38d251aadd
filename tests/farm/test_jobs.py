"""Files of jobs: what they may say, and that all that is wrong is said at once."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
from click import Command
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from lipcore.cli.adapt import command as adapt_command
from lipcore.cli.conform import command as conform_command
from lipcore.cli.evaluate import command as evaluate_command
from lipcore.cli.render import command as render_command
from lipcore.cli.report import command as report_command
from lipcore.config import read_yaml
from lipcore.errors import ConfigError, LipcoreError
from lipcore.farm.jobs import BESIDES, JobSettings, read_jobs
from lipcore.farm.kinds import SETTINGS, CommandJob, CommandKind
from lipcore.types import FrameRange


def _write(folder: Path, text: str) -> Path:
    path = folder / "jobs.yaml"
    path.write_text(text, "utf-8")
    return path


def test_paths_count_from_the_file_and_defaults_hold(tmp_path: Path) -> None:
    folder = tmp_path / "été, 1"
    folder.mkdir()
    (folder / "curve.txt").write_text("1001 1\n")
    first, second = read_jobs(_write(folder, """
        defaults: {strength: 0.5, workers: 1}
        jobs:
          - {plate: a/plate.####.exr, dialogue: lines/a.wav, out: done, frames: 1001-1004}
          - plate: /abs/b.mov
            shapes: b.csv
            out: done/b.mov
            strength: curve.txt
            rate: 23.976
            frames: 7
            offset-frames: -2
            name: bee
    """))
    assert first.shot.plate == folder / "a/plate.####.exr"
    assert first.out == folder / "done"
    assert first.config.strength == 0.5 and second.config.strength == 1.0
    assert second.config.strength_curve == folder / "curve.txt"
    assert second.shot.plate == Path("/abs/b.mov") and second.shot.rate is not None
    assert second.shot.rate.denominator == 1001
    assert second.shot.frames == FrameRange(7, 7) and second.config.offset_frames == -2
    assert (first.name, second.name) == ("001_plate", "bee")


def test_every_option_of_render_is_an_option_of_a_job() -> None:
    """And none else; a job's words are understood by ``lipcore render``."""
    ours = {name.replace("_", "-") for name in JobSettings.__slots__} - set(BESIDES)
    theirs = {
        option.name.replace("_", "-") for option in render_command.params if option.name
    } - {"as-json", "dry-run", "debug", "chunk", "analyse-only"}
    assert ours == theirs


def test_a_job_as_words_of_render_says_the_same(tmp_path: Path) -> None:
    (job,) = read_jobs(_write(tmp_path, """
        jobs: [{plate: "-p.mov", dialogue: d.wav, out: o.mov, overwrite: true, feather: 0.2,
                speaker: "10,20", missing-frame: hold}]
    """))
    words = job.arguments()
    assert words[:3] == ["render", str(tmp_path / "-p.mov"), str(tmp_path / "d.wav")]
    assert f"--out={tmp_path / 'o.mov'}" in words and "--overwrite" in words
    # The command parses them and stumbles over the plate only.
    ended = CliRunner().invoke(render_command, [*words[1:], "--dry-run"])
    assert isinstance(ended.exception, LipcoreError) and ended.exception.exit_code == 3


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "no list of jobs"),
        ("jobs: []", "empty list"),
        ("jobs: 3", "no list of jobs"),
        ("jobs: [{plate: a.mov, out: b.mov}]", "needs a dialogue"),
        ("jobs: [{plate: a.mov, dialogue: d.wav}]", "lacks 'out'"),
        ("jobs: [{plate: a, dialogue: d, out: o, strenght: 1}]", "strenght"),
        ("jobs: [{plate: a, dialogue: d, out: o, strength: 2}]", "from 0 to 1"),
        ("jobs: [{plate: a, dialogue: d, out: o, name: ../x}]", "name is"),
        ("jobs: [{plate: a, dialogue: d, out: o, no-face: hold, no_face: hold}]", "twice"),
        ("jobs: [[1]]", "not a mapping"),
        ("job: []\njobs: [{plate: a, dialogue: d, out: o}]", "beside jobs"),
        ("jobs: [{plate: a, dialogue: d, out: o, name: x}, "
         "{plate: a, dialogue: d, out: p, name: x}]", "both called"),
        ("a: &a [1]\njobs: [*a]", "anchors"),
        ("jobs: [" * 3000, "not valid YAML"),
        ("jobs: !!python/object/apply:os.system [id]", "not valid YAML"),
        ("jobs: [{plate: a, dialogue: d, out: o, strength: 2}, {plate: a}]", "2 things are wrong"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, text: str, word: str) -> None:
    with pytest.raises(ConfigError, match=r".") as caught:
        read_jobs(_write(tmp_path, text))
    assert word in caught.value.message


def test_a_file_of_gigabytes_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "jobs.yaml"
    with path.open("wb") as file:
        file.truncate(1 << 33)
    with pytest.raises(ConfigError, match="larger than 4 MiB"):
        read_yaml(path)


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from([*JobSettings.__slots__, "x"]), inner, max_size=5),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(jobs=st.lists(_values, max_size=3), defaults=_values)
def test_whatever_a_file_holds_the_answer_is_jobs_or_one_error(
    tmp_path_factory: pytest.TempPathFactory, jobs: list[object], defaults: object
) -> None:
    import yaml

    path = tmp_path_factory.getbasetemp() / "random.yaml"
    path.write_text(yaml.safe_dump({"jobs": jobs, "defaults": defaults}, allow_unicode=True))
    try:
        assert read_jobs(path)
    except LipcoreError as error:
        assert error.message


@pytest.mark.parametrize(
    ("kind", "command"),
    [("conform", conform_command), ("adapt", adapt_command), ("evaluate", evaluate_command),
     ("report", report_command)],
)  # fmt: skip
def test_every_option_of_a_command_is_an_option_of_its_kind(
    kind: CommandKind, command: Command
) -> None:
    theirs = set()
    for option in command.params:
        name = option.opts[0].removeprefix("--").replace("-", "_")
        theirs.add("render" if name == "renders" else name)
    told = {"json", "debug", "dry_run"}
    assert theirs - told == {field.name for field in fields(SETTINGS[kind])}  # type: ignore[arg-type]


def test_jobs_of_other_kinds_are_words_of_their_commands(tmp_path: Path) -> None:
    conform, adapt, evaluate, report = read_jobs(_write(tmp_path, """
        defaults: {cache: kept, speaker: left}
        jobs:
          - {kind: conform, timeline: r.otio, dialogue: [de=d.wav, fr=track:DX], out: reel,
             report: false, only: [7, 0008_x], rate: 24, path-map: /a=/b}
          - {kind: adapt, plate: p.mov, out: a.safetensors, frames: 7, weights: nets}
          - {kind: evaluate, render: r.mov, against: p.mov, out: [f.json, f.csv], name: looked}
          - {kind: report, render: [a, b], out: page.html, title: 010}
    """))
    assert isinstance(conform, CommandJob) and conform.name == "001_conform_reel"
    assert conform.arguments() == [
        "conform", str(tmp_path / "r.otio"), f"--dialogue=de={tmp_path / 'd.wav'}",
        "--dialogue=fr=track:DX", f"--out={tmp_path / 'reel'}", "--rate=24", "--path-map=/a=/b",
        "--only=7", "--only=0008_x", f"--cache={tmp_path / 'kept'}", "--no-report",
    ]  # fmt: skip
    assert f"--weights={tmp_path / 'nets'}" in adapt.arguments()
    assert "--speaker=left" in adapt.arguments() and "--frames=7" in adapt.arguments()
    assert evaluate.name == "looked" and "--speaker=left" in evaluate.arguments()
    assert report.arguments()[1:3] == [str(tmp_path / "a"), str(tmp_path / "b")]
    assert "--title=010" in report.arguments()
    assert not any("speaker" in word for word in report.arguments())


@pytest.mark.parametrize(
    ("text", "word", "hint"),
    [
        ("{kind: confrom, timeline: r, dialogue: d, out: o}", "'confrom'", "'conform'"),
        ("{kind: conform, timeline: r, out: o}", "lacks 'dialogue'", "dialogue"),
        ("{kind: conform, timeline: r, dialogue: [], out: o}", "needs a dialogue", "dub.wav"),
        ("{kind: conform, timeline: r, dialogue: d, out: o, handels: 3}", "handels", "'handles'"),
        ("{kind: adapt, plate: p, out: a.pt}", "'a.pt'", ".safetensors"),
        ("{kind: adapt, plate: p, out: a.safetensors, minutes: 0}", "minutes", "training"),
        ("{kind: evaluate, render: r, against: p, out: f.txt}", "f.txt", ".json"),
        ("{kind: report, render: r, out: page.pdf}", "page.pdf", ".html"),
        ("{plate: p, dialogue: d, out: o, adapt: 5}", "adapt changes nothing", "synthesis"),
        ("{plate: p, dialogue: d, out: o, evaluate: a.json, deliver: patch}", "whole frames", ""),
        ("{plate: p, dialogue: d, out: o, report: true}", "report", "str"),
    ],
)
def test_what_is_wrong_with_other_kinds_is_said(
    tmp_path: Path, text: str, word: str, hint: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        read_jobs(_write(tmp_path, f"jobs: [{text}]"))
    assert word in caught.value.message and hint in caught.value.hint


def test_a_default_that_no_job_has_is_refused(tmp_path: Path) -> None:
    kinds = "jobs: [{kind: report, render: r, out: p.html}]"
    with pytest.raises(ConfigError, match="defaults has no setting 'strength'"):
        read_jobs(_write(tmp_path, f"defaults: {{strength: 1}}\n{kinds}"))
