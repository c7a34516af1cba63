"""Rings: what is read is what was written, whoever had the slot before."""

from __future__ import annotations

import numpy as np

from streamae.detection.rings import NEVER, NOWHERE, Ints, Rings, ranges


def ints(*numbers: int) -> Ints:
    return np.array(numbers, np.int64)


def test_ranges() -> None:
    owner, number = ranges(ints(5, 7, 9), ints(2, 0, 3))
    assert owner.tolist() == [0, 0, 2, 2, 2]
    assert number.tolist() == [5, 6, 9, 10, 11]


def test_a_series_keeps_its_slot_while_others_come() -> None:
    rings = Rings(ticks=4, channels=1)
    slots = [rings.add(f"pump-{number}", phase=0, first_open=0) for number in range(100)]
    assert len(set(slots)) == 100
    assert rings.slots(["pump-7", "valve", "pump-99"]).tolist() == [slots[7], -1, slots[99]]


def test_what_was_written_is_read_until_it_is_cleared() -> None:
    rings = Rings(ticks=4, channels=2)
    slot = rings.add("pump", phase=0, first_open=0)
    values = np.array([[1, np.nan], [2, 20], [3, np.nan], [np.nan, np.nan]], np.float32)
    rings.write(ints(slot, slot, slot, slot), ints(6, 7, 6, 9), values, ints(11, 12, 13, 14))
    read, offset = rings.read(ints(slot), ints(6), 4)
    np.testing.assert_array_equal(read[0], [[3, np.nan], [2, 20], [np.nan, np.nan], [np.nan, np.nan]])
    assert offset.tolist() == [[11, 12, NOWHERE, 14]]
    rings.clear(ints(slot), ints(6), ints(1))
    assert rings.read(ints(slot), ints(6), 4)[1].tolist() == [[NOWHERE, 12, NOWHERE, 14]]
    rings.clear(ints(slot), ints(6), ints(10**9))  # more than a ring has
    assert (rings.offset == NOWHERE).all()
    assert np.isnan(rings.values).all()


def test_a_slot_that_was_released_is_as_new() -> None:
    rings = Rings(ticks=4, channels=1)
    first = rings.add("pump", phase=1, first_open=5)
    rings.write(ints(first), ints(7), np.ones((1, 1), np.float32), ints(1))
    rings.clear(ints(first), ints(7), ints(1))
    rings.release(ints(first))
    assert rings.index == {}
    again = rings.add("valve", phase=0, first_open=0)
    assert (again, rings.names[again]) == (first, "valve")
    assert rings.newest[again] == rings.filled[again] == NEVER  # or a late first reading would close a million windows
    values, offset = rings.read(ints(again), ints(0), 4)
    assert np.isnan(values).all() and (offset == NOWHERE).all()
