"""The command that finds how large a network has to be."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streamae import config as configs
from streamae.cli.app import AsJson, ConfigPath, app, err, out


@app.command()
def tune(
    config: ConfigPath,
    tolerance: Annotated[float, typer.Option(min=0, help="Of the best error, how much more is accepted.")] = 0.05,
    minutes: Annotated[float, typer.Option(min=0, help="To search the rest for; 0: the code alone.")] = 5,
    trials: Annotated[int | None, typer.Option(min=0, help="Networks to try at most.")] = None,
    plot: Annotated[Path | None, typer.Option(help="An .svg or .png of error over size of the code.")] = None,
    json: AsJson = False,
) -> None:
    """Find the smallest code that still rebuilds normal readings, and search the rest; prints lines for the config.

    Example: streamae tune plant/streamae.toml --minutes 10 --plot elbow.svg
    """
    from streamae.batch import tune as run

    how = {"tolerance": tolerance, "minutes": minutes, "trials": trials}
    run(configs.load(config), how, plot, err if json else out, json)
