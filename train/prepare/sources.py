"""Which files are prepared, under which names, whose they are, and who is kept out."""

from __future__ import annotations

import csv
import difflib
import fnmatch
import hashlib
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lipcore.config import from_mapping
from lipcore.errors import ConfigError, MediaNotFoundError, TrainingError

from .fetch import read_list
from .settings import PrepareConfig

SUFFIXES = {".mp4", ".mov", ".mkv", ".avi", ".mpg", ".mpeg", ".mxf", ".webm", ".m4v", ".ts"}
LISTS = {".txt", ".list", ".urls"}
MANIFEST = "manifest.json"

Tell = Callable[[str], None]
"""Called with a line for each thing that is done or left out, and why."""
Rejected = dict[str, str]
"""``source``, ``reason``, and of a segment ``frames`` and ``face``."""


@dataclass(frozen=True, slots=True)
class ClipFacts:
    """What an optional ``manifest.json`` beside the clips says of one; the rest of its keys
    (rights, notes) is for people."""

    identity: str = ""
    """Who speaks; the name of the folder, or the clip's own, where it is not said."""
    use: Literal["train", "val", "test"] | None = None
    """``test`` clips are never read; ``train`` and ``val`` overrule the share, for all clips of
    the person."""
    offset_frames: float | None = None
    """Frames, 25 a second, by which the sound lags the picture; it is moved earlier. None:
    measured."""


@dataclass(frozen=True, slots=True)
class Source:
    """One video file to prepare."""

    path: Path
    name: str
    """What reports and lists of rejected ones call it: its path below SOURCE, or its address."""
    key: str
    """What its shards and samples are called."""
    identity: str
    split: Literal["train", "val"]
    offset_frames: float | None


@dataclass(frozen=True, slots=True)
class _Found:
    path: Path
    name: str
    facts: ClipFacts
    owner: str = ""
    """Whose it is by its place in a folder or by a list; empty where that does not tell."""

    @property
    def identity(self) -> str:
        """One person, one name."""
        own = self.name if "://" in self.name else self.path.stem
        return self.facts.identity or self.owner or own


def require_there(given: Sequence[Path]) -> None:
    """Check that every SOURCE exists.

    Raises:
        MediaNotFoundError: One does not.
    """
    for path in given:
        if not path.exists():
            raise MediaNotFoundError(
                f"{path} is not there", hint="Give folders of videos, videos, or lists of them.",
                path=str(path),
            )


def gather(
    given: Sequence[Path], config: PrepareConfig, *, fetched: Path,
    identities: Path | None = None, tell: Tell,
) -> tuple[list[Source], list[Rejected]]:  # fmt: skip
    """The files of all SOURCEs, and those that are left out at once.

    Args:
        given: Folders (searched with all below them), video files, and lists (see ``fetch``).
        config: Who is kept out.
        fetched: Where the videos of addresses are kept.
        identities: A file that says whose each is: see ``read_identities``.
        tell: Told of what is fetched.

    Raises:
        MediaNotFoundError: A SOURCE is absent.
        TrainingError: They hold no video.
        ConfigError: A SOURCE is of another kind; a manifest, a list or the identities do not hold.
        DependencyError: A list has addresses, and yt-dlp is absent.
    """
    require_there(given)
    found: list[_Found] = []
    rejected: list[Rejected] = []
    for path in given:
        if path.is_dir():
            found += _in_folder(path)
        elif path.suffix.lower() in SUFFIXES:
            facts = _read_facts(path.parent / MANIFEST)
            found.append(_Found(path, path.name, facts.get(path.name, ClipFacts())))
        elif path.suffix.lower() in LISTS:
            for entry in read_list(path):
                try:
                    file = entry.file(fetched, tell)
                except TrainingError as error:
                    rejected.append({"source": entry.address, "reason": str(error)})
                    tell(f"{entry.address}: {error}")
                    continue
                found.append(_Found(file, entry.address, ClipFacts(), entry.identity))
        else:
            raise ConfigError(
                f"{path} is neither a video nor a list of videos",
                hint=f"Lists end in {', '.join(sorted(LISTS))}.", path=str(path),
            )
    found = list({f.path.resolve(): f for f in found}.values())
    if not found and not rejected:
        raise TrainingError(
            f"{', '.join(map(str, given))} holds no video files",
            hint=f"It may hold: {', '.join(sorted(SUFFIXES))}.", path=str(given[0]),
        )
    if identities is not None:
        named = read_identities(identities)
        found = [_renamed(f, named) for f in found]
    kept = [f for f in found if f.facts.use != "test"]
    for one in found:
        if one.facts.use == "test":
            rejected.append({"source": one.name, "reason": "kept for tests"})
            tell(f"{one.name}: kept for tests")
    sides = _sides(kept, config)
    return [
        Source(f.path, f.name, key, f.identity, sides[f.identity], f.facts.offset_frames)
        for f, key in zip(kept, _keys(kept), strict=True)
    ], rejected


