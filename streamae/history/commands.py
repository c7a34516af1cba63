"""What the command line does with stored readings: score them, and backtest and evaluate a model on them."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from streamae.config import Config
from streamae.detection.artifact import Artifact
from streamae.detection.scoring import Scorer
from streamae.errors import ConfigError, DataError, RegistryError
from streamae.history import evaluate_report, report
from streamae.history.backtest import backtest
from streamae.history.candidates import Asked
from streamae.history.contenders import BASELINES, Stage, bounds, check
from streamae.history.evaluate import Question, evaluate
from streamae.history.labels import read as read_labels
from streamae.history.scoring import Progress
from streamae.history.writing import write_rows, write_windows
from streamae.registry import Registry
from streamae.subscriber import moment
from streamae.training import files
from streamae.training.files import Table
from streamae.training.history import Gathered, gather

Between = tuple[int | None, int | None]  # event times in ms: since, until
EVER = (-(2**62), 2**62)


def champion(config: Config, version: str | None) -> Artifact:
    """A version of the config's model; the champion, where none is named. Raises RegistryError."""
    registry = Registry(config.registry)
    wanted = version or registry.champion(config.model)
    if wanted is None:
        raise RegistryError(
            f"{config.registry}: {config.model} has no champion; train one with `streamae train`, or name a --version"
        )
    return registry.load(config.model, wanted)


def readings(config: Config, artifact: Artifact, patterns: Sequence[str]) -> Table:
    """The readings in files, with the channels of a model. Raises DataError that names file, fault and cure."""
    return files.read(list(patterns), artifact.manifest.measured, config.training.columns)


def score(config: Config, patterns: Sequence[str], out: Path, version: str | None, rows: bool) -> Scoring:
    """A scoring that is ready to run. Raises ConfigError, RegistryError, DataError before anything is scored."""
    artifact = champion(config, version)
    return Scoring(config, artifact, readings(config, artifact, patterns), out, rows)


class Scoring:
    """Stored readings, to be scored into a file."""

    def __init__(self, config: Config, artifact: Artifact, table: Table, out: Path, rows: bool) -> None:
        self._config, self._artifact, self._table, self._out, self._rows = config, artifact, table, out, rows

    def run(self, console: Console, as_json: bool) -> None:
        """Score with a progress bar on a terminal; prints what the file holds."""
        write = write_rows if self._rows else write_windows
        with progress(console, "scoring", len(self._table)) as handled:
            written = write(self._out, self._artifact, self._table, self._config.serving.device, handled)
        manifest, table = self._artifact.manifest, self._table
        unit = "readings" if self._rows else "windows"
        facts: dict[str, Any] = {"out": str(self._out), "model": manifest.name, "version": manifest.version}
        facts |= {"readings": len(table), "series": len(table.names)}
        facts |= {"start": int(table.time.min()), "end": int(table.time.max())}
        facts |= {"rows": written.rows, "unit": unit, "above": written.above}
        if as_json:
            _write_json(facts)
            return
        console.print(
            f"{self._out}: {written.rows:,} {unit} of {facts['series']} series, {moment(facts['start'])} to "
            f"{moment(facts['end'])}, by {manifest.name} {manifest.version}; {written.above:,} score above 1",
            highlight=False,
            soft_wrap=True,
        )


def refuse_used(out: Path, force: bool, option: str = "--out") -> None:
    """A file that is there stays, unless one says otherwise. Raises ConfigError."""
    if out.is_dir():
        raise ConfigError(f"{option} {out} is a folder: name a file in it")
    if out.exists() and not force:
        raise ConfigError(f"{option} {out} is there already: name another file, or write it anew with --force")
    if not out.absolute().parent.is_dir():
        raise ConfigError(f"{option} {out}: there is no folder {out.parent}; make it first")


