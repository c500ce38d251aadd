"""One part of one file: track, cut, measure, choose, write."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, field, replace
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from lipcore.errors import FaceError, MediaUnreadableError, NoAudioError, TrainingError
from lipcore.media.audio import SAMPLE_RATE_HZ, load_dialogue, shift_sound
from lipcore.media.color import ColorTransform
from lipcore.media.plate import Plate, open_plate
from lipcore.provenance.watermark import embed, smallest_side, text_bits
from lipcore.tracking.align import crop_window, sample
from lipcore.tracking.tracker import TrackingConfig, track_plate
from lipcore.types import FloatArray, Frame, FrameRange

from ..shards import Picture, Segment, ShardWriter, encode_picture
from ..sync_offset import SyncMeter
from .quality import MEASURED_PX, PictureMeter, figures, measure_face, reasons
from .settings import PrepareConfig
from .sources import Rejected, Source
from .spans import Span, cut_spans, stretches
from .speaker import AUDIO_RATE, Candidate, Settled, has_rivals, settle
from .transcript import Transcript, find_transcript, read_transcript, words_of

_VERSION = 1
"""Goes up when the same file and settings would give another shard."""
_TOLD_S = 1
"""Stretches that are too short are listed from this length on."""
_SAMPLED_BYTES = 1 << 20
_SMALLEST_NATIVE_PX, _LARGEST_NATIVE_PX = 32, 2160


@dataclass(frozen=True, slots=True)
class Part:
    """A minute or so of a file, prepared on its own."""

    source: Source
    number: int
    """From 0."""
    of: int

    @property
    def key(self) -> str:
        """Stem of its shard; its samples begin with it."""
        return f"{self.source.key}_p{self.number + 1}" if self.number else self.source.key

    @property
    def name(self) -> str:
        """For people."""
        more = f" (part {self.number + 1} of {self.of})" if self.of > 1 else ""
        return f"{self.source.name}{more}"

    def frames(self, plate: FrameRange, rate: Fraction, part_s: float) -> FrameRange | None:
        """Its frames; the last part goes to the end. None where the file ends before."""
        first, last = (plate.first + round(n * part_s * rate) for n in (self.number,
                                                                       self.number + 1))
        end = plate.last if self.number == self.of - 1 else min(plate.last, last - 1)
        return FrameRange(first, end) if first <= end else None


@dataclass(slots=True)
class Outcome:
    """What became of a part."""

    clips: dict[str, dict[str, Any]] = field(default_factory=dict)
    rejected: list[Rejected] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def fingerprint(part: Part, config: PrepareConfig, meter: SyncMeter) -> str:
    """Changes with all that a part's shard depends on."""
    source = part.source
    transcript = find_transcript(source.path)
    made_from = [
        _VERSION, _content(source.path), part.number, part.of, source.name, source.identity,
        source.split, source.offset_frames,
        None if transcript is None else [transcript.suffix, _content(transcript)],
        [str(value) for value in astuple(replace(config, val_share=0.0, hold_out=()))],
        meter.digest if config.measure_sync else None,
    ]
    return hashlib.sha256(json.dumps(made_from).encode()).hexdigest()[:16]


