"""Marks that say where pictures come from."""
