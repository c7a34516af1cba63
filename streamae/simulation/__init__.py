"""A simulated plant: pumps with known faults, so that what was found can be held against what was there."""

from streamae.simulation.faults import KINDS, SIZES, Fault
from streamae.simulation.plant import Columns, Plant, config_text, records, simulate
from streamae.simulation.pumps import CHANNELS, SimulationSpec

__all__ = [
    "CHANNELS",
    "KINDS",
    "SIZES",
    "Columns",
    "Fault",
    "Plant",
    "SimulationSpec",
    "config_text",
    "records",
    "simulate",
]
