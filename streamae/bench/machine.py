"""What a figure depends on beside the code: the machine and the versions."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
from pathlib import Path

from streamae.bench.broker import librdkafka

PACKAGES = ("streamae", "onnxruntime", "onnxruntime-gpu", "kafka-python", "confluent-kafka", "numpy", "msgspec")


def versions() -> dict[str, str]:
    """Of everything whose speed is measured."""
    found = {"python": platform.python_version(), "librdkafka": librdkafka()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, str | int | float]:
    """The processor, its cores that this process may use, and how busy they are."""
    facts = Path("/proc/cpuinfo")
    name = re.search(r"model name\s*:\s*(.+)", facts.read_text(encoding="utf-8")) if facts.exists() else None
    return {
        "cpu": name[1] if name else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "load": round(os.getloadavg()[0], 2),
        "system": platform.platform(),
    }
