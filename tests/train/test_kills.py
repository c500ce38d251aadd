"""Training in real processes: killed at any moment, or shared by several."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from lipcore.train.runfolder import RunFolder

from lipcore.config import save_config
from lipcore.models.checkpoint import load_header, load_tensors

from .test_recipes import make

STEPS = 40
# Each line of stdin starts one `lipcore train` in a fork that has everything imported already;
# its process id is answered. A blank line ends the server.
SERVER = """
import os, sys
import lightning.fabric, torch.utils.tensorboard
from lightning.fabric.strategies.ddp import DDPStrategy
from lipcore.cli.main import main
from lipcore.train import catalog, loop, vqgan_pose, sync_expert
for line in sys.stdin:
    if not line.strip():
        break
    child = os.fork()
    if not child:
        os.setpgid(0, 0)
        sys.argv = line.rstrip("\\n").split("\\t")
        main()
        os._exit(0)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def _environment() -> dict[str, str]:
    return os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


def _settings(kind: str, folder: Path, weights: Path, out: Path, **loop: object) -> Path:
    """The YAML file of a tiny recipe."""
    _, config = make(kind, folder, weights, **loop)
    path = out / f"{kind}_tiny.yaml"
    save_config(config, path)
    return path


def _losses(run: Path) -> list[tuple[int, float]]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [(line["step"], line["loss"]) for line in lines if line["part"] == "train"]


