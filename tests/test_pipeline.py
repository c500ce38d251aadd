"""Whole renders of real faces: what stays, what changes, and what a second run costs."""

from __future__ import annotations

import gc
import json
import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import OpenImageIO as oiio  # noqa: N813 - its own documentation spells it so
import pytest
import soundfile

from lipcore import FrameRange, RenderConfig, RenderResult, Shot, render_shot
from lipcore.errors import ConfigError, FaceError, NoFaceError
from lipcore.media.exr_format import read_header
from lipcore.media.plate import open_plate
from lipcore.shapes.basis import ShapeBasis
from lipcore.shapes.curves import write_curves
from lipcore.shapes.fit import lip_gaps, opening_slope
from lipcore.shapes.from_plate import shapes_from_plate
from lipcore.types import ShapeCurves
from lipcore.weights import find_weights

pytestmark = pytest.mark.slow

COUNT, SIDE, FIRST = 24, 256, 1001
SHORT = 12
"""Frames of the EXR plate: its noisy extra channels are slow to pack."""
EXTRA = ("A", "Z", "N.x", "N.y", "N.z", "id.float")
LAYOUT = {"channels", "compression", "chunkCount", "dataWindow", "tiles"}

Pictures = list[np.ndarray]
Render = Callable[..., RenderResult]


class Listener:
    """Keeps what it is told; can stop the render after some frames."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.stages: dict[str, int] = {}
        self.messages: list[str] = []
        self._stop_at = stop_at

    def progress(self, stage: str, done: int, total: int) -> None:
        self.stages[stage] = done
        if stage == "render" and done == self._stop_at:
            raise KeyboardInterrupt

    def log(self, message: str) -> None:
        self.messages.append(message)


@pytest.fixture(scope="module")
def pictures(shared_data: Path) -> Pictures:
    """The first second of a person who speaks, ``(256, 256, 3)`` uint8."""
    with av.open(str(shared_data / "clips" / "mcguinness.mp4")) as file:
        frames = zip(range(COUNT), file.decode(video=0), strict=False)
        read = [frame.to_ndarray(format="rgb24") for _, frame in frames]
    return [cv2.resize(p, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for p in read]


@pytest.fixture(scope="module")
def line(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second of speech."""
    samples, rate = soundfile.read(shared_data / "speech" / "address31_en.wav")
    path = tmp_path_factory.mktemp("line") / "line.wav"
    soundfile.write(path, samples[rate : 2 * rate], rate)
    return path


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def write_exr(path: Path, picture: np.ndarray, index: int, aspect: float = 1.0) -> None:
    """Scene-linear, with overscan, six extra channels, timecode and attributes of its own."""
    rng = np.random.default_rng(index)
    height, width = picture.shape[:2]
    names = ("R", "G", "B", *EXTRA)
    spec = oiio.ImageSpec(width + 24, height + 12, len(names), "float")
    spec.channelnames = names
    spec.channelformats = tuple("float" if n in ("Z", "id.float") else "half" for n in names)
    spec.x, spec.y, spec.full_x, spec.full_y = -12, -6, 0, 0
    spec.full_width, spec.full_height = width, height
    spec.attribute("compression", "zip")
    spec.attribute("PixelAspectRatio", aspect)
    spec.attribute("shot", "sc010_0040")
    spec.attribute("lens:focal", 42.5)
    spec.attribute("grade", oiio.TypeDesc("float[3]"), (0.5, 1.0, 1.5))
    spec.attribute("smpte:TimeCode", oiio.TypeDesc("timecode"), (0x01021300 + index % 10, 0))
    spec.attribute("framesPerSecond", oiio.TypeDesc("rational"), (25, 1))
    pixels = rng.normal(0.3, 1, (height + 12, width + 24, len(names))).astype(np.float16)
    pixels = pixels.astype(np.float32)
    linear = (picture.astype(np.float32) / 255) ** 2.2
    pixels[6:-6, 12:-12, :3] = linear
    pixels[0, 0, :3] = (np.inf, -4.0, 60000)
    pixels[..., 4] = rng.normal(100, 30, pixels.shape[:2])
    target = oiio.ImageOutput.create(str(path))
    assert target.open(str(path), spec), target.geterror()
    assert target.write_image(pixels), target.geterror()
    target.close()


def write_png(path: Path, picture: np.ndarray) -> None:
    assert cv2.imwrite(str(path), picture[..., ::-1])


