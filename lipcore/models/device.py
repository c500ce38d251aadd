"""Where networks run."""

from __future__ import annotations

import cv2
import torch

from lipcore.errors import ConfigError, DependencyError


def check_device(name: str) -> str:
    """The name of a device that is really there.

    Args:
        name: As torch has it: ``cpu``, ``cuda``, ``cuda:1``, ``mps``.

    Raises:
        ConfigError: The name is no device's.
        DependencyError: This machine, or this build of torch, does not have it.
    """
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(
            f"{name!r} is no device", hint="Use cpu, cuda, cuda:1 or mps."
        ) from error
    try:
        torch.zeros(1, device=device).cpu()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise DependencyError(
            f"the device {name} cannot be used here ({str(error).splitlines()[0]})",
            hint="Use --device cpu, or install the build of torch that fits the device.",
            device=name,
        ) from error
    return name


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception of Python, torch or OpenCV says that memory ran out."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    text = str(error)
    return isinstance(error, RuntimeError | cv2.error) and (
        "can't allocate memory" in text or "Insufficient memory" in text
    )
