"""The demo as a newcomer meets it, on a smaller plant."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from streamae.demo import Demo
from streamae.simulation import SimulationSpec

README = Path(__file__).parents[2] / "README.md"


def plant(seed: int = 1) -> SimulationSpec:
    """Three pumps: a week to learn from, three days to watch."""
    return SimulationSpec(seed=seed, end_ms=time.time_ns() // 1_000_000, series=3, history_days=7, live_days=3)


def streamae(*command: str) -> subprocess.CompletedProcess[str]:
    """The command line, as a process."""
    return subprocess.run([sys.executable, "-m", "streamae", *command], capture_output=True, text=True, check=False)


def test_the_demo_ends_by_itself_with_a_summary_and_what_to_try_next(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = io.StringIO()
    Demo(plant(), "lstm", Console(file=shown, width=120), ("embedded://plant.db", "plant")).run(tmp_path)
    assert "all faults" in shown.getvalue()
    assert f"streamae doctor {tmp_path}/streamae.toml" in shown.getvalue()

    config = str(tmp_path / "streamae.toml")
    examined = streamae("doctor", config)
    assert examined.returncode == 0, examined.stdout
    assert "v0001 loads and reproduces its golden windows" in examined.stdout
    lines = streamae("alerts", config, "--json").stdout.splitlines()
    states = [json.loads(line)["state"] for line in lines]
    assert states.count("firing") >= states.count("resolved") > 0
    assert "champion" in streamae("models", "list", config).stdout
    assert "calibrate" in streamae("models", "show", config, "v0001").stdout
    capsys.readouterr()


def test_on_kafka_a_plain_subscriber_reads_the_alerts_with_the_lines_of_the_readme(
    tmp_path: Path, kafka_address: str, topic_name: Callable[[str], str]
) -> None:
    place = f"kafka://{kafka_address}", topic_name("plant")
    Demo(plant(2), "transformer", Console(file=io.StringIO()), place).run(tmp_path)
    lines = README.read_text().partition("<!-- subscriber -->\n```python\n")[2].partition("```")[0]
    assert "streamae" not in lines
    assert len(lines.strip().splitlines()) <= 10
    program = tmp_path / "subscriber.py"
    program.write_text(lines.replace("plant.alerts", f"{place[1]}.alerts"))
    read = subprocess.run([sys.executable, program, kafka_address], capture_output=True, text=True, check=True)
    ours = streamae("alerts", str(tmp_path / "streamae.toml"), "--json").stdout.splitlines()
    assert len(read.stdout.splitlines()) == len(ours) > 0
    assert {line.split()[0] for line in read.stdout.splitlines()} <= {"firing", "resolved"}
