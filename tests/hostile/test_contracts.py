"""Bytes that are nearly right, and bytes that are anything: what each format promises holds for all of them."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.hostile.contracts import CONTRACTS, Contract


@st.composite
def damaged(draw: st.DrawFn, contract: Contract) -> bytes:
    """A seed with a few changes: parts that are cut, doubled or replaced."""
    data = draw(st.sampled_from(contract.seeds))
    for _ in range(draw(st.integers(0, 4))):
        low, high = sorted(draw(st.tuples(*[st.integers(0, len(data))] * 2)))
        put = draw(st.sampled_from(contract.tokens) | st.binary(max_size=4) | st.just(data[low : low + 40]))
        data = data[:low] + put + data[draw(st.sampled_from([low, low + len(put), high])) :]
    return data


@pytest.mark.parametrize("name", CONTRACTS)
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_whatever_the_bytes_the_promise_holds(name: str, data: st.DataObject) -> None:
    contract = CONTRACTS[name]
    contract.holds(data.draw(st.one_of(damaged(contract), st.binary(max_size=60))))


@pytest.mark.parametrize("name", CONTRACTS)
def test_every_seed_holds(name: str) -> None:
    for seed in CONTRACTS[name].seeds:
        CONTRACTS[name].holds(seed)
