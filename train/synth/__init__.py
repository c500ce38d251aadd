"""Synthetic talking heads with exact truth: a morphable head that says sentences of our own."""
