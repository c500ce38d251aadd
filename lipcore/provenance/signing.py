"""What a finished render's credentials state, and the signature on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

from lipcore.media.locate import locate_sequence
from lipcore.provenance.certificate import Identity
from lipcore.provenance.credentials import hash_content, hash_files, sign_outputs
from lipcore.render_facts import refined_text
from lipcore.shot import NO_WATERMARK, RenderConfig, Shot
from lipcore.types import FrameRange, PlateInfo


def sign_render(
    outputs: Sequence[Path],
    stem: Path,
    *,
    shot: Shot,
    config: RenderConfig,
    info: PlateInfo,
    frames: FrameRange,
    drawn: Sequence[int],
    settings: dict[str, object],
    identity: Identity,
    progress: Callable[[str, int, int], None],
) -> tuple[Path, ...]:
    """Sign a render that is complete.

    Args:
        outputs: The picture's files.
        stem: Of its sidecars.
        shot: What was rendered.
        config: How.
        info: The plate.
        frames: All that the picture consists of.
        drawn: Those with a new mouth, ascending.
        settings: Of the sidecar: weights and synthesis are taken from it.
        identity: Who signs.
        progress: Told of the stage ``hash``.

    Returns:
        Files that were written beside the picture.

    Raises:
        ProvenanceError, OutputError: It cannot be signed.
    """
    found = locate_sequence(shot.plate)
    plate_files = [shot.plate]
    if found is not None:
        wanted = frames if not info.source_frames else None
        plate_files = [
            path for number, path in found.files.items() if wanted is None or number in wanted
        ]
    total = len(plate_files) + len(outputs)
    voice = shot.dialogue or shot.shapes
    assert voice is not None  # checked by Shot
    facts: dict[str, object] = {
        "altered": "the mouth, drawn anew by trained networks to say another dialogue",
        "frames": str(frames),
        "altered_frames": spans(drawn),
        "plate": shot.plate.name,
        "plate_sha256": hash_files(plate_files, lambda n, _: progress("hash", n, total)),
        "plate_files": len(plate_files),
        "dialogue" if shot.dialogue is not None else "shapes": voice.name,
        "dialogue_sha256" if shot.dialogue is not None else "shapes_sha256": hash_content(voice),
        "weights": config.weights,
        "weights_sha256": settings["weights_sha256"],
        "synthesis": f"{settings['synthesis']}{refined_text(config.refine)}",
        "parameters": settings["parameters"],
        "watermark": "none" if config.watermark == NO_WATERMARK else config.watermark_method,
        "consent": config.consent,
        "self_signed": identity.self_signed,
    }
    return sign_outputs(
        outputs, stem, facts, identity,
        lambda n, _: progress("hash", len(plate_files) + n, total),
    )


def spans(numbers: Sequence[int]) -> list[str]:
    """Ascending frame numbers as ranges: 1, 2, 3, 7 is ``1-3`` and ``7``."""
    if not numbers:
        return []
    breaks = [i for i, (a, b) in enumerate(pairwise(numbers), 1) if b != a + 1]
    starts = [0, *breaks]
    ends = [*breaks, len(numbers)]
    return [str(FrameRange(numbers[a], numbers[b - 1])) for a, b in zip(starts, ends, strict=True)]
