"""Lip-reading drills: a portrait says words without sound, and a page asks which."""
