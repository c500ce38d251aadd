"""``lipcore data prepare``: videos to shards."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import click

from lipcore.cli.progress import BarListener, JsonListener
from lipcore.rates import parse_rate

_PATH = click.Path(path_type=Path)


def _rate(text: str) -> Fraction | None:
    if text == "native":
        return None
    return parse_rate(text)


@click.command("prepare")
@click.argument("sources", nargs=-1, required=True, type=_PATH, metavar="SOURCE...")
@click.option("--out", required=True, type=_PATH, help="The folder of shards.")
@click.option("--crop-px", default=768, show_default=True,
              help="Side of the canonical crops; the base recipes take 256.")
@click.option("--native/--no-native", default=True, show_default=True,
              help="Keep the crops at about the source's own size too.")
@click.option("--rate", default="25", show_default=True,
              help="Frames a second, or native. Sound is never stretched.")
@click.option("--shortest", default=5.0, show_default=True, help="Seconds of the shortest segment.")
@click.option("--longest", default=10.0, show_default=True, help="Seconds of the longest segment.")
@click.option("--val-share", default=0.15, show_default=True,
              help="Share of the people kept out of training.")
@click.option("--hold-out", multiple=True, metavar="NAME",
              help="A person who is kept out of training in any case; may be given again.")
@click.option("--identities", type=_PATH, metavar="FILE",
              help="Who is in which file: lines as interview_*.mp4,Ann.")
@click.option("--measure-sync/--no-measure-sync", default=True, show_default=True,
              help="Measure how far the sound lags, and whose mouth it fits.")
@click.option("--min-sync", default=0.25, show_default=True,
              help="Confidence of that measure below which a segment is left out.")
@click.option("--min-face-px", default=64, show_default=True, help="Least width of a face.")
@click.option("--min-sharpness", default=0.08, show_default=True,
              help="Least share of the face's contrast in its fine detail.")
@click.option("--max-yaw", default=45.0, show_default=True, help="Largest turn of the head.")
@click.option("--max-outside", default=0.05, show_default=True,
              help="Largest share of the face beyond the picture's edge.")
@click.option("--min-confidence", default=0.8, show_default=True,
              help="Least belief of the tracker, 0-1.")
@click.option("--min-light", default=45.0, show_default=True,
              help="Luma, 0-255, that the brightest twentieth of the face reaches.")
@click.option("--max-clipped", default=0.15, show_default=True,
              help="Largest share of the face that is burnt out.")
@click.option("--words", type=_PATH, metavar="LIST",
              help="Keep only segments in which a word of this text file is said.")
@click.option("--watermark", default="", metavar="TEXT",
              help="Put a few letters invisibly into every picture.")
@click.option("--fetched", type=_PATH, metavar="DIR",
              help="Where videos of addresses are kept.  [default: OUT/fetched]")
@click.option("--jobs", default=2, show_default=True, help="Processes.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines instead of a bar.")
def command(
    sources: tuple[Path, ...], out: Path, crop_px: int, native: bool, rate: str, shortest: float,
    longest: float, val_share: float, hold_out: tuple[str, ...], identities: Path | None,
    measure_sync: bool, min_sync: float, min_face_px: int, min_sharpness: float, max_yaw: float,
    max_outside: float, min_confidence: float, min_light: float, max_clipped: float,
    words: Path | None, watermark: str, fetched: Path | None, jobs: int, as_json: bool,
) -> None:  # fmt: skip
    """Find the faces that speak in each SOURCE, and keep crops, landmarks and sound.

    A SOURCE is a folder of videos, a video, or a list (.txt): a path or an address on each
    line, and behind a tab who speaks. Addresses are fetched by yt-dlp (pip install
    "lipcore[fetch]").

    The result is WebDataset tars with a manifest.json; rejected.json says what was left out,
    and why. What is finished is not made again: run the same command after an interruption.

    \b
    WHO SPEAKS. One person is on one side only, to train on or kept out. Who it is, by the
    first of these that tells: --identities; a manifest.json beside the clips
    ({"a.mp4": {"identity": "Ann", "use": "val", "offset_frames": 2}}); the list; the folder
    below SOURCE that the file lies in; its own name. Faces are not recognised: a person in
    two files that nothing names alike counts as two, and all faces of a file as one.

    \b
    SOUND. How far it lags is measured on segments of three seconds and more, and taken out.
    Where several faces are seen, the one whose mouth fits the sound best is kept.

    \b
    WORDS. A transcript beside the video (the same name with .json, .vtt, .srt or .txt) goes
    into the shard. One without times is used only where a segment is the whole file.
    """
    from lipcore.train.prepare import PrepareConfig, QualityBounds, prepare
    from lipcore.train.prepare.transcript import read_words

    config = PrepareConfig(
        crop_px=crop_px, margin_px=crop_px // 16, native=native, rate=_rate(rate),
        shortest_s=shortest, longest_s=longest, val_share=val_share, hold_out=hold_out,
        measure_sync=measure_sync, least_sync=min_sync,
        quality=QualityBounds(
            least_face_px=min_face_px, least_sharpness=min_sharpness, largest_yaw_deg=max_yaw,
            largest_outside=max_outside, least_confidence=min_confidence,
            least_light=min_light, largest_clipped=max_clipped,
        ),
        words=() if words is None else read_words(words), watermark=watermark,
    )
    with JsonListener() if as_json else BarListener() as listener:
        manifest = prepare(
            sources, out, config, identities=identities, fetched=fetched, jobs=jobs,
            tell=listener.log, progress=lambda done, of: listener.progress("parts", done, of),
        )
    sides = [c["split"] for c in manifest["clips"].values()]
    train, val = sides.count("train"), sides.count("val")
    if isinstance(listener, JsonListener):
        listener.emit(event="done", train=train, val=val)
    else:
        click.echo(f"{out}: {train} segments to train on, {val} kept out")
