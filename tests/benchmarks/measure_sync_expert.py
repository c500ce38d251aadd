"""How well a sync expert tells sound that fits from sound that does not: the model card's figures.

Run on prepared folders, of `lipcore data prepare` or `lipcore data synth`:

    python tests/benchmarks/measure_sync_expert.py SHARDS... [--weights base]
        [--expert FILE] [--split val] [--pairs 400] [--nearest 2] [--seed 0]

Each person gets the same number of pairs of a run of T frames (T is the expert's own) and as
long a piece of sound: half of them fit, half have sound of the same clip from `--nearest`
frames away or more. A pair is called right where the cosine of the two embeddings is above 0,
as in training. A person's clips are drawn by their length. The second figure slides the sound
along each whole clip: how far the best place is from the true one.

Kinds of people: `synthetic` heads, photographs (`portrait`), and `real` footage.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from lipcore.train.data import Clip, load_clips
from lipcore.train.latents import LatentClip, encode_clips
from lipcore.train.sync_offset import measure_offset

from lipcore.models.checkpoint import load_network
from lipcore.models.sync_expert import SyncExpert
from lipcore.models.vqgan import VQGAN
from lipcore.weights import find_weights

_BATCH = 32


@dataclass(frozen=True)
class Scored:
    """What was measured of one person."""

    person: str
    kind: str
    clips: int
    fitting: float
    """Share of the fitting pairs that were called right."""
    moved: float
    """Share of the others that were called wrong."""
    offsets: tuple[int, ...]
    """Of each clip, in frames; the true one is 0."""

    @property
    def accuracy(self) -> float:
        """Of both, which are as many."""
        return (self.fitting + self.moved) / 2


def kind_of(clip: Clip) -> str:
    """Synthetic, portrait or real."""
    source = json.loads(bytes(clip.sample.bytes_of("json")))["source"]
    return source if source in ("synthetic", "portrait") else "real"


@torch.no_grad()
def cosines(expert: SyncExpert, item: LatentClip) -> np.ndarray:
    """(firsts, firsts): each run of mouths against each piece of sound."""
    length, steps = expert.config.frames, expert.config.mel_steps
    firsts = range(item.clip.frames - length + 1)
    seen, heard = [], []
    for start in range(0, len(firsts), _BATCH):
        part = firsts[start : start + _BATCH]
        runs = torch.stack([item.face[i : i + length].float() for i in part])
        sounds = torch.cat([item.window(i + (length - 1) / 2, steps) for i in part])
        seen.append(expert.embed_mouths(runs))
        heard.append(expert.embed_sound(sounds))
    return (torch.cat(seen) @ torch.cat(heard).t()).numpy()


def score(
    person: str, items: list[LatentClip], expert: SyncExpert, pairs: int, nearest: int, seed: int
) -> Scored:
    """Balanced pairs of one person."""
    tables = [cosines(expert, item) for item in items]
    rng = np.random.default_rng(seed)
    share = np.array([len(t) for t in tables], np.float64)
    right = {True: 0, False: 0}
    for number in range(pairs):
        table = tables[rng.choice(len(tables), p=share / share.sum())]
        fits = number % 2 == 0
        first = heard = int(rng.integers(len(table)))
        if not fits:
            places = np.arange(len(table))
            heard = int(rng.choice(places[np.abs(places - first) >= nearest]))
        right[fits] += (table[first, heard] > 0) == fits
    offsets = [
        measure_offset(expert, item.face, item.clip.sound, float(item.clip.rate)) for item in items
    ]
    return Scored(
        person, kind_of(items[0].clip), len(items), right[True] / (pairs / 2),
        right[False] / (pairs / 2), tuple(o.frames for o in offsets if o is not None),
    )  # fmt: skip


def usable(item: LatentClip, expert: SyncExpert, nearest: int) -> bool:
    """It has sound, and from each of its runs another is far enough away."""
    runs = item.clip.frames - expert.config.frames + 1
    return item.mel.shape[1] > 0 and runs > 2 * nearest


def main() -> None:
    """Print a row a person, and the mean of each kind."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shards", nargs="+", type=Path)
    parser.add_argument("--weights", default="base", help="a name, or a folder of weights")
    parser.add_argument("--expert", type=Path, help="another expert on the same V_f")
    parser.add_argument("--split", choices=("val", "train"), default="val")
    parser.add_argument("--pairs", type=int, default=400, help="of each person")
    parser.add_argument("--nearest", type=int, default=2, help="frames to sound that is wrong")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.pairs < 2 or options.pairs % 2 or options.nearest < 1:
        parser.error("--pairs is an even number, --nearest 1 or more")
    weights = find_weights(options.weights)
    face = load_network(weights.file("vqgan_face"), kind="vqgan_face")
    path = options.expert or weights.file("sync_expert")
    expert = load_network(path, kind="sync_expert")
    assert isinstance(face, VQGAN) and isinstance(expert, SyncExpert)
    clips = load_clips(options.shards, options.split)
    if clips[0].crop_px != face.config.crop_px:
        parser.error(f"the shards hold {clips[0].crop_px} px crops, and V_f takes "
                     f"{face.config.crop_px}")  # fmt: skip
    people: dict[str, list[LatentClip]] = defaultdict(list)
    for item in encode_clips(clips, face, None, None):
        if usable(item, expert, options.nearest):
            people[item.clip.identity].append(item)
    if not people:
        parser.error("no clip has sound and is long enough")
    print(f"{path}: T = {expert.config.frames}, {options.pairs} pairs a person, wrong sound "
          f"{options.nearest} frames away or more, split {options.split}\n")  # fmt: skip
    print("| person | kind | clips | fits: called right | moved: called wrong | accuracy | "
          "offsets found |\n|---|---|---|---|---|---|---|")  # fmt: skip
    rows = []
    for person, items in sorted(people.items()):
        row = score(person, items, expert, options.pairs, options.nearest, options.seed)
        rows.append(row)
        print(f"| {row.person} | {row.kind} | {row.clips} | {row.fitting:.1%} | {row.moved:.1%} | "
              f"{row.accuracy:.1%} | {', '.join(map(str, row.offsets))} |", flush=True)  # fmt: skip
    for kind in sorted({row.kind for row in rows}):
        mine = [row for row in rows if row.kind == kind]
        found = [offset for row in mine for offset in row.offsets]
        exact, near = found.count(0), sum(abs(offset) <= 1 for offset in found)
        fits, moved, both = np.mean([(r.fitting, r.moved, r.accuracy) for r in mine], axis=0)
        print(f"| mean of {len(mine)} | {kind} | {sum(r.clips for r in mine)} | {fits:.1%} | "
              f"{moved:.1%} | {both:.1%} | {exact} of {len(found)} at 0, {near} within 1 |")


if __name__ == "__main__":
    main()
