"""Plugins of other programs: where they go, and whether they will work."""
