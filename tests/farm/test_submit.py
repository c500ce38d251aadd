"""Bundles: what is in them, and that `openjd run` really renders them, to the last pixel."""

from __future__ import annotations

import hashlib
import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from lipcore.errors import ConfigError
from lipcore.farm.session import (
    SessionError,
    call_session,
    cancel_when_gone,
    start_session,
    stop_session,
)
from lipcore.farm.task import parse_settings, worker_params
from lipcore.pipeline import render_shot
from lipcore.provenance import certificate
from lipcore.shot import RenderConfig, Shot
from lipcore.types import FrameRange
from lipcore.worker.requests import parse_request

Openjd = Callable[..., "subprocess.CompletedProcess[str]"]
Bundler = Callable[..., Path]


def _digests(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.glob("*.exr")}


def _flaky(folder: Path) -> Path:
    """``lipcore``, of which one task fails once."""
    script = folder / "flaky"
    script.write_text(
        f"#!/bin/sh\ncase \"$*\" in *--chunk=1005-1008*)\n"
        f"  if mkdir '{folder}/failed'; then echo 'openjd_fail: a node went down'; exit 7; fi;;\n"
        f"esac\nexec '{sys.executable}' -m lipcore \"$@\"\n"
    )
    script.chmod(0o755)
    return script


@pytest.mark.slow
def test_a_bundle_runs_and_a_task_that_fails_once_loses_nothing(
    studio: Path, bundle_of: Bundler, openjd: Openjd, run_bundle: Openjd
) -> None:
    bundle = bundle_of(
        "plate: plate, dialogue: line.wav, out: done, strength: 0.8, offset-frames: 1, "
        "evaluate: looked at/figures.json, report: looked at/page.html",
        chunk_frames=4, command=str(_flaky(studio)),
    )
    # The farm knows the plate by another path.
    values = json.loads((bundle / "openjd_parameters.json").read_text("utf-8"))
    values["Plate"] = "/farm/plates"
    (bundle / "elsewhere.json").write_text(json.dumps(values), "utf-8")
    rules = json.dumps({"version": "pathmapping-1.0", "path_mapping_rules": [{
        "source_path_format": "POSIX", "source_path": "/farm/plates",
        "destination_path": str(studio / "plate"),
    }]})  # fmt: skip
    run = [
        "run", bundle / "template.yaml", "-p", f"file://{bundle / 'elsewhere.json'}",
        "--path-mapping-rules", rules,
    ]
    first = openjd(*run)
    assert first.returncode == 1 and "a node went down" in first.stdout
    before = {p: p.stat().st_mtime_ns for p in (studio / "done").glob("*.exr")}
    assert {p.name[-8:-4] for p in before} == {"1001", "1002", "1003", "1004"}

    second = openjd(*run)
    assert second.returncode == 0, second.stdout[-3000:]
    assert "openjd_progress: 100" in second.stdout
    assert second.stdout.count("openjd_status: the worker runs") == 1, "one worker a session"
    assert all(p.stat().st_mtime_ns == told for p, told in before.items()), "rendered again"

    single = studio / "single"
    render_shot(
        Shot(studio / "plate", studio / "line.wav", frames=FrameRange(1001, 1012)),
        RenderConfig(strength=0.8, offset_frames=1.0, cache=studio / "cache"), single,
    )
    assert _digests(studio / "done") == _digests(single) and len(_digests(single)) == 12
    figures = json.loads((studio / "looked at" / "figures.json").read_text("utf-8"))
    assert figures["protocol"]["frames"] == 12 and figures["protocol"]["offset_frames"] == 1
    assert figures["protocol"]["matte"] == "of the sidecar"
    assert b"<html" in (studio / "looked at" / "page.html").read_bytes()[:200]
    # Measured by a job of its own, a part of the shot is compared with the plate's same frames.
    again = bundle_of(
        "kind: evaluate, render: single, against: plate, dialogue: line.wav, offset-frames: 1, "
        "out: [again.json, again.csv]", command=str(studio / "flaky"), folder="bundle 2",
    )  # fmt: skip
    third = run_bundle(again)
    assert third.returncode == 0, third.stdout[-3000:]
    told = json.loads((studio / "again.json").read_text("utf-8"))
    assert told["figures"] == figures["figures"] and (studio / "again.csv").exists()
    page = bundle_of("kind: report, render: [done, single], out: both.html, title: '010'",
                     command=str(studio / "flaky"), folder="bundle 3")  # fmt: skip
    fourth = run_bundle(page)
    assert fourth.returncode == 0, fourth.stdout[-3000:]
    assert "010" in (studio / "both.html").read_text("utf-8")


