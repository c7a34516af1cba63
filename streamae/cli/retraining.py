"""Commands that train again and again: retrain."""

from __future__ import annotations

import logging
import sys
from typing import Annotated

import typer

from streamae import config as configs
from streamae.cli.app import AsJson, ConfigPath, app, err, out
from streamae.cli.batch import event_time


@app.command()
def retrain(
    config: ConfigPath,
    once: Annotated[bool, typer.Option("--once", help="One run now, in this process, for cron and CronJobs.")] = False,
    scheduled: Annotated[
        int | None,
        typer.Option("--for", parser=event_time, metavar="TIME", help="The scheduled time that the one run is for."),
    ] = None,
    with_parent: Annotated[bool, typer.Option("--with-parent", hidden=True)] = False,
    json: AsJson = False,
) -> None:
    """Train on a schedule, and promote what is not worse than the champion, until told to stop (SIGTERM or Ctrl-C).

    Example: streamae retrain plant/streamae.toml
    """
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    logging.getLogger("streamae").setLevel(logging.INFO)
    logging.getLogger("apscheduler").setLevel(logging.CRITICAL)  # what it warns of is said in our words
    from streamae.retraining import process

    if once:
        process.run_once(configs.load(config), scheduled, with_parent, (err if json else out, json))
    else:
        process.run_on_schedule(configs.load(config), config, scheduled)
