"""The baselines run as their authors run them, whatever their weights hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from lipcore.analysis import cover, find_tracks
from lipcore.cache import Cache
from lipcore.errors import NoFaceError
from lipcore.evaluate.baseline import BaselineShot, Method, face_boxes, render_baseline
from lipcore.evaluate.baseline_faces import (
    align,
    draw_lipgan,
    draw_wav2lip,
    gpen,
    lipgan,
    tecogan,
    wav2lip,
    yousaidthat,
)
from lipcore.evaluate.baseline_sound import (
    cepstra_steps,
    cut_cepstra,
    cut_mel,
    htk_cepstra,
    mel_steps,
)
from lipcore.media.audio import fit_dialogue, load_dialogue
from lipcore.media.color import ColorTransform
from lipcore.media.plate import Plate, open_plate
from lipcore.media.writers import open_writer
from lipcore.models.mel import MelConfig, MelFrontEnd
from lipcore.models.published.gpen import GPEN
from lipcore.models.published.lipgan import LipGAN, LipGANConfig
from lipcore.models.published.tecogan import TecoGAN
from lipcore.models.published.wav2lip import Wav2Lip, Wav2LipConfig
from lipcore.models.published.yousaidthat import (
    YouSaidThat,
    YouSaidThatConfig,
    YouSaidThatDeblur,
)
from lipcore.types import Dialogue, FaceTrack, FrameRange


def track_of(landmarks: np.ndarray) -> FaceTrack:
    count = len(landmarks)
    there = np.isfinite(landmarks[:, 0, 0])
    return FaceTrack(
        1, FrameRange(1, count), landmarks.astype(np.float32), there.astype(np.float32), there,
        np.zeros((count, 2, 3), np.float32),
    )  # fmt: skip


def test_boxes_are_the_published_means() -> None:
    faces = np.zeros((9, 478, 3))
    for i in range(9):
        faces[i, 0, :2], faces[i, 1:, :2] = (10 * i, 20), (10 * i + 50, 80)
    boxes = face_boxes(track_of(faces), (100, 85), below=10, smoothed=5)
    low = np.array([10 * i for i in range(9)])
    high = np.minimum(low + 50, 100)
    for i in range(9):
        five = slice(i, i + 5) if i + 5 <= 9 else slice(4, 9)
        assert boxes[i].tolist() == [int(low[five].mean()), 20, int(high[five].mean()), 85]
    assert face_boxes(track_of(faces), (100, 85))[3].tolist() == [30, 20, 80, 80]


@pytest.mark.parametrize("rate", [24.0, 25.0, 50.0])
def test_each_frame_hears_sixteen_steps_from_its_beginning(rate: float) -> None:
    sound = (np.random.default_rng(0).normal(size=16_000) * 0.1).astype(np.float32)
    windows = cut_mel(mel_steps(sound), range(round(rate)), rate, steps=16)
    steps = MelFrontEnd(MelConfig(hop=200))(torch.from_numpy(sound)[None])[0].numpy()
    assert windows.shape == (round(rate), 80, 16)
    assert np.array_equal(windows[3], steps[:, int(3 * 80 / rate) :][:, :16])
    assert np.array_equal(windows[-1], steps[:, -16:])
    short = cut_mel(mel_steps(sound[:800]), range(3), rate, steps=16)
    assert short.shape == (3, 80, 16) and (short[:, :, -1] == -4).all()
    earlier = cut_mel(mel_steps(sound), [0, 10], rate, steps=27, before=4)
    assert np.array_equal(earlier[0], steps[:, :27])
    begins = int(10 * 80 / rate - 12.8)
    assert np.array_equal(earlier[1], steps[:, max(0, begins) :][:, :27])


def test_cepstra_are_those_of_htk() -> None:
    """One frame by the definition, and windows around the middles of frames."""
    rng = np.random.default_rng(3)
    sound = (rng.normal(size=16_000) * 0.1).astype(np.float32)
    found = htk_cepstra(sound)
    assert found.shape == (13, 1 + (16_000 - 400) // 160)
    loud = sound.astype(np.float64) * 32768
    cut = loud[1600:2000] - 0.97 * loud[1599:1999]
    spectrum = np.abs(np.fft.fft(cut * (0.54 - 0.46 * np.cos(2 * np.pi * np.arange(400) / 399)),
                                 512))[:257]  # fmt: skip
    mel = 1127 * np.log(1 + np.array([300, 3700]) / 700)
    edges = 700 * (np.exp(np.linspace(*mel, 42) / 1127) - 1)
    at = np.arange(257) * 16_000 / 512
    bands = [
        sum(v * max(0, min((f - a) / (b - a), (c - f) / (c - b)))
            for f, v in zip(at, spectrum, strict=True))
        for a, b, c in zip(edges, edges[1:], edges[2:], strict=False)
    ]  # fmt: skip
    for n in range(13):
        cosine = np.cos(np.pi * n * (np.arange(1, 41) - 0.5) / 40)
        expected = (2 / 40) ** 0.5 * float(cosine @ np.log(bands))
        assert found[n, 10] == pytest.approx(expected * (1 + 11 * np.sin(np.pi * n / 22)), rel=1e-4)
    heard = cepstra_steps(sound, 1.0)
    windows = cut_cepstra(heard, [0, 24], 25.0, steps=35)
    assert windows.shape == (2, 12, 35) and np.isfinite(windows).all()
    # frame 24: from 0.96 to 1 s, its middle at 0.98; step k's window is centred on 10 k + 12.5 ms
    whole = htk_cepstra(np.concatenate([sound, np.zeros(16_000, np.float32)]))[1:]
    assert np.allclose(windows[1][:, 3:], whole[:, 83:115], atol=1e-3)


@pytest.mark.parametrize("kind", [Wav2Lip, LipGAN])
def test_the_lower_half_is_hidden_and_colours_keep_their_order(kind: type[nn.Module]) -> None:
    first = kind is Wav2Lip  # Wav2Lip takes what is hidden first, LipGAN the reference

    class Echo(kind):  # type: ignore[misc, valid-type]
        def forward(self, mel: torch.Tensor, faces: torch.Tensor) -> torch.Tensor:
            assert mel.shape == (1, 1, 80, 16)
            hidden, seen = faces.split(3, 1) if first else faces.split(3, 1)[::-1]
            assert (hidden[:, :, 48:] == 0).all() and (seen[:, :, 48:] > 0).any()
            assert torch.equal(hidden[:, :, :48], seen[:, :, :48])
            return seen

    face = np.random.default_rng(1).integers(1, 255, (96, 96, 3), dtype=np.uint8)
    draw = draw_wav2lip if first else draw_lipgan
    config = Wav2LipConfig(divide=16) if first else LipGANConfig(divide=16)
    again = draw(Echo(config), face, np.zeros((80, 16), np.float32))
    assert np.abs(again.astype(int) - face).max() <= 1


def test_tecogan_looks_back_and_begins_anew_with_each_shot() -> None:
    torch.manual_seed(0)
    network = TecoGAN().eval()
    faces = np.random.default_rng(2).integers(0, 255, (3, 16, 16, 3), dtype=np.uint8)
    start = tecogan(network)
    enhance = start()
    one_by_one = np.stack([enhance(f) for f in faces])
    assert one_by_one.shape == (3, 64, 64, 3)
    run = torch.from_numpy(faces).permute(0, 3, 1, 2)[None].float() / 255
    with torch.no_grad():
        whole = network(run)[0].clamp(0, 1).permute(0, 2, 3, 1).numpy() * 255
    assert np.abs(one_by_one - whole).max() <= 1.01
    assert np.array_equal(start()(faces[0]), one_by_one[0])


def test_gpen_sees_and_gives_pictures_of_its_own_range() -> None:
    class Echo(GPEN):
        def forward(self, faces: torch.Tensor) -> torch.Tensor:
            assert faces.shape == (1, 3, 64, 64) and faces.min() < -0.5 and faces.max() > 0.5
            return faces

    face = np.random.default_rng(4).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    again = gpen(Echo(64), 64)()(face)
    assert np.abs(again.astype(int) - face).max() <= 1


@dataclass
class Portrait:
    """Five frames of the portrait, tracked, and what is said."""

    plate: Plate
    track: FaceTrack
    sound: Dialogue
    box: tuple[int, int, int, int]

    def draw(self, out: Path, method: Method) -> tuple[np.ndarray, np.ndarray]:
        """The first frame before and after, 0-255."""
        render_baseline(self.plate, self.track, self.sound, out, method, key="k")
        color = ColorTransform.of_plate(self.plate)
        with open_plate(out) as made:
            assert len(made.info.frames) == 5
            new = made.read(made.info.frames.first).rgb * 255
        return color.tracking_picture(self.plate.read(1001).rgb).astype(float), new


@pytest.fixture(scope="module")
def portrait(
    portrait_plate: Path, spoken_line: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Portrait]:
    with open_plate(portrait_plate) as plate:
        frames = FrameRange(1001, 1005)
        tracks, _, _ = find_tracks(
            plate, frames, color=ColorTransform.of_plate(plate),
            cache=Cache(tmp_path_factory.mktemp("cache")), progress=lambda *_: None,
        )
        track = cover(tracks[0], frames)
        sound = fit_dialogue(load_dialogue(spoken_line), Fraction(5, 24))
        box = face_boxes(track, (640, 480))[0].astype(int)
        yield Portrait(plate, track, sound, tuple(box))


METHODS: dict[str, Callable[[], Method]] = {
    "wav2lip": lambda: wav2lip(Wav2Lip(Wav2LipConfig(divide=16)).eval()),
    "wav2lip_768": lambda: wav2lip(Wav2Lip(Wav2LipConfig(768, 16)).eval()),
    "wav2lip_tecogan": lambda: wav2lip(
        Wav2Lip(Wav2LipConfig(divide=16)).eval(), tecogan(TecoGAN().eval())
    ),
    "wav2lip_gpen": lambda: wav2lip(
        Wav2Lip(Wav2LipConfig(divide=16)).eval(), gpen(GPEN(16).eval(), 16)
    ),
    "lipgan": lambda: lipgan(LipGAN(LipGANConfig(divide=16)).eval()),
    "yousaidthat": lambda: yousaidthat(
        YouSaidThat(YouSaidThatConfig(divide=16)).eval(), YouSaidThatDeblur().eval()
    ),
}


@pytest.mark.parametrize("name", METHODS)
def test_a_shot_is_drawn_inside_the_face_alone(
    name: str, portrait: Portrait, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    old, new = portrait.draw(tmp_path / "out.mkv", METHODS[name]())
    x0, y0, x1, y1 = portrait.box
    changed = np.abs(new - old).max(axis=-1) > 12
    rows, columns = np.nonzero(changed)
    assert changed[y0:y1, x0:x1].mean() > (0.1 if name == "yousaidthat" else 0.5)
    assert rows.min() >= y0 - 2 and rows.max() <= y1 + 11
    assert columns.min() >= x0 - 2 and columns.max() <= x1 + 2


def test_a_video_is_changed_in_the_box_and_nowhere_else(
    portrait: Portrait, tmp_path: Path
) -> None:
    """Writers give back a video's own code values: what is new must reach them."""
    video = tmp_path / "plate.mkv"
    frames = portrait.track.frames
    with open_writer(
        video, portrait.plate.info, frames=frames, parameter_hash="p", deliver="video"
    ) as writer:
        for frame in portrait.plate.stream(frames):
            writer.write(frame, None)
    with open_plate(video) as plate:
        own = replace(portrait.track, frames=plate.info.frames)
        out = tmp_path / "out.mkv"
        render_baseline(plate, own, portrait.sound, out, METHODS["wav2lip"](), key="k")
        with open_plate(out) as made:
            pairs = [(plate.read(n).rgb, made.read(n).rgb) for n in plate.info.frames]
    x0, y0, x1, y1 = portrait.box
    for old, new in pairs:
        apart = np.abs(new - old).max(axis=-1)
        assert (apart[y0:y1, x0:x1] > 0.05).mean() > 0.5
        apart[y0 - 8 : y1 + 18, x0 - 8 : x1 + 8] = 0
        assert apart.max() == 0