@pytest.fixture(scope="module")
def exr_plate(pictures: Pictures, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exr")
    for index, picture in enumerate(pictures[:SHORT]):
        write_exr(folder / f"plate.{FIRST + index}.exr", picture, index)
    return folder / "plate.####.exr"


@pytest.fixture(scope="module")
def png_plate(pictures: Pictures, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("png")
    for index, picture in enumerate(pictures):
        write_png(folder / f"plate.{FIRST + index}.png", picture)
    return folder / "plate.####.png"


@pytest.fixture(scope="module")
def render(cache: Path, line: Path) -> Render:
    """``render_shot`` with the line and the cache of this module, where nothing else is said."""

    def run(
        plate: Path, out: Path, *, shot: dict[str, Any] | None = None,
        listener: Listener | None = None, **config: Any,
    ) -> RenderResult:  # fmt: skip
        said = {"dialogue": line, **(shot or {})}
        return render_shot(
            Shot(plate, **said), RenderConfig(**{"cache": cache, **config}), out,
            listener=listener,
        )

    return run


def channels(path: Path) -> dict[str, np.ndarray]:
    source = oiio.ImageInput.open(str(path))
    assert source is not None, oiio.geterror()
    spec = source.spec()
    found = {
        name: source.read_image(0, 0, at, at + 1, spec.channelformat(at))[..., 0]
        for at, name in enumerate(spec.channelnames)
    }
    source.close()
    return found


def frames_of(plate: Path, suffix: str) -> list[Path]:
    return sorted(plate.parent.glob(f"*{suffix}"))


def bits(plane: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(plane).view(np.dtype(f"u{plane.dtype.itemsize}"))


@pytest.fixture(scope="module")
def full(
    exr_plate: Path, render: Render, tmp_path_factory: pytest.TempPathFactory
) -> tuple[RenderResult, Path]:
    """The EXR plate rendered once, undisturbed."""
    out = tmp_path_factory.mktemp("full")
    return render(exr_plate, out), out


def test_every_frame_gets_a_mouth_and_nothing_else_changes(full, exr_plate):
    result, out = full
    plate, made = frames_of(exr_plate, ".exr"), frames_of(out / "x", ".exr")
    assert [p.name for p in made] == [p.name for p in plate]
    assert (result.drawn, result.kept, result.passed) == (SHORT, 0, ())
    assert result.synthesis == "shot"
    for before, after in zip(plate, made, strict=True):
        old, new = channels(before), channels(after)
        alpha = new["lipsync.alpha"].astype(np.float32)
        assert 0.01 < (alpha > 0).mean() < 0.3
        assert alpha.max() == 1
        assert set(new) - set(old) == {
            "lipsync.red", "lipsync.green", "lipsync.blue", "lipsync.alpha", "lipsync_mask.alpha"
        }  # fmt: skip
        for name, plane in old.items():
            assert new[name].dtype == plane.dtype
            same = bits(new[name]) == bits(plane)
            assert same.all() if name in EXTRA else same[alpha == 0].all(), name
        for attribute in read_header(before).parts[0].attributes:
            if attribute.name not in LAYOUT:
                assert read_header(after).parts[0].by_name[attribute.name] == attribute
        window = read_header(after).parts[0]
        assert (window.data, window.display) == (
            read_header(before).parts[0].data, read_header(before).parts[0].display
        )  # fmt: skip


def test_full_is_plate_times_one_minus_alpha_plus_patch(full, exr_plate):
    _, out = full
    for before in frames_of(exr_plate, ".exr")[::5]:
        old, new = channels(before), channels(out / before.name)
        alpha = new["lipsync.alpha"].astype(np.float32)
        for name, layer in zip("RGB", ("red", "green", "blue"), strict=True):
            patch = new[f"lipsync.{layer}"].astype(np.float32)
            with np.errstate(invalid="ignore"):
                expected = old[name].astype(np.float32) * (1 - alpha) + patch
            there = alpha > 0
            assert np.array_equal(new[name][there], expected.astype(np.float16)[there])
        assert new["lipsync.red"][alpha == 0].max() == 0


def test_the_new_mouth_lies_on_the_mouth(full, exr_plate):
    _, out = full
    facts = json.loads(next(out.glob("*.json")).read_text())
    row = facts["per_frame"][7]
    marks = np.array(row["new_landmarks"])
    new = channels(out / f"plate.{row['frame']}.exr")
    for index in (13, 14, 0, 17, 61, 291):
        x, y = marks[index] + (12, 6)  # the data window begins at (-12, -6)
        assert new["lipsync.alpha"][int(y), int(x)] > 0.95
    hard = new["lipsync_mask.alpha"] > 0
    rows, columns = np.nonzero(hard)
    assert abs(columns.mean() - 12 - marks[[61, 291], 0].mean()) < 4
    assert abs(rows.mean() - 6 - marks[[0, 17], 1].mean()) < 4


def test_the_new_mouth_does_not_flicker(full, exr_plate):
    """Between neighbouring frames the patch's mean colour moves about as the plate's does."""
    _, out = full
    levels: list[list[float]] = [[], []]
    for before in frames_of(exr_plate, ".exr"):
        old, new = channels(before), channels(out / before.name)
        rim = (new["lipsync.alpha"] > 0.5) & (new["lipsync_mask.alpha"] == 0)
        for place, planes in enumerate((old, new)):
            levels[place].append(float(planes["G"][rim].astype(np.float32).mean()))
    plate, made = (np.abs(np.diff(level)).mean() for level in levels)
    assert made < 2 * plate + 0.002


def test_a_second_dialogue_does_not_track_again(full, exr_plate, render, tmp_path, shared_data):
    first, out = full
    samples, rate = soundfile.read(shared_data / "speech" / "jfk_en.wav")
    soundfile.write(tmp_path / "other.wav", samples[rate : 2 * rate], rate)
    listener = Listener()
    second = render(
        exr_plate, tmp_path / "out", shot={"dialogue": tmp_path / "other.wav"}, listener=listener
    )
    assert (first.cached, second.cached) == (False, True)
    assert "track" not in listener.stages
    assert "bank" not in listener.stages
    names = [p.name for p in frames_of(exr_plate, ".exr")]
    differ = [
        not np.array_equal(channels(out / n)["R"], channels(tmp_path / "out" / n)["R"])
        for n in names
    ]
    assert sum(differ) > SHORT / 2


def test_the_same_inputs_give_the_same_pixels(full, exr_plate, render, tmp_path):
    _, out = full
    render(exr_plate, tmp_path / "out", workers=4)
    for path in frames_of(exr_plate, ".exr"):
        first, second = channels(out / path.name), channels(tmp_path / "out" / path.name)
        assert all(np.array_equal(bits(first[n]), bits(second[n])) for n in first), path.name


def test_an_interrupted_render_goes_on_where_it_stopped(full, exr_plate, render, tmp_path):
    _, undisturbed = full
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        render(exr_plate, out, listener=Listener(stop_at=SHORT // 2))
    done = {p.name: p.stat().st_mtime_ns for p in out.glob("*.exr")}
    assert SHORT // 3 <= len(done) < SHORT
    assert not [p for p in out.iterdir() if p.name.startswith(".")], "locks or parts are left"
    torn = sorted(out.glob("*.exr"))[2]
    os.truncate(torn, torn.stat().st_size // 2)
    result = render(exr_plate, out)
    assert result.kept == len(done) - 1
    assert result.kept + result.drawn == SHORT
    for path in frames_of(exr_plate, ".exr"):
        first, second = channels(undisturbed / path.name), channels(out / path.name)
        assert all(np.array_equal(bits(first[n]), bits(second[n])) for n in first), path.name
        if path.name in done and path.name != torn.name:
            assert (out / path.name).stat().st_mtime_ns == done[path.name]


@pytest.mark.parametrize("kind", ["exr", "png"])
def test_no_strength_gives_the_plate_back(kind, exr_plate, png_plate, render, tmp_path):
    plate = exr_plate if kind == "exr" else png_plate
    result = render(plate, tmp_path / "out", strength=0.0)
    assert result.drawn == 0
    assert len(result.passed) == len(frames_of(plate, f".{kind}"))
    for path in frames_of(plate, f".{kind}"):
        old, new = channels(path), channels(tmp_path / "out" / path.name)
        for name, plane in old.items():
            assert new[name].dtype == plane.dtype
            assert np.array_equal(bits(new[name]), bits(plane)), name


def test_a_strength_curve_leaves_the_frames_at_0_alone(png_plate, render, tmp_path):
    curve = tmp_path / "curve.txt"
    curve.write_text(f"{FIRST + 7} 0\n{FIRST + 15} 1\n")
    result = render(png_plate, tmp_path / "out", strength_curve=curve)
    assert result.passed == tuple(range(FIRST, FIRST + 8))
    changed = []
    for path in frames_of(png_plate, ".png"):
        old, new = cv2.imread(str(path)), cv2.imread(str(tmp_path / "out" / path.name))
        changed.append(bool((old != new).any()))
    assert changed == [False] * 8 + [True] * (COUNT - 8)


def test_png_pixels_outside_a_small_window_stay(png_plate, render, tmp_path):
    render(png_plate, tmp_path / "out")
    for path in frames_of(png_plate, ".png")[::6]:
        old, new = cv2.imread(str(path)), cv2.imread(str(tmp_path / "out" / path.name))
        rows, columns = np.nonzero((old != new).any(-1))
        assert len(rows) > 100
        assert np.ptp(rows) < 0.5 * SIDE
        assert np.ptp(columns) < 0.5 * SIDE


def test_part_of_a_plate_is_rendered(png_plate, render, tmp_path):
    part = FrameRange(FIRST + 4, FIRST + 11)
    result = render(png_plate, tmp_path / "out", shot={"frames": part})
    assert result.frames == part
    assert len(list((tmp_path / "out").glob("*.png"))) == 8
    with pytest.raises(ConfigError, match="not all in the plate"):
        render(png_plate, tmp_path / "no", shot={"frames": FrameRange(FIRST, FIRST + COUNT)})


def hide(pictures: Pictures, first: int, last: int, how: str) -> Pictures:
    """The same pictures, black or with the face blurred away from one index to another."""
    made = [p.copy() for p in pictures]
    for picture in made[first : last + 1]:
        if how == "black":
            picture[...] = 0
        else:
            face = slice(50, 250), slice(45, 210)
            picture[face] = cv2.GaussianBlur(picture[face], (0, 0), 18)
    return made


@pytest.fixture(scope="module")
def gaps(pictures: Pictures, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Plates whose face goes in frame 8 of 24 and is back in frame 16."""
    plates = {}
    for how in ("black", "blurred"):
        folder = tmp_path_factory.mktemp(how)
        for index, picture in enumerate(hide(pictures, 8, 15, how)):
            write_png(folder / f"plate.{FIRST + index}.png", picture)
        plates[how] = folder / "plate.####.png"
    return plates


def untouched(plate: Path, out: Path) -> list[int]:
    """Numbers of the frames that are the plate's, pixel for pixel."""
    return [
        int(path.stem.split(".")[-1])
        for path in frames_of(plate, ".png")
        if np.array_equal(cv2.imread(str(path)), cv2.imread(str(out / path.name)))
    ]


@pytest.mark.parametrize("how", ["black", "blurred"])
def test_frames_without_a_face_pass_through(gaps, render, tmp_path, how):
    result = render(gaps[how], tmp_path / "out", no_face="passthrough")
    absent = list(range(FIRST + 10, FIRST + 16))
    assert set(absent) <= set(result.passed)
    assert set(absent) <= set(untouched(gaps[how], tmp_path / "out"))
    assert result.drawn >= 12


def test_a_face_is_not_held_over_black(gaps, render, tmp_path):
    listener = Listener()
    render(gaps["black"], tmp_path / "out", no_face="hold", listener=listener)
    dark = [cv2.imread(str(p)).max() for p in frames_of(tmp_path / "out" / "x", ".png")[8:16]]
    assert max(dark) == 0
    assert any("passed through" in message for message in listener.messages)


def test_no_mouth_is_drawn_on_black_that_stands_in(png_plate, render, tmp_path):
    for path in frames_of(png_plate, ".png"):
        if path.stem != f"plate.{FIRST + 5}":
            (tmp_path / path.name).symlink_to(path)
    result = render(tmp_path / "plate.####.png", tmp_path / "out", missing_frame="black")
    assert cv2.imread(str(tmp_path / "out" / f"plate.{FIRST + 5}.png")).max() == 0
    assert (result.passed, result.drawn) == ((FIRST + 5,), COUNT - 1)
    facts = json.loads(next((tmp_path / "out").glob("*.json")).read_text())
    assert [row["strength"] for row in facts["per_frame"]][4:7] == [1, 0, 1]


def test_a_face_that_is_gone_for_a_moment_is_held(gaps, render, tmp_path):
    listener = Listener()
    result = render(gaps["blurred"], tmp_path / "out", no_face="hold", listener=listener)
    facts = json.loads(next((tmp_path / "out").glob("*.json")).read_text())
    policies = [row["policy"] for row in facts["per_frame"]]
    assert policies[10:16] == ["hold"] * 6
    assert policies[:8] == policies[16:] == ["track"] * 8
    assert result.passed == ()
    assert any("held" in message for message in listener.messages)


def test_frames_without_a_face_can_be_an_error(gaps, render, tmp_path):
    with pytest.raises(NoFaceError, match=r"no face in \d of 24 frames") as caught:
        render(gaps["blurred"], tmp_path / "out", no_face="error")
    absent = set(caught.value.facts["frames"])
    assert set(range(FIRST + 10, FIRST + 16)) <= absent <= set(range(FIRST + 8, FIRST + 16))
    assert not list(tmp_path.glob("out/*"))


def test_a_plate_without_a_face_is_an_error(tmp_path, render):
    noise = np.random.default_rng(0).integers(0, 255, (96, 96, 3), np.uint8)
    for index in range(4):
        write_png(tmp_path / f"empty.{index:04d}.png", noise)
    with pytest.raises(FaceError):
        render(tmp_path / "empty.####.png", tmp_path / "out")


@pytest.fixture(scope="module")
def couple(
    pictures: Pictures, shared_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Two people beside each other, the left one larger."""
    folder = tmp_path_factory.mktemp("couple")
    with av.open(str(shared_data / "clips" / "markey.mp4")) as file:
        frames = zip(range(10), file.decode(video=0), strict=False)
        others = [frame.to_ndarray(format="rgb24") for _, frame in frames]
    for index, other in enumerate(others):
        right = np.zeros((SIDE, SIDE, 3), np.uint8)
        right[28:228, 28:228] = cv2.resize(other, (200, 200), interpolation=cv2.INTER_AREA)
        write_png(folder / f"two.{index + 1:04d}.png", np.hstack([pictures[index], right]))
    return folder / "two.####.png"


@pytest.mark.parametrize(
    ("speaker", "side"),
    [("largest", 0), ("left", 0), ("right", 1), (f"{SIDE + 128},128", 1), ("128,128", 0)],
)
def test_only_the_chosen_speaker_gets_a_new_mouth(couple, render, tmp_path, speaker, side):
    render(couple, tmp_path / "out", shot={"speaker": speaker})
    path = frames_of(couple, ".png")[4]
    changed = cv2.imread(str(path)) != cv2.imread(str(tmp_path / "out" / path.name))
    halves = changed[:, :SIDE].any(), changed[:, SIDE:].any()
    assert halves == ((True, False) if side == 0 else (False, True))


def test_a_squeezed_plate_gets_the_same_mouth_squeezed(pictures, full, render, tmp_path):
    plate = tmp_path / "plate"
    plate.mkdir()
    for index, picture in enumerate(pictures[:8]):
        narrow = cv2.resize(picture, (SIDE // 2, SIDE), interpolation=cv2.INTER_AREA)
        write_exr(plate / f"plate.{FIRST + index}.exr", narrow, index, aspect=2.0)
    render(plate, tmp_path / "out")
    square = channels(full[1] / f"plate.{FIRST + 4}.exr")["lipsync.alpha"][6:-6, 12:-12]
    narrow = channels(tmp_path / "out" / f"plate.{FIRST + 4}.exr")["lipsync.alpha"][6:-6, 12:-12]
    wide = cv2.resize(narrow.astype(np.float32), (SIDE, SIDE)) > 0.5
    both, either = (square > 0.5) & wide, (square > 0.5) | wide
    assert both.sum() > 0.8 * either.sum()


def opening_of(path: Path, basis: ShapeBasis) -> np.ndarray:
    """``(N,)`` how far the lips are apart, measured on a rendered plate, interocular units."""
    with open_plate(path) as plate:
        curves, _ = shapes_from_plate(plate, plate.info.frames, basis)
    assert curves.neutral is not None
    return lip_gaps(curves.neutral, basis).mean() + curves.values @ opening_slope(basis)


@pytest.fixture(scope="module")
def basis() -> ShapeBasis:
    return ShapeBasis.load(find_weights("base"))


def test_the_mouth_opens_as_curves_ask(png_plate, render, tmp_path, basis):
    open_column = basis.column("open")
    values = np.zeros((COUNT, len(basis.names)), np.float32)
    asked = 1 + np.sin(np.arange(COUNT) * 2 * np.pi / 12)
    values[:, open_column] = asked
    write_curves(
        tmp_path / "curves.json",
        ShapeCurves(Fraction(24), FIRST, values, basis.names, "standard", "test", basis.label),
    )
    render(
        png_plate, tmp_path / "out", shot={"dialogue": None, "shapes": tmp_path / "curves.json"}
    )
    drawn = opening_of(tmp_path / "out" / "plate.####.png", basis)
    assert np.corrcoef(asked, drawn)[0, 1] > 0.85


def test_silence_shuts_the_mouth(png_plate, render, tmp_path, basis):
    soundfile.write(tmp_path / "silence.wav", np.zeros(16_000, np.float32), 16_000)
    render(png_plate, tmp_path / "out", shot={"dialogue": tmp_path / "silence.wav"})
    spoken = opening_of(png_plate, basis)
    silent = opening_of(tmp_path / "out" / "plate.####.png", basis)
    assert silent.std() < 0.35 * spoken.std()
    assert silent.mean() < np.quantile(spoken, 0.25) + 0.01


def test_a_cut_is_not_dissolved_over(pictures, shared_data, render, tmp_path):
    """Frames beside a cut are made of their own side alone."""
    with av.open(str(shared_data / "clips" / "mcguinness.mp4")) as file:
        later = [f.to_ndarray(format="rgb24") for f in list(file.decode(video=0))[60:70]]
    plate = tmp_path / "plate"
    plate.mkdir()
    scenes = [*pictures[:10], *(cv2.resize(p, (SIDE, SIDE))[:, ::-1] // 3 for p in later)]
    for index, picture in enumerate(scenes):
        write_png(plate / f"plate.{FIRST + index}.png", picture)
    render(plate, tmp_path / "out")
    facts = json.loads(next((tmp_path / "out").glob("*.json")).read_text())
    assert facts["cuts"] == [FIRST + 10]
    for row in facts["per_frame"]:
        side = row["frame"] >= FIRST + 10
        assert all((number >= FIRST + 10) == side for number, _ in row["sources"]), row["frame"]


def test_a_video_comes_back_as_a_video_with_the_dialogue(shared_data, render, tmp_path, line):
    source = shared_data / "clips" / "grid_bbaf2n.mpg"
    with open_plate(source) as plate:
        part = FrameRange(plate.info.frames.first, plate.info.frames.first + 19)
    result = render(source, tmp_path / "out.mp4", shot={"frames": part})
    assert result.outputs[0] == tmp_path / "out.mp4"
    with av.open(str(result.outputs[0])) as made:
        assert made.streams.video[0].average_rate == 25
        assert sum(1 for _ in made.decode(video=0)) == 20
    with av.open(str(result.outputs[0])) as made:
        heard = [f.to_ndarray() for f in made.decode(audio=0)]
        rate = made.streams.audio[0].rate
    assert sum(block.shape[-1] for block in heard) == pytest.approx(0.8 * rate, rel=0.1)
    assert max(float(np.abs(block).max()) for block in heard) > 0.01


def test_nothing_of_a_render_stays_open(png_plate, render, tmp_path):
    descriptors = Path("/proc/self/fd")
    if not descriptors.is_dir():
        pytest.skip("open files are counted through /proc")
    render(png_plate, tmp_path / "first")
    gc.collect()
    before = len(list(descriptors.iterdir()))
    for name in ("second", "third"):
        render(png_plate, tmp_path / name)
    gc.collect()
    assert len(list(descriptors.iterdir())) <= before


@pytest.mark.parametrize("file", ["tracks", "bank.npz"])
def test_a_damaged_cache_is_made_again(full, exr_plate, render, tmp_path, file):
    """Damage that keeps a file's size, as a worn disk makes it."""
    mine = tmp_path / "cache"
    first = render(exr_plate, tmp_path / "one", cache=mine, shot={"frames": FrameRange(1001, 1006)})
    victim = next(p for p in mine.rglob("*") if p.name.startswith(file) and p.is_file())
    size = victim.stat().st_size
    victim.write_bytes(bytes(size))
    second = render(
        exr_plate, tmp_path / "two", cache=mine, shot={"frames": FrameRange(1001, 1006)}
    )
    assert (first.cached, second.cached) == (False, False)
    assert second.drawn == 6
