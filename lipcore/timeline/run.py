"""Rendering the shots of a plan; what was finished is kept, whatever interrupted it."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import soundfile

from lipcore import __version__
from lipcore.cache import make_key
from lipcore.errors import FaceError
from lipcore.media.audio import fit_dialogue
from lipcore.media.locate import frame_path, locate_sequence
from lipcore.media.output_files import appearing, output_error
from lipcore.media.plate import open_plate
from lipcore.pipeline import RenderListener, RenderResult, render_shot
from lipcore.render_facts import frame_settings
from lipcore.shot import RenderConfig, Shot
from lipcore.synthesis.refine import check_refiner
from lipcore.timeline.outcome import (
    FIRST_FRAME,
    ShotOutcome,
    result_from_text,
    result_to_text,
)
from lipcore.timeline.plan import ShotPlan
from lipcore.timeline.retimed_plate import RetimedPlate
from lipcore.timeline.takes import shared_ranges
from lipcore.types import Dialogue
from lipcore.weights import find_weights

_SHORTEST_S = Fraction(1, 4)


def picture_of(shot: ShotPlan, out: Path) -> Path:
    """The pattern of a shot's rendered frames: in the take's format, TIFF for videos."""
    assert shot.media is not None
    own = shot.media.suffix.lower()
    suffix = own if own in (".exr", ".png", ".dpx") else ".exr" if own == ".sxr" else ".tif"
    return out / "shots" / shot.name / f"{shot.name}.####{suffix}"


def render_shots(
    shots: Sequence[ShotPlan],
    dub: Dialogue,
    rate: Fraction,
    out: Path,
    config: RenderConfig,
    listener: RenderListener,
) -> list[ShotOutcome]:
    """Render each shot that is planned for it; a shot without a usable face is passed through.

    Args:
        shots: The plan; a shot's ``problem`` is set where its face cannot be used.
        dub: The dialogue, its first sample at the timeline's first frame.
        rate: Record frames a second.
        out: Folder of the conform.
        config: How shots are rendered.
        listener: Told of progress.

    Returns:
        The shots that lie rendered in the folder, in record order: those of this run, and
        those kept from an earlier one.

    Raises:
        LipcoreError: See ``render_shot``; a later run goes on where this one ended.
    """
    weights = find_weights(config.weights)
    for shot in shots:  # what cannot work shall fail before the first one
        check_refiner(_config_of(shot, config), weights)
    outcomes = []
    tracked = shared_ranges(shots)
    for shot in shots:
        if shot.problem or shot.media is None:
            continue
        picture = picture_of(shot, out)
        sound = picture.parent / "dialogue.wav"
        if shot.kept:
            before = _result_before(picture)
            assert before is not None  # ``rendered_before`` has read it
            outcomes.append(ShotOutcome(shot, picture, before, sound, rate))
            continue
        listener.log(f"shot {shot.name}")
        try:
            picture.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise output_error(error, picture.parent) from error
        asked = _asked(shot, dub, rate, config)
        _finished(picture).unlink(missing_ok=True)
        with appearing(sound) as temporary:
            temporary.write_bytes(_cut_dialogue(shot, dub, rate))
        plate = RetimedPlate(
            open_plate(shot.media, missing=shot.missing_frame), shot.numbers, FIRST_FRAME, rate,
            tracked=tracked.get(shot.number),
        )  # fmt: skip
        try:
            result = render_shot(
                _spoken_by(shot, Shot(shot.media, sound)), _config_of(shot, config), picture,
                listener=listener, plate=plate,
            )
        except FaceError as error:
            shot.problem = error.message
            continue
        with appearing(_finished(picture)) as temporary:
            temporary.write_text(f"{asked}\n{result_to_text(result)}\n", encoding="utf-8")
        outcomes.append(ShotOutcome(shot, picture, result, sound, rate))
    return outcomes


def rendered_before(
    shot: ShotPlan, dub: Dialogue, rate: Fraction, out: Path, config: RenderConfig
) -> bool:
    """Whether an earlier run finished a shot: these frames, this dialogue, these settings."""
    if shot.problem or shot.media is None:
        return False
    picture = picture_of(shot, out)
    frames = range(FIRST_FRAME, FIRST_FRAME + len(shot.numbers))
    return (
        _result_before(picture) is not None
        and all(frame_path(picture, n).is_file() for n in frames)
        and _lines(_finished(picture))[0] == _asked(shot, dub, rate, config)
    )


def _result_before(picture: Path) -> RenderResult | None:
    """What an earlier run says of a shot that it finished."""
    try:
        return result_from_text(_lines(_finished(picture))[1], picture.parent)
    except (OSError, LookupError, ValueError, TypeError):
        return None


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def _spoken_by(shot: ShotPlan, plain: Shot) -> Shot:
    speaker = shot.settings.speaker
    return plain if speaker is None else replace(plain, speaker=speaker)


def _config_of(shot: ShotPlan, config: RenderConfig) -> RenderConfig:
    told = shot.settings
    config = replace(config, missing_frame=shot.missing_frame)
    if told.strength is not None:
        config = replace(config, strength=told.strength)
    if told.refine is not None:
        config = replace(config, refine=told.refine)
    if told.offset is not None:
        config = replace(config, offset_frames=told.offset)
    return config


def _finished(picture: Path) -> Path:
    """The file that is there once all frames of a shot are: a line of JSON on what they were
    made from, and one on what the render left behind."""
    return picture.parent / "finished.jsonl"


def _asked(shot: ShotPlan, dub: Dialogue, rate: Fraction, config: RenderConfig) -> str:
    chosen = _config_of(shot, config)
    said = {
        "media": str(shot.media), "numbers": list(shot.numbers), "speaker": shot.settings.speaker,
        "lipcore": __version__, "media_is": _stamp(shot.media), "weights": chosen.weights,
        "settings": {name: str(value) for name, value in frame_settings(chosen).items()},
        "dialogue": hashlib.sha256(_cut_dialogue(shot, dub, rate)).hexdigest(),
    }
    return json.dumps(said)


def _stamp(media: Path | None) -> str:
    """A hash of sizes and times of a take's files: a plate that was rendered anew is another."""
    assert media is not None
    found = locate_sequence(media)
    files = [media] if found is None else list(found.files.values())
    facts = [path.stat() for path in files]
    return make_key(*((f.st_size, f.st_mtime_ns) for f in facts))


def _cut_dialogue(shot: ShotPlan, dub: Dialogue, rate: Fraction) -> bytes:
    """The dub over a shot's record frames, as a WAV file."""
    first = (shot.segment.first - shot.lead) / rate
    lasts = max(Fraction(len(shot.numbers)) / rate, _SHORTEST_S)
    cut = fit_dialogue(dub, lasts, offset_s=-first)
    # 16 bits: a file of floats would carry the time of day, and so another hash.
    samples = np.clip(cut.samples, -1, 1)
    file = io.BytesIO()
    soundfile.write(file, samples, cut.sample_rate_hz, subtype="PCM_16", format="WAV")
    return file.getvalue()
