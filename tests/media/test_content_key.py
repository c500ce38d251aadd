"""What a plate is called in caches must not change from one process to the next."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import OpenImageIO as oiio  # noqa: N813
import pytest

_ASK = """
import sys
from lipcore.media.plate import open_plate
with open_plate(sys.argv[1]) as plate:
    print(plate.content_key())
"""


def write_frames(folder: Path, count: int) -> None:
    """Small half EXR frames, each different."""
    for number in range(1001, 1001 + count):
        out = oiio.ImageOutput.create("x.exr")
        out.open(str(folder / f"p.{number}.exr"), oiio.ImageSpec(16, 8, 3, "half"))
        out.write_image(np.full((8, 16, 3), number / 2000, np.float32))
        out.close()


@pytest.mark.slow
def test_a_plate_keeps_its_name_whatever_the_hash_seed(tmp_path: Path) -> None:
    write_frames(tmp_path, 3)
    keys = {
        subprocess.run(
            [sys.executable, "-c", _ASK, str(tmp_path)],
            env={**os.environ, "PYTHONHASHSEED": str(seed)}, capture_output=True, text=True,
            check=True,
        ).stdout
        for seed in range(4)
    }
    assert len(keys) == 1


def test_another_picture_has_another_name(tmp_path: Path) -> None:
    from lipcore.media.plate import open_plate

    write_frames(tmp_path, 3)
    with open_plate(tmp_path) as plate:
        before = plate.content_key()
    write_frames(tmp_path, 4)
    with open_plate(tmp_path) as plate:
        assert plate.content_key() != before
