"""Whether lipcore will work here, for its hosts too: each check says what to do."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lipcore.errors import LipcoreError
from lipcore.hosts.install import NUKE_LINE, PLUGINS, finds_nuke_folder, state

State = Literal["ok", "note", "fault"]

_ENCODERS = {
    "libx264": "H.264", "aac": "AAC", "prores_ks": "ProRes", "dnxhd": "DNxHR", "ffv1": "FFV1",
}
"""What `render` and the movies of `demo` are written with, by PyAV's name."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report."""

    name: str
    state: State
    """``note``: it works, and could do better."""
    text: str
    do: str = ""
    """What to do about it."""


def examine() -> Iterator[Finding]:
    """All checks, one after another; none of them raises."""
    checks: tuple[tuple[str, Callable[[], Iterator[Finding]]], ...] = (
        ("python", _python), ("worker", _worker), ("weights", _weights), ("gpu", _gpu),
        ("ocio", _ocio), ("codecs", _codecs), ("exr", _exr), ("plugins", _plugins),
    )  # fmt: skip
    for name, check in checks:
        try:
            yield from check()
        except LipcoreError as error:
            yield Finding(name, "fault", error.message, error.hint)
        except Exception as error:  # a broken install may fail anyhow: that is the finding
            yield Finding(name, "fault", f"{type(error).__name__}: {error}",
                          "Install lipcore again in a fresh environment.")  # fmt: skip


def _python() -> Iterator[Finding]:
    right = sys.version_info[:2] == (3, 11)
    yield Finding(
        "python", "ok" if right else "note", f"{platform.python_version()} at {sys.executable}",
        "" if right else "lipcore is tested with Python 3.11.",
    )
    from lipcore.plugins.client import WorkerAbsentError, find_command

    told = os.environ.get("LIPCORE_PYTHON", "").strip()
    if not told:
        yield Finding("python", "note", "LIPCORE_PYTHON is not set",
                      f"Set it to {sys.executable} where hosts start, "
                      "or have lipcore on their PATH.")  # fmt: skip
        return
    try:
        find_command()
    except WorkerAbsentError as error:
        yield Finding("python", "fault", error.message, f"Set it to {sys.executable}.")
    else:
        yield Finding("python", "ok", f"LIPCORE_PYTHON is {told}")


def _worker() -> Iterator[Finding]:
    from lipcore.plugins.client import WorkerClient, WorkerError, find_command

    start = time.monotonic()
    try:
        command = find_command()
    except WorkerError:
        command = [sys.executable, "-m", "lipcore", "worker"]
    try:
        with WorkerClient(command) as worker:
            told = worker.hello()
            took = time.monotonic() - start
    except WorkerError as error:
        yield Finding("worker", "fault", error.message, error.hint)
        return
    yield Finding("worker", "ok", f"lipcore {told['version']} answers in "
                  f"{took:.1f} s ({' '.join(command)})")  # fmt: skip


def _weights() -> Iterator[Finding]:
    from lipcore.models.checkpoint import load_header
    from lipcore.weights import find_weights, shipped_names

    for name in shipped_names():
        found = find_weights(name)
        for kind in found.kinds():
            load_header(found.file(kind))
        yield Finding("weights", "ok", f"{name}: {', '.join(found.kinds())}")


def _gpu() -> Iterator[Finding]:
    import torch

    if torch.cuda.is_available():
        yield Finding("gpu", "ok", torch.cuda.get_device_name(0))
    else:
        yield Finding("gpu", "note", "no CUDA device: the processor does the work",
                      "That is what lipcore is made for; a GPU serves the latent networks "
                      "and training.")  # fmt: skip


def _ocio() -> Iterator[Finding]:
    from lipcore.media.color import check_colorspace

    told = os.environ.get("OCIO", "")
    if told and "://" not in told and not Path(told).is_file():
        yield Finding("ocio", "fault", f"$OCIO names {told}, which is not there",
                      "Correct it, or leave it unset for the built-in ACES config.")  # fmt: skip
        return
    check_colorspace("scene_linear")
    yield Finding("ocio", "ok", told or "the built-in ACES config")


def _codecs() -> Iterator[Finding]:
    lacking = [f"{title} ({name})" for name, title in _ENCODERS.items() if not _encodes(name)]
    if lacking:
        yield Finding("codecs", "fault", f"no encoder for {', '.join(lacking)}",
                      "Install PyAV's own wheel, which brings them: pip install "
                      "--force-reinstall av.")  # fmt: skip
    else:
        yield Finding("codecs", "ok", ", ".join(_ENCODERS.values()))
    if _encodes("libx264"):
        yield Finding("codecs", "note", "H.264 is written by libx264, which is under the GPL; "
                      "H.264 and ProRes are patented or trademarked by others",
                      "Deliver EXR, DNxHR or FFV1 where your legal department minds.")  # fmt: skip


def _encodes(name: str) -> bool:
    import av

    try:
        return bool(av.codec.Codec(name, "w").is_encoder)
    except ValueError:  # PyAV's error of unknown names is one
        return False


def _exr() -> Iterator[Finding]:
    """Write a picture as EXR and read it as a plate."""
    import numpy as np
    import OpenImageIO as oiio  # noqa: N813 -- the library's own short name

    from lipcore.media.plate import open_plate

    wanted = np.linspace(0, 2, 8 * 8 * 3, dtype=np.float16).astype(np.float32).reshape(8, 8, 3)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "doctor.0001.exr"
        output = oiio.ImageOutput.create(str(path))
        spec = oiio.ImageSpec(8, 8, 3, "half")
        spec.attribute("compression", "zip")
        written = output is not None and output.open(str(path), spec)
        if not (written and output.write_image(wanted) and output.close()):
            yield Finding("exr", "fault", f"OpenImageIO writes no EXR ({oiio.geterror()})",
                          "Install its own wheel: pip install --force-reinstall "
                          "openimageio.")  # fmt: skip
            return
        with open_plate(path) as plate:
            same = np.array_equal(plate.read(1).rgb, wanted)
    yield Finding("exr", "ok" if same else "fault",
                  "written and read back" if same else "what is read is not what was written",
                  "" if same else "Install lipcore again in a fresh environment.")  # fmt: skip


def _plugins() -> Iterator[Finding]:
    from lipcore import __version__

    for host in PLUGINS:
        version, changed = state(host)
        again = f"Run `lipcore plugins install {host}`."
        if not version:
            yield Finding(host, "note", "the plugin is not in the user's folder", again)
        elif changed:
            yield Finding(host, "fault", f"{changed[0]} was changed or lost",
                          f"Move it away, then: {again}")  # fmt: skip
        elif version != __version__:
            yield Finding(host, "fault", f"the plugin is of {version}, lipcore is {__version__}",
                          again)  # fmt: skip
        elif host == "nuke" and not finds_nuke_folder(PLUGINS[host].default_target()):
            yield Finding(host, "fault", "the plugin is there, and no line of "
                          f"{PLUGINS[host].default_target() / 'init.py'} makes Nuke load it",
                          f"Add this line to it:  {NUKE_LINE}")  # fmt: skip
        else:
            yield Finding(host, "ok", f"version {version} in {PLUGINS[host].default_target()}")