def test_a_bundle_says_what_a_farm_must_know(
    studio: Path, bundle_of: Bundler, openjd: Openjd
) -> None:
    (studio / "curve.txt").write_text("1001 0.5\n")
    bundle = bundle_of(
        "plate: plate, dialogue: line.wav, out: done.mkv, strength: curve.txt, overwrite: true, "
        "frames: 1001-1012, adapt: 2.5, synthesis: adapted, report: r.html, evaluate: e.csv",
        chunk_frames=50,
    )
    checked = openjd("check", bundle / "template.yaml")
    assert checked.returncode == 0, checked.stdout
    template = yaml.safe_load((bundle / "template.yaml").read_text("utf-8"))
    track, adapt, render, assemble, evaluate, report = template["steps"]
    assert "dependencies" not in track
    assert [s["dependencies"] for s in (adapt, render, assemble, evaluate, report)] == [
        [{"dependsOn": name}] for name in ("Track", "Adapt", "Render", "Assemble", "Assemble")]
    words = render["script"]["actions"]["onRun"]["args"]
    assert "--segments={{Task.Param.Segments}}" in words
    assert "--set=strength={{Param.Strength}}" in words
    assert "--set=weights=base+{{Param.WorkDir}}/adapted.safetensors" in words
    assert "--set=overwrite=true" in words
    assert "--set=minutes=2.5" in adapt["script"]["actions"]["onRun"]["args"]
    assert not any("weights" in word for word in adapt["script"]["actions"]["onRun"]["args"])
    values = yaml.safe_load((bundle / "parameter_values.yaml").read_text("utf-8"))
    by_name = {entry["name"]: entry["value"] for entry in values["parameterValues"]}
    assert by_name["Segments"] == "0-0" and by_name["ChunkSize"] == "2"
    assets = yaml.safe_load((bundle / "asset_references.yaml").read_text("utf-8"))
    named = assets["assetReferences"]["inputs"]
    assert set(named["filenames"]) == {str(studio / "line.wav"), str(studio / "curve.txt")}
    assert named["directories"] == [str(studio / "plate")]
    (environment,) = template["jobEnvironments"]
    assert environment["script"]["actions"]["onEnter"]["args"][:2] == ["farm", "start"]
    for step in template["steps"]:
        action = step["script"]["actions"]["onRun"]
        assert action["timeout"] > 0 and action["cancelation"]["notifyPeriodInSeconds"] == 60


