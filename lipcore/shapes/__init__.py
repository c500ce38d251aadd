"""Mouth shapes: the hinge between sound and picture."""