def prepare_part(
    part: Part, out: Path, config: PrepareConfig, meter: SyncMeter, made_from: str
) -> Outcome:
    """Write the shard of a part.

    Raises:
        MediaError, DialogueError, FaceError, TrainingError: Nothing of it can be used; the
            message says why.
        OutputError: The folder cannot be written.
    """
    source, outcome = part.source, Outcome()
    with open_plate(source.path) as plate:
        frames = part.frames(plate.info.frames, plate.info.rate, config.part_s)
        if frames is None:
            return outcome
        middle = plate.read((frames.first + frames.last) // 2)
        color = ColorTransform.for_plate(plate.info.colorspace, middle.thinned(8, 8))
        work = _Work(part, plate, color, config, meter, outcome)
        spans = work.find_spans(frames)
        sound = _sound_of_file(source.path)
        transcript = work.read_transcript()
        candidates = [c for span in spans if (c := work.judge(span, spans, sound)) is not None]
        kept, left_out = settle(candidates, source.offset_frames, config)
        for span, reason in left_out:
            work.reject(span, reason)
        facts = {
            "identity": source.identity, "split": source.split, "source": source.name,
            "made_from": made_from,
            "plate_px": [plate.info.display.width, plate.info.display.height],
            "plate_rate": str(plate.info.rate),
        }
        if config.watermark:
            facts["watermark"] = config.watermark
        with ShardWriter(out, part.key) as writer:
            for one in kept:
                heard = work.heard(one, transcript)
                if heard is None:
                    continue
                number = len(writer.clips)
                key = f"{part.key}_{number + 1}" if number else part.key
                writer.add(work.segment(key, one, sound, {**facts, **heard}))
    outcome.clips = writer.clips
    return outcome


@dataclass(frozen=True, slots=True)
class _Work:
    """What the steps of a part share."""

    part: Part
    plate: Plate
    color: ColorTransform
    config: PrepareConfig
    meter: SyncMeter
    outcome: Outcome

    def reject(self, span: Span, reason: str) -> None:
        """Note a segment that is left out."""
        self.outcome.rejected.append({
            "source": self.part.source.name, "frames": str(span.frames),
            "face": f"{span.track.track_id}", "reason": reason,
        })

    def find_spans(self, frames: FrameRange) -> list[Span]:
        """Segments of all faces.

        Raises:
            FaceError: No face is seen for long enough.
        """
        c, info = self.config, self.plate.info
        # Small faces are looked for in tiles of 13 times their width, seen with 192 pixels: with
        # the usual 64 pixels, 4K is searched at a quarter of its size.
        tracks = track_plate(
            self.plate, frames, color=self.color,
            config=TrackingConfig(min_face_px=c.quality.least_face_px),
        )
        spans: list[Span] = []
        for track in tracks:
            for stretch in stretches(track):
                found = list(cut_spans(track, stretch, info.frames.first, info.rate, c))
                spans += found
                seconds = len(stretch) / info.rate
                if not found and seconds >= _TOLD_S:
                    numbers = np.arange(stretch.first, stretch.last + 1)
                    short = Span(track, numbers, info.rate, Fraction(0))
                    self.reject(short, f"the face is seen for {float(seconds):.1f} s only "
                                f"({c.shortest_s:g} s are asked for)")
        if not spans and not self.outcome.rejected:
            raise FaceError(f"the face is never seen for {c.shortest_s:g} s together")
        return spans

    def judge(self, span: Span, spans: Sequence[Span], sound: FloatArray) -> Candidate | None:
        """Look at a segment: None, and a reason noted, where it is not good enough."""
        c, stated = self.config, self.part.source.offset_frames
        bounds = measure_face(span, self.plate.info.display, c.quality)
        if reason := reasons(bounds):
            self.reject(span, reason)
            return None
        matrices = span.track.transforms[span.rows]
        pictures = PictureMeter()
        crops: list[Picture] = []
        measured = c.measure_sync and len(sound) and (stated is None or has_rivals(span, spans))
        for matrix, frame in zip(matrices, _frames(self.plate, span), strict=True):
            (crop,) = _cut(frame, self.color, matrix, ((MEASURED_PX, 0.0),))
            pictures.look(crop)
            if measured:
                crops.append(crop)
        bounds += pictures.bounds(c.quality)
        if reason := reasons(bounds):
            self.reject(span, reason)
            return None
        found = None
        if measured:
            own = _sound_of(sound, span, 0.0)
            found = self.meter.measure(crops, own, float(span.rate))
        facts = figures(bounds)
        facts["faces"] = 1 + len({s.track.track_id for s in spans if has_rivals(span, [s])})
        return Candidate(span, found, facts)

    def read_transcript(self) -> Transcript | None:
        """The file's transcript, if it has one; one that cannot be read is only a note, unless
        words are asked for."""
        path = find_transcript(self.part.source.path)
        if path is None:
            return None
        try:
            return read_transcript(path)
        except MediaUnreadableError as error:
            if self.config.words:
                raise
            self.outcome.notes.append(str(error))
            return None

    def heard(self, one: Settled, transcript: Transcript | None) -> dict[str, Any] | None:
        """Facts of what is said; None, and a reason noted, where it is none of the words."""
        c, span = self.config, one.candidate.span
        text = None
        if transcript is not None:
            info = self.plate.info
            late = one.offset_frames / AUDIO_RATE
            text = transcript.between(
                float(span.start_s) + late, float(span.end_s) + late,
                float(len(info.frames) / info.rate),
            )
        facts: dict[str, Any] = {} if text is None else {"transcript": text}
        if not c.words:
            return facts
        if text is None:
            self.reject(span, "no transcript tells which words are said")
            return None
        said = set(words_of(text)) & set(c.words)
        if not said:
            self.reject(span, f"none of the {len(c.words)} words asked for is said")
            return None
        return {**facts, "words": sorted(said)}

    def segment(
        self, key: str, one: Settled, sound: FloatArray, facts: dict[str, Any]
    ) -> Segment:
        """All of a segment that stays."""
        c, span = self.config, one.candidate.span
        matrices = span.track.transforms[span.rows]
        margin = c.margin_px / c.crop_px
        sizes = [(c.crop_px + 2 * c.margin_px, margin)]
        if c.native:
            least = smallest_side(len(text_bits(c.watermark)))
            sizes.append((max(least, _native_side(matrices, margin)), margin))
        kept: list[list[bytes]] = [[] for _ in sizes]
        for matrix, frame in zip(matrices, _frames(self.plate, span), strict=True):
            for data, picture in zip(
                kept, _cut(frame, self.color, matrix, sizes), strict=True
            ):
                if c.watermark:
                    picture = embed(picture, text_bits(c.watermark))
                data.append(encode_picture(picture))
        more: dict[str, Any] = {"start_s": round(float(span.start_s), 3)}
        if c.native:
            more["native_px"] = sizes[1][0]
        if one.candidate.sound is not None:
            more["sync_confidence"] = round(one.candidate.confidence, 3)
        return Segment(
            key=key, rate=span.rate, crops=kept[0], native=kept[1] if c.native else None,
            landmarks=span.track.landmarks[span.rows], transforms=matrices,
            sound=_sound_of(sound, span, one.offset_frames),
            facts={**facts, **more, **one.candidate.facts, "offset_frames": one.offset_frames},
        )


def _frames(plate: Plate, span: Span) -> Iterator[Frame]:
    """The frames of a segment; one that stands twice is decoded once."""
    wanted = iter(span.numbers.tolist())
    number = next(wanted, None)
    for frame in plate.stream(span.frames):
        while number == frame.number:
            yield frame
            number = next(wanted, None)


def _cut(
    frame: Frame, color: ColorTransform, matrix: FloatArray, sizes: Sequence[tuple[int, float]]
) -> list[Picture]:
    """Canonical crops of a frame, each of a side in pixels that holds a margin (a share of the
    crop's side) all around."""
    widest = max(margin for _, margin in sizes)
    near = crop_window(matrix, widest + 0.1).intersect(frame.window)
    if not near.width or not near.height:  # the face has left the picture
        near = frame.window
    shown = color.tracking_picture(frame.part(near)).astype(np.float32)
    pictures = []
    for side, margin in sizes:
        wider = matrix.astype(np.float64) / (1 + 2 * margin)
        wider[:, 2] += margin / (1 + 2 * margin)
        picture = sample(shown, near, wider.astype(np.float32), side)
        pictures.append(picture.round().clip(0, 255).astype(np.uint8))
    return pictures


def _native_side(matrices: FloatArray, margin: float) -> int:
    """Side of the crop with its margin at which its pixels are about the plate's; even."""
    spanned = float(np.median(np.abs(np.linalg.det(matrices[:, :, :2])) ** -0.5))
    side = 2 * round(spanned * (1 + 2 * margin) / 2)
    return int(np.clip(side, _SMALLEST_NATIVE_PX, _LARGEST_NATIVE_PX))


def _sound_of(sound: FloatArray, span: Span, offset_frames: float) -> FloatArray:
    """The sound of a segment, its offset to the picture taken out, exactly as long."""
    start = -span.start_s - Fraction(offset_frames).limit_denominator(1000) / AUDIO_RATE
    if not len(sound):
        return sound
    moved: FloatArray = shift_sound(sound[None], SAMPLE_RATE_HZ, start)[0]
    length = round(span.seconds * SAMPLE_RATE_HZ)
    return np.pad(moved[:length], (0, max(0, length - len(moved))))


@lru_cache(maxsize=1)
def _sound_of_file(path: Path) -> FloatArray:
    """The whole sound of a file, kept for its next part; empty where there is none."""
    try:
        return load_dialogue(path).samples
    except NoAudioError:
        return np.zeros(0, np.float32)


def _content(path: Path) -> str:
    """Size, begin and end of a file."""
    digest = hashlib.blake2b(digest_size=12)
    try:
        size = path.stat().st_size
        digest.update(str(size).encode())
        with path.open("rb") as file:
            digest.update(file.read(_SAMPLED_BYTES))
            file.seek(max(0, size - _SAMPLED_BYTES))
            digest.update(file.read(_SAMPLED_BYTES))
    except OSError as error:
        raise TrainingError(f"cannot be read ({error})") from error
    return digest.hexdigest()