@pytest.mark.slow
def test_ten_kills_lose_no_checkpoint_and_change_no_result(
    prepared: Path, tiny_weights: Path, tmp_path: Path
) -> None:
    recipe = _settings("vqgan_pose", prepared, tiny_weights, tmp_path, max_steps=STEPS,
                       save_minutes=0.0, log_steps=3)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    command = ["lipcore", "train", str(recipe), "--data", str(prepared), "--out"]
    chance = random.Random(0)
    with subprocess.Popen(
        [sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env=_environment(),
    ) as server:
        assert server.stdin is not None and server.stdout is not None

        def start(*words: str) -> int:
            print("\t".join([*command, *words]), file=server.stdin, flush=True)
            assert server.stdout is not None
            return int(server.stdout.readline())

        def ended() -> int:
            assert server.stdout is not None
            line = server.stdout.readline()
            while not line.strip().lstrip("-").isdigit():  # what the command says
                line = server.stdout.readline()
            return int(line)

        start(str(whole))
        assert ended() == 0
        folder, reached = RunFolder(killed), 0
        for kill in range(10):
            process = start(str(killed), *(["--resume"] if folder.holds_run else []))
            _wait_for_step(folder, min(reached + 1, STEPS))
            time.sleep(chance.uniform(0, 0.15))
            os.kill(process, signal.SIGKILL)
            code = ended()
            # A run that came to its end before the kill is no kill.
            assert code == -signal.SIGKILL or kill > 3
            step = folder.read_checkpoint()["step"]
            assert reached <= step <= STEPS
            reached = step
        start(str(killed), "--resume")
        assert ended() == 0
        print(file=server.stdin, flush=True)
    assert _losses(whole) == _losses(killed) and len(_losses(whole)) == STEPS // 3
    a, _ = load_tensors(whole / "vqgan_pose.safetensors", kind="vqgan_pose")
    b, header = load_tensors(killed / "vqgan_pose.safetensors", kind="vqgan_pose")
    assert all(torch.equal(a[k], b[k]) for k in a)
    states = [RunFolder(run).read_checkpoint()["networks"]["vqgan_pose"] for run in (whole, killed)]
    assert all(torch.equal(states[0][k], states[1][k]) for k in states[0])
    history = header["record"]["history"]
    assert len(history) > 4 and len({h["data"] for h in history}) == 1


@pytest.mark.slow
def test_an_interrupt_saves_the_run_at_the_end_of_its_step(
    prepared: Path, tiny_weights: Path, tmp_path: Path
) -> None:
    recipe = _settings("vqgan_pose", prepared, tiny_weights, tmp_path, max_steps=100_000,
                       save_minutes=1000.0, log_steps=1)
    command = [sys.executable, "-m", "lipcore", "train", str(recipe), "--data", str(prepared),
               "--out", str(tmp_path / "run")]
    run, reached = tmp_path / "run", 0
    for number, code, more, said in (
        (signal.SIGINT, 130, [], "the same command with --resume goes on"),
        (signal.SIGTERM, 143, ["--resume"], "the same command goes on"),
    ):
        process = subprocess.Popen(
            [*command, *more], env=_environment(), stderr=subprocess.PIPE, text=True,
            # A shell's background jobs ignore SIGINT, and so would what they start.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        end = time.monotonic() + 120
        while not (run / "metrics.jsonl").exists() or len(_losses(run)) < reached + 3:
            assert process.poll() is None and time.monotonic() < end
            time.sleep(0.02)
        process.send_signal(number)
        _, told = process.communicate(timeout=120)
        assert process.returncode == code, told
        assert said in told and "Traceback" not in told
        step = RunFolder(run).read_checkpoint()["step"]
        assert step == _losses(run)[-1][0] >= reached + 3
        reached = step


def _wait_for_step(folder: RunFolder, step: int) -> None:
    """Until a run has saved ``step`` or a later one."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        if folder.holds_run and folder.read_checkpoint()["step"] >= step:
            return
        time.sleep(0.01)
    pytest.fail(f"step {step} was not reached")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sync_expert", "vqgan_face"])
def test_two_processes_learn_what_one_does(
    kind: str, prepared: Path, tiny_weights: Path, tmp_path: Path
) -> None:
    # V_f: patches, whole crops, crops that skip the codebook, codes that restart, an adversary.
    recipe = _settings(kind, prepared, tiny_weights, tmp_path, max_steps=10)
    runs = {}
    for count in (1, 2):
        runs[count] = tmp_path / f"by_{count}"
        subprocess.run(
            [sys.executable, "-m", "torch.distributed.run", "--standalone",
             f"--nproc-per-node={count}", "-m", "lipcore", "train", str(recipe),
             "--data", str(prepared), "--out", str(runs[count])],
            check=True, env=_environment(), capture_output=True, timeout=300,
        )
    states = [RunFolder(run).read_checkpoint()["networks"] for run in runs.values()]
    begun, _ = make(kind, prepared, tiny_weights)
    for name, network in begun.learned.items():
        start = network.state_dict()
        one, two = states[0][name], states[1][name]
        moved = max(float((one[k] - start[k]).abs().max()) for k in start)
        apart = max(float((one[k] - two[k]).abs().max()) for k in start)
        assert moved > 1e-3 and apart < 0.02 * moved, (name, moved, apart)
    logged = [_losses(run)[-1][1] for run in runs.values()]
    assert logged[0] == pytest.approx(logged[1], rel=1e-3)
    record = load_header(runs[2] / f"{kind}.safetensors")["record"]
    assert record["processes"] == 2 and record["history"][0]["processes"] == 2


def test_a_half_written_checkpoint_falls_back_on_the_one_before(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.write_checkpoint({"step": 1})
    folder.write_checkpoint({"step": 2})
    folder.checkpoint.write_bytes(folder.checkpoint.read_bytes()[:100])
    assert folder.holds_run and folder.read_checkpoint() == {"step": 1}
    folder.checkpoint.unlink()
    assert folder.holds_run and folder.read_checkpoint() == {"step": 1}


def test_a_step_that_does_not_divide_is_said(
    prepared: Path, tiny_weights: Path, tmp_path: Path
) -> None:
    recipe, config = make("vqgan_pose", prepared, tiny_weights)
    path = tmp_path / "vqgan_pose_odd.yaml"
    save_config(replace(config, loop=replace(recipe.loop, batch_size=3)), path)  # type: ignore[type-var]
    ended = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2",
         "-m", "lipcore", "train", str(path), "--data", str(prepared),
         "--out", str(tmp_path / "run")],
        env=_environment(), capture_output=True, text=True, timeout=300,
    )
    assert ended.returncode and "do not divide among 2 processes" in ended.stderr
