"""SIGKILL at any moment loses no frame; `tests/benchmarks/kill_renders.py` does it 200 times."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from lipcore.pipeline import analyse_shot
from lipcore.shot import RenderConfig, Shot
from lipcore.types import FrameRange

_SCRIPT = Path(__file__).parents[1] / "benchmarks" / "kill_renders.py"


@pytest.mark.slow
def test_renders_that_are_killed_lose_nothing_and_do_nothing_twice(
    portrait_plate: Path, spoken_line: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = importlib.util.spec_from_file_location("kill_renders", _SCRIPT)
    assert spec is not None and spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "kill_renders", script)  # its processes look for it
    monkeypatch.syspath_prepend(str(_SCRIPT.parent))
    spec.loader.exec_module(script)
    analyse_shot(Shot(portrait_plate, spoken_line), RenderConfig(cache=tmp_path / "cache"))
    found = script.kill_renders(
        portrait_plate, spoken_line, tmp_path, frames=FrameRange(1001, 1012), kills=5,
        workers=2, chunk=4,
    )
    assert found.kills == 5 and found.unequal == () and found.left_over == ()
    assert 12 <= found.written <= 12 + 5 * 4
