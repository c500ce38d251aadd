"""The worker: one process that keeps the networks loaded and does jobs told in JSON lines."""
