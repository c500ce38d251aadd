"""Numbers that training multiplies: float32, or bfloat16 where the machine does so natively."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Literal

import torch

if TYPE_CHECKING:
    from lightning.fabric.plugins import Precision

Chosen = Literal["bf16", "32"]


def native_bf16() -> bool:
    """Whether the machine multiplies bfloat16 in hardware (detected, not assumed)."""
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    probe = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return bool(probe and probe())


def choose_precision(asked: Literal["auto", "32", "bf16"]) -> Chosen:
    """What ``auto`` means on this machine."""
    if asked == "auto":
        return "bf16" if native_bf16() else "32"
    return asked


def make_precision(chosen: Chosen) -> Precision:
    """The plugin of Lightning Fabric for it.

    Its own plugin for bfloat16 rounds the inputs of a network to eight bits of mantissa, and
    lets no loss be followed back but by its own call: the balance of an adversary needs the
    slope of two losses at one layer. bfloat16 wants no scaler, so neither is needed.
    """
    from lightning.fabric.plugins import Precision
    from lightning_utilities.core.apply_func import apply_to_collection

    class Autocast(Precision):
        """Weights, inputs and outputs in float32, products within a network in bfloat16."""

        precision = "bf16-mixed"

        def forward_context(self) -> AbstractContextManager[Any]:
            device = "cuda" if torch.cuda.is_available() else "cpu"
            return torch.autocast(device, torch.bfloat16)

        def convert_output(self, data: Any) -> Any:
            return apply_to_collection(data, torch.Tensor, _to_float32)

    return Autocast() if chosen == "bf16" else Precision()


def _to_float32(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor
