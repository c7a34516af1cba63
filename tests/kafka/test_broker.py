"""The test kit itself: a broker must never outlive whoever started it."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.topics.member import eventually

SCRIPT = Path(__file__).with_name("broker.py")


def _answers(address: str) -> bool:
    host, port = address.split(":")
    try:
        socket.create_connection((host, int(port)), 1).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize("end", ["terminate", "kill"])
def test_a_broker_ends_with_the_process_that_started_it(kafka_address: str, end: str) -> None:
    with subprocess.Popen([sys.executable, str(SCRIPT)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert _answers(address)
        getattr(process, end)()
    eventually(lambda: not _answers(address))
