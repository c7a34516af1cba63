"""The command line: one function a command, no logic. Exit codes: 0 done, 1 failed, 2 wrong usage, 70 restart me."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from streamae import config as configs
from streamae.errors import MissingExtra, StreamaeError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
models = typer.Typer(no_args_is_help=True, help="The versions in the registry, and who is champion.")
app.add_typer(models, name="models")

out = Console()
err = Console(stderr=True)

ConfigPath = Annotated[Path, typer.Argument(help="The TOML file of the service.", metavar="CONFIG")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Seed = Annotated[int, typer.Option(help="The same seed gives the same plant.")]
Store = Annotated[str, typer.Option(help="Where topics live: kafka://host:port or embedded://file.")]
ServiceName = Annotated[str, typer.Option(help="The name before the topics: `<service>.readings`.")]
EXTRAS = {"torch": "train", "onnx": "train", "onnxscript": "train", "pandas": "train", "pyarrow": "train"}
EXTRAS |= {"kafka": "serve", "prometheus_client": "serve", "onnxruntime": "cpu"}


def main() -> None:
    """Run the command line; every error that a user can act on is a line, not a traceback."""
    try:
        app()
    except StreamaeError as error:
        err.print(f"[red]error[/red] {error}", highlight=False, soft_wrap=True)
        sys.exit(error.exit_code)
    except ModuleNotFoundError as error:
        extra = EXTRAS.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        err.print(
            f"[red]error[/red] this command needs {error.name}: pip install 'streamae\\[{extra}]'", highlight=False
        )
        sys.exit(MissingExtra.exit_code)


@app.command()
def demo(
    autoencoder: Annotated[str, typer.Option(help="lstm, transformer or pca.")] = "lstm",
    seed: Seed = 0,
    store: Store = "embedded://plant.db",
    service: ServiceName = "plant",
    folder: Annotated[Path | None, typer.Option(help="Where everything is kept; a new one without it.")] = None,
    json: AsJson = False,
) -> None:
    """Simulate a plant, train, serve, and watch alerts fire next to the injected faults.

    Example: streamae demo --autoencoder transformer --store kafka://127.0.0.1:9092
    """
    from streamae.batch import now_ms
    from streamae.demo import Demo
    from streamae.simulation import SimulationSpec

    spec = SimulationSpec(seed=seed, end_ms=now_ms())
    Demo(spec, autoencoder, err if json else out, (store, service)).run(folder, as_json=json)


@app.command()
def simulate(
    folder: Annotated[Path, typer.Argument(help="Where config, history and labels are written.")],
    seed: Seed = 0,
    pumps: Annotated[int, typer.Option(min=1, help="Size of the fleet.")] = 12,
    store: Store = "embedded://plant.db",
    service: ServiceName = "plant",
) -> None:
    """Write a simulated plant: config, history, labelled faults; and its live readings onto the topic.

    Example: streamae simulate plant --seed 7
    """
    from streamae.batch import now_ms
    from streamae.demo import write_plant
    from streamae.simulation import SimulationSpec

    for line in write_plant(folder, SimulationSpec(seed=seed, end_ms=now_ms(), series=pumps), store, service):
        out.print(line, soft_wrap=True)


@app.command()
def check(config: ConfigPath) -> None:
    """Find every mistake in a config, and say what a service with it will do. Reaches for nothing.

    Example: streamae check plant/streamae.toml
    """
    from streamae.doctor import explain

    for line in explain(configs.load(config)):
        out.print(f"- {line}", soft_wrap=True, highlight=False)


@app.command()
def doctor(config: ConfigPath, json: AsJson = False) -> None:
    """Look at brokers, topics, retention, registry and runtime, and say what to do about each fault.

    Example: streamae doctor plant/streamae.toml
    """
    from streamae.doctor import examine

    colour = {"ok": "green", "warning": "yellow", "fault": "red"}
    findings = []
    for finding in examine(configs.load(config)):
        findings.append(finding._asdict())
        if not json:
            out.print(f"[{colour[finding.state]}]{finding.state:8}[/] {finding.what}", soft_wrap=True, highlight=False)
    if json:
        out.print_json(data=findings)
    if any(finding["state"] == "fault" for finding in findings):
        raise typer.Exit(1)


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


@models.command("list")
def list_models(config: ConfigPath, json: AsJson = False) -> None:
    """List the versions of the service's model.

    Example: streamae models list plant/streamae.toml
    """
    from streamae.batch import version_rows

    rows = version_rows(configs.load(config))
    out.print_json(data=rows) if json else out.print(_table(rows))


@models.command()
def show(config: ConfigPath, version: str, json: AsJson = False) -> None:
    """Show the manifest and report of a version.

    Example: streamae models show plant/streamae.toml v0001
    """
    from streamae.batch import show_version

    show_version(configs.load(config), version, out, as_json=json)


@models.command()
def promote(config: ConfigPath, version: str, why: Annotated[str, typer.Option()] = "by hand") -> None:
    """Make a version champion; running services take it over within seconds.

    Example: streamae models promote plant/streamae.toml v0002 --why "new pumps"
    """
    from streamae.batch import promote_version

    out.print(promote_version(configs.load(config), version, why))


@models.command()
def rollback(config: ConfigPath, why: Annotated[str, typer.Option()] = "by hand") -> None:
    """Make the previous champion serve again.

    Example: streamae models rollback plant/streamae.toml
    """
    from streamae.batch import roll_back

    out.print(roll_back(configs.load(config), why))


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table(*(rows[0] if rows else ["nothing yet"]))
    for row in rows:
        table.add_row(*(str(value) for value in row.values()))
    return table