def test_only_the_last_step_signs_and_the_key_is_never_copied(
    studio: Path, bundle_of: Bundler, openjd: Openjd, tiny_networks: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    shutil.copytree(tiny_networks, studio / "nets")
    monkeypatch.setattr(certificate, "config_folder", lambda: studio / "config")
    certificate.load_identity(None, None)  # makes one
    shutil.copy(studio / "config" / "signing" / certificate.CERTIFICATE, studio / "who.pem")
    shutil.copy(studio / "config" / "signing" / certificate.PRIVATE_KEY, studio / "key.pem")
    bundle = bundle_of(
        "plate: plate, dialogue: line.wav, out: done, provenance: true, "
        "certificate: who.pem, private-key: key.pem, consent: 'contract 12', watermark: shot7, "
        "watermark-method: pattern, backend: torch, weights: nets",
    )
    checked = openjd("check", bundle / "template.yaml")
    assert checked.returncode == 0, checked.stdout
    template = yaml.safe_load((bundle / "template.yaml").read_text("utf-8"))
    flows = {p["name"]: p.get("dataFlow") for p in template["parameterDefinitions"]}
    assert flows["Certificate"] == flows["Weights"] == "IN" and flows["PrivateKey"] == "NONE"
    signing = {"--set=provenance=true", "--set=certificate={{Param.Certificate}}",
               "--set=private_key={{Param.PrivateKey}}"}  # fmt: skip
    for step in template["steps"]:
        words = set(step["script"]["actions"]["onRun"]["args"])
        assert words & signing == (signing if step["name"] == "Assemble" else set())
        assert {"--set=watermark=shot7", "--set=consent=contract 12",
                "--set=weights={{Param.Weights}}"} <= words  # fmt: skip
        assert not any("key.pem" in word or "nets" in word for word in words)
    assets = yaml.safe_load((bundle / "asset_references.yaml").read_text("utf-8"))
    inputs = assets["assetReferences"]["inputs"]
    assert str(studio / "who.pem") in inputs["filenames"]
    assert str(studio / "nets") in inputs["directories"]
    assert str(studio / "key.pem") not in inputs["filenames"]


def test_values_cannot_become_expressions(bundle_of: Bundler) -> None:
    with pytest.raises(ConfigError, match="two braces"):
        bundle_of("plate: plate, dialogue: line.wav, out: done, speaker: '{{Param.X}}'")


def test_words_of_a_task_are_a_request_that_the_worker_takes() -> None:
    job = parse_settings([
        "plate=/a b/p.####.exr", "dialogue=1.wav", "out=/o", "offset-frames=-2",
        "overwrite=true", "frames=1001-1012", "speaker=10,20",
    ])  # fmt: skip
    params = worker_params(job, FrameRange(1001, 1004))
    line = json.dumps({"id": "1", "method": "render", "params": params}).encode()
    asked = parse_request(line).params
    assert asked.settings.chunk == FrameRange(1001, 1004)  # type: ignore[union-attr]
    assert asked.settings.offset_frames == -2 and asked.settings.overwrite  # type: ignore[union-attr]
    assert asked.shot() == job.shot  # type: ignore[union-attr]
    with pytest.raises(ConfigError, match="option=value"):
        parse_settings(["plate"])


@pytest.mark.parametrize("unread", [b"", b"events that nobody will read"])
def test_a_task_that_was_killed_cancels_its_job(unread: bytes) -> None:
    asked: list[str] = []

    class Running:
        done = False

        def cancel(self) -> None:
            asked.append("cancel")

    here, there = socket.socketpair()
    with here:
        here.sendall(unread)
        there.close()  # with something unread, this resets the connection
        cancel_when_gone(here, Running())
    assert asked == ["cancel"]


@pytest.mark.slow
def test_a_session_has_one_worker_that_strangers_cannot_use(tmp_path: Path) -> None:
    with pytest.raises(SessionError):
        call_session(tmp_path, "status", {}, print)
    start_session(tmp_path)
    try:
        told = tmp_path / "lipcore_worker.json"
        assert told.stat().st_mode & 0o077 == 0
        first = call_session(tmp_path, "status", {}, print)
        assert first["event"] == "result" and first["running"] is None
        stranger = tmp_path / "stranger"
        stranger.mkdir()
        facts = json.loads(told.read_text()) | {"secret": "x" * 64}
        (stranger / told.name).write_text(json.dumps(facts))
        with pytest.raises(SessionError, match="went away"):
            call_session(stranger, "status", {}, print)
        wrong = call_session(tmp_path, "render", {"plate": "nowhere.mov"}, print)
        assert wrong["event"] == "error" and wrong["exit_code"] == 2
    finally:
        stop_session(tmp_path)
    with pytest.raises(SessionError):
        call_session(tmp_path, "status", {}, print)
