"""What the worker processes of long preparations share."""

from __future__ import annotations

import multiprocessing
import os
import threading


def end_with_parent() -> None:
    """Called in a worker process: it ends at once when its parent does, however that ended.

    A parent that is killed cannot tell its workers to stop; they would work on for nobody.
    """
    parent = multiprocessing.parent_process()
    assert parent is not None

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
