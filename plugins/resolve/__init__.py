"""Lip-sync of a timeline of DaVinci Resolve; the standard library and the host's API only."""
