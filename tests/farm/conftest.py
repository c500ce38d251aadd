"""A studio's folder, and the bundle runner."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lipcore.farm.bundle import BundleSettings, write_bundle
from lipcore.farm.check import check_jobs
from lipcore.farm.jobs import read_jobs

BIN = Path(sys.executable).parent
Openjd = Callable[..., "subprocess.CompletedProcess[str]"]
Bundler = Callable[..., Path]


@pytest.fixture
def studio(portrait_plate: Path, spoken_line: Path, tmp_path: Path) -> Path:
    """A folder with a plate ``plate`` of 12 frames and a line, in a name that needs care."""
    folder = tmp_path / "Büro 1"
    shutil.copytree(portrait_plate.parent, folder / "plate")
    shutil.copy(spoken_line, folder / "line.wav")
    return folder


@pytest.fixture
def bundle_of(studio: Path) -> Bundler:
    """Write the bundle of one job, given as the inside of a YAML mapping."""

    def make(entry: str, folder: str = "bundle", **settings: object) -> Path:
        (studio / "jobs.yaml").write_text(f"jobs: [{{name: shot, {entry}}}]", "utf-8")
        (check,) = check_jobs(read_jobs(studio / "jobs.yaml"))
        assert check.error is None, check.error
        write_bundle(check, studio / folder, BundleSettings(**settings))  # type: ignore[arg-type]
        return studio / folder

    return make


@pytest.fixture(scope="session")
def openjd() -> Openjd:
    """Call ``openjd``; tests are skipped where it is not installed."""
    command = shutil.which("openjd", path=f"{BIN}{os.pathsep}{os.environ['PATH']}")
    if command is None:
        pytest.skip("openjd-cli is not installed")

    def call(*arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [command, *map(str, arguments)], capture_output=True, text=True, timeout=560
        )

    return call


@pytest.fixture(scope="session")
def run_bundle(openjd: Openjd) -> Openjd:
    """Run all steps of a bundle's folder; further arguments are ``openjd run``'s."""

    def run(bundle: Path, *more: object) -> subprocess.CompletedProcess[str]:
        values = f"file://{bundle / 'openjd_parameters.json'}"
        return openjd("run", bundle / "template.yaml", "-p", values, *more)

    return run


@pytest.fixture
def here(tmp_path: Path) -> str:
    """``lipcore`` of this environment, by a path, as a farm's machines would call it."""
    script = tmp_path / "lipcore-here"
    script.write_text(f"#!/bin/sh\nexec '{sys.executable}' -m lipcore \"$@\"\n")
    script.chmod(0o755)
    return str(script)