@contextmanager
def stages(console: Console, rows: int) -> Iterator[Stage]:
    """A bar for each stage of the work, of the rows handled; none where there is no terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("rows"))
    with Bar(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal, transient=True) as bar:

        def stage(what: str) -> Progress:
            task = bar.add_task(what, total=rows)
            return lambda handled: bar.update(task, completed=handled)

        yield stage


@contextmanager
def progress(console: Console, what: str, rows: int) -> Iterator[Progress]:
    """A bar of the rows handled."""
    with stages(console, rows) as stage:
        yield stage(what)


class Looking:
    """A backtest that is ready to run: a model, readings, and what to try."""

    def __init__(self, config: Config, version: str | None, patterns: Sequence[str], between: Between) -> None:
        """Raises ConfigError, RegistryError, DataError before anything is scored."""
        self._config = config
        self._artifact = champion(config, version)
        patterns = _named(patterns, config, "look back")
        since, until = (bound if bound is not None else usual for bound, usual in zip(between, EVER, strict=True))
        self._table = readings(config, self._artifact, patterns).between(since, until)
        if not len(self._table):
            raise DataError(f"{', '.join(patterns)}: no reading from --since on that is before --until")

    def run(self, asked: Asked, console: Console, as_json: bool, page: Path | None) -> None:
        """Look back with a progress bar on a terminal; prints what was found, and writes the page."""
        scorer = Scorer(self._artifact, self._config.serving.device)
        with progress(console, "looking back", len(self._table)) as handled:
            found = backtest(scorer, self._table, self._config.rules(), asked, handled)
        if page is not None:
            from streamae.history.page import write_page

            write_page(page, found)
        if as_json:
            _write_json(found.facts())
            return
        report.show(found, console)
        _name_page(page, console)


class Evaluating:
    """An evaluation that is ready to run: a model, readings, labels, and what to hold it against."""

    def __init__(
        self, config: Config, version: str | None, patterns: Sequence[str], labels: Path, baselines: Sequence[str]
    ) -> None:
        """Raises ConfigError, RegistryError, DataError before anything is scored."""
        known = read_labels(labels)
        self._artifact = champion(config, version)
        table = readings(config, self._artifact, _named(patterns, config, "evaluate"))
        since, until = bounds(self._artifact.manifest)
        self._asked = Question(config, table, known, baselines, lambda as_then: again(as_then, since, until))

    def run(self, console: Console, as_json: bool, page: Path | None) -> None:
        """Evaluate with a progress bar on a terminal; prints the figures, and writes the page."""
        with stages(console, len(self._asked.table)) as stage:
            found = evaluate(self._artifact, self._asked, stage)
        if page is not None:
            from streamae.history.evaluate_page import write_page

            write_page(page, found)
        if as_json:
            _write_json(found.facts())
            return
        evaluate_report.show(found, console)
        _name_page(page, console)


def _named(patterns: Sequence[str], config: Config, use: str) -> Sequence[str]:
    """The files of the command line; those of the config, where it names none. Raises ConfigError."""
    named = patterns or config.training.files
    if not named:
        raise ConfigError(f"$.training.files names no files to {use} on: name them after the config")
    return named


def _write_json(facts: dict[str, Any]) -> None:
    sys.stdout.write(msgspec.json.encode(facts).decode() + "\n")


def _name_page(page: Path | None, console: Console) -> None:
    if page is not None:
        console.print(f"\n{page}: the same with plots", highlight=False, soft_wrap=True)


def again(config: Config, since: int, until: int) -> Gathered:
    """What a model of these event times was trained on: the config's files, or so much of the topic."""
    return gather(config) if config.training.files else gather(config, until, since)


def some_names(text: str | None, none: bool) -> tuple[str, ...]:
    """The baselines on the command line, as pca,sigma. Raises ConfigError."""
    if none and text is not None:
        raise ConfigError("--baselines and --no-baselines are both given; give one of them")
    if none:
        return ()
    try:
        return BASELINES if text is None else check(text.split(","))
    except ConfigError as error:
        raise ConfigError(f"--baselines: {error}") from error


def some_numbers(text: str | None, option: str) -> list[float] | None:
    """A list of numbers on the command line, as 0.5,1,2. Raises ConfigError."""
    if text is None:
        return None
    try:
        return [float(one) for one in text.split(",")]
    except ValueError as error:
        raise ConfigError(f"{option} is a list of numbers like 0.5,1,2, not {text!r}") from error