def read_identities(path: Path) -> dict[str, str]:
    """Who is in which file: lines ``pattern,person`` or a JSON object of the same.

    A pattern is a file's name or its path below SOURCE, with ``*`` and ``?``.

    Raises:
        ConfigError: The file cannot be read, or a line has not two parts.
    """
    try:
        text = path.read_text("utf-8-sig")
        if text.lstrip().startswith("{"):
            pairs = list(json.loads(text).items())
        else:
            lines = (line for line in text.splitlines() if line.strip() and line[0] != "#")
            rows = csv.reader(lines, skipinitialspace=True)
            pairs = [[part.strip() for part in row] for row in rows]
        for pair in pairs:
            if len(pair) != 2 or not all(isinstance(p, str) and p for p in pair):
                raise ValueError(f"{pair!r} is no pair of a file and a person")
    except (OSError, ValueError, csv.Error) as error:
        raise ConfigError(
            f"the identities {path} cannot be read ({error})",
            hint="Write lines as interview_*.mp4,Ann.", path=str(path),
        ) from error
    return dict(pairs)


def _renamed(found: _Found, named: Mapping[str, str]) -> _Found:
    for pattern, person in named.items():
        if any(fnmatch.fnmatchcase(n, pattern) for n in (found.name, found.path.name)):
            facts = ClipFacts(person, found.facts.use, found.facts.offset_frames)
            return _Found(found.path, found.name, facts, found.owner)
    return found


def _in_folder(folder: Path) -> Iterator[_Found]:
    """Videos of a folder and of those below it; a folder below is a person."""
    manifests: dict[Path, Mapping[str, ClipFacts]] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in SUFFIXES or not path.is_file() or path.name[0] == ".":
            continue
        below = path.relative_to(folder)
        if any(part.startswith(".") for part in below.parts):
            continue
        if path.parent not in manifests:
            manifests[path.parent] = _read_facts(path.parent / MANIFEST)
        facts = manifests[path.parent].get(path.name, ClipFacts())
        owner = below.parts[0] if len(below.parts) > 1 else ""
        yield _Found(path, below.as_posix(), facts, owner)


def _read_facts(path: Path) -> Mapping[str, ClipFacts]:
    if not path.is_file():
        return {}
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} is not JSON ({error})", hint="Mend it or remove it.") from error
    if not isinstance(entries, dict) or not all(isinstance(e, dict) for e in entries.values()):
        raise ConfigError(
            f"{path} does not say of each file what is known",
            hint='Write {"clip.mp4": {"identity": "Ann"}}, or remove it.', path=str(path),
        )
    used = ClipFacts.__dataclass_fields__
    return {
        name: from_mapping(
            ClipFacts, {k: v for k, v in values.items() if k in used}, where=f"{path.name}: {name}"
        )
        for name, values in entries.items()
    }


def _sides(
    found: Sequence[_Found], config: PrepareConfig
) -> dict[str, Literal["train", "val"]]:
    """On which side each person stands: the same for all of their files, and the same whatever
    else is prepared."""
    stated: dict[str, set[Literal["train", "val"]]] = {}
    for one in found:
        uses = stated.setdefault(one.identity, set())
        if one.facts.use in ("train", "val"):
            uses.add(one.facts.use)
    for name in config.hold_out:
        if found and name not in stated:
            near = difflib.get_close_matches(name, stated, n=1)
            raise ConfigError(
                f"nobody is called {name}, so that nobody of this name can be held out",
                hint=f"Did you mean {near[0]!r}?" if near else "See manifest.json for names.",
            )
    torn = [name for name, uses in stated.items() if len(uses) > 1]
    if torn:
        raise ConfigError(
            f"{torn[0]} is to train on in one file, and kept out in another",
            hint=f"Say the same `use` of all files of one person in {MANIFEST}.",
        )
    return {
        name: "val" if name in config.hold_out else next(iter(uses or {_drawn(name, config)}))
        for name, uses in stated.items()
    }


def _drawn(identity: str, config: PrepareConfig) -> Literal["train", "val"]:
    number = int.from_bytes(hashlib.sha256(identity.encode()).digest()[:8], "big") / 2**64
    return "val" if number < config.val_share else "train"


def _keys(found: Sequence[_Found]) -> list[str]:
    """A name for each file that a shard and its samples can bear; the same every time.

    None is another with a number behind: those are the names of further segments.
    """
    raw = [_stem(f) for f in found]
    plain = [unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode() for name in raw]
    names = [re.sub(r"[^0-9A-Za-z_-]+", "_", name).strip("_") or "clip" for name in plain]
    seen = Counter(name.casefold() for name in names)
    places = Counter(f.name for f in found)

    def ends_as_another(name: str) -> bool:
        start = re.sub(r"([-_]p?\d+)+$", "", name.casefold())
        return start != name.casefold() and start in seen

    return [
        name
        if name == stem and seen[name.casefold()] == 1 and not ends_as_another(name)
        else f"{name}-{_short_hash(f.name if places[f.name] == 1 else str(f.path.resolve()))}"
        for f, stem, name in zip(found, raw, names, strict=True)
    ]


def _stem(found: _Found) -> str:
    if "://" in found.name:  # an address: its file has a name of its own
        return found.path.stem
    return "_".join(Path(found.name).with_suffix("").parts)


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