def test_a_face_that_is_drawn_as_it_was_changes_nothing(portrait: Portrait, tmp_path: Path) -> None:
    """Alignment there and back, and the blend, are where they should be."""
    seen = portrait.plate.read(1001).rgb
    shown = ColorTransform.of_plate(portrait.plate).tracking_picture(seen)
    aligned = align(shown, portrait.track.transforms[0])
    assert aligned.shape == (112, 112, 3)

    class Echo(YouSaidThat):
        def forward(self, cepstra: torch.Tensor, faces: torch.Tensor) -> torch.Tensor:
            assert cepstra.shape == (1, 1, 12, 35) and faces.shape == (1, 15, 112, 112)
            return faces[:, :3, 1:110, 1:110] / 255

    old, new = portrait.draw(
        tmp_path / "out.mkv", yousaidthat(Echo(YouSaidThatConfig(divide=16)), None)
    )
    x0, y0, x1, y1 = portrait.box
    apart = np.abs(new - old)
    assert 0 < apart[y0:y1, x0:x1].mean() < 3
    assert np.abs(new - np.roll(old, 2, axis=0))[y0:y1, x0:x1].mean() > apart[y0:y1, x0:x1].mean()


def test_a_frame_without_a_face_is_an_error(portrait: Portrait, tmp_path: Path) -> None:
    lost = portrait.track.landmarks.copy()
    lost[2] = np.nan
    with pytest.raises(NoFaceError, match="need a face"):
        render_baseline(
            portrait.plate, track_of(lost), portrait.sound, tmp_path / "out.mkv",
            METHODS["wav2lip"](), key="k",
        )  # fmt: skip


def test_a_shot_knows_its_size_and_rate(portrait: Portrait) -> None:
    color = ColorTransform.of_plate(portrait.plate)
    shot = BaselineShot(portrait.plate, portrait.track, portrait.sound, color)
    assert shot.size == (640, 480) and shot.rate == 24
    assert shot.picture(1001).shape == (480, 640, 3)
