"""What a simulated Resolve keeps silent about: each is caught, and said in one line with a hint."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from film import START, Film, make_film
from lipcore.plugins.client import WorkerError
from lipcore.plugins.resolve.bins import import_frames, make_bin
from lipcore.plugins.resolve.comp import comp_text
from lipcore.plugins.resolve.connect import Host, live_value, open_timeline
from lipcore.plugins.resolve.items import (
    choose,
    export_otio,
    list_items,
    media_in,
    originals,
    true_speed,
)
from lipcore.plugins.resolve.job import run
from lipcore.plugins.resolve.options import Options, clip_settings, read_options
from lipcore.plugins.resolve.place import Placer, Rendered
from lipcore.plugins.resolve.screen import Console
from resolve_sim import MediaPoolItem, Resolve, TimelineItem
from resolve_sim.remote import Fabricated


@pytest.fixture
def film(tmp_path: Path) -> Film:
    return make_film(tmp_path / "plate.####.exr", tmp_path / "dub.wav")


@pytest.fixture
def rendered(film: Film, tmp_path: Path) -> Rendered:
    """The first shot, with two frames before its cut and none after."""
    return bring(film, tmp_path, "0001_plate", 0, 6, lead=2)


def bring(film: Film, folder: Path, name: str, record: int, count: int, lead: int = 0) -> Rendered:
    frames = (1001, 1000 + lead + count)
    for n in range(frames[0], frames[1] + 1):
        (folder / f"{name}.{n}.exr").touch()
    picture = str(folder / f"{name}.####.exr")
    pool: Any = film.project.sim_pool
    folder_in_pool = make_bin(pool, ["lipsync", "reel", "v001"])
    clip = import_frames(pool, folder_in_pool, picture, frames, "24.0")
    return Rendered(name, clip, picture, frames, (1001 + lead, frames[1]), record)


def placer(film: Film) -> Placer:
    pool, timeline = film.project.sim_pool, film.timeline
    return Placer(pool, timeline)  # type: ignore[arg-type]


def fails(call: Callable[[], object], message: str) -> None:
    """It raises an error of one line, with something to do about it."""
    with pytest.raises(WorkerError) as caught:
        call()
    assert re.search(message, caught.value.message), caught.value.message
    assert "\n" not in caught.value.message and not caught.value.message.endswith(".")
    assert caught.value.hint.endswith((".", "?")) and "\n" not in caught.value.hint


def test_any_name_seems_to_be_there(film: Film) -> None:
    """As in the host: `hasattr` is no question, `dir` is; a clip cannot be trimmed."""
    item = film.items[0]
    assert hasattr(item, "SetEnd") and "SetEnd" not in dir(item) and "AddTake" in dir(item)
    with pytest.raises(TypeError, match="not callable"):
        item.SetEnd(3)
    with pytest.raises(TypeError):
        film.timeline.GetTrackCount()  # type: ignore[call-arg]
    with pytest.raises(NotImplementedError):
        item.Stabilize()


def test_export(film: Film, tmp_path: Path) -> None:
    path = tmp_path / "reel.otio"
    assert film.timeline.Export(str(path), "EXPORT_OTIO", "EXPORT_NONE") is False
    assert not path.exists()  # texts for constants: nothing, and no word
    resolve: Any = film.resolve
    timeline: Any = film.timeline
    export_otio(resolve, timeline, path)
    assert path.is_file()
    film.project.sim_faults.add("exports nothing")
    fails(lambda: export_otio(resolve, timeline, path), "wrote no timeline .*answered True")
    old: Any = Resolve(otio=False)
    fails(lambda: live_value(old, "EXPORT_OTIO"), "has no EXPORT_OTIO")
    fails(lambda: live_value(resolve, "EXPORT_OTOI"), "has no EXPORT_OTOI")


def test_nothing_is_open(film: Film) -> None:
    host = Host(film.resolve)  # type: ignore[arg-type]
    film.project.sim_timeline = None
    fails(lambda: open_timeline(host), "no timeline is open")
    film.resolve.sim_project = None
    fails(lambda: open_timeline(host), "no project is open")


def test_bins(film: Film) -> None:
    """A taken name is answered with None; a bin that is there is used."""
    pool: Any = film.project.sim_pool
    made = make_bin(pool, ["lipsync", "reel"])
    assert pool.AddSubFolder(pool.GetRootFolder(), "lipsync") is None
    assert make_bin(pool, ["lipsync", "reel"]) is made
    film.project.sim_faults.add("no bin")
    fails(lambda: make_bin(pool, ["lipsync", "reel", "v001"]), "makes no bin lipsync/reel/v001")


@pytest.mark.parametrize(("fault", "message"), [
    ("imports nothing", "imported nothing of new"),
    ("single pictures", "as 6 single pictures"),
    ("frames missing", "sees 5 frames of new.*, and 6 were rendered"),
    ("rate fixed", "plays at 25.0 frames a second, the timeline at 24.0"),
])  # fmt: skip
def test_import(film: Film, tmp_path: Path, fault: str, message: str) -> None:
    film.project.sim_faults.add(fault)
    film.project.sim_import_fps = "25.0" if fault == "rate fixed" else "24.0"
    fails(lambda: bring(film, tmp_path, "new", 0, 6), message)
    assert film.project.sim_pool.sim_current is film.project.sim_pool.sim_root


def test_import_again_and_at_another_rate(film: Film, tmp_path: Path) -> None:
    """What is there is not imported again, and Resolve answers with nothing: it is found."""
    film.project.sim_import_fps = "25.0"
    first = bring(film, tmp_path, "new", 0, 6)
    assert first.clip.GetClipProperty("FPS") == "24.0"
    assert bring(film, tmp_path, "new", 0, 6).clip is first.clip


@pytest.mark.parametrize(("first", "count", "message"), [
    (0, 6, "record frame 0: 0 clips appeared"),
    (-2, 5, "record frame 0: it begins 3 frames late"),
    (4, 9, "record frame 0: it has 4 frames instead of 6"),
])  # fmt: skip
def test_the_earlier_clip_wins(
    film: Film, rendered: Rendered, tmp_path: Path, first: int, count: int, message: str
) -> None:
    """Somebody puts a clip where ours belongs: told, theirs stays, what is left of ours goes."""
    (tmp_path / "other.mov").touch()
    theirs = TimelineItem(
        film.timeline, MediaPoolItem("other.mov", 0, 99, "24.0"), START + first, count
    )
    film.timeline.sim_on_track = lambda index: film.timeline.sim_put(theirs, index)
    fails(lambda: placer(film).place_on_track(rendered), message)
    assert film.placed("lipsync") == [theirs]
    assert (theirs.sim_start, theirs.sim_count) == (START + first, count)


def test_placed_and_lost(film: Film, rendered: Rendered, tmp_path: Path) -> None:
    """A clip that is not there any more once all are placed is told of."""
    at = placer(film)
    assert at.place_on_track(rendered) == "track lipsync"
    assert at.place_on_track(bring(film, tmp_path, "0002_plate", 6, 6)) == "track lipsync"
    assert at.lost() == []
    film.placed("lipsync")[0].sim_count -= 1
    assert at.lost() == ["0001_plate"]


@pytest.mark.parametrize(("fault", "message"), [
    ("no track", "adds no track"), ("no track name", "does not name the new track lipsync"),
])  # fmt: skip
def test_track(film: Film, rendered: Rendered, fault: str, message: str) -> None:
    film.project.sim_faults.add(fault)
    fails(lambda: placer(film).place_on_track(rendered), message)
    assert len(film.timeline.sim_tracks["video"]) == 1


@pytest.mark.parametrize("numbered", [False, True])
@pytest.mark.parametrize("included", [False, True])
def test_takes_whatever_start_and_end_mean(
    film: Film, rendered: Rendered, included: bool, numbered: bool
) -> None:
    film.project.sim_end_included, film.project.sim_numbered = included, numbered
    under = list_items(film.timeline)[0]  # type: ignore[arg-type]
    assert placer(film).place_as_take(rendered, under) == "take 2"
    item = film.items[0]
    assert (item.sim_clip, item.sim_left, item.sim_count) == (rendered.clip, 2, 6)
    assert len(item.sim_takes) == 2


@pytest.mark.parametrize(("fault", "message"), [
    ("no take", "no take was added"), ("take stays", "the new take is not selected"),
])  # fmt: skip
def test_take(film: Film, rendered: Rendered, fault: str, message: str) -> None:
    film.project.sim_faults.add(fault)
    item = film.items[0]
    before = (item.sim_clip, item.sim_left, item.sim_count)
    under = list_items(film.timeline)[0]  # type: ignore[arg-type]
    fails(lambda: placer(film).place_as_take(rendered, under), message)
    assert (item.sim_clip, item.sim_left, item.sim_count) == before and len(item.sim_takes) < 2


def test_an_earlier_take_is_not_spoken_over(film: Film, rendered: Rendered) -> None:
    """The original is exported; afterwards the take is shown as before."""
    items = list_items(film.timeline)  # type: ignore[arg-type]
    placer(film).place_as_take(rendered, items[0])
    own = media_in(film.project.sim_pool.sim_root.sim_folders[0])  # type: ignore[arg-type]
    with originals(items, own):
        assert film.items[0].sim_clip is not rendered.clip
    assert film.items[0].sim_clip is rendered.clip
    film.project.sim_faults.add("take stays")
    fails(lambda: originals(items, own).__enter__(), "shows an earlier lip-sync")


def test_composition(film: Film, rendered: Rendered) -> None:
    under = list_items(film.timeline)[0]  # type: ignore[arg-type]
    film.project.sim_faults.add("no comp")
    fails(lambda: placer(film).place_as_comp(rendered, under), "imports no Fusion composition")
    assert film.items[0].sim_comps == {}
    text = comp_text('C:\\plates "new"\\a.####.tif', (1001, 1009), (1003, 1008))
    assert 'Filename = "C:\\\\plates \\"new\\"\\\\a.1001.tif"' in text
    assert 'FormatID = "TiffFormat"' in text and "RenderRange = { 0, 5 }" in text
    assert text.count("{") == text.count("}")


def test_a_retime_that_the_file_does_not_carry(film: Film) -> None:
    """No speed in the API: spans tell. Source spans are said with the last frame or without."""
    speeds = [true_speed(item, 24.0) for item in film.items]  # type: ignore[arg-type]
    assert speeds[:5] == [None] * 5 and speeds[5] is not None


def test_a_marker_that_is_not_taken(film: Film, capsys: pytest.CaptureFixture[str]) -> None:
    for frame in range(60):
        assert film.timeline.AddMarker(frame, "Blue", "full", "", 1)
        assert not film.timeline.AddMarker(frame, "Red", "again", "", 1)
    screen = Console(film.timeline)  # type: ignore[arg-type]
    screen.begin()
    assert "cannot be cancelled" in capsys.readouterr().out
    assert not screen.cancelled()
    screen.end()
    assert len(film.timeline.sim_markers) == 60


def test_a_run_that_meets_an_older_resolve(film: Film, tmp_path: Path) -> None:
    """A function that the edition lacks seems to be there until it is called."""
    host = Host(film.resolve)  # type: ignore[arg-type]
    screen = Console(film.timeline)  # type: ignore[arg-type]
    fails(lambda: next(run(host, Options(), screen)), "no dialogue is set")
    options = Options("no.wav", out="here")
    fails(lambda: next(run(host, options, screen)), "out is here, which is not absolute")
    film.timeline.GetIsTrackEnabled = Fabricated("an old edition")  # type: ignore[method-assign]
    options = Options("no.wav", out=str(tmp_path))
    fails(lambda: next(run(host, options, screen)), r"lacks a function.*GetIsTrackEnabled")
    assert film.timeline.sim_markers == {}


def test_chosen_clips(film: Film) -> None:
    timeline: Any = film.timeline
    pool: Any = film.project.sim_pool
    items = list_items(timeline)
    assert choose(items, "all", timeline, pool) == items
    fails(lambda: choose(items, "pool", timeline, pool), "chosen by clips = pool")
    pool.sim_selected = [film.items[0].sim_clip]
    assert choose(items, "pool", timeline, pool) == items
    film.items[2].AddMarker(0, "Red", "LipSync strength=0.5", "", 1)
    assert choose(items, "marked", timeline, pool) == [items[2]]
    fails(lambda: choose(items, "Ornage", timeline, pool), "chosen by clips = Ornage")
    film.timeline.sim_tracks["video"][0].enabled = False
    assert list_items(timeline) == []


@pytest.mark.parametrize(("text", "message"), [
    ("[lipsync]\ndialog = a.wav", "has no setting 'dialog'"),
    ("[lipsync]\nmode = take", "mode is 'take'"),
    ("[lipsync]\nhandles = two", "handles is 'two', which is not a whole number"),
    ("dialogue = a.wav", "cannot be read"),
])  # fmt: skip
def test_settings(film: Film, tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "settings.ini"
    path.write_text(text, encoding="utf-8")
    fails(lambda: read_options(film.timeline, path), message)  # type: ignore[arg-type]


def test_settings_of_one_timeline(film: Film, tmp_path: Path) -> None:
    """The file, its section of the timeline, then the timeline's marker."""
    path = tmp_path / "settings.ini"
    path.write_text(
        "[lipsync]\ndialogue = C:\\dubs\\100%.wav\nmode = track\nstrength = 0.5\n"
        "[timeline Zoë: reel 1]\nmode = comp\nhandles = 4\nsynthesis = latent\nrefine = 0.4\n",
        encoding="utf-8-sig",
    )  # fmt: skip
    film.timeline.AddMarker(9, "Blue", "Lipsync", "handles = 8\nsee you on Monday", 1)
    told = read_options(film.timeline, path)  # type: ignore[arg-type]
    assert told == Options("C:\\dubs\\100%.wav", "comp", handles=8, strength=0.5,
                           synthesis="latent", refine=0.4)  # fmt: skip


def test_settings_of_a_clip() -> None:
    marks = ["mine", "lipsync speaker=2 strength=0.5", "lipsync exclude"]
    assert clip_settings(marks) == {"speaker": 2, "strength": 0.5, "exclude": True}
    assert clip_settings(["lipsync"]) == {}
