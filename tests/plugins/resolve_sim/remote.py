"""How objects of the host behave: any name seems to be there, and fails when it is called."""

from __future__ import annotations

import itertools
from typing import Any

from .stubs import check_class, read_stubs

_ids = itertools.count(1)


class Fabricated:
    """What the host answers for a name that it does not have."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, *_: Any, **__: Any) -> Any:
        raise TypeError(f"'NoneType' object is not callable ({self.name})")


class Remote:
    """An object of the simulated host. ``hasattr`` is always true; ``dir`` tells the truth."""

    def __init_subclass__(cls) -> None:
        check_class(cls)

    def __init__(self) -> None:
        self.sim_id = f"{type(self).__name__}-{next(_ids)}"

    def __getattr__(self, name: str) -> Any:
        if name.startswith(("_", "sim_")):
            raise AttributeError(name)
        if name in read_stubs().methods[type(self).__name__]:
            raise NotImplementedError(f"the simulated host does no {type(self).__name__}.{name}")
        return Fabricated(name)

    def __dir__(self) -> list[str]:
        return list(read_stubs().methods[type(self).__name__])


def number(value: Any) -> bool:
    """What the host takes as a number: no text, no truth value."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)
