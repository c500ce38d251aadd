"""Content credentials: they hold until one byte changes, and say what was done."""

from __future__ import annotations

import json
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

pytest.importorskip("c2pa", reason="needs the extra provenance")

from lipcore.errors import ConfigError, MediaNotFoundError, ProvenanceError
from lipcore.plan import check_render
from lipcore.provenance.certificate import CERTIFICATE, PRIVATE_KEY, Identity, load_identity
from lipcore.provenance.credentials import hash_content, hash_files, read_credentials, sign_outputs
from lipcore.provenance.signing import spans
from lipcore.shot import RenderConfig, Shot
from lipcore.types import FrameRange

FACTS = {"altered": "the mouth", "altered_frames": ["1-3"], "consent": "Vertrag Ä 12"}


@pytest.fixture
def identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Identity:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings é"))
    return load_identity(None, None)


def video(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        codec = "ffv1" if path.suffix == ".mkv" else "libx264"
        stream = container.add_stream(codec, rate=24)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for seed in range(6):
            noise = np.random.default_rng(seed).integers(0, 255, (64, 64, 3), dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(noise, "rgb24")))
        container.mux(stream.encode(None))
    return path


def flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("name", ["a b.mp4", "é.mov", "x.mkv"])
def test_one_changed_byte_of_the_picture_breaks_them(
    name: str, identity: Identity, tmp_path: Path
) -> None:
    made = video(tmp_path / name)
    plain = made.read_bytes()
    beside = sign_outputs([made], tmp_path / "x", FACTS, identity)
    found = read_credentials(made)
    assert found.valid and not found.trusted and dict(found.facts) == FACTS
    assert found.source_type == "compositeWithTrainedAlgorithmicMedia"
    assert "self-signed" in found.signer
    with av.open(str(made)) as container:  # it still plays
        assert sum(1 for _ in container.decode(video=0)) == 6
    if name.endswith(".mkv"):
        assert made.read_bytes() == plain and [p.name for p in beside] == ["x.mkv.c2pa"]
        place = len(plain) // 2
    else:
        assert beside == ()
        place = made.read_bytes().rfind(b"mdat") + 600
    flip(made, place)
    broken = read_credentials(made)
    assert not broken.valid and broken.problems
    flip(made, place)
    assert read_credentials(made).valid


def test_signing_the_same_again_changes_nothing(identity: Identity, tmp_path: Path) -> None:
    made = video(tmp_path / "x.mp4")
    sign_outputs([made], tmp_path / "x", FACTS, identity)
    once = made.read_bytes()
    sign_outputs([made], tmp_path / "x", FACTS, identity)
    assert made.read_bytes() == once
    sign_outputs([made], tmp_path / "x", {**FACTS, "consent": "other"}, identity)
    assert read_credentials(made).valid and read_credentials(made).facts["consent"] == "other"


def test_a_sequence_is_bound_frame_by_frame(identity: Identity, tmp_path: Path) -> None:
    frames = [tmp_path / f"s é.{n:04}.exr" for n in range(1, 5)]
    for n, frame in enumerate(frames):
        frame.write_bytes(bytes([n]) * 1000)
    written = sign_outputs(frames, tmp_path / "s é", FACTS, identity)
    assert [p.name for p in written] == ["s é.frames.json", "s é.frames.json.c2pa"]
    for way in (tmp_path, frames[2], *written):
        assert read_credentials(way).valid, way
    flip(frames[2], 500)
    assert read_credentials(tmp_path).problems == ("s é.0003.exr was changed",)
    flip(frames[2], 500)
    frames[0].rename(tmp_path / "elsewhere")
    assert read_credentials(frames[1]).problems == ("s é.0001.exr is absent",)
    (tmp_path / "elsewhere").rename(frames[0])
    # An index that was made to fit the changed frames is not the one that was signed.
    frames[3].write_bytes(b"other")
    index = json.loads(written[0].read_text())
    index["frames"][3]["sha256"] = hash_content(frames[3])
    written[0].write_text(json.dumps(index, indent=1) + "\n")
    assert not read_credentials(tmp_path).valid


def test_an_index_cannot_point_outside_its_folder(identity: Identity, tmp_path: Path) -> None:
    (tmp_path / "a.exr").write_bytes(b"a")
    index, _ = sign_outputs([tmp_path / "a.exr"], tmp_path / "a", FACTS, identity)
    index.write_text('{"frames": [{"name": "../a.exr", "sha256": "0"}]}')
    with pytest.raises(ProvenanceError, match="outside its folder"):
        read_credentials(index)
    index.write_text("[" * 100_000)
    with pytest.raises(ProvenanceError, match="no index of frames"):
        read_credentials(index)


def test_what_has_none_says_so(tmp_path: Path) -> None:
    with pytest.raises(MediaNotFoundError):
        read_credentials(tmp_path / "gone.mp4")
    for path in (tmp_path, video(tmp_path / "plain.mp4"), video(tmp_path / "plain.mkv")):
        with pytest.raises(ProvenanceError, match="no "):
            read_credentials(path)
    (tmp_path / "damaged.mp4").write_bytes(b"\0\0\0\x18ftypisom" + b"\xff" * 50)
    with pytest.raises(ProvenanceError):
        read_credentials(tmp_path / "damaged.mp4")


