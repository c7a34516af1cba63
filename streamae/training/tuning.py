"""Tuning: the smallest code that still rebuilds what is normal, then the rest of a network by search.

How well a network rebuilds windows that it was not fitted on falls with the size of its code, and then no more: what is
left is noise. The code on that elbow is the one to take, for a larger one rebuilds anomalies as well. Nothing here sees
a label or an anomaly.

Penalties and corruption of an objective are not searched for, nor the loss: they say what is wanted, and by error alone
none would be best.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import msgspec

from streamae.config import UNTRAINED, Training
from streamae.errors import ConfigError
from streamae.training.fitting import fit
from streamae.training.material import Material

if TYPE_CHECKING:
    from optuna import Study, Trial

CODES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
TOLERANCE = 0.05  # of the plateau's error, by which that of the code may be larger

Told = Callable[[str, float], None]  # is told what was tried, and how far the code or the search is: 0 to 1


@dataclass(frozen=True)
class Tried:
    """A network, and how well it rebuilds the held-out tail of the fit span."""

    changes: dict[str, Any]  # keys of $.training
    error: float
    pca_error: float  # of PCA with as many numbers as its code
    weights: int
    seconds: float

    def __str__(self) -> str:
        return ", ".join(f"{key} {value}" for key, value in self.changes.items())


@dataclass(frozen=True)
class Tuned:
    """What was tried, and what is best."""

    training: Training  # that was begun with
    codes: tuple[Tried, ...]
    tolerance: float
    searched: tuple[Tried, ...]  # with the code that was chosen; the first is the network as it was

    @property
    def plateau(self) -> float:
        """The smallest error that any code reaches."""
        return min(one.error for one in self.codes)

    @property
    def code(self) -> Tried:
        """The smallest code whose error is within the tolerance of the plateau."""
        return next(one for one in self.codes if one.error <= (1 + self.tolerance) * self.plateau)

    @property
    def best(self) -> Tried:
        """The network with the smallest error, with the code that was chosen."""
        return min([self.code, *self.searched], key=lambda one: one.error)


@dataclass(frozen=True)
class Question:
    """How to tune."""

    tolerance: float = TOLERANCE
    minutes: float = 5.0  # to search for; 0: the code alone
    trials: int | None = None  # networks to try at most


def tune(material: Material, question: Question, told: Told) -> Tuned:
    """Find the code, then search the rest. Raises ConfigError.

    The codes come out the same every time; so does the search where `trials` ends it.
    """
    training = material.config.training
    if training.autoencoder in UNTRAINED:
        raise ConfigError(
            f"$.training.autoencoder: {training.autoencoder} has no network, so there is nothing to tune; "
            "choose dense, conv, lstm or transformer"
        )
    tried: list[Tried] = []
    sizes = codes(material)
    for at, code in enumerate(sizes, 1):
        tried.append(_tried(material, {"code": code}))
        told(str(tried[-1]), at / len(sizes))
    found = Tuned(training, tuple(tried), question.tolerance, ())
    return replace(found, searched=tuple(_search(material, found.code.changes, question, told)))


def codes(material: Material) -> list[int]:
    """The sizes that are tried: smaller than the window, and at most half as many as windows to learn from."""
    cells = material.window.length * len(material.channels)
    return [code for code in CODES if code < min(cells, len(material.fit.learn) // 2 + 1)] or [1]


def _tried(material: Material, changes: dict[str, Any]) -> Tried:
    began = time.perf_counter()
    fitted = fit(material.fit, material.scored, msgspec.structs.replace(material.config.training, **changes))
    weights = sum(one.numel() for one in fitted.graph.parameters())
    facts = fitted.facts
    return Tried(changes, facts["error"], facts["pca_error"], weights, time.perf_counter() - began)


def _search(material: Material, chosen: dict[str, Any], question: Question, told: Told) -> Iterator[Tried]:
    """Tree-structured Parzen estimators (Bergstra et al., "Algorithms for Hyper-Parameter Optimization", 2011)."""
    if not question.minutes or question.trials == 0:
        return
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    training = material.config.training
    study: Study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=training.seed))
    began, done = time.monotonic(), 0
    while (share := _share(began, done, question)) < 1:
        trial = study.ask()
        tried = _tried(material, {**chosen, **_suggested(trial, training)})
        study.tell(trial, tried.error)
        yield tried
        done += 1
        told(str(tried), share)


def _share(began: float, done: int, question: Question) -> float:
    """How much of a search is over."""
    return max((time.monotonic() - began) / (60 * question.minutes), done / question.trials if question.trials else 0)


def _suggested(trial: Trial, training: Training) -> dict[str, Any]:
    """A network of this backbone: keys of $.training."""
    layers = trial.suggest_int("layers", 1, 3)
    widest = trial.suggest_categorical("nodes", [16, 32, 64, 128])
    nodes = [max(widest >> at, training.heads) for at in range(layers)]
    changes: dict[str, Any] = {
        "hidden": tuple(size - size % training.heads for size in nodes),
        "layers": layers,
        "learning_rate": round(trial.suggest_float("learning_rate", 1e-3, 2e-2, log=True), 5),
        "dropout": trial.suggest_categorical("dropout", [0.0, 0.1, 0.2]),
    }
    if training.autoencoder in ("lstm", "transformer"):
        changes["token"] = trial.suggest_categorical("token", [1, 2, 4, 8])
    if training.autoencoder != "lstm":
        changes["activation"] = trial.suggest_categorical("activation", ["gelu", "relu", "elu", "tanh"])
    return changes
