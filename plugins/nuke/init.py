"""Nuke runs this at every start, on farms too: it makes the package known, and no window."""

import os
import sys

_HERE = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 (Nuke's own way)
if _HERE not in sys.path:
    sys.path.insert(0, _HERE)

import lipcore_plugins.nuke.startup  # noqa: E402

lipcore_plugins.nuke.startup.register()
