"""Folders of a user who may have no home."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lipcore.errors import ConfigError
from lipcore.user_folders import expand_home, user_folder

KINDS = ("XDG_CACHE_HOME", "LOCALAPPDATA")


def test_variables_come_before_the_home_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in (*KINDS, "HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    for name in KINDS:
        assert user_folder(*KINDS, ".cache") == tmp_path / name / "lipcore"
        monkeypatch.delenv(name)
    assert user_folder(*KINDS, ".cache") == tmp_path / "HOME" / ".cache" / "lipcore"


def test_no_home_folder_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in KINDS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", _homeless)
    with pytest.raises(ConfigError, match="no home folder") as raised:
        user_folder(*KINDS, ".cache")
    assert "XDG_CACHE_HOME" in raised.value.hint


def _homeless() -> Path:
    raise RuntimeError("Could not determine home directory.")


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root becomes somebody else"
)
def test_a_command_of_a_user_without_a_home_is_told() -> None:
    hidden = {"HOME", "LIPCORE_CACHE", *KINDS}
    code = (
        "import os; from lipcore.cache import default_folder; os.setuid(54321); default_folder()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd="/",
        env={name: value for name, value in os.environ.items() if name not in hidden},
    )  # fmt: skip
    assert "lipcore.errors.ConfigError: this user has no home folder" in done.stderr


def test_a_tilde_becomes_the_home_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert expand_home("~/a/~b") == tmp_path / "a" / "~b"
    assert expand_home(Path("a/~")) == Path("a/~")


def test_nobody_has_no_home_folder() -> None:
    with pytest.raises(ConfigError, match=r"~nosuchuser \(~nosuchuser.a\.mov\)") as raised:
        expand_home(Path("~nosuchuser/a.mov"))
    assert raised.value.hint
