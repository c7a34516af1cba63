"""What each format promises, whatever the bytes: a value that can be used, or the one error that says what is wrong.

Hypothesis and the fuzzer hold the same contracts.
"""

from tests.hostile.contracts.artifacts import ARTIFACTS
from tests.hostile.contracts.configs import CONFIGS
from tests.hostile.contracts.contract import Contract
from tests.hostile.contracts.partitions import CHECKPOINTS, PACKED
from tests.hostile.contracts.records import RECORDS

__all__ = ["CONTRACTS", "Contract"]

CONTRACTS = {
    "records": RECORDS,
    "config": CONFIGS,
    "artifact": ARTIFACTS,
    "checkpoint": CHECKPOINTS,
    "packed": PACKED,
}
