"""The demo: from nothing to alerts, on a simulated plant whose faults are known."""

from streamae.demo.story import Demo
from streamae.demo.world import write_plant

__all__ = ["Demo", "write_plant"]
