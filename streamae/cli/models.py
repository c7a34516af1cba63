"""Commands on the versions in the registry."""

from __future__ import annotations

from typing import Annotated

import typer

from streamae import config as configs
from streamae.cli.app import AsJson, ConfigPath, models, out, table


@models.command("list")
def list_models(config: ConfigPath, json: AsJson = False) -> None:
    """List the versions of the service's model.

    Example: streamae models list plant/streamae.toml
    """
    from streamae.batch import version_rows

    rows = version_rows(configs.load(config))
    out.print_json(data=rows) if json else out.print(table(rows))


@models.command()
def show(config: ConfigPath, version: str, json: AsJson = False) -> None:
    """Show the manifest and report of a version.

    Example: streamae models show plant/streamae.toml v0001
    """
    from streamae.batch import show_version

    show_version(configs.load(config), version, out, as_json=json)


@models.command()
def runs(config: ConfigPath, json: AsJson = False) -> None:
    """Show what became of each scheduled time of `streamae retrain`.

    Example: streamae models runs plant/streamae.toml
    """
    from streamae.registry import Registry
    from streamae.retraining import report
    from streamae.retraining.runs import Runs

    loaded = configs.load(config)
    record = Runs(Registry(loaded.registry), loaded.model).read()
    if json:
        out.print_json(data=report.facts(record))
        return
    out.print(table(report.rows(record)))
    out.print(f"missed {record.missed}, overlapped {record.overlapped}", highlight=False)


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
