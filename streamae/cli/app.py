"""The app that commands register with, and the options that several of them take."""

from __future__ import annotations

import platform
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Finds anomalies in topics of sensor readings. Exit codes: 0 done, 1 failed, 2 wrong usage, 70 restart me.",
)
models = typer.Typer(no_args_is_help=True, help="The versions in the registry, and who is champion.")
deadletters = typer.Typer(no_args_is_help=True, help="Records that could not be readings, and why.")

out = Console()
err = Console(stderr=True)

TOLD = ("streamae", "onnxruntime", "onnxruntime-gpu", "kafka-python", "torch")  # what a report of a fault should name


def _versions(wanted: bool) -> None:
    if wanted:
        for name in TOLD:
            with suppress(PackageNotFoundError):
                out.print(f"{name} {version(name)}", highlight=False)
        out.print(f"Python {platform.python_version()}", highlight=False)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_versions, is_eager=True, help="What runs here, for reports.")
    ] = False,
) -> None:
    pass


ConfigPath = Annotated[Path, typer.Argument(help="The TOML file of the service.", metavar="CONFIG")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Seed = Annotated[int, typer.Option(help="The same seed gives the same plant.")]
Store = Annotated[str, typer.Option(help="Where topics live: kafka://host:port or embedded://file.")]
ServiceName = Annotated[str, typer.Option(help="The name before the topics: `<service>.readings`.")]


def table(rows: list[dict[str, Any]]) -> Table:
    """Rows with the same keys, as a table for people."""
    found = Table(*(rows[0] if rows else ["nothing yet"]))
    for row in rows:
        found.add_row(*(str(value) for value in row.values()))
    return found
