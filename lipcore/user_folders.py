"""Where lipcore keeps things of a user: caches, imported weights, a certificate; and ``~``."""

from __future__ import annotations

import os
from pathlib import Path

from lipcore.errors import ConfigError


def user_folder(named: str, windows: str, below_home: str) -> Path:
    """``lipcore`` in a user's folder of one kind; it need not be there.

    Args:
        named: The variable that names the folder on Linux, as ``XDG_CACHE_HOME``.
        windows: The variable that names it on Windows, as ``LOCALAPPDATA``.
        below_home: Where it is, below the home folder, where neither is set.

    Raises:
        ConfigError: Neither is set, and the user has no home folder, as in some containers.
    """
    base = os.environ.get(named) or os.environ.get(windows)
    if base:
        return Path(base) / "lipcore"
    try:
        return Path.home() / below_home / "lipcore"
    except RuntimeError as error:
        raise ConfigError(
            "this user has no home folder",
            hint=f"Set {named} (or HOME) to a folder that may be written.",
        ) from error


def expand_home(path: str | Path) -> Path:
    """The path with the home folder in place of ``~``, or another user's in place of ``~name``.

    Raises:
        ConfigError: It begins with ``~``, and there is no such user, or none with a home folder.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise ConfigError(
            f"no home folder is known for {Path(path).parts[0]} ({path})",
            hint="Write the whole path, from the root.", path=str(path),
        ) from error
