"""Plates, sound and color: everything that touches a media file."""
