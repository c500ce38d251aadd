"""`lipcore train`: a recipe straight away, or a command by its name."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from lipcore.cli.train import command
from lipcore.errors import ConfigError


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nothing", "--data", "d", "--out", "o"], "no recipe is named nothing"),
        (["--data", "d", "nothing", "--out", "o"], "no recipe is named nothing"),
        (["recipe", "nothing", "--data", "d", "--out", "o"], "no recipe is named nothing"),
        (["ablate", "nothing", "--data", "d", "--out", "o"], "no table of variants is named"),
        (["ablate", "généré café.yaml", "--data", "d", "--out", "o"], "no table of variants"),
    ],
)
def test_what_is_not_there_is_said(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = CliRunner().invoke(command, words)
    assert isinstance(ended.exception, ConfigError) and message in str(ended.exception)
    assert "Shipped: " in ended.exception.hint and not list(tmp_path.iterdir())


def test_help_tells_of_both_ways() -> None:
    ended = CliRunner().invoke(command, ["--help"])
    assert ended.exit_code == 0
    assert "RECIPE" in ended.output and "ablate" in ended.output and "recipe" in ended.output
