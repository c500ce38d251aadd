"""Bundles of conforms, adaptations and signed videos, run by `openjd run` to the last pixel."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import opentimelineio as otio
import pytest
import yaml
from click.testing import CliRunner

from lipcore.cli.submit import command as submit
from lipcore.demo.portrait import CameraMove, write_plate
from lipcore.demo.run import say
from lipcore.errors import ConfigError
from lipcore.farm.bundle_commands import _ranges
from lipcore.farm.check import check_jobs
from lipcore.farm.jobs import read_jobs
from lipcore.farm.task import conform_calls, evaluate_call, read_rules, report_call
from lipcore.pipeline import render_shot
from lipcore.provenance import certificate
from lipcore.shot import RenderConfig, Shot
from lipcore.types import FrameRange, Window
from lipcore.worker.requests import parse_request

Openjd = Callable[..., "subprocess.CompletedProcess[str]"]
Bundler = Callable[..., Path]


def _lipcore(*words: object) -> None:
    subprocess.run(
        [sys.executable, "-m", "lipcore", *map(str, words)], check=True, capture_output=True
    )


def _digests(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.rglob("*.exr")}


def _timeline(studio: Path, cuts: list[tuple[int, int]]) -> Path:
    """A timeline of cuts (first frame, how many) of the plate, which it knows by a wrong path."""
    track = otio.schema.Track("V1")

    def span(first: int, count: int) -> otio.opentime.TimeRange:
        return otio.opentime.TimeRange(otio.opentime.RationalTime(first, 24),
                                       otio.opentime.RationalTime(count, 24))  # fmt: skip

    stem = next((studio / "plate").glob("*.exr")).name.rsplit(".", 2)[0]
    for index, (first, count) in enumerate(cuts):
        media = otio.schema.ImageSequenceReference(
            target_url_base="file:///farm/plates", name_prefix=f"{stem}.", name_suffix=".exr",
            start_frame=1001, rate=24, frame_zero_padding=4, available_range=span(1001, 12),
        )  # fmt: skip
        track.append(otio.schema.Clip(f"cut {index}", media, span(first, count)))
    timeline = otio.schema.Timeline("reel", tracks=[track])
    path = studio / "reel.otio"
    otio.adapters.write_to_file(timeline, str(path))
    return path


@pytest.mark.slow
def test_a_conform_is_rendered_shot_by_shot(
    studio: Path, bundle_of: Bundler, run_bundle: Openjd, here: str
) -> None:
    _timeline(studio, [(1001, 4), (1006, 3)])
    bundle = bundle_of(
        f"kind: conform, timeline: reel.otio, dialogue: line.wav, out: reel, "
        f"path-map: '/farm/plates={studio / 'plate'}'", command=here,
    )  # fmt: skip
    template = yaml.safe_load((bundle / "template.yaml").read_text("utf-8"))
    assert [step["name"] for step in template["steps"]] == ["Render", "Assemble", "Report"]
    assets = yaml.safe_load((bundle / "asset_references.yaml").read_text("utf-8"))
    assert str(studio / "plate") in assets["assetReferences"]["inputs"]["directories"]
    values = json.loads((bundle / "openjd_parameters.json").read_text("utf-8"))
    assert values["Shots"] == "1-2" and values["ChunkSize"] == "1"
    # The farm tells where media are by its own rules, which the timeline's paths follow, too.
    for word in template["steps"][0]["script"]["actions"]["onRun"]["args"]:
        assert not word.startswith("--set=cache=") or word.startswith("--set=cache={{Param.WorkD")
    ended = run_bundle(bundle)
    assert ended.returncode == 0, ended.stdout[-3000:]
    assert ended.stdout.count("shot 0001") == 3, "rendered, assembled, looked at"
    assert (studio / "reel" / "reel_lipsync.html").exists()
    read = otio.adapters.read_from_file(str(studio / "reel" / "reel_lipsync.otio"))
    assert "lipsync" in {track.name for track in read.tracks}

    _lipcore("conform", studio / "reel.otio", "--dialogue", studio / "line.wav", "--out",
             studio / "single", "--path-map", f"/farm/plates={studio / 'plate'}", "--cache",
             studio / "cache", "--no-report")  # fmt: skip
    assert _digests(studio / "reel") == _digests(studio / "single")
    assert len(_digests(studio / "single")) == 7


@pytest.mark.slow
def test_an_adaptation_goes_before_the_render_that_uses_it(
    studio: Path, bundle_of: Bundler, run_bundle: Openjd, here: str
) -> None:
    alone = bundle_of("kind: adapt, plate: plate, out: nets/a.safetensors, minutes: 0.05",
                      folder="bundle 1", command=here)  # fmt: skip
    ended = run_bundle(alone)
    assert ended.returncode == 0, ended.stdout[-3000:]
    made = studio / "nets" / "a.safetensors"
    assert made.stat().st_size > 1000
    used = bundle_of(
        "plate: plate, dialogue: line.wav, out: done, frames: 1001-1008, adapt: 0.05, "
        "synthesis: adapted", command=here, chunk_frames=4,
    )  # fmt: skip
    ended = run_bundle(used)
    assert ended.returncode == 0, ended.stdout[-3000:]
    assert len(_digests(studio / "done")) == 8
    assert "synthesis: adapted" in ended.stdout
    adapted = studio / "done" / ".lipcore_shot" / "adapted.safetensors"
    render_shot(
        Shot(studio / "plate", studio / "line.wav", frames=FrameRange(1001, 1008)),
        RenderConfig(synthesis="adapted", weights=f"base+{adapted}", cache=studio / "cache"),
        studio / "single",
    )
    assert _digests(studio / "done") == _digests(studio / "single")


@pytest.fixture
def long_studio(tmp_path: Path) -> Path:
    """A plate of 52 small frames, and a line: a video of it has two segments."""
    import soundfile

    folder = tmp_path / "Büro 2"
    move = CameraMove(
        FrameRange(1001, 1052), center_from=(228, 128), center_to=(224, 126), width_from=300,
        width_to=292, display=Window(0, 0, 256, 192),
    )
    write_plate(folder / "plate", move)
    soundfile.write(folder / "line.wav", say("Hello, mama! Maybe a bumpy map."), 48_000)
    return folder


@pytest.mark.slow
def test_the_assembled_video_is_signed_and_the_key_travels_in_no_bundle(
    long_studio: Path, run_bundle: Openjd, here: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    c2pa = pytest.importorskip("c2pa", reason="needs the extra provenance")
    folder = long_studio
    monkeypatch.setattr(certificate, "config_folder", lambda: folder / "config")
    certificate.load_identity(None, None)  # makes one
    keys = folder / "keys"
    (folder / "config" / "signing").rename(keys)
    (folder / "jobs.yaml").write_text(
        f"jobs: [{{name: shot, plate: plate, dialogue: line.wav, out: done.mp4, "
        f"provenance: true, certificate: keys/{certificate.CERTIFICATE}, "
        f"private-key: keys/{certificate.PRIVATE_KEY}, consent: contract 12}}]", "utf-8",
    )
    words = [str(folder / "jobs.yaml"), "--bundle", str(folder / "out"), "--command", here,
             "--chunk-frames", "10"]  # fmt: skip
    told = CliRunner().invoke(submit, words)
    assert told.exit_code == 0, told.output
    assert "2 chunks" in told.output
    bundle = folder / "out" / "shot"
    secret = (keys / certificate.PRIVATE_KEY).read_text().splitlines()[1]
    assert not any(secret in path.read_text("utf-8") for path in bundle.iterdir())
    ended = run_bundle(bundle)
    assert ended.returncode == 0, ended.stdout[-3000:]
    assert secret not in ended.stdout

    with c2pa.Reader(str(folder / "done.mp4")) as reader:  # the independent reader
        manifest = json.loads(reader.json())
    codes = {status["code"] for status in manifest["validation_status"]}
    assert codes <= {"signingCredential.untrusted"}, codes  # self-signed, and nothing else
    assert "contract 12" in json.dumps(manifest["manifests"])
    data = bytearray((folder / "done.mp4").read_bytes())
    data[data.rfind(b"mdat") + 600] ^= 1
    (folder / "torn.mp4").write_bytes(data)
    with c2pa.Reader(str(folder / "torn.mp4")) as reader:
        torn = json.loads(reader.json())
    assert "assertion.bmffHash.mismatch" in {s["code"] for s in torn["validation_status"]}

    render_shot(
        Shot(folder / "plate", folder / "line.wav"), RenderConfig(cache=folder / "cache"),
        folder / "single.mp4",
    )
    made, wanted = _frames(folder / "done.mp4"), _frames(folder / "single.mp4")
    assert len(made) == 52 and all(np.array_equal(a, b) for a, b in zip(made, wanted, strict=True))
    with av.open(str(folder / "done.mp4")) as container:
        assert len(container.streams.audio) == 1


def _frames(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def test_shots_are_named_by_ranges() -> None:
    assert _ranges((1, 2, 3, 5, 9, 10)) == "1-3,5,9-10" and _ranges((4,)) == "4"


def test_words_of_the_kinds_are_requests_that_the_worker_takes(tmp_path: Path) -> None:
    rules = tmp_path / "rules.json"
    rules.write_text(json.dumps({"version": "pathmapping-1.0", "path_mapping_rules": [
        {"source_path_format": "POSIX", "source_path": "/a=b", "destination_path": "/c"}]}))
    dubs = conform_calls(
        ["timeline=/r.otio", "dialogue=de=/d e.wav", "dialogue=fr=/f.wav", "out=/o", "rate=24",
         "path_map=/x=/y", "handles=8", "only=7", "cache=/c", "report=false"],
        FrameRange(2, 3), rules,
    )  # fmt: skip
    assert [(c.title, c.params["dialogue"], c.params["out"]) for c in dubs] == [
        ("de", "/d e.wav", "/o/de"), ("fr", "/f.wav", "/o/fr")]  # fmt: skip
    assert dubs[0].params["path_map"] == ["/x=/y", "/a=b=/c"]
    assert dubs[0].params["only"] == ["2", "3"] and dubs[0].params["write"] is False
    whole = conform_calls(["timeline=/r.otio", "dialogue=clips", "out=/o", "only=7"], None, None)
    assert whole[0].params["only"] == ["7"] and whole[0].params["write"] is True
    calls = [
        *dubs, *whole, evaluate_call(["render=/a.mov", "against=/b.mov", "out=/o.json", "rate=24"]),
        report_call(["render=/a", "render=/b", "out=/o.html", "plate=/p", "title=010"]),
    ]
    for call in calls:
        line = json.dumps({"id": "1", "method": call.method, "params": call.params}).encode()
        parse_request(line)
    with pytest.raises(ConfigError, match="no setting 'strenght'"):
        evaluate_call(["render=/a.mov", "against=/b.mov", "out=/o.json", "strenght=1"])
    rules.write_text("{\"path_mapping_rules\": [3]}")
    with pytest.raises(ConfigError, match="no path mapping"):
        read_rules(rules)


def test_nothing_is_written_while_one_of_several_kinds_is_wrong(studio: Path) -> None:
    (studio / "jobs.yaml").write_text(
        "jobs:\n"
        "  - {plate: plate, dialogue: line.wav, out: done, report: page.html}\n"
        "  - {kind: report, render: plate, out: page.html}\n"
        "  - {kind: evaluate, render: nowhere.mov, against: plate, out: figures.json}\n"
        "  - {plate: plate, dialogue: line.wav, out: b, adapt: 1, synthesis: adapted, "
        "frames: 1001-1007}\n"
    )
    checks = check_jobs(read_jobs(studio / "jobs.yaml"))
    assert [check.error is None for check in checks] == [True, False, False, False]
    ended = CliRunner().invoke(
        submit, [str(studio / "jobs.yaml"), "--bundle", str(studio / "out")]
    )
    assert ended.exit_code != 0 and not (studio / "out").exists()
    assert "3 things are wrong" in str(ended.exception)


def test_two_jobs_do_not_write_one_file(studio: Path) -> None:
    line = "{plate: plate, dialogue: line.wav, out: %s, report: page.html}"
    (studio / "jobs.yaml").write_text(f"jobs: [{line % 'a'}, {line % 'b'}]")
    one, other = check_jobs(read_jobs(studio / "jobs.yaml"))
    assert one.error is None and other.error is not None
    assert "page.html" in other.error.message