def test_the_identity_of_the_machine_is_made_once_and_kept_secret(
    identity: Identity, tmp_path: Path
) -> None:
    assert identity.self_signed and identity.algorithm == "es256"
    assert load_identity(None, None) == identity
    folder = tmp_path / "settings é" / "lipcore" / "signing"
    assert stat.S_IMODE((folder / PRIVATE_KEY).stat().st_mode) == 0o600
    assert [p.name for p in folder.parent.iterdir()] == ["signing"]
    # As the user's own, by path; and with another's key it is refused.
    assert load_identity(folder / CERTIFICATE, folder / PRIVATE_KEY) == identity
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ed25519

    other = tmp_path / "other.pem"
    other.write_bytes(ed25519.Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ))
    with pytest.raises(ProvenanceError, match="not the private key"):
        load_identity(folder / CERTIFICATE, other)
    with pytest.raises(ProvenanceError, match="cannot be used"):
        load_identity(other, other)
    with pytest.raises(ProvenanceError, match="cannot be read"):
        load_identity(folder / CERTIFICATE, tmp_path / "gone.pem")


def test_a_dry_run_checks_who_will_sign_and_makes_nobody(
    portrait_plate: Path, spoken_line: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    shot, out = Shot(portrait_plate, spoken_line), tmp_path / "out"
    check_render(shot, RenderConfig(provenance=True), out)
    assert not (tmp_path / "settings").exists()
    gone = RenderConfig(
        provenance=True, certificate=tmp_path / "gone.pem", private_key=tmp_path / "key.pem"
    )
    with pytest.raises(ProvenanceError, match=r"gone\.pem cannot be read"):
        check_render(shot, gone, out)
    with pytest.raises(ConfigError, match="go together"):
        RenderConfig(certificate=tmp_path / "gone.pem")


def test_who_signed_is_known_where_the_authority_is(identity: Identity, tmp_path: Path) -> None:
    made = video(tmp_path / "x.mp4")
    sign_outputs([made], tmp_path / "x", FACTS, identity)
    head = b"-----BEGIN CERTIFICATE-----"
    root = tmp_path / "root.pem"
    root.write_bytes(head + identity.chain.split(head)[-1])
    found = read_credentials(made, authorities=root)
    assert found.valid and found.trusted
    with pytest.raises(ProvenanceError, match="cannot be read"):
        read_credentials(made, authorities=tmp_path / "gone.pem")


def test_the_hash_of_a_sequence_is_what_sha256sum_says(tmp_path: Path) -> None:
    names = ["a.1.exr", "a.2.exr"]
    for name in names:
        (tmp_path / name).write_text(name)
    lines = subprocess.run(
        ["sha256sum", *names], cwd=tmp_path, capture_output=True, check=True
    ).stdout
    whole = subprocess.run(["sha256sum"], input=lines, capture_output=True, check=True).stdout
    assert whole.decode().split()[0] == hash_files([tmp_path / name for name in names])
    assert hash_files([tmp_path / names[0]]) == hash_content(tmp_path / names[0])


def test_spans() -> None:
    assert spans([]) == [] and spans([5]) == ["5"]
    assert spans([1, 2, 3, 7, 9, 10]) == ["1-3", "7", "9-10"]
    assert FrameRange.parse(spans([-3, -2])[0]) == FrameRange(-3, -2)


@pytest.mark.slow
def test_a_render_is_signed_shown_and_found_broken(
    portrait_plate: Path, spoken_line: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    lipcore: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    common = ["--cache", tmp_path / "cache", "--provenance", "--consent", "Vertrag Ä 12"]
    first = lipcore("render", portrait_plate, spoken_line, "--out", tmp_path / "done", *common)
    assert "a certificate of this machine" in " ".join(first.stderr.split())
    told = json.loads(lipcore("provenance", "show", tmp_path / "done", "--json").stdout)
    facts = told["facts"]
    assert told["valid"] and not told["trusted"]
    assert facts["altered_frames"] == ["1001-1012"] and facts["consent"] == "Vertrag Ä 12"
    assert facts["dialogue_sha256"] == hash_content(spoken_line)
    assert facts["plate_sha256"] == hash_files(sorted(portrait_plate.parent.glob("*.exr")))
    assert facts["weights_sha256"]["speech"]
    sidecar = json.loads((tmp_path / "done" / "plate.lipsync.json").read_text())["settings"]
    assert sidecar["consent"] == "Vertrag Ä 12" and "private_key" not in sidecar

    movie = tmp_path / "done.mp4"
    lipcore("render", portrait_plate, spoken_line, "--out", movie, "--deliver", "video", *common)
    signed = movie.read_bytes()
    again = lipcore(
        "render", portrait_plate, spoken_line, "--out", movie, "--deliver", "video", *common
    )
    assert "12 kept" in again.stdout and movie.read_bytes() == signed
    said = lipcore("provenance", "show", movie).stdout
    assert "unchanged since signed" in said and "no trusted authority" in said
    flip(movie, signed.rfind(b"mdat") + 900)
    broken = lipcore("provenance", "show", movie, code=14)
    assert "is not what was signed" in broken.stderr and "CHANGED" in broken.stdout
