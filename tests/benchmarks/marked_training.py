"""Does a network that learnt from marked crops carry the mark? (Section 3.3 of the paper.)

    python tests/benchmarks/marked_training.py --data REAL --data SYNTH --out FOLDER [--minutes 5]

REAL and SYNTH are prepared folders (`lipcore data prepare`, `lipcore data synth`) with people kept
out. Their crops are written anew three times: as they are, every crop marked by ``pattern`` all
over, and every crop marked by ``blocks`` (the library's scheme). `lipcore train vqgan_face` learns
from each for the same time, with crops in place (neither mirrored nor moved: the friendliest case
for a mark that is fixed to the face) and, with --augmented, as recipes do it too. Then crops of the
people kept out, without a mark, go through each network, and are searched:

pattern     score of a clip's frames, over the whole crop and under the mouth's matte alone, where
            `lipcore watermark detect` looks; needed: as the threshold says
blocks      share of right bits, and of frames with 7 bits of 8 right (the paper: half of them)
given       the same, where the crops that go in are marked: does a mark survive the network?
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import torch
import yaml
from lipcore.train.data import Clip, crops_to_tensor, load_clips
from lipcore.train.runfolder import RunFolder
from lipcore.train.shards import Picture, Segment, ShardWriter, write_manifest

from lipcore.models.checkpoint import load_network
from lipcore.models.vqgan import VQGAN
from lipcore.provenance.detect import BLOCK_SHARE, crop_matte
from lipcore.provenance.pattern import SIZE, Evidence, draw_pattern, threshold
from lipcore.provenance.watermark import decode, embed, text_bits
from lipcore.types import FloatArray

Mark = Literal["none", "pattern", "blocks"]
MARKS: tuple[Mark, ...] = ("none", "pattern", "blocks")
TEXT = "lipc"
FRAMES = 100
"""The most of a clip: four seconds at 25."""
RECIPE = {
    "network": {
        "crop_px": 256, "space_to_depth": 4, "channels": [48, 96], "encoder_blocks": 1,
        "decoder_blocks": 1, "attention_grids": [], "codes": 512, "latent_channels": 64,
    },
    "discriminator": {"channels": 16, "levels": 2},
    "adversarial_from": 1.0,
    "loop": {
        "batch_size": 4, "max_steps": 200_000, "learning_rate": 6.0e-4, "warmup_steps": 50,
        "ema_decay": 0.99, "threads": 1, "sample_steps": 100_000, "validate_steps": 100_000,
    },
}  # fmt: skip
IN_PLACE = {
    "flip": False, "resample": 0.0, "shift_px": 0.0, "exposure": 0.0, "tint": 0.0, "gamma": 0.0,
    "saturation": 0.0, "blur": 0.0,
}


def mark(picture: Picture, kind: Mark, margin: int) -> Picture:
    """A prepared crop, marked.

    Args:
        picture: (S + 2 * margin, S + 2 * margin, 3) sRGB.
        kind: How.
        margin: Pixels around the canonical crop; ``blocks`` leaves them.
    """
    if kind == "none":
        return picture
    size = len(picture) - 2 * margin
    if kind == "blocks":
        out = picture.copy()
        inner = slice(margin, margin + size)
        out[inner, inner] = embed(picture[inner, inner], text_bits(TEXT))
        return out
    drawn = cv2.resize(draw_pattern(TEXT), (size, size), interpolation=cv2.INTER_LINEAR)
    waves = np.pad(drawn, ((margin, margin), (margin, margin), (0, 0)), "wrap")
    return np.asarray(np.clip(picture / 255 + waves, 0, 1) * 255 + 0.5, np.uint8)


def write_marked(folders: Sequence[Path], kind: Mark, out: Path) -> None:
    """The crops of prepared folders, marked; one shard a clip."""
    if (out / "manifest.json").exists():
        return
    facts: dict[str, dict[str, object]] = {}
    sizes = (0, 0)
    for split in ("train", "val"):
        for number, clip in enumerate(load_clips(folders, split)):  # type: ignore[arg-type]
            count = min(clip.frames, FRAMES)
            key = f"{split}_{number:03d}"
            with ShardWriter(out, key) as writer:
                writer.add(Segment(
                    key, clip.rate,
                    (mark(clip.crops[i], kind, clip.margin_px) for i in range(count)),
                    clip.plate_landmarks[:count], clip.sample.array("transforms.npy")[:count],
                    np.zeros(0, np.float32),
                    {"identity": clip.identity, "split": split, "source": clip.name},
                ))  # fmt: skip
            facts |= writer.clips
            sizes = clip.crop_px, clip.margin_px
    write_manifest(out, facts, crop_px=sizes[0], margin_px=sizes[1])


def train(data: Path, out: Path, *, minutes: float, steps: int, augmented: bool) -> Path:
    """Train V_f by the command; gives its weights."""
    weights = out / "vqgan_face.safetensors"
    if not (out / "trained").exists():
        loop = {**RECIPE["loop"], "max_minutes": minutes}  # type: ignore[dict-item]
        if steps:
            loop = {**loop, "max_steps": steps, "max_minutes": 0.0, "warmup_steps": 1}
        recipe = {**RECIPE, "loop": loop, **({} if augmented else {"augment": IN_PLACE})}
        out.parent.mkdir(parents=True, exist_ok=True)
        file = out.parent / f"vqgan_face_{out.name}.yaml"
        file.write_text(yaml.safe_dump(recipe), "utf-8")
        resume = ["--resume"] if RunFolder(out).holds_run else []
        subprocess.run(
            [sys.executable, "-m", "lipcore", "train", "recipe", str(file), f"--data={data}",
             f"--out={out}", *resume], check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        (out / "trained").touch()
    return weights


@dataclass
class Reading:
    """What a clip's crops show of a mark."""

    whole_z: float
    mouth_z: float
    bits: float
    frames: float

    @property
    def found(self) -> list[str]:
        """By which rules it counts as marked."""
        rules = {"pattern, whole crop": self.whole_z >= threshold(),
                 "pattern, mouth": self.mouth_z >= threshold(),
                 "blocks": self.frames >= BLOCK_SHARE}  # fmt: skip
        return [name for name, holds in rules.items() if holds]


