"""Commands that work on stored readings: train."""

from __future__ import annotations

from typing import Annotated

import typer

from streamae import config as configs
from streamae.cli.app import AsJson, ConfigPath, app, err, out


@app.command()
def train(
    config: ConfigPath,
    promote: Annotated[bool, typer.Option(help="Make the version champion, even where there is one.")] = False,
    json: AsJson = False,
) -> None:
    """Train on stored readings, export, calibrate, judge and register. The first version becomes champion.

    Example: streamae train plant/streamae.toml
    """
    from streamae.batch import train_and_register

    train_and_register(configs.load(config), promote, err if json else out, as_json=json)
