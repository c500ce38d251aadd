"""Workspace > Scripts: finds the plugin by its name and starts it. Installed per entry."""

import os
import sys
from pathlib import Path

TARGET = ""  # the folder Scripts, as it was when this was installed
PYTHON = ""  # the Python in which lipcore is
CLIPS = ""  # which clips; empty follows the settings

if Path(PYTHON).is_file():
    os.environ.setdefault("LIPCORE_PYTHON", PYTHON)

_BLACKMAGIC = "Blackmagic Design/DaVinci Resolve"
_folders = [
    TARGET,
    f"~/Library/Application Support/{_BLACKMAGIC}/Fusion/Scripts",
    f"/Library/Application Support/{_BLACKMAGIC}/Fusion/Scripts",
    "~/.local/share/DaVinciResolve/Fusion/Scripts",
    "/opt/resolve/Fusion/Scripts",
    f"{os.environ.get('APPDATA', '')}/{_BLACKMAGIC}/Support/Fusion/Scripts",
    f"{os.environ.get('PROGRAMDATA', '')}/{_BLACKMAGIC}/Fusion/Scripts",
]
for _folder in _folders:
    _place = Path(_folder).expanduser() / "lipcore"
    if _folder and (_place / "lipcore_plugins").is_dir():
        sys.path.insert(0, str(_place))
        break

from lipcore_plugins.resolve.start import run_from_menu  # noqa: E402

run_from_menu(globals(), CLIPS)
