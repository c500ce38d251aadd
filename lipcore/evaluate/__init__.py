"""Judges and figures of finished pictures."""
