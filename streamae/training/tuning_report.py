"""What tuning found: a table for the terminal, lines for a config, facts for programs, a plot of the elbow."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec
from rich.table import Table

from streamae.errors import DataError
from streamae.training.tuning import Tried, Tuned

SHOWN = 5  # of the networks that were searched


def render(tuned: Tuned) -> Table:
    """Codes with their errors, then the best of what was searched."""
    training = tuned.training
    table = Table(
        "tried", "error on held-out windows", "PCA of this size", "weights", "seconds",
        title=f"Tuned {training.autoencoder}", title_justify="left",
    )  # fmt: skip
    for one in tuned.codes:
        mark = " <- smallest within the tolerance" if one is tuned.code else ""
        table.add_row(*_cells(one, mark))
    table.add_section()
    for one in sorted(tuned.searched, key=lambda one: one.error)[:SHOWN]:
        table.add_row(*_cells(one))
    return table


def said(tuned: Tuned) -> str:
    """What to make of it."""
    code, best = tuned.code, tuned.best
    text = (
        f"a code of {code.changes['code']} rebuilds held-out windows within {tuned.tolerance:.0%} of the best of all "
        f"codes ({code.error:.4g}, {tuned.plateau:.4g})"
    )
    if code.error >= code.pca_error:
        text += f"; PCA of the same size rebuilds them as well or better ({code.pca_error:.4g})"
    if best is not code:
        text += f"; of {len(tuned.searched)} networks with that code, the best comes to {best.error:.4g}"
    return text


def lines(tuned: Tuned) -> str:
    """The lines of a config's section, training, that make the best network."""
    found = {**tuned.code.changes, **tuned.best.changes}
    return "\n".join(f"{name} = {msgspec.json.encode(value).decode()}" for name, value in found.items())


def facts(tuned: Tuned) -> dict[str, Any]:
    """The same as JSON can hold it."""
    return {
        "autoencoder": tuned.training.autoencoder,
        "objective": msgspec.to_builtins(tuned.training.aim),
        "tolerance": tuned.tolerance,
        "plateau": tuned.plateau,
        "code": tuned.code.changes["code"],
        "training": {**tuned.code.changes, **tuned.best.changes},
        "codes": [asdict(one) for one in tuned.codes],
        "searched": [asdict(one) for one in tuned.searched],
    }


def plot(tuned: Tuned, file: Path) -> None:
    """Error over size of the code, next to PCA's, as the ending of `file` says. Raises DataError where it cannot."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    sizes = [one.changes["code"] for one in tuned.codes]
    axes.plot(sizes, [one.error for one in tuned.codes], "o-", label=tuned.training.autoencoder)
    axes.plot(sizes, [one.pca_error for one in tuned.codes], "s--", label="PCA of the same size")
    axes.axhline((1 + tuned.tolerance) * tuned.plateau, color="grey", linewidth=1, linestyle=":", label="tolerance")
    axes.axvline(tuned.code.changes["code"], color="grey", linewidth=1)
    axes.set(xscale="log", yscale="log", xlabel="numbers of the code", ylabel="error on held-out windows")
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.legend()
    try:
        figure.savefig(file)
    except (OSError, ValueError) as error:
        raise DataError(f"{file}: cannot be written ({error}); give a name that ends in .svg or .png") from error


def _cells(one: Tried, mark: str = "") -> tuple[str, str, str, str, str]:
    return f"{one}{mark}", f"{one.error:.4g}", f"{one.pca_error:.4g}", f"{one.weights:,}", f"{one.seconds:.1f}"
