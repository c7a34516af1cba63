"""Commands beside a topic: serve, and read what is published."""

from __future__ import annotations

import logging
import sys
from collections import Counter
from typing import Annotated

import msgspec
import typer

from streamae import config as configs
from streamae.cli.app import AsJson, ConfigPath, app, deadletters, err, out
from streamae.detection.readings import Reason

Follow = Annotated[bool, typer.Option(help="Go on until Ctrl-C.")]


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
    follow: Follow = False,
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


@deadletters.command("list")
def list_dead_letters(
    config: ConfigPath,
    reason: Annotated[list[Reason], typer.Option(help="Only of this reason; may be given more than once.")] = [],  # noqa: B006
    follow: Follow = False,
    json: AsJson = False,
) -> None:
    """Show the dead letters on the service's topic: where each came from, why, and what it was.

    Example: streamae deadletters list plant/streamae.toml --reason late
    """
    from streamae.subscriber import letters, plain

    counts: Counter[str] = Counter()
    for letter in letters(configs.load(config), follow, reason):
        counts[letter.reason] += 1
        if json:
            sys.stdout.write(msgspec.json.encode(letter).decode() + "\n")
        else:
            place = f"{letter.topic}[{letter.partition}]@{letter.offset}"
            what = f"{letter.reason}: {letter.detail}; key {letter.key}, value {letter.value}"
            out.print(plain(f"{place} {what}"), soft_wrap=True, highlight=False, markup=False)
    if not json:
        found = ", ".join(f"{count} {name}" for name, count in counts.most_common())
        err.print(f"{counts.total()} dead letters{': ' if found else ''}{found}", highlight=False)
