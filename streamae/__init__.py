"""StreamAE finds anomalies in topics of sensor readings with autoencoders.

In a notebook: `streamae.train`, `score`, `backtest`, `evaluate`, `register`, `load`, and what else a model is for:
`embed`, `clean`, `impute`, `generate`. Importing this imports none of what they need.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from streamae.notebook import backtest, evaluate, load, register, score, train
    from streamae.uses.notebook import clean, embed, generate, impute

_HOMES = dict.fromkeys(("backtest", "evaluate", "load", "register", "score", "train"), "streamae.notebook")
_HOMES |= dict.fromkeys(("clean", "embed", "generate", "impute"), "streamae.uses.notebook")
__all__ = ["backtest", "clean", "embed", "evaluate", "generate", "impute", "load", "register", "score", "train"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
