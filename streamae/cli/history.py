"""Commands that look back: score stored readings, and backtest and evaluate a model on them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streamae import config as configs
from streamae.cli.app import AsJson, ConfigPath, app, err, out
from streamae.cli.batch import event_time

Version = Annotated[str | None, typer.Option(help="Another version than the champion.")]
Html = Annotated[Path | None, typer.Option(help="Write a page with plots, too.")]
Force = Annotated[bool, typer.Option("--force", help="Write files anew that are there already.")]


@app.command()
def score(
    config: ConfigPath,
    files: Annotated[list[str], typer.Argument(help="Parquet or CSV files of readings; patterns allowed.")],
    to: Annotated[Path, typer.Option("--out", help="The Parquet file of scores that is written.")],
    version: Version = None,
    rows: Annotated[bool, typer.Option("--rows", help="A row a reading, in place of a row a window.")] = False,
    force: Force = False,
    json: AsJson = False,
) -> None:
    """Score stored readings as serving does, into a Parquet file: a row a window, or with --rows a row a reading.

    Example: streamae score plant/streamae.toml 'history/*.parquet' --out scores.parquet
    """
    from streamae.history import commands

    commands.refuse_used(to, force)
    commands.score(configs.load(config), files, to, version, rows).run(err if json else out, json)


@app.command()
def backtest(
    config: ConfigPath,
    files: Annotated[
        list[str] | None, typer.Argument(help="Files of readings; without any, what is trained on.")
    ] = None,
    version: Version = None,
    thresholds: Annotated[str | None, typer.Option(help="Factors on the model's thresholds, as 0.5,1,2.")] = None,
    budgets: Annotated[str | None, typer.Option(help="False episodes per series and week, as 0.2,1,5.")] = None,
    labels: Annotated[Path | None, typer.Option(help="Known events: series, start, end in CSV, Parquet, JSON.")] = None,
    since: Annotated[int | None, typer.Option(parser=event_time, metavar="TIME", help="Readings from here on.")] = None,
    until: Annotated[int | None, typer.Option(parser=event_time, metavar="TIME", help="Readings before this.")] = None,
    html: Html = None,
    force: Force = False,
    json: AsJson = False,
) -> None:
    """Find the alerts that serving would have published, under several thresholds or alert budgets.

    Example: streamae backtest plant/streamae.toml --budgets 0.2,1,5 --html report.html

    Example: streamae backtest plant/streamae.toml live.parquet --thresholds 0.5,1,2 --labels plant/faults.json
    """
    from streamae.history import commands
    from streamae.history.candidates import Asked
    from streamae.history.labels import read

    if html is not None:
        commands.refuse_used(html, force, "--html")
    factors, rates = commands.some_numbers(thresholds, "--thresholds"), commands.some_numbers(budgets, "--budgets")
    asked = Asked.of(factors, rates, None if labels is None else read(labels))
    looking = commands.Looking(configs.load(config), version, files or [], (since, until))
    looking.run(asked, err if json else out, json, html)


@app.command()
def evaluate(
    config: ConfigPath,
    labels: Annotated[Path, typer.Option(help="Known events: series, start, end in CSV, Parquet, JSON.")],
    files: Annotated[
        list[str] | None, typer.Argument(help="Files of readings; without any, what is trained on.")
    ] = None,
    version: Version = None,
    baselines: Annotated[str | None, typer.Option(help="Some of pca,kmeans,neighbours,sigma; without, all.")] = None,
    no_baselines: Annotated[bool, typer.Option("--no-baselines", help="Train nothing to compare with.")] = False,
    html: Html = None,
    force: Force = False,
    json: AsJson = False,
) -> None:
    """Hold a model's alerts and scores against labels, beside baselines trained on the same; only what is new counts.

    Example: streamae evaluate plant/streamae.toml live.parquet --labels plant/faults.json --html look.html

    Example: streamae evaluate plant/streamae.toml --labels events.csv --version v0003 --baselines pca,sigma
    """
    from streamae.history import commands

    if html is not None:
        commands.refuse_used(html, force, "--html")
    names = commands.some_names(baselines, no_baselines)
    asking = commands.Evaluating(configs.load(config), version, files or [], labels, names)
    asking.run(err if json else out, json, html)
