"""Nuke runs this when it has windows: the menu entry."""

import lipcore_plugins.nuke.startup

lipcore_plugins.nuke.startup.add_menu()
