"""Worker processes do not outlive a parent that was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

_PARENT = """
import multiprocessing, time
from concurrent.futures import ProcessPoolExecutor
from lipcore.train.pool import end_with_parent
if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, context, initializer=end_with_parent) as pool:
        for _ in range(2):
            pool.submit(time.sleep, 600)
        pool.submit(print)
        time.sleep(1)
        print("ready", flush=True)
        time.sleep(600)
"""


def test_workers_end_with_a_killed_parent(tmp_path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(_PARENT)
    running = subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert running.stdout is not None and running.stdout.readline() == "ready\n"
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    for _ in range(600):
        try:
            os.killpg(running.pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    os.killpg(running.pid, signal.SIGKILL)
    pytest.fail("workers outlived their parent")

