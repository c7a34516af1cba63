"""`streamae serve` as a process of its own, started and watched by another one."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

from streamae.config import Config
from streamae.errors import StreamaeError


class ServeProcess:
    """The service as it runs in production; its config is `streamae.toml` in `folder`, its log is beside it."""

    def __init__(self, config: Config, folder: Path) -> None:
        self.log = folder / "serve.log"
        self._page = f"http://{config.serving.http_host}:{config.serving.http_port}"
        command = [sys.executable, "-m", "streamae", "serve", str(folder / "streamae.toml"), "--create-topics"]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(command, stderr=log, stdout=log)  # noqa: S603  our own command

    @property
    def pid(self) -> int:
        """The process' number."""
        return self._process.pid

    def handled(self) -> int:
        """How many records are committed. Raises StreamaeError where the service has ended."""
        page = self._get("/healthz")
        facts: dict[str, Any] = json.loads(page) if page else {"committed": {}}
        return sum(facts["committed"].values())

    def metrics(self) -> dict[str, float]:
        """What /metrics shows, by name and labels; empty while it is not up. Raises StreamaeError as `handled`."""
        lines = [line for line in self._get("/metrics").splitlines() if line and not line.startswith("#")]
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}

    def stop(self) -> None:
        """Ask it to end, and see that it does."""
        self._process.terminate()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _get(self, path: str) -> str:
        if self._process.poll() is not None:
            tail = "\n".join(self.log.read_text(encoding="utf-8").splitlines()[-5:])
            raise StreamaeError(f"the service ended with {self._process.returncode}; {self.log} ends with:\n{tail}")
        try:
            with urllib.request.urlopen(self._page + path, timeout=2) as page:  # noqa: S310  our own address
                text: str = page.read().decode()
                return text
        except OSError:  # not up yet
            return ""


def free_port() -> int:
    """A port of the loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
