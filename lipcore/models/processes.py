"""Training in several processes: what all of them hold together.

Where a run is not shared, each of these gives back what it was given.
"""

from __future__ import annotations

import torch
from torch import Tensor


def _shared() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()


def sum_over_processes(values: Tensor) -> Tensor:
    """The sum of ``values`` over all processes, on each of them; no gradient goes through."""
    if not _shared():
        return values
    total = values.detach().clone()
    torch.distributed.all_reduce(total)
    return total


def mean_over_processes(values: Tensor) -> Tensor:
    """The mean of ``values`` over all processes, on each of them; no gradient goes through."""
    if not _shared():
        return values
    return sum_over_processes(values) / torch.distributed.get_world_size()


def gather_items(values: Tensor) -> Tensor:
    """(N, ...) of each process to (processes * N, ...), in the order of the whole batch.

    All processes must hold equally many; no gradient goes through.
    """
    if not _shared():
        return values
    own = values.detach().contiguous()
    parts = [torch.empty_like(own) for _ in range(torch.distributed.get_world_size())]
    torch.distributed.all_gather(parts, own)
    return torch.cat(parts)
