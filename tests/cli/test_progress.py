"""What people see of a running command."""

from __future__ import annotations

import pytest

from lipcore.cli.batch_table import TableListener
from lipcore.cli.progress import BarListener


def test_the_bars_of_a_shot_go_when_the_next_one_begins(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with BarListener() as bars:
        bars.progress("speakers", 1, 3)  # of all shots: stays
        for done in range(1, 9):
            bars.progress("track", done, 8)
        bars.progress("render", 8, 8)
        bars.progress("track", 1, 40)
        bars.progress("track", 2, 40)
    shown = capsys.readouterr().err
    assert "2/40" in shown and "1/3" in shown
    assert "8/8" not in shown and "frames" not in shown


def test_the_table_of_a_batch_ends_its_last_line_in_a_log(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with TableListener() as table:
        table.changed([])
    shown = capsys.readouterr().err
    assert "0 in all" in shown and shown.endswith("\n")
