"""Six shots through a simulated Resolve, with the real worker on real frames."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from film import SHOTS, START, Film, make_film, windows
from resolve_sim import Fusion, Timeline, Window, outside

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def dub(spoken_line: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One and a half seconds of speech: as long as the film."""
    samples, rate = soundfile.read(spoken_line)
    path = tmp_path_factory.mktemp("dub é") / "dub.wav"
    soundfile.write(path, np.tile(samples, 3), rate)
    return path


@pytest.fixture(scope="session")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the frames: what one test rendered, the next ones keep."""
    return tmp_path_factory.mktemp("frames of Zoë")


@pytest.fixture(scope="session")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scripts as `lipcore plugins install` leaves them."""
    from lipcore.hosts.install import install

    target = tmp_path_factory.mktemp("home") / "Zoë's Scripts"
    install("resolve", target)
    return target


@pytest.fixture(autouse=True)
def surroundings(
    scripts: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """A worker of this Python, settings of this test, and no plugin of another host."""
    cache = tmp_path_factory.getbasetemp() / "resolve-cache"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIPCORE_PYTHON", sys.executable)
        patch.setenv("LIPCORE_CACHE", str(cache))
        patch.setenv("LIPCORE_RESOLVE_SETTINGS", str(tmp_path / "settings.ini"))
        patch.delenv("OCIO", raising=False)
        for name in [n for n in sys.modules if n.split(".")[0] == "lipcore_plugins"]:
            patch.delitem(sys.modules, name)
        patch.setattr(sys, "path", [str(scripts / "lipcore"), *sys.path])
        yield
        for name in [n for n in sys.modules if n.split(".")[0] == "lipcore_plugins"]:
            del sys.modules[name]


@pytest.fixture
def film(portrait_plate: Path, dub: Path) -> Film:
    return make_film(portrait_plate, dub)


def start(scripts: Path, entry: str, given: dict[str, Any]) -> None:
    """Choose an entry of the Workspace menu; Resolve does not say where the script lies."""
    exec(compile((scripts / entry).read_text(encoding="utf-8"), "<script>", "exec"), given)


def write_settings(tmp_path: Path, **values: object) -> None:
    lines = [f"{name} = {value}" for name, value in values.items()]
    (tmp_path / "settings.ini").write_text("\n".join(["[lipsync]", *lines]), encoding="utf-8")


def test_takes_from_the_menu_without_a_window(
    film: Film, dub: Path, out: Path, scripts: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Template, then a run that is cancelled by its marker, then the same again to the end."""
    shutil.rmtree(out)  # whatever another test left there
    given = film.given(Fusion(windows=False))
    start(scripts, "Utility/Lipsync timeline.py", given)
    assert "no dialogue is set" in capsys.readouterr().out
    template = (tmp_path / "settings.ini").read_text("utf-8")
    assert "\ndialogue =\n" in template

    filled = template.replace("dialogue =\n", f"dialogue = {dub}\n")
    (tmp_path / "settings.ini").write_text(filled.replace("out =", f"out = {out}"), "utf-8")
    look = Timeline.GetMarkerByCustomData

    def delete_it(self: Timeline, customData: str) -> Any:
        if list(out.glob("v001/shots/0002*/*.exr")):
            self.DeleteMarkerByCustomData(customData)  # the user does
        return look(self, customData)

    with monkeypatch.context() as patch:
        patch.setattr(Timeline, "GetMarkerByCustomData", delete_it)
        start(scripts, "Utility/Lipsync timeline.py", given)
    assert "cancelled; what was rendered stays" in capsys.readouterr().out
    first = out / "v001" / "shots"
    assert (first / "0001_plate__1001-1012" / "finished.jsonl").is_file()
    assert not (first / "0006_plate__1001-1012" / "finished.jsonl").exists()
    assert not any(item.sim_takes for item in film.items)

    film.timeline.AddMarker(0, "Blue", "mine", "", 1)  # ours takes the next frame
    start(scripts, "Utility/Lipsync timeline.py", given)
    said = capsys.readouterr().out
    assert "6 placed, 0 left as they were" in said and "100 % (done)" in said
    percents = [int(line.split()[1]) for line in said.splitlines() if " % (" in line]
    assert percents == sorted(percents) and len(percents) > 4
    assert [m["name"] for m in film.timeline.sim_markers.values()] == ["mine"]
    for shot, item in enumerate(film.items[:5]):
        assert item.sim_take == 2 and len(item.sim_takes) == 2
        film.check_frames(item, shot)
    assert not film.items[5].sim_takes  # a take of a retimed clip would be retimed, too
    (retimed,) = film.placed("lipsync")
    film.check_frames(retimed, 5)
    (folder,) = film.project.sim_pool.sim_root.sim_folders
    assert folder.sim_name == "lipsync"
    (versions,) = folder.sim_folders
    assert len(versions.sim_folders[0].sim_clips) == 6

    # Again: the originals are exported, nothing is rendered, added or moved.
    start(scripts, "Utility/Lipsync timeline.py", given)
    said = capsys.readouterr().out
    assert "was take 2" in said and "was on track lipsync" in said and "6 placed" in said
    assert all(item.sim_take == 2 and len(item.sim_takes) == 2 for item in film.items[:5])
    assert len(film.timeline.sim_tracks["video"]) == 2


def test_track_from_the_window(
    film: Film, dub: Path, out: Path, scripts: Path, tmp_path: Path
) -> None:
    """Six clips on a new track, in an edition that takes the last frame in."""
    film.project.sim_end_included = True
    write_settings(tmp_path, out=out, dialogue="nowhere.wav", mode="track")
    seen: list[str] = []

    def hand(window: Window) -> None:
        items = window.items
        seen.append(items["progress"].Text)
        if not window.visible:
            return
        if len(seen) == 1:
            assert items["mode"].CurrentText == "track" and items["mode"].choices[0] == "takes"
            window.On.browse.Clicked({})
            assert items["dialogue"].Text == str(dub)
            window.On.render.Clicked({})
        elif "placed" in items["report"].PlainText:
            window.On.LipcoreWindow.Close({})

    start(scripts, "Utility/Lipsync timeline.py", film.given(*windows(hand, str(dub))))
    assert seen[-1] == "100 %  done"
    placed = film.placed("lipsync")
    assert len(placed) == 6 and len(film.timeline.sim_tracks["video"]) == 2
    for shot, item in enumerate(placed):
        film.check_frames(item, shot)
    assert [len(i.sim_takes) for i in film.items] == [0] * 6


def test_cancel_in_the_window(
    film: Film, dub: Path, scripts: Path, tmp_path: Path
) -> None:
    """Cancel, then Render again and close the window while it works: nothing is placed."""
    write_settings(tmp_path, out=tmp_path / "out", dialogue=dub)
    done: list[str] = []

    def hand(window: Window) -> None:
        items = window.items
        if not done and items["render"].Enabled != "":
            assert items["cancel"].Text == "Cancel"
            window.On.cancel.Clicked({})
            done.append("cancel")
        elif not done:
            window.On.render.Clicked({})
        elif "cancelled" in items["report"].PlainText and items["render"].Enabled:
            assert items["cancel"].Text == "Close"
            window.On.render.Clicked({})
            done.append("again")
        elif done[-1] == "again" and not items["render"].Enabled:
            window.On.LipcoreWindow.Close({})
            done.append("closed")

    start(scripts, "Utility/Lipsync timeline.py", film.given(*windows(hand)))
    assert done == ["cancel", "again", "closed"]
    assert len(film.timeline.sim_tracks["video"]) == 1
    assert not any(item.sim_takes for item in film.items)


def test_one_clip_as_a_composition_from_outside(
    film: Film, out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Studio, asked from a terminal; the dialogue is a sound track of the timeline."""
    from lipcore_plugins.resolve.start import main  # type: ignore[import-not-found]

    monkeypatch.setitem(sys.modules, "DaVinciResolveScript", outside(film.resolve))
    film.items[3].sim_color = "Orange"
    film.items[3].AddMarker(0, "Red", "lipsync strength=0.5", "", 1)
    asked = ["--dialogue", "track:Dialog", "--mode", "comp", "--clips", "Orange",
             "--out", str(out / "one"), "--handles", "2"]  # fmt: skip
    assert main(asked) == 0, capsys.readouterr().out
    assert [list(i.sim_comps) for i in film.items] == [[], [], [], ["lipsync"], [], []]
    text = film.items[3].sim_comps["lipsync"]
    folder = next((out / "one" / "v001" / "shots").iterdir())
    settings = json.loads(next((out / "one").glob("*.shots.json")).read_text("utf-8"))
    assert settings == {folder.name: {"strength": 0.5}}
    assert f'Filename = "{folder / folder.name}.1001.exr"' in text
    assert "TrimIn = 2,\n\t\t\t\t\tTrimOut = 7" in text and "StartFrame = 1001" in text
    assert len(list(folder.glob("*.exr"))) == 10  # six, and two on either side

    assert main(asked) == 0  # the earlier composition goes, the new one stays
    assert list(film.items[3].sim_comps) == ["lipsync"]

    film.items[3].sim_markers[0]["name"] = "lipsync strength=0.25"
    assert main(asked) == 0  # other settings: another version, the first one stays
    assert f'{out / "one" / "v002"}' in film.items[3].sim_comps["lipsync"]
    assert len(list(folder.glob("*.exr"))) == 10

    monkeypatch.setitem(sys.modules, "DaVinciResolveScript", outside(None))
    assert main(asked) != 0
    assert "Resolve does not answer" in capsys.readouterr().out


def test_the_clip_under_the_playhead(
    film: Film, dub: Path, out: Path, scripts: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """The entry of the Edit page; settings by the note of a timeline marker."""
    film.timeline.AddMarker(3, "Blue", "lipsync", f"dialogue = {dub}\nout = {out}\n", 1)
    start(scripts, "Edit/Lipsync clip.py", film.given())
    assert "no clip of the timeline is chosen" in capsys.readouterr().out
    film.timeline.sim_playhead = film.items[1]
    start(scripts, "Edit/Lipsync clip.py", film.given())
    assert "1 placed" in capsys.readouterr().out
    assert [len(i.sim_takes) for i in film.items] == [0, 2, 0, 0, 0, 0]
    film.check_frames(film.items[1], 1)
    assert film.items[1].sim_start == START + SHOTS[1][0]
