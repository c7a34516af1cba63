"""Commands beside a topic: serve, and read what is published."""

from __future__ import annotations

import logging
import sys
from typing import Annotated

import typer

from streamae import config as configs
from streamae.cli.app import AsJson, ConfigPath, app, out


@app.command()
def serve(
    config: ConfigPath,
    create_topics: Annotated[bool, typer.Option(help="Create the output topics that are not there.")] = False,
) -> None:
    """Serve the champion on the topic of readings until told to stop (SIGTERM or Ctrl-C).

    Example: streamae serve plant/streamae.toml --create-topics
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    logging.getLogger("kafka").setLevel(logging.WARNING)
    from streamae.serving.process import serve_until_signalled

    serve_until_signalled(configs.load(config), create_topics)


@app.command()
def alerts(
    config: ConfigPath,
    follow: Annotated[bool, typer.Option(help="Go on until Ctrl-C.")] = False,
    json: AsJson = False,
) -> None:
    """Show the alerts on the service's topic.

    Example: streamae alerts plant/streamae.toml --follow
    """
    from streamae.subscriber import alert_lines

    for line in alert_lines(configs.load(config), follow, json):
        if json:
            sys.stdout.write(line + "\n")
        else:
            out.print(line, soft_wrap=True, highlight=False)
