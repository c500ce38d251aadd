"""Content credentials: a signed C2PA manifest that says what a render altered, and with what.

MP4 and MOV carry the manifest inside. Beside anything else lies a file ``.c2pa``, bound to the
file by its hash; for a sequence of images that file is an index, ``NAME.frames.json``, with the
SHA-256 of each frame: C2PA binds one file, not many.

Source: C2PA technical specification 2.x, through the package c2pa-python, which also reads and
checks what is shown. Nothing is fetched: neither remote manifests nor answers on revocation.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lipcore import __version__
from lipcore.errors import MediaNotFoundError, MediaUnreadableError, ProvenanceError
from lipcore.media.output_files import appearing
from lipcore.provenance.certificate import Identity, read_pem, require_package

INDEX_SUFFIX = ".frames.json"
CREDENTIALS_SUFFIX = ".c2pa"
INDEX_FORMAT = "lipcore-frames-1"
LABEL = "org.lipcore.render"
"""Of the assertion with the facts of the render."""
AI_COMPOSITE = (
    "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
)
_EMBEDDED = {".mp4": "video/mp4", ".m4v": "video/mp4", ".mov": "video/quicktime"}
_UNTRUSTED = "signingCredential.untrusted"
_MOST_BYTES = 64 << 20
_SETTINGS = {"verify": {"remote_manifest_fetch": False, "ocsp_fetch": False}}

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a file's credentials say, and whether they hold."""

    asset: Path
    """What they are bound to: the video, or the index of a sequence."""
    problems: tuple[str, ...]
    """Why they do not hold; empty where nothing was changed since they were signed."""
    trusted: bool
    """Signed by somebody for whom an authority vouches that the reader knows."""
    signer: str
    facts: Mapping[str, Any]
    """As the render stated them; empty where another program signed."""
    source_type: str
    """The kind of source, as IPTC calls it."""

    @property
    def valid(self) -> bool:
        """Nothing was changed since the signature."""
        return not self.problems


def sign_outputs(
    outputs: Sequence[Path],
    stem: Path,
    facts: Mapping[str, object],
    identity: Identity,
    progress: Progress = lambda done, total: None,
) -> tuple[Path, ...]:
    """Sign a finished render.

    Args:
        outputs: The video, or all frames of a sequence.
        stem: Of the sidecars, without suffix: the index of a sequence lies beside them.
        facts: Plain values for JSON: what the render altered, from what, with what.
        identity: Who signs.
        progress: Told of frames hashed and their number.

    Returns:
        Files that were written beside the picture; none where the video carries them inside.

    Raises:
        ProvenanceError: The manifest cannot be made.
        DiskFullError, OutputNotWritableError: It cannot be written.
    """
    first = outputs[0]
    if first.suffix.lower() in _EMBEDDED:
        if _same_facts(first, facts):
            return ()  # a render that was complete is completed again
        kind = _EMBEDDED[first.suffix.lower()]
        with (
            appearing(first) as temporary, _translated(first),
            first.open("rb") as source, temporary.open("w+b") as target,
        ):
            _sign(source, target, kind, first.name, facts, identity)
        return ()
    asset = first
    written: tuple[Path, ...] = ()
    if len(outputs) > 1 or first.suffix.lower() != ".mkv":
        asset = stem.with_name(f"{stem.name}{INDEX_SUFFIX}")
        rows = []
        for done, path in enumerate(outputs, 1):
            rows.append({"name": path.name, "sha256": hash_content(path)})
            progress(done, len(outputs))
        index = {"format": INDEX_FORMAT, "frames": rows}
        with appearing(asset) as temporary:
            temporary.write_text(json.dumps(index, indent=1) + "\n", "utf-8")
        written = (asset,)
    beside = asset.with_name(asset.name + CREDENTIALS_SUFFIX)
    with appearing(beside) as temporary, _translated(asset), asset.open("rb") as source:
        manifest = _sign(source, io.BytesIO(), _kind(asset), asset.name, facts, identity, False)
        temporary.write_bytes(manifest)
    return (*written, beside)


