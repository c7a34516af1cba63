"""A seeded sample of `make hostile`: hostile records are set aside one by one, and touch no good reading."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hostile.kinds import DRESSED, HOSTILE
from tests.hostile.run import Run


@pytest.mark.parametrize("strict", [False, True], ids=["any channels", "known channels only"])
def test_every_hostile_record_meets_its_fate_and_no_good_reading_is_touched(
    kafka_address: str, tmp_path: Path, strict: bool
) -> None:
    found = Run(f"kafka://{kafka_address}", tmp_path, 1_500, 0, strict).finish()
    assert found.equal, found
    assert {kind for kind, _ in found.published} == {kind.name for kind in DRESSED + HOSTILE}
    assert found.compared["scores"].compared > 150
    assert found.compared["alerts"].compared > 5
    assert found.mixed.peak_mb < 512
