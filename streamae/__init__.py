"""StreamAE finds anomalies in topics of sensor readings with autoencoders.

In a notebook: `streamae.train`, `score`, `backtest`, `evaluate`, `register`, `load`. Importing this imports none of
what they need.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from streamae.notebook import backtest, evaluate, load, register, score, train

__all__ = ["backtest", "evaluate", "load", "register", "score", "train"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module("streamae.notebook"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
