"""All guards, and the known faults that need none."""

from __future__ import annotations

from tests.guards.bounds import BOUNDS
from tests.guards.connections import CONNECTIONS
from tests.guards.members import MEMBERS
from tests.guards.objectives import OBJECTIVES
from tests.guards.serving import SERVING
from tests.guards.transactions import TRANSACTIONS

GUARDS = (*TRANSACTIONS, *MEMBERS, *CONNECTIONS, *SERVING, *BOUNDS, *OBJECTIVES)
WITHOUT_A_GUARD = {
    "P3: an exception in a deserialiser": "there is none: keys and values stay bytes, and readings are parsed outside",
    "P23: a question for the bounds of a partition that is not answered": "kafka-python ends it by request_timeout_ms",
    "raw batches: a walk over them that differs from kafka-python's": "there is none: records come by its public poll",
}
