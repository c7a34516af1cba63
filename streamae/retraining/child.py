"""Child: the process in which a run trains, so that whatever it does to its memory ends with it.

It must not outlive its parent, however that ends: it holds the reading end of a pipe whose only writing end is the
parent's, and ends when that does. (PR_SET_PDEATHSIG would be sent when the parent's *thread* ends.)
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from streamae.retraining.runs import iso

ORPHANED = 1  # exit code
PATIENCE_S = 10.0  # for its end, once asked


def command(config: Path, scheduled_ms: int) -> list[str]:
    """The command line of a run."""
    run = ["--once", "--for", iso(scheduled_ms), "--with-parent"]
    return [sys.executable, "-m", "streamae", "retrain", str(config), *run]


def start(line: Sequence[str]) -> subprocess.Popen[bytes]:
    """Start a child that ends with this process; in a session of its own, for Ctrl-C is the parent's to answer."""
    return subprocess.Popen(line, stdin=subprocess.PIPE, start_new_session=True)  # noqa: S603  our own command


def end(child: subprocess.Popen[bytes]) -> None:
    """End a child, and see that it has ended."""
    child.terminate()
    try:
        child.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def end_with_parent() -> None:
    """In the child: end at once when the parent does, at whatever it is then."""

    def watch() -> None:
        while os.read(0, 1):
            pass
        os._exit(ORPHANED)

    threading.Thread(target=watch, name="end with parent", daemon=True).start()


def reason(code: int) -> str:
    """What the exit code of a child that recorded nothing says."""
    if code >= 0:
        return f"the run ended with exit code {code} before it could say why; its log says more"
    name = signal.Signals(-code).name
    memory = ", as it is where there is too little memory" if name == "SIGKILL" else ""
    return f"the run was ended by {name}{memory}"
