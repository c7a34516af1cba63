"""Commands that make more of a model than scores: codes, cleaned readings, filled gaps, series that never were."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streamae import config as configs
from streamae.cli.app import AsJson, ConfigPath, app, err, out
from streamae.cli.batch import event_time
from streamae.cli.history import Force, Version

if TYPE_CHECKING:
    from streamae.detection.uses import Use

Files = Annotated[list[str], typer.Argument(help="Parquet or CSV files of readings; patterns allowed.")]
Out = Annotated[Path, typer.Option("--out", help="The Parquet file that is written.")]


@app.command()
def embed(
    config: ConfigPath, files: Files, to: Out, version: Version = None, force: Force = False, json: AsJson = False
) -> None:
    """Write the code of every window of stored readings: a few numbers that say what it is like.

    Example: streamae embed plant/streamae.toml 'history/*.parquet' --out codes.parquet
    """
    _use("embed", config, files, to, version, force, json)


@app.command()
def clean(
    config: ConfigPath, files: Files, to: Out, version: Version = None, force: Force = False, json: AsJson = False
) -> None:
    """Write stored readings without what is most likely noise, a row a tick; what is far off stays.

    Example: streamae clean plant/streamae.toml 'history/*.parquet' --out cleaned.parquet
    """
    _use("clean", config, files, to, version, force, json)


@app.command()
def impute(
    config: ConfigPath, files: Files, to: Out, version: Version = None, force: Force = False, json: AsJson = False
) -> None:
    """Write stored readings with silence filled, a row a tick: each filled value is marked, with its standard error.

    Example: streamae impute plant/streamae.toml 'history/*.parquet' --out imputed.parquet
    """
    _use("impute", config, files, to, version, force, json)


@app.command()
def generate(
    config: ConfigPath,
    to: Out,
    ticks: Annotated[int, typer.Option(help="Of each series; at least a window.")] = 1000,
    count: Annotated[int, typer.Option(min=1, help="Series, each with a seed of its own.")] = 1,
    series: Annotated[str, typer.Option(help="Whose level and spread they have; without, the fleet's.")] = "",
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same series.")] = 0,
    conditions: Annotated[
        list[str] | None, typer.Option(help="Files with the channels of $.training.context and modes.")
    ] = None,
    start: Annotated[
        int | None, typer.Option(parser=event_time, metavar="TIME", help="Of the first tick, which a calendar is of.")
    ] = None,
    between: Annotated[
        tuple[Path, Path] | None, typer.Option(help="Files of readings: from like the end of one to that of the other.")
    ] = None,
    version: Version = None,
    force: Force = False,
    json: AsJson = False,
) -> None:
    """Write series that never were, like those that the model was trained on; needs one whose code can be sampled.

    Example: streamae generate plant/streamae.toml --ticks 5000 --count 3 --seed 7 --out made-up.parquet
    """
    from streamae.history.commands import champion, refuse_used
    from streamae.uses.commands import Generating, Obeyed
    from streamae.uses.generating import Wish

    refuse_used(to, force)
    read, wish, by = configs.load(config), Wish(ticks, series, seed), Obeyed(conditions or [], start, between)
    Generating(read, champion(read, version), wish, count, by).run(to, err if json else out, json)


def _use(use: Use, config: Path, files: list[str], to: Path, version: str | None, force: bool, json: bool) -> None:
    from streamae.history.commands import refuse_used
    from streamae.uses.commands import Using

    refuse_used(to, force)
    Using(configs.load(config), use, files, to, version).run(err if json else out, json)
