"""Trained networks as files that other runtimes take, each checked against torch."""
