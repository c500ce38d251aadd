"""A live stream: order, latency, what stays, and that nothing grows."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import torch

from lipcore import LipSyncStream
from lipcore.errors import ConfigError, FrameSizeError
from lipcore.media.audio import load_dialogue
from lipcore.shapes.from_speech import shapes_from_dialogue
from lipcore.shapes.live import LiveShapes
from lipcore.streaming import StreamConfig, StreamedFrame
from lipcore.types import Dialogue, FrameRange
from lipcore.weights import find_weights

SIDE, COUNT, LEARNT = 192, 30, 24
RATE = Fraction(25)
SOUND = 640


@pytest.fixture(scope="module")
def pictures(shared_data: Path) -> list[np.ndarray]:
    with av.open(str(shared_data / "clips" / "markey.mp4")) as file:
        frames = zip(range(COUNT), file.decode(video=0), strict=False)
        read = [frame.to_ndarray(format="rgb24") for _, frame in frames]
    return [cv2.resize(p, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for p in read]


@pytest.fixture(scope="module")
def speech(shared_data: Path) -> np.ndarray:
    return load_dialogue(shared_data / "speech" / "jfk_en.wav").samples


@pytest.fixture(scope="module")
def enrolment(pictures: list[np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("enrolment") / "ich spreche é.mkv"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("ffv1", rate=25)
        stream.width = stream.height = SIDE
        stream.pix_fmt = "yuv444p"
        for picture in pictures[:LEARNT]:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        file.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def push_all(
    stream: LipSyncStream, pictures: list[np.ndarray], speech: np.ndarray
) -> Iterator[tuple[int, StreamedFrame]]:
    """(pushes so far, what came out)."""
    for index, picture in enumerate(pictures):
        done = stream.push(picture, speech[index * SOUND : (index + 1) * SOUND])
        if done is not None:
            yield index + 1, done
    for done in stream.finish():
        yield len(pictures), done


@pytest.mark.parametrize("latency", [1, 5])
def test_frames_come_in_order_after_the_stated_latency(
    enrolment: Path, pictures: list[np.ndarray], speech: np.ndarray, cache: Path, latency: int
) -> None:
    threads = torch.get_num_threads()
    kept = [picture.copy() for picture in pictures]
    config = StreamConfig(latency_frames=latency)
    with LipSyncStream(
        enrolment, size=(SIDE, SIDE), rate=RATE, config=config, cache=cache
    ) as stream:
        assert stream.latency_frames == latency
        assert stream.latency_s == pytest.approx(latency / 25)
        out = list(push_all(stream, pictures, speech[8000:]))
    stream.close()
    assert torch.get_num_threads() == threads
    assert [done.number for _, done in out] == list(range(COUNT))
    for pushes, done in out:
        assert pushes == min(done.number + latency + 1, COUNT)
        first = 8000 + done.number * SOUND
        assert np.array_equal(done.sound, speech[first : first + SOUND])
        assert np.array_equal(kept[done.number], pictures[done.number]), "the input was changed"
    assert sum(done.drawn for _, done in out) >= COUNT - 6
    for _, done in out:
        changed = (done.picture != pictures[done.number]).any(axis=-1)
        assert changed.any() == done.drawn
        rows, columns = np.nonzero(changed)
        if done.drawn:  # a talking head's mouth lies below the middle
            assert rows.min() > 0.35 * SIDE
            assert columns.min() > 0.15 * SIDE and columns.max() < 0.9 * SIDE
            assert changed.mean() < 0.25


def test_without_a_face_pictures_pass_and_the_face_fades_back(
    enrolment: Path, pictures: list[np.ndarray], speech: np.ndarray, cache: Path
) -> None:
    grey = np.full((SIDE, SIDE, 3), 90, np.uint8)
    shown = [*pictures[:12], *[grey] * 4, *pictures[12:26]]
    with LipSyncStream(
        enrolment, size=(SIDE, SIDE), rate=RATE, cache=cache,
        config=StreamConfig(latency_frames=5),
    ) as stream:  # fmt: skip
        out = [done for _, done in push_all(stream, shown, speech[8000:])]
    for done in out[12:16]:
        assert not done.drawn
        assert np.array_equal(done.picture, grey)
    assert all(done.drawn for done in out[4:12])
    assert all(done.drawn for done in out[-6:])


def test_strength_0_gives_the_pictures_back(
    enrolment: Path, pictures: list[np.ndarray], speech: np.ndarray, cache: Path
) -> None:
    config = StreamConfig(latency_frames=2, strength=0.0)
    with LipSyncStream(
        enrolment, size=(SIDE, SIDE), rate=RATE, config=config, cache=cache,
        frames=FrameRange(1, LEARNT),
    ) as stream:  # fmt: skip
        for _, done in push_all(stream, pictures[:8], speech):
            assert not done.drawn
            assert np.array_equal(done.picture, pictures[done.number])


def test_nothing_that_is_kept_grows(
    enrolment: Path, pictures: list[np.ndarray], speech: np.ndarray, cache: Path
) -> None:
    """After a minute the stream holds what it held after ten seconds."""

    def held(stream: LipSyncStream) -> int:
        live = stream._shapes
        items = [*stream._past, *stream._waiting]
        return (
            live._samples.nbytes + sys.getsizeof(live._spoken)
            + sum(item.picture.nbytes + item.sound.nbytes for item in items)
        )

    grey = np.zeros((SIDE, SIDE, 3), np.uint8)  # no face to track: a minute in a second
    with LipSyncStream(enrolment, size=(SIDE, SIDE), rate=RATE, cache=cache) as stream:
        sizes = []
        for index in range(1500):
            stream.push(grey, np.resize(speech[index * 37 : index * 37 + SOUND], SOUND))
            if index in (249, 1499):
                sizes.append(held(stream))
    assert sizes[1] <= 1.1 * sizes[0]


def test_what_does_not_fit_is_refused(
    enrolment: Path, pictures: list[np.ndarray], cache: Path
) -> None:
    with LipSyncStream(enrolment, size=(SIDE, SIDE), rate=RATE, cache=cache) as stream:
        with pytest.raises(FrameSizeError, match="96, 96, 3"):
            stream.push(np.zeros((96, 96, 3), np.uint8), np.zeros(0, np.float32))
        with pytest.raises(FrameSizeError, match="float32"):
            stream.push(np.zeros((SIDE, SIDE, 3), np.float32), np.zeros(0, np.float32))  # type: ignore[arg-type]
        with pytest.raises(ConfigError, match="ahead of their picture"):
            stream.push(pictures[0], np.zeros(61 * 16_000, np.float32))
    with pytest.raises(ConfigError, match="latency_frames"):
        StreamConfig(latency_frames=0)
    with pytest.raises(ConfigError, match="strength"):
        StreamConfig(strength=1.5)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Small products: more threads would only wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("one_thread")
def test_a_sound_heard_in_pieces_asks_for_the_shapes_of_the_whole(speech: np.ndarray) -> None:
    """Opening of the lips, heard live with a third of a second ahead, against the whole."""
    weights = find_weights("base")
    part = speech[: 16_000 * 7]
    whole = shapes_from_dialogue(Dialogue(part), RATE, FrameRange(0, 174), weights).values[:, 0]
    live, said = LiveShapes(weights), []
    for index in range(175):
        live.hear(part[index * SOUND : (index + 1) * SOUND])
        if index >= 8:
            said.append(live.at((index - 8 + 0.5) / 25)[0])
    late = slice(50, 167)  # after two seconds level and timbre are known
    assert np.corrcoef(whole[late], np.array(said)[late])[0, 1] > 0.9
    quiet = LiveShapes(weights)
    quiet.hear(np.zeros(16_000, np.float32))
    assert not quiet.at(0.5).any()
