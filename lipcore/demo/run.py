"""``make_demo``: plate and dialogue made on the spot, a render of them, before and after."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from scipy.signal import resample_poly

from lipcore.demo.compare import Comparison, write_comparison
from lipcore.demo.portrait import (
    FACE,
    FIRST_FRAME,
    MOUTH,
    RATE,
    CameraMove,
    remove_frames_outside,
    write_plate,
)
from lipcore.errors import ConfigError
from lipcore.media.exr_format import read_header
from lipcore.media.output_files import appearing
from lipcore.media.writers import PARAMETERS
from lipcore.pipeline import RenderListener, RenderResult, SilentListener, render_shot
from lipcore.shot import RenderConfig, Shot
from lipcore.speech.espeak import Voice, speak
from lipcore.types import FloatArray, FrameRange

DEFAULT_TEXT = "This mouth moves in every frame, and nobody moved it by hand."

DEMO_VOICE = Voice("en-us+f3", words_per_minute=165)
_SAMPLE_RATE_HZ = 48_000
_MARGIN_S = 0.3
"""Silence before and after the words."""
_LONGEST_S = 30


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What the demo left behind."""

    plate: Path
    """Pattern of the plate's frames."""
    dialogue: Path
    render: RenderResult
    movie: Path
    """Before and after, side by side, with the sound."""
    sheet: Path
    """The mouth before and after, over time."""


def make_demo(
    out: Path,
    text: str = DEFAULT_TEXT,
    *,
    config: RenderConfig | None = None,
    listener: RenderListener | None = None,
) -> DemoResult:
    """Make a portrait say a text, with nothing but what is installed.

    Args:
        out: Folder for everything; made if absent. What a former run of the same text left
            there is kept, what is left of another text is replaced.
        text: What to say, in English.
        config: How to render; ``overwrite`` is always on, as all of ``out`` is the demo's.
        listener: Told of progress and decisions.

    Returns:
        Where everything is.

    Raises:
        ConfigError: The text holds nothing to say, or more than 30 s.
        LipcoreError: As ``render_shot``.
    """
    listener = listener or SilentListener()
    sound = say(text)
    if len(sound) > _LONGEST_S * _SAMPLE_RATE_HZ:
        raise ConfigError(
            f"the text takes {len(sound) / _SAMPLE_RATE_HZ:.0f} s to say, and the demo takes "
            f"{_LONGEST_S} s at most",
            hint="Shorten it, or use lipcore render, which takes any length.",
        )
    frames = FrameRange(
        FIRST_FRAME, FIRST_FRAME + math.ceil(len(sound) * RATE / _SAMPLE_RATE_HZ) - 1
    )
    move = CameraMove(frames)
    plate = write_plate(
        out / "plate", move, progress=lambda n, m: listener.progress("plate", n, m)
    )
    dialogue = out / "dialogue.wav"
    with appearing(dialogue) as temporary:
        soundfile.write(temporary, sound, _SAMPLE_RATE_HZ, subtype="PCM_24")
    remove_frames_outside(out / "render", frames)
    shot = Shot(plate, dialogue)
    config = config or RenderConfig(overwrite=True)
    render = render_shot(shot, config, out / "render", listener=listener)
    movie, sheet = out / "before_after.mp4", out / "contact_sheet.png"
    write_comparison(
        Comparison(
            plate, out / "render", frames, dialogue,
            lambda n: move.place(FACE, n), lambda n: move.place(MOUTH, n),
        ),
        movie,
        sheet,
        key=read_header(render.outputs[0]).parts[0].text(PARAMETERS) or "",
        progress=lambda n, m: listener.progress("compare", n, m),
    )
    return DemoResult(plate, dialogue, render, movie, sheet)


def say(text: str, voice: Voice = DEMO_VOICE) -> FloatArray:
    """A text as sound, ``(samples,)`` at 48 kHz, with 0.3 s of silence at both ends.

    Raises:
        ConfigError: The text holds nothing to say.
        DependencyError: espeak-ng is not installed.
    """
    speech = speak(text, voice)
    divisor = math.gcd(_SAMPLE_RATE_HZ, speech.sample_rate_hz)
    words = resample_poly(
        speech.samples, _SAMPLE_RATE_HZ // divisor, speech.sample_rate_hz // divisor
    )
    loud = np.flatnonzero(np.abs(words) > 1e-3)
    if loud.size:
        words = words[loud[0] : loud[-1] + 1]
    silence = np.zeros(round(_MARGIN_S * _SAMPLE_RATE_HZ))
    out: FloatArray = np.concatenate([silence, words, silence]).astype(np.float32)
    return np.clip(out, -1, 1)
