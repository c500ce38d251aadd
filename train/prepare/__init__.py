"""From videos to shards: aligned crops, landmarks and sound of faces that speak.

``run.prepare`` is the whole story; ``part`` prepares a minute of one file.
"""

from .run import REJECTED, prepare
from .settings import PrepareConfig, QualityBounds

__all__ = ["REJECTED", "PrepareConfig", "QualityBounds", "prepare"]
