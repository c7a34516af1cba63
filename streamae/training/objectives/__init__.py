"""The objectives: what a network is trained towards. Each is a small file, and works with every backbone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from streamae.config import Training, objectives
from streamae.training.objectives.adversarial import Adversarial
from streamae.training.objectives.conditional import Conditional
from streamae.training.objectives.contractive import Contractive
from streamae.training.objectives.denoising import Denoising
from streamae.training.objectives.masked import Masked
from streamae.training.objectives.objective import Objective
from streamae.training.objectives.sparse import Sparse
from streamae.training.objectives.undercomplete import Undercomplete
from streamae.training.objectives.variational import Variational

OBJECTIVES: dict[type[objectives.Objective], Callable[[Any], Objective]] = {
    objectives.Undercomplete: Undercomplete,
    objectives.Sparse: Sparse,
    objectives.Contractive: Contractive,
    objectives.Denoising: Denoising,
    objectives.Variational: Variational,
    objectives.Conditional: Conditional,
    objectives.Adversarial: Adversarial,
    objectives.Masked: Masked,
}


def objective(training: Training) -> Objective:
    """The objective that `training` names, with its parameters."""
    return OBJECTIVES[type(training.aim)](training.aim)
