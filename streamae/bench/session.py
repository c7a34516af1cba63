"""A bench from nothing to its figures: a folder, a model, the run, and a progress bar beside it."""

from __future__ import annotations

import tempfile
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from streamae.bench.model import trained
from streamae.bench.run import Bench, Plan, Result


def measure(plan: Plan, folder: Path | None, console: Console) -> Result:
    """Train, then measure; model and logs stay in `folder` where one is given. Raises as Bench does."""
    hidden = not console.is_terminal
    with (
        tempfile.TemporaryDirectory(prefix="streamae-bench-") as aside,
        Progress(console=console, transient=True, disable=hidden) as bar,
    ):
        task = bar.add_task("measuring", total=2 + plan.rounds * len(plan.cases))

        def tell(what: str) -> None:
            console.print(what, highlight=False)
            bar.advance(task)

        place = folder or Path(aside)
        place.mkdir(parents=True, exist_ok=True)
        bench = Bench(plan, place, tell)
        artifact = trained(bench.load)
        tell("a model is trained")
        return bench.run(artifact)