def read_credentials(
    path: Path, progress: Progress = lambda done, total: None, *, authorities: Path | None = None
) -> Credentials:
    """Find and check the credentials of a file.

    Args:
        path: A video, a frame of a sequence, its folder, its index, or a file ``.c2pa``.
        progress: Told of frames hashed and their number.
        authorities: PEM of root certificates that are trusted; None trusts nobody.

    Raises:
        MediaNotFoundError: Nothing is at the path.
        ProvenanceError: It has no credentials, or such as cannot be read.
    """
    require_package()
    if not path.exists():
        raise MediaNotFoundError(f"nothing is at {path}", hint="Check the path.", path=str(path))
    asset, beside = _locate(path)
    report = _report(asset, beside, authorities)
    active = report["manifests"][report["active_manifest"]]
    problems = [
        str(entry.get("explanation") or entry.get("code"))
        for entry in report.get("validation_status", [])
        if entry.get("code") != _UNTRUSTED
    ]
    if report.get("validation_state") == "Invalid" and not problems:
        problems.append("the credentials do not hold")
    if asset.name.endswith(INDEX_SUFFIX):
        problems += _changed_frames(asset, progress)
    signature = active.get("signature_info", {})
    names = [signature.get("common_name"), signature.get("issuer")]
    assertions: dict[str, Any] = {
        str(a.get("label")): a.get("data", {}) for a in active.get("assertions", [])
    }
    facts = assertions.get(LABEL)
    return Credentials(
        asset, tuple(problems), report.get("validation_state") == "Trusted",
        ", ".join(str(n) for n in names if n) or "unknown",
        facts if isinstance(facts, dict) else {}, _source_type(assertions),
    )


def _source_type(assertions: Mapping[str, Any]) -> str:
    """The first that an action states; what others signed may have any shape."""
    for label, data in assertions.items():
        if label.startswith("c2pa.actions") and isinstance(data, dict):
            actions = data.get("actions")
            for action in actions if isinstance(actions, list) else ():
                if isinstance(action, dict) and action.get("digitalSourceType"):
                    return str(action["digitalSourceType"]).rpartition("/")[2]
    return ""


