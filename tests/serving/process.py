"""`streamae serve` as a process of its own: started, watched, killed."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from tests.serving.stand import Stand

MAIN = "from streamae.cli import main; main()"


class Process:
    """A service's process, or one of several `instance`s; `prelude` is Python that it runs before the command line."""

    def __init__(self, stand: Stand, prelude: str = "", instance: str = "0") -> None:
        self.partitions = stand.partitions
        self.config = stand.folder / f"{stand.name}-{instance}.toml"
        self.config.write_text(stand.toml(instance=instance))
        self.lives = 0
        self._prelude = prelude
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """What the present life says on its standard error."""
        return self.config.with_suffix(f".{self.lives}.log")

    def start(self) -> None:
        """Start it, or start it again."""
        self.lives += 1
        code = ["-c", f"{self._prelude}\n{MAIN}"] if self._prelude else ["-m", "streamae"]
        command = [sys.executable, *code, "serve", str(self.config), "--create-topics"]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    @property
    def pid(self) -> int:
        """The process' number."""
        assert self._process is not None
        return self._process.pid

    def send(self, number: int) -> None:
        """Send a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it as a power cut would."""
        self.send(signal.SIGKILL)
        self.ended(10)

    def stop(self) -> int:
        """Ask it to end; its exit code."""
        self.send(signal.SIGTERM)
        return self.ended(30)

    def ended(self, patience_s: float) -> int:
        """Wait for its end; its exit code."""
        assert self._process is not None
        return self._process.wait(patience_s)

    @property
    def exit_code(self) -> int | None:
        """Its exit code; None while it runs."""
        return self._process.poll() if self._process else None

    def said(self) -> str:
        """What this life has said so far."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def address(self) -> str | None:
        """Where its page is, once it says so."""
        found = re.search(r"at (http://127\.0\.0\.1:\d+)", self.said())
        return found[1] if found else None

    def health(self) -> dict[str, Any]:
        """What /healthz says; nothing while there is no page."""
        try:
            with urllib.request.urlopen(f"{self.address()}/healthz", timeout=2) as page:
                facts: dict[str, Any] = json.load(page)
        except (OSError, ValueError, urllib.error.URLError):
            return {}
        return facts

    def committed(self) -> int:
        """The sum of the offsets that this life has committed."""
        return sum(self.health().get("committed", {}).values())

    def state(self) -> str:
        """What it is doing: `starting`, `joining`, `restoring` or `running`."""
        partitions = self.health().get("partitions")
        if partitions is None or "serving tiny" not in self.said():
            return "starting"
        if not partitions["running"] and not partitions["restoring"]:
            return "joining"
        return "running" if partitions["running"] == self.partitions else "restoring"

    def close(self) -> None:
        """Leave nothing behind."""
        if self._process is not None and self._process.poll() is None:
            self.kill()
