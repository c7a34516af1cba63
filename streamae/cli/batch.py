"""Commands that work on stored readings: train."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from streamae import config as configs
from streamae.cli.app import AsJson, ConfigPath, app, err, out


def event_time(text: str | int) -> int:
    """A time on the command line, in ms since the epoch; without a zone it is UTC."""
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError as error:
        raise typer.BadParameter(f"give a time like 2026-11-01T00:00:00Z, not {text!r}") from error
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


Since = Annotated[int | None, typer.Option(parser=event_time, metavar="TIME", help="Read the topic from this time on.")]
Until = Annotated[int | None, typer.Option(parser=event_time, metavar="TIME", help="Read the topic to this time.")]


@app.command()
def train(
    config: ConfigPath,
    since: Since = None,
    until: Until = None,
    promote: Annotated[bool, typer.Option(help="Make the version champion, even where there is one.")] = False,
    json: AsJson = False,
) -> None:
    """Train on stored readings, export, calibrate, judge and register. The first version becomes champion.

    With --since, on the readings that the topic holds between two event times, in place of what the config names.

    Example: streamae train plant/streamae.toml

    Example: streamae train plant/streamae.toml --since 2026-11-01T00:00:00Z --until 2026-11-08T00:00:00Z
    """
    from streamae.batch import train_and_register

    train_and_register(configs.load(config), promote, err if json else out, json, (since, until))