def hash_content(path: Path) -> str:
    """SHA-256 of a file's bytes, as hex.

    Raises:
        MediaUnreadableError: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise MediaUnreadableError(
            f"{path} cannot be read: {error.strerror}", hint="Check the file.", path=str(path)
        ) from error


def hash_files(paths: Sequence[Path], progress: Progress = lambda done, total: None) -> str:
    """One SHA-256 of several files: of the lines that ``sha256sum`` prints for them.

    Args:
        paths: In the order of their lines. One file alone gives its own hash.
        progress: Told of files hashed and their number.
    """
    if len(paths) == 1:
        return hash_content(paths[0])
    lines = []
    for done, path in enumerate(paths, 1):
        lines.append(f"{hash_content(path)}  {path.name}\n")
        progress(done, len(paths))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _sign(
    source: Any, target: Any, kind: str, title: str, facts: Mapping[str, object],
    identity: Identity, embed: bool = True,
) -> bytes:
    from c2pa import Builder, C2paSignerInfo, Context, Settings, Signer

    about = {
        "claim_generator_info": [{"name": "lipcore", "version": __version__}],
        "title": title,
        "format": kind,
        "assertions": [
            {"label": "c2pa.actions.v2", "data": {"actions": [{
                "action": "c2pa.created", "digitalSourceType": AI_COMPOSITE,
                "softwareAgent": {"name": "lipcore", "version": __version__},
                "description": "The mouth was drawn anew by trained networks to say other words.",
            }]}},
            {"label": LABEL, "data": dict(facts)},
        ],
    }  # fmt: skip
    info = C2paSignerInfo(
        alg=identity.algorithm.encode(), sign_cert=identity.chain,
        private_key=identity.private_key, ta_url=None,
    )
    context = Context(Settings.from_dict(_SETTINGS))
    with Signer.from_info(info) as signer:
        builder = Builder.from_json(json.dumps(about), context)
        with builder:
            if not embed:
                builder.set_no_embed()
            manifest: bytes = builder.sign(signer, kind, source, target)
    return manifest


def _report(asset: Path, beside: Path | None, authorities: Path | None) -> dict[str, Any]:
    from c2pa import Context, Reader, Settings

    kind = _EMBEDDED.get(asset.suffix.lower()) or _kind(asset)
    trust = {} if authorities is None else {
        "trust": {"trust_anchors": read_pem(authorities).decode("ascii", "replace")}
    }
    try:
        with _translated(asset):
            context = Context(Settings.from_dict({**_SETTINGS, **trust}))
        manifest = None if beside is None else _bounded(beside)
        with (
            asset.open("rb") as stream, _translated(asset),
            Reader(kind, stream, manifest_data=manifest, context=context) as reader,
        ):
            report: dict[str, Any] = json.loads(reader.json())
    except OSError as error:
        raise MediaUnreadableError(
            f"{asset} cannot be read: {error.strerror}", hint="Check the file.", path=str(asset)
        ) from error
    return report


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    from c2pa import C2paError

    try:
        yield
    except C2paError as error:
        absent = type(error).__name__.endswith("ManifestNotFound")
        raise ProvenanceError(
            f"{path} has no content credentials" if absent
            else f"content credentials of {path} failed ({' '.join(str(error).split())})",
            hint="lipcore render --provenance writes them." if absent
            else "Check the file, and the certificate where it is being signed.",
            path=str(path),
        ) from error


def _same_facts(video: Path, facts: Mapping[str, object]) -> bool:
    try:
        there = read_credentials(video)
    except ProvenanceError:
        return False
    return there.valid and dict(there.facts) == json.loads(json.dumps(dict(facts)))


def _locate(path: Path) -> tuple[Path, Path | None]:
    """The asset and the credentials beside it; None where they are inside."""
    if path.is_dir():
        found = sorted(path.glob(f"*{CREDENTIALS_SUFFIX}"))
        if len(found) == 1:
            return found[0].with_suffix(""), found[0]
        raise ProvenanceError(
            f"{path} has {len(found) or 'no'} files of content credentials",
            hint="Name the video, or one of the files .c2pa.", path=str(path),
        )
    if path.suffix == CREDENTIALS_SUFFIX:
        asset = path.with_suffix("")
        if asset.is_file():
            return asset, path
        raise ProvenanceError(
            f"{path} speaks of {asset.name}, which is not beside it",
            hint="Keep both in one folder.", path=str(path),
        )
    beside = path.with_name(path.name + CREDENTIALS_SUFFIX)
    if beside.is_file():
        return path, beside
    if path.suffix.lower() in _EMBEDDED:
        return path, None
    for candidate in sorted(path.parent.glob(f"*{INDEX_SUFFIX}{CREDENTIALS_SUFFIX}")):
        index = candidate.with_suffix("")
        if index.is_file() and path.name in _index(index):
            return index, candidate
    raise ProvenanceError(
        f"{path} has no content credentials",
        hint="lipcore render --provenance writes them.", path=str(path),
    )


def _index(path: Path) -> dict[str, str]:
    """SHA-256 by name; what the file holds is not trusted."""
    try:
        content = json.loads(_bounded(path).decode("utf-8"))
        rows = content["frames"]
        named = {str(row["name"]): str(row["sha256"]) for row in rows}
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ProvenanceError(
            f"{path} is no index of frames ({type(error).__name__})",
            hint="Render again with --provenance.", path=str(path),
        ) from error
    if any(Path(name).name != name for name in named):
        raise ProvenanceError(f"{path} names files outside its folder", path=str(path))
    return named


def _changed_frames(index: Path, progress: Progress) -> Iterator[str]:
    named = _index(index)
    for done, (name, digest) in enumerate(named.items(), 1):
        frame = index.with_name(name)
        if not frame.is_file():
            yield f"{name} is absent"
        elif hash_content(frame) != digest:
            yield f"{name} was changed"
        progress(done, len(named))


def _bounded(path: Path) -> bytes:
    with path.open("rb") as file:
        content = file.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise ProvenanceError(
            f"{path} is larger than {_MOST_BYTES >> 20} MiB", hint="It is no such file.",
            path=str(path),
        )
    return content


def _kind(asset: Path) -> str:
    """What C2PA is told of a file that it only hashes."""
    return "application/json" if asset.suffix == ".json" else "application/octet-stream"
