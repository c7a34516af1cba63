"""A password is in nothing that a service shows: not in its log, page, arguments or errors."""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.kafka.secure import PASSWORD, SecureBroker
from tests.serving.process import Process
from tests.serving.stand import CALM, Stand, wait_for
from tests.topics.security import WRONG

PAGES = "metrics", "healthz"


def commanded(*arguments: str) -> str:
    """All that a command prints."""
    done = subprocess.run(
        [sys.executable, "-m", "streamae", *arguments], capture_output=True, text=True, timeout=120, check=False
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize("password", [PASSWORD, WRONG], ids=["right", "wrong"])
def test_a_password_is_in_nothing_that_a_service_shows(
    secure_broker: SecureBroker,
    tmp_path: Path,
    topic_name: Callable[[str], str],
    monkeypatch: pytest.MonkeyPatch,
    password: str,
) -> None:
    monkeypatch.setenv("PLANT_PASSWORD", password)
    changes = {"topics": secure_broker.topics("${PLANT_PASSWORD}")}
    stand = Stand(f"kafka://{secure_broker.address('PLAINTEXT')}", topic_name("plant"), tmp_path, 2, changes)
    stand.champion()
    stand.publish([("pump", tick, CALM) for tick in range(20)], 0)
    process = Process(stand)
    process.start()
    arguments = Path(f"/proc/{process.pid}/cmdline")
    wait_for(lambda: bool(arguments.read_text()))
    shown = [arguments.read_text()]
    if password == PASSWORD:
        wait_for(lambda: process.committed() == 20)
        shown += [urllib.request.urlopen(f"{process.address()}/{page}").read().decode() for page in PAGES]
        assert "streamae_readings_total 20.0" in shown[-2]
        assert process.stop() == 0
    else:
        assert process.ended(60) == 2
        assert "check sasl_plain_username, sasl_plain_password" in process.said()
    shown += [process.said(), *(commanded(command, str(process.config)) for command in ("check", "doctor"))]
    assert all(shown)
    assert not [text for text in shown if password in text]
    stand.close()
