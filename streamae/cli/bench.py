"""The command that measures what serving costs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from streamae.cli.app import AsJson, Store, app, err, out
from streamae.detection.uses import Use


def _strides(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(stride) for stride in text.split(","))
    except ValueError as error:
        raise typer.BadParameter(f"a list like 16,1, not {text!r}") from error


def _uses(text: str) -> tuple[Use, ...]:
    try:
        return msgspec.convert([one for one in text.split(",") if one], tuple[Use, ...])
    except msgspec.ValidationError as error:
        raise typer.BadParameter(f"a list like embed,clean,impute, not {text!r}") from error


@app.command()
def bench(
    store: Store = "kafka://127.0.0.1:9092",
    series: Annotated[int, typer.Option(help="How many series.")] = 1000,
    channels: Annotated[int, typer.Option(help="Channels of each.")] = 4,
    strides: Annotated[str, typer.Option(help="Strides of windows, one after another.")] = "16,1",
    readings: Annotated[int, typer.Option(help="Records on the topic; the time it takes grows with them.")] = 400_000,
    rounds: Annotated[int, typer.Option(help="How often all is measured.")] = 5,
    uses: Annotated[str, typer.Option(help="Also with these published, each alone and all: embed,clean,impute.")] = "",
    folder: Annotated[Path | None, typer.Option(help="Where logs and model are kept; nowhere without it.")] = None,
    json: AsJson = False,
) -> None:
    """Measure CPU per reading of `streamae serve` beside the network and the reading of the topic, each alone.

    The model is an LSTM autoencoder (windows of 64 ticks, hidden 32, code 16) that is trained for a few steps, and can
    fill gaps. Topics and groups of its own are made on the broker, and removed. Only ratios within one run compare.

    Example: streamae bench --store kafka://127.0.0.1:9092 --rounds 5 --json
    """
    from streamae.bench.report import render
    from streamae.bench.run import Plan
    from streamae.bench.session import measure

    result = measure(Plan(store, series, channels, _strides(strides), readings, rounds, _uses(uses)), folder, err)
    if json:
        sys.stdout.write(msgspec.json.encode(result).decode() + "\n")
    else:
        out.print(render(result), soft_wrap=True, highlight=False)