def read(crops: Sequence[Picture], mattes: Sequence[FloatArray]) -> Reading:
    """Look for both marks in a clip's crops.

    Args:
        crops: (S, S, 3) sRGB each.
        mattes: (128, 128) each.
    """
    whole, mouth = Evidence(), Evidence()
    bits = np.array(text_bits(TEXT))
    right = []
    for crop, matte in zip(crops, mattes, strict=True):
        small = cv2.resize(crop, (SIZE, SIZE), interpolation=cv2.INTER_AREA).astype(np.float32)
        whole.add(small / 255, np.ones((SIZE, SIZE), np.float32))
        mouth.add(small / 255, matte)
        right.append(float((decode(crop, len(bits)) == bits).mean()))
    return Reading(
        whole.score(TEXT).z, mouth.score(TEXT).z, float(np.mean(right)),
        float(np.mean(np.array(right) >= 0.875)),
    )


def through(network: VQGAN | None, crops: Sequence[Picture]) -> list[Picture]:
    """What a network makes of crops, through its codebook; None leaves them."""
    if network is None:
        return list(crops)
    made = []
    for crop in crops:
        with torch.inference_mode():
            latents = network.quantize(network.encode(crops_to_tensor([crop]))).latents
            out = network.decode(latents)[0].float()
        shown = ((out.clamp(-1, 1) + 1) * 127.5 + 0.5).permute(1, 2, 0)
        made.append(np.asarray(shown.numpy(), np.uint8))
    return made


def measure(network: VQGAN | None, clips: Sequence[Clip], given: Mark, every: int) -> list[Reading]:
    """Readings of the clips of people kept out, after a network."""
    found = []
    for clip in clips:
        inner = slice(clip.margin_px, clip.margin_px + clip.crop_px)
        numbers = range(0, min(clip.frames, FRAMES), every)
        crops = [mark(clip.crops[i], given, clip.margin_px)[inner, inner] for i in numbers]
        matrices = clip.sample.array("transforms.npy")
        mattes = [crop_matte(clip.plate_landmarks[i], matrices[i], 1.0) for i in numbers]
        found.append(read(through(network, crops), mattes))
    return found


def row(name: str, given: Mark, readings: Sequence[Reading]) -> dict[str, object]:
    """A line of the table."""
    def middle(values: Sequence[float]) -> float:
        return round(float(np.median(values)), 2)

    whole, mouth = [r.whole_z for r in readings], [r.mouth_z for r in readings]
    return {
        "learnt from": name, "given": given,
        "pattern, whole": f"{middle(whole)} ({max(whole):.2f})",
        "pattern, mouth": f"{middle(mouth)} ({max(mouth):.2f})",
        "bits right": middle([r.bits for r in readings]),
        "frames that match": middle([r.frames for r in readings]),
        "clips found": f"{sum(bool(r.found) for r in readings)} of {len(readings)}",
    }


def main() -> None:
    """Mark, train, search."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, action="append", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--steps", type=int, default=0, help="Instead of minutes.")
    parser.add_argument("--augmented", action="store_true")
    parser.add_argument("--every", type=int, default=1, help="Judge every so many frames.")
    args = parser.parse_args()
    ways = [False, True] if args.augmented else [False]
    kept_out = load_clips(args.data, "val")
    rows = [row("(no network)", given, measure(None, kept_out, given, args.every))
            for given in MARKS]  # fmt: skip
    for line in rows:
        print(json.dumps(line), flush=True)
    for augmented in ways:
        for kind in MARKS:
            data = args.out / f"data_{kind}"
            write_marked(args.data, kind, data)
            name = f"{kind}{', moved' if augmented else ''}"
            weights = train(
                data, args.out / f"{kind}{'_moved' if augmented else ''}", minutes=args.minutes,
                steps=args.steps, augmented=augmented,
            )
            network = load_network(weights, kind="vqgan_face")
            assert isinstance(network, VQGAN)
            for given in dict.fromkeys(("none", kind)):
                line = row(name, given, measure(network, kept_out, given, args.every))
                rows.append(line)
                print(json.dumps(line), flush=True)
    names = list(rows[0])
    print(f"\n| {' | '.join(names)} |\n|{'---|' * len(names)}")
    for line in rows:
        print(f"| {' | '.join(str(line[n]) for n in names)} |")
    print(f"needed of the pattern: {threshold():.2f}")


if __name__ == "__main__":
    main()
