"""``lipcore watermark``: is a text's mark in these faces?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lipcore.errors import ConfigError
from lipcore.shot import WATERMARK
from lipcore.types import FrameRange

if TYPE_CHECKING:
    from lipcore.provenance.detect import Finding


@click.group("watermark")
def command() -> None:
    """Invisible marks that `lipcore render --watermark TEXT` leaves in new mouths."""


@command.command("detect")
@click.argument("video", type=click.Path(path_type=Path))
@click.option("--text", "texts", multiple=True, default=[WATERMARK], show_default=True,
              help="What was given to --watermark; may be repeated.")
@click.option("--frames", metavar="FIRST-LAST", help="Frames to search. Default: all.")
@click.option("--method", type=click.Choice(["pattern", "both"]), default="pattern",
              show_default=True, help="both: read bits as well (slow; wants the extra watermark).")
@click.option("--cache", type=click.Path(path_type=Path), help="Folder for what was tracked.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line on stdout.")
@click.option("--debug", is_flag=True, hidden=True)
def detect(
    video: Path, texts: tuple[str, ...], frames: str | None, method: str, cache: Path | None,
    as_json: bool, debug: bool,
) -> None:  # fmt: skip
    """Look for a text's mark in the faces of VIDEO, or of an image sequence.

    The picture may have been compressed, scaled or cropped since. Each face is a line; the
    chance that it says is that of a score like this where no mark is.
    """
    if not all(text.strip() for text in texts):
        raise ConfigError("the text of a watermark is empty", hint="Give --text what was marked.")
    asked = None if frames is None else FrameRange.parse(frames)
    from lipcore.cache import Cache
    from lipcore.cli.progress import BarListener, JsonListener
    from lipcore.media.plate import open_plate
    from lipcore.pipeline import choose_frames
    from lipcore.provenance.detect import detect_watermarks
    from lipcore.shot import Shot

    listener = JsonListener() if as_json else BarListener()
    with open_plate(video) as plate, listener:
        span = choose_frames(Shot(video, video, frames=asked), plate)
        findings = detect_watermarks(
            plate, span, list(dict.fromkeys(texts)), cache=Cache(cache),
            blocks=method == "both", progress=listener.progress,
        )
    if isinstance(listener, JsonListener):
        for finding in findings:
            listener.emit(event="face", **finding.as_dict())
        listener.emit(event="done", found=any(f.method for f in findings))
        return
    for finding in findings:
        click.echo(_describe(finding))


def _describe(finding: Finding) -> str:
    text = json.dumps(finding.text, ensure_ascii=False)
    score = f"score {finding.z:.1f} of {finding.threshold:.1f} needed"
    bits = "" if finding.block_share is None else f", bits in {finding.block_share:.0%} of frames"
    if finding.method is None:
        return f"track:{finding.track_id}  no mark {text} ({score}{bits})"
    by = f" in frames {finding.frames}, chance {finding.chance:.0e}"
    return (
        f"track:{finding.track_id}  MARKED {text}, {finding.method} ({score}"
        f"{by if finding.method == 'pattern' else ''}{bits})"
    )
