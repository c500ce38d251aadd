"""The worker: one process that stays loaded and does jobs told in JSON lines."""
