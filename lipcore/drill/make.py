"""``make_drill``: a portrait says each word, and one page asks what it said.

The words are spoken by espeak-ng and drawn by ``render_shot`` like any shot; clips that were
made before are kept.
"""

from __future__ import annotations

import hashlib
import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt
import soundfile

from lipcore import __version__
from lipcore.cache import make_key
from lipcore.demo.run import DEMO_VOICE, say
from lipcore.drill.page import Question, drill_page
from lipcore.drill.words import look_alikes, read_words
from lipcore.media.output_files import appearing, output_error
from lipcore.pipeline import RenderListener, SilentListener, render_shot
from lipcore.shot import RenderConfig, Shot
from lipcore.speech.espeak import Voice
from lipcore.train.synth.portrait import ASTRONAUT, load_portrait
from lipcore.types import FloatArray, FrameRange

DEMO_PORTRAIT = Path(ASTRONAUT)
"""The public-domain portrait of the demo, where no file has that name."""

_FORM = 1
"""Of the clips; another number has those of an older version drawn again."""
_RATE = Fraction(25)
_SOUND_HZ = 48_000
_SIDE = 600
_FACE_SHARE = 0.52
"""Of the picture's height, brows to chin."""
_CRF = 20
_PLATE_CRF = "6"


@dataclass(frozen=True, slots=True)
class DrillResult:
    """What a drill left behind."""

    page: Path
    """One HTML file with all clips inside."""
    clips: tuple[Path, ...]
    """In the order of the words."""
    drawn: int
    """Clips that were not there before."""


def make_drill(
    words_file: Path,
    out: Path,
    *,
    portrait: Path = DEMO_PORTRAIT,
    voice: Voice = DEMO_VOICE,
    title: str = "Lip-reading drill",
    config: RenderConfig | None = None,
    listener: RenderListener | None = None,
) -> DrillResult:
    """Make a quiz page of silent clips.

    Args:
        words_file: A word or a short sentence a line.
        out: Folder for the page (``index.html``) and its clips; made if absent.
        portrait: A photograph of one face.
        voice: Says the words.
        title: Of the page.
        config: How to render; ``deliver`` is always video.
        listener: Told of progress and decisions.

    Raises:
        ConfigError: The words cannot be used, or nothing in one of them can be said.
        MediaError, FaceError: The portrait is absent, or shows no face to work with.
        OutputError: The folder cannot be written.
    """
    listener = listener or SilentListener()
    words = read_words(words_file)
    alike = look_alikes(words, voice)
    picture = frame_face(portrait)
    digest = hashlib.sha256(picture.tobytes()).hexdigest()
    try:
        (out / "clips").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(error, out) from error
    clips = tuple(
        out / "clips" / f"{make_key(_FORM, __version__, digest, voice, word)}.mp4"
        for word in words
    )
    missing = [k for k, clip in enumerate(clips) if not clip.is_file()]
    if missing:
        _draw(picture, [(words[k], clips[k]) for k in missing], voice, config, listener)
    questions = [
        Question(word, clip.read_bytes(), tuple(sorted(alike[k])))
        for k, (word, clip) in enumerate(zip(words, clips, strict=True))
    ]
    page = out / "index.html"
    with appearing(page) as temporary:
        temporary.write_text(drill_page(title, questions), encoding="utf-8")
    return DrillResult(page, clips, len(missing))


def frame_face(portrait: Path) -> npt.NDArray[np.uint8]:
    """The face of a photograph in a square of 600 pixels, ``(600, 600, 3)`` sRGB.

    Raises:
        MediaError, FaceError: It is absent, no picture, or shows no face to work with.
    """
    picture, landmarks = load_portrait(portrait).views[0]
    points = landmarks[:, :2]
    low, high = points.min(axis=0), points.max(axis=0)
    side = min(float(high[1] - low[1]) / _FACE_SHARE, *map(float, picture.shape[:2]))
    height, width = picture.shape[:2]
    # A little above the middle of the face, so that hair and chin have equal room.
    x, y = (low + high) / 2 - (0, 0.06 * side)
    left = round(min(max(x - side / 2, 0), width - side))
    top = round(min(max(y - side / 2, 0), height - side))
    cut = picture[top : top + round(side), left : left + round(side)]
    shrinks = side > _SIDE
    shown = cv2.resize(
        cut, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    )
    return np.ascontiguousarray(shown).astype(np.uint8)


def _draw(
    picture: npt.NDArray[np.uint8],
    wanted: Sequence[tuple[str, Path]],
    voice: Voice,
    config: RenderConfig | None,
    listener: RenderListener,
) -> None:
    """Draw the clips of some words, all from one still plate."""
    sounds = [say(word, voice) for word, _ in wanted]
    counts = [math.ceil(len(sound) * _RATE / _SOUND_HZ) for sound in sounds]
    config = config or RenderConfig(codec="h264", overwrite=True)
    with tempfile.TemporaryDirectory(prefix="lipcore-drill-") as name:
        folder = Path(name)
        plate = folder / "plate.mp4"
        _write_plate(plate, picture, max(counts))
        for done, ((_, clip), sound, count) in enumerate(zip(wanted, sounds, counts, strict=True)):
            listener.progress("clips", done, len(wanted))
            dialogue = folder / f"{done}.wav"
            soundfile.write(dialogue, sound, _SOUND_HZ, subtype="PCM_16")
            shot = Shot(plate, dialogue, frames=FrameRange(1, count))
            rendered = render_shot(shot, config, folder / f"{done}.mp4")
            _write_clip(rendered.outputs[0], sound, clip)
        listener.progress("clips", len(wanted), len(wanted))


def _write_plate(path: Path, picture: npt.NDArray[np.uint8], count: int) -> None:
    with av.open(str(path), "w") as file:
        stream = file.add_stream(
            "libx264", rate=_RATE, options={"crf": _PLATE_CRF, "preset": "veryfast"}
        )
        stream.width = stream.height = _SIDE
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.color_primaries = context.color_trc = context.colorspace = 1
        context.color_range = 1
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(
            format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG"
        )
        for number in range(count):
            frame.pts, frame.time_base = number, 1 / _RATE
            file.mux(stream.encode(frame))
        file.mux(stream.encode())


def _write_clip(rendered: Path, sound: FloatArray, out: Path) -> None:
    """The picture as the page shows it: small, ready to play, with the word for afterwards."""
    with (
        appearing(out) as temporary, av.open(str(rendered)) as source,
        av.open(str(temporary), "w", options={"movflags": "+faststart"}) as target,
    ):
        picture = target.add_stream(
            "libx264", rate=_RATE, options={"crf": str(_CRF), "preset": "slow"}
        )
        picture.width = picture.height = _SIDE
        picture.pix_fmt = "yuv420p"
        was = source.streams.video[0].codec_context
        for tag in ("color_primaries", "color_trc", "colorspace", "color_range"):
            setattr(picture.codec_context, tag, getattr(was, tag))
        voice = target.add_stream("aac", rate=_SOUND_HZ, layout="mono")
        voice.bit_rate = 96_000
        for number, frame in enumerate(source.decode(video=0)):
            shown = frame.reformat(format="yuv420p")
            shown.pts, shown.time_base, shown.pict_type = number, 1 / _RATE, 0
            target.mux(picture.encode(shown))
        target.mux(picture.encode())
        said = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(sound[None]), format="fltp", layout="mono"
        )
        said.sample_rate, said.pts = _SOUND_HZ, 0
        for part in av.AudioResampler("fltp", "mono", _SOUND_HZ, 1024).resample(said):
            target.mux(voice.encode(part))
        target.mux(voice.encode())
