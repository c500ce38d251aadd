"""Each family of errors with a real bad file: one line, a hint, its own exit code."""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import OpenImageIO as oiio  # noqa: N813 -- the library's own short name
import pytest
import soundfile
from safetensors import safe_open
from safetensors.torch import save_file

from lipcore.demo.portrait import CameraMove, write_plate
from lipcore.media.output_files import FrameLock
from lipcore.types import FrameRange, Window

RATE = 48_000

Ended = subprocess.CompletedProcess[str]


@dataclass(frozen=True)
class Files:
    """What the cases are made of."""

    folder: Path
    plate: Path
    line: Path

    def path(self, name: str) -> Path:
        return self.folder / name

    def sequence(self, name: str) -> Path:
        """A copy of the good plate, to be harmed."""
        target = self.folder / name
        shutil.copytree(self.plate.parent, target)
        return target


def _video(path: Path, frames: int = 8) -> Path:
    """A little H.264 file without sound and without a face."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(24))
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for i in range(frames):
            ramp = np.add.outer(np.arange(120) + 3 * i, np.arange(160)).astype(np.uint8)
            picture = av.VideoFrame.from_ndarray(np.stack([ramp] * 3, axis=-1), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


def _small_portrait(folder: Path, width: int, frames: int = 4) -> Path:
    """The portrait in so few pixels that the face is small."""
    move = CameraMove(
        FrameRange(1001, 1000 + frames), (256, 256), (256, 256), 512, 512,
        Window(0, 0, width, width),
    )
    return write_plate(folder, move)


# Each case: the family's exit code, a word of the message, and its arguments.
Case = tuple[int, str, Callable[[Files], list[object]]]
CASES: dict[str, Case] = {}


def _case(code: int, word: str) -> Callable[..., Callable[[Files], list[object]]]:
    def keep(make: Callable[[Files], list[object]]) -> Callable[[Files], list[object]]:
        CASES[make.__name__] = (code, word, make)
        return make

    return keep


@_case(3, "no plate at")
def plate_missing(files: Files) -> list[object]:
    return [files.path("nowhere.####.exr"), files.line]


@_case(3, "is empty")
def plate_empty(files: Files) -> list[object]:
    files.path("empty.mov").touch()
    return [files.path("empty.mov"), files.line]


@_case(3, "cut.mp4")
def plate_truncated(files: Files) -> list[object]:
    whole = _video(files.path("whole.mp4"), 24).read_bytes()
    files.path("cut.mp4").write_bytes(whole[: len(whole) // 2])
    return [files.path("cut.mp4"), files.line]


@_case(3, "notes.mp4")
def plate_not_media(files: Files) -> list[object]:
    files.path("notes.mp4").write_text("this is no film " * 100)
    return [files.path("notes.mp4"), files.line]


@_case(3, "1005")
def plate_with_holes(files: Files) -> list[object]:
    folder = files.sequence("holes")
    (folder / "plate.1005.exr").unlink()
    return [folder, files.line]


@_case(3, "size")
def plate_of_two_sizes(files: Files) -> list[object]:
    folder = files.sequence("sizes")
    other = _small_portrait(files.path("other"), 96)
    shutil.copy(other.with_name("plate.1003.exr"), folder / "plate.1003.exr")
    return [folder, files.line]


@_case(3, "1004")
def exr_truncated(files: Files) -> list[object]:
    folder = files.sequence("torn")
    torn = folder / "plate.1004.exr"
    torn.write_bytes(torn.read_bytes()[: torn.stat().st_size // 2])
    return [folder, files.line]


@_case(3, "1004")
def exr_damaged_inside(files: Files) -> list[object]:
    folder = files.sequence("scrambled")
    bad = folder / "plate.1004.exr"
    data = bytearray(bad.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 4000] = bytes(4000)
    bad.write_bytes(data)
    return [folder, files.line]


@_case(4, "no dialogue at")
def dialogue_missing(files: Files) -> list[object]:
    return [files.plate, files.path("nowhere.wav")]


@_case(4, "is empty")
def dialogue_empty(files: Files) -> list[object]:
    files.path("empty.wav").touch()
    return [files.plate, files.path("empty.wav")]


@_case(4, "head.wav")
def dialogue_truncated(files: Files) -> list[object]:
    files.path("head.wav").write_bytes(files.line.read_bytes()[:40])
    return [files.plate, files.path("head.wav")]


@_case(4, "noise.wav")
def dialogue_not_sound(files: Files) -> list[object]:
    files.path("noise.wav").write_bytes(np.random.default_rng(1).bytes(5000))
    return [files.plate, files.path("noise.wav")]


@_case(4, "no audio stream")
def dialogue_without_sound(files: Files) -> list[object]:
    return [files.plate, _video(files.path("mute.mp4"))]


@_case(4, "0.10 s")
def dialogue_of_a_tenth(files: Files) -> list[object]:
    soundfile.write(files.path("tenth.wav"), np.zeros(RATE // 10), RATE)
    return [files.plate, files.path("tenth.wav")]


@_case(4, "longer")
def dialogue_of_an_hour(files: Files) -> list[object]:
    soundfile.write(files.path("hour.flac"), np.zeros(3600 * 8000, np.int16), 8000)
    return [files.plate, files.path("hour.flac"), "--audio-long", "error"]


@_case(4, "shorter")
def dialogue_too_short(files: Files) -> list[object]:
    soundfile.write(files.path("short.wav"), np.zeros(RATE // 4), RATE)
    return [files.plate, files.path("short.wav"), "--audio-short", "error"]


@_case(5, "no face")
def no_face_at_all(files: Files) -> list[object]:
    return [_video(files.path("ramp.mp4")), files.line]


@_case(5, "no face in")
def no_face_in_some_frames(files: Files) -> list[object]:
    folder = files.sequence("gone")
    for number in range(1005, 1011):
        name = str(folder / f"plate.{number}.exr")
        picture = oiio.ImageOutput.create(name)
        assert picture is not None and picture.open(name, oiio.ImageSpec(640, 480, 3, "half"))
        assert picture.write_image(np.full((480, 640, 3), 0.1, np.float32))
        picture.close()
    return [folder, files.line, "--no-face", "error"]


@_case(5, "pixels wide")
def face_too_small(files: Files) -> list[object]:
    return [_small_portrait(files.path("small"), 110), files.line]


@_case(5, "track")
def no_such_track(files: Files) -> list[object]:
    return [files.plate, files.line, "--speaker", "track:7"]


@_case(6, "cannot be made")
def output_below_a_file(files: Files) -> list[object]:
    files.path("occupied").write_text("a file")
    return [files.plate, files.line, "--out", files.path("occupied") / "deeper"]


@_case(6, "is there already")
def output_of_other_settings(files: Files) -> list[object]:
    folder = files.sequence("taken")
    return [files.plate, files.line, "--out", folder]


@_case(6, "frame of the plate")
def output_onto_the_plate(files: Files) -> list[object]:
    return [files.plate, files.line, "--out", files.plate.parent]


@_case(7, "no color space")
def unknown_color_space(files: Files) -> list[object]:
    return [files.plate, files.line, "--colorspace", "ACESgc"]


@_case(8, "no weights named")
def weights_missing(files: Files) -> list[object]:
    return [files.plate, files.line, "--weights", "better"]


def _weights(files: Files, name: str) -> Path:
    import lipcore.weights

    folder = files.path(name)
    shutil.copytree(Path(lipcore.weights.__file__).parent / "base", folder)
    return folder


@_case(8, "format 999")
def weights_of_another_version(files: Files) -> list[object]:
    file = _weights(files, "newer") / "shape_basis.safetensors"
    with safe_open(file, framework="pt") as handle:
        tensors = {key: handle.get_tensor(key) for key in handle.keys()}  # noqa: SIM118
        metadata = handle.metadata()
    save_file(tensors, file, {**metadata, "lipcore.format": "999"})
    return [files.plate, files.line, "--weights", file.parent]


@_case(8, "speech.safetensors")
def weights_damaged(files: Files) -> list[object]:
    file = _weights(files, "damaged") / "speech.safetensors"
    file.write_bytes(struct.pack("<Q", 1 << 40) + b"{" * 100)
    return [files.plate, files.line, "--weights", file.parent]


@_case(2, "not all in the plate")
def frames_outside(files: Files) -> list[object]:
    return [files.plate, files.line, "--frames", "990-1003"]


@_case(2, "frame range")
def frames_no_range(files: Files) -> list[object]:
    return [files.plate, files.line, "--frames", "1003-1001"]


@_case(2, "frame rate")
def rate_no_rate(files: Files) -> list[object]:
    return [files.plate, files.line, "--rate", "fast"]


@_case(2, "strength")
def strength_too_high(files: Files) -> list[object]:
    return [files.plate, files.line, "--strength", "1.5"]


@_case(2, "No such option")
def unknown_option(files: Files) -> list[object]:
    return [files.plate, files.line, "--louder"]


@_case(2, "needs a dialogue")
def nothing_to_say(files: Files) -> list[object]:
    return [files.plate]


@_case(9, "cannot be used here")
def device_absent(files: Files) -> list[object]:
    return [files.plate, files.line, "--device", "cuda:77"]


def _lines(ended: Ended, start: str) -> list[str]:
    return [line for line in ended.stderr.splitlines() if line.startswith(start)]


@pytest.fixture(scope="module")
def files(
    tmp_path_factory: pytest.TempPathFactory, portrait_plate: Path, spoken_line: Path
) -> Files:
    return Files(tmp_path_factory.mktemp("bad"), portrait_plate, spoken_line)


@pytest.fixture(scope="module")
def outcomes(
    request: pytest.FixtureRequest, files: Files, lipcore_command: Callable[..., Ended]
) -> dict[str, Future[Ended]]:
    """The collected cases, two at a time."""
    wanted = [
        item.callspec.params["name"]
        for item in request.session.items
        if isinstance(item, pytest.Function)
        and getattr(item, "callspec", None)
        and item.path == request.path
        and "name" in item.callspec.params
    ]

    def run(name: str) -> Ended:
        arguments = CASES[name][2](files)
        if "--out" not in arguments:
            arguments += ["--out", files.path(f"out_{name}")]
        return lipcore_command("render", *arguments)

    pool = ThreadPoolExecutor(2)
    return {name: pool.submit(run, name) for name in wanted}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_one_line_a_hint_and_an_exit_code(
    name: str, outcomes: dict[str, Future[Ended]], files: Files
) -> None:
    code, word, _ = CASES[name]
    ended = outcomes[name].result()
    assert ended.returncode == code, ended.stderr
    (line,) = _lines(ended, "error:")
    assert word in line
    assert _lines(ended, "hint:"), ended.stderr
    assert "Traceback" not in ended.stderr
    assert not list(files.path(f"out_{name}").glob("*")), "something was left behind"


def test_damaged_exr_files_never_end_the_process(
    shared_data: Path, spoken_line: Path, tmp_path: Path, lipcore_command: Callable[..., Ended]
) -> None:
    """Files that crashed readers: an error with exit code 3, 5 where they can be read."""
    from lipcore.errors import LipcoreError
    from lipcore.media.plate import open_plate

    for file in sorted((shared_data / "exr" / "Damaged").iterdir())[::12]:
        copy = tmp_path / f"{file.stem[:40]}.exr"
        shutil.copy(file, copy)
        try:
            with open_plate(copy) as plate:
                plate.read(plate.info.frames.first)
        except LipcoreError as error:
            assert error.hint
            worst = copy
    ended = lipcore_command("render", worst, spoken_line, "--out", tmp_path / "out")
    assert ended.returncode == 3
    assert len(_lines(ended, "error:")) == 1


@pytest.mark.slow
def test_two_runs_of_one_output(
    files: Files, lipcore_command: Callable[..., Ended], tmp_path: Path
) -> None:
    lock = FrameLock(tmp_path / "plate.####.exr", FrameRange(1005, 1006))
    try:
        ended = lipcore_command("render", files.plate, files.line, "--out", tmp_path)
        assert ended.returncode == 6
        assert "another process writes" in _lines(ended, "error:")[0]
        free = lipcore_command(
            "render", files.plate, files.line, "--out", tmp_path, "--frames", "1001-1002"
        )
        assert free.returncode == 0, free.stderr
    finally:
        lock.release()


@pytest.mark.slow
def test_full_disk(files: Files, lipcore_command: Callable[..., Ended], tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = shutil.which("mount")
    if mount is None or subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(disk)], check=False
    ).returncode:
        pytest.skip("a small disk cannot be mounted here")
    try:
        ended = lipcore_command("render", files.plate, files.line, "--out", disk / "out")
        assert ended.returncode == 6, ended.stderr
        assert "no space" in _lines(ended, "error:")[0]
        assert not list((disk / "out").glob(".*.part*")), "half a frame was left behind"
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)
