"""A simulated Nuke with the installed plugin, and a worker of this Python."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import nuke_sim
from nuke_scene import Scene


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The plugin as `lipcore plugins install` leaves it, under an awkward name."""
    from lipcore.hosts.install import install

    target = tmp_path_factory.mktemp("home") / "Zoë's .nuke"
    target.mkdir()
    install("nuke", target)
    return target / "lipcore"


@pytest.fixture(scope="session")
def nuke(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The simulated host after its start: init.py, then menu.py."""
    module = nuke_sim.install()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIPCORE_PYTHON", sys.executable)
        patch.setenv("LIPCORE_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.delenv("OCIO", raising=False)
        for name in ("init.py", "menu.py"):
            path = installed / name
            exec(compile(path.read_text(), str(path), "exec"), {"__file__": str(path)})
        yield module
        import lipcore_plugins.client as client

        for worker in client._shared.values():
            worker.close()


@pytest.fixture
def host(nuke: Any) -> Iterator[Any]:
    """The host with an empty script, windows on."""
    nuke_sim.set_gui(True)
    nuke.scriptClear()
    state = nuke_sim.host
    for kept in (state.messages, state.printed, state.progress, state.executed, state.filters):
        kept.clear()
    state.fail_execute = False
    yield state
    nuke_sim.set_gui(True)


@pytest.fixture
def scene(
    nuke: Any, host: Any, portrait_plate: Path, spoken_line: Path, tmp_path: Path
) -> Scene:
    return Scene(nuke, host, portrait_plate, spoken_line, tmp_path)
