"""What the command line does with models: train, register, promote, show."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from streamae.config import Config
from streamae.detection.manifest import Manifest
from streamae.errors import ConfigError
from streamae.registry import Registry
from streamae.subscriber import moment

if TYPE_CHECKING:
    from streamae.training.history import Gathered


Between = tuple[int | None, int | None]  # event times in ms: since, until


def train_and_register(
    config: Config, promote: bool, console: Console, as_json: bool = False, between: Between = (None, None)
) -> Manifest:
    """Train, register, and promote where asked to or where there is no champion yet; prints the report.

    With a time in `between`, the topic's readings between the two are trained on, whatever the config names.
    """
    from streamae.training import job, report

    registry = Registry(config.registry)
    champion = registry.champion(config.model)
    parent = registry.load(config.model, champion).manifest if champion else None
    gathered = _gathered(config, console, between)
    with _bar(console, "fitting") as told:

        def progress(step: int, steps: int, loss: float) -> None:
            told(step, steps, f"loss {loss:.4g}")

        artifact = job.train(config, gathered, parent=parent, progress=progress)
    manifest = registry.register(artifact).manifest
    promoted = promote or champion is None
    if promoted:
        registry.promote(config.model, manifest.version, now_ms(), "first version" if parent is None else "asked to")
    if as_json:
        sys.stdout.write(msgspec.json.encode({**_facts(manifest), "champion": promoted}).decode() + "\n")
        return manifest
    console.print(report.render(manifest.report))
    role = "champion" if promoted else f"registered; {champion} stays champion until `streamae models promote`"
    console.print(f"{config.model} {manifest.version}: {role}", highlight=False)
    return manifest


def _gathered(config: Config, console: Console, between: Between) -> Gathered:
    """What to train on; a terminal is told how far reading the topic has come."""
    from streamae.training.history import gather

    since, until = between
    if since is None and until is not None and config.training.topic_days is None:
        raise ConfigError("--until without --since: give both, or $.training.topic_days in place of files")
    with console.status("reading what to train on") as status:
        return gather(config, until, since, lambda rows: status.update(f"reading: {rows:,} records"))


@contextmanager
def _bar(console: Console, what: str) -> Iterator[Callable[[float, float, str], None]]:
    """A bar to be told how much of how much is done, and of what; none where there is no terminal."""
    columns = (TextColumn(what), BarColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task("", total=None)

        def told(done: float, of: float, text: str) -> None:
            bar.update(task, completed=done, total=of, description=text)

        yield told


def tune(config: Config, how: dict[str, Any], plot: Path | None, console: Console, as_json: bool) -> None:
    """Find the code and search the rest, as a Question has it; prints what was found, and lines for the config."""
    from streamae.training import tuning, tuning_report
    from streamae.training.material import prepare

    gathered = _gathered(config, console, (None, None))
    material = prepare(config, gathered.table, gathered.left_out)
    with _bar(console, "tuning") as told:
        found = tuning.tune(material, tuning.Question(**how), lambda tried, share: told(share, 1.0, tried))
    if plot:
        tuning_report.plot(found, plot)
    if as_json:
        sys.stdout.write(msgspec.json.encode(tuning_report.facts(found)).decode() + "\n")
        return
    console.print(tuning_report.render(found))
    console.print(tuning_report.said(found), highlight=False)
    console.print(f"\n[training]\n{tuning_report.lines(found)}", markup=False, highlight=False)


def version_rows(config: Config) -> list[dict[str, Any]]:
    """A row a version, oldest first."""
    registry = Registry(config.registry)
    champion = registry.champion(config.model)
    rows = []
    for version in registry.versions(config.model):
        manifest = registry.load(config.model, version).manifest
        rows.append(
            {
                "version": version,
                "champion": "yes" if version == champion else "",
                "autoencoder": manifest.autoencoder,
                "parent": manifest.parent or "",
                "channels": len(manifest.measured),
                "trained to": moment(manifest.learnt_until),
                "threshold": round(manifest.threshold.error, 4),
            }
        )
    return rows


def show_version(config: Config, version: str, console: Console, as_json: bool) -> None:
    """Print a version's manifest, as JSON whole, as tables what people ask for."""
    from streamae.training import report

    manifest = Registry(config.registry).load(config.model, version).manifest
    if as_json:
        sys.stdout.write(msgspec.json.encode(manifest).decode() + "\n")
        return
    facts = Table("", "value", title=f"{manifest.name} {version}", title_justify="left")
    for name, value in _facts(manifest).items():
        facts.add_row(name, str(value))
    console.print(facts)
    console.print(report.render(manifest.report))


def promote_version(config: Config, version: str, why: str) -> str:
    """Make a version champion; returns what to tell the user."""
    Registry(config.registry).promote(config.model, version, now_ms(), why)
    return f"{config.model}: {version} is champion; running services take it over within {config.serving.refresh_s:g} s"


def roll_back(config: Config, why: str) -> str:
    """Make the previous champion serve again; returns what to tell the user."""
    version = Registry(config.registry).rollback(config.model, now_ms(), why)
    return f"{config.model}: {version} is champion again"


def now_ms() -> int:
    """The time of day, for promotions."""
    return time.time_ns() // 1_000_000


def _facts(manifest: Manifest) -> dict[str, Any]:
    window = manifest.window
    return {
        "version": manifest.version,
        "autoencoder": manifest.autoencoder,
        "channels": ", ".join(channel.name for channel in manifest.channels),
        "window": f"{window.length} ticks of {window.cadence_ms / 1000:g} s, a new one every {window.stride}",
        "budget": f"{manifest.budget_per_week:g} false episodes per series and week",
        **{name: f"{moment(span.start)} to {moment(span.end)}" for name, span in manifest.spans.items()},
    }
