"""Commands that prepare: try it out, simulate, and look for mistakes before anything runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streamae import config as configs
from streamae.cli.app import AsJson, ConfigPath, Seed, ServiceName, Store, app, err, out


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
