"""Report: what a training job found, as plain facts for the manifest; and the same as a table for the terminal."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from streamae.training import evaluation
from streamae.training.building import Built, budget
from streamae.training.calibration import promise
from streamae.training.material import Material

WORTH = 0.1  # of the baseline's loss that an autoencoder has to save to be called worth it

Facts = dict[str, Any]


def facts(material: Material, built: Built, baseline: Built | None) -> Facts:
    """Everything that is known about a job, as JSON can hold it. `baseline` is the linear skip alone."""
    training, fitted = material.config.training, built.fitted
    found: Facts = {
        "autoencoder": training.autoencoder,
        "seed": training.seed,
        "parameters": sum(weights.numel() for weights in fitted.graph.parameters()),
        "components": len(fitted.graph.skip.components),
        "series": len({part.series for part in material.everything}),
        "profiles": len(material.fit.profiles.series),
        "ticks": sum(len(part.grid) for part in material.everything),
        "windows": len(material.fit.learn),
        "steps": fitted.steps,
        "best_step": fitted.best_step,
        "loss": training.loss,
        "held_out_loss": [[step, round(loss, 6)] for step, loss in fitted.losses],
        "blocks": built.calibrated.blocks,
        "own_thresholds": len(built.calibrated.series),
        "promise": promise(built.calibrated, budget(material, training)),
        "judge": evaluation.facts(built.judged) if built.judged else None,
        "seconds": built.seconds,
        "notes": list(material.notes),
    }
    if baseline:
        found["baseline"] = {
            "autoencoder": baseline.artifact.manifest.autoencoder,
            "held_out_loss": round(baseline.fitted.losses[0][1], 6),
            "judge": evaluation.facts(baseline.judged) if baseline.judged else None,
            "seconds": baseline.seconds,
        }
        found["verdict"] = verdict(found)
    return found


def verdict(found: Facts) -> str:
    """Whether the autoencoder is worth it beside its baseline."""
    best, plain = min(loss for _, loss in found["held_out_loss"]), found["baseline"]["held_out_loss"]
    saved = 1 - best / plain if plain > 0 else 0.0
    name, other = found["autoencoder"], found["baseline"]["autoencoder"]
    if saved >= WORTH:
        return f"{name} rebuilds held-out readings {saved:.0%} better than {other}"
    return (
        f"{name} is not worth it here: it rebuilds held-out readings {saved:.1%} better than {other}, "
        f'which is smaller and faster; train with autoencoder = "{other}"'
    )


def render(found: Facts) -> Table:
    """The facts as a table, the most wanted first."""
    table = Table("", "value", title=f"Trained {found['autoencoder']}", title_justify="left")
    for line in _lines(found):
        table.add_row(*line)
    return table


def _lines(found: Facts) -> list[tuple[str, str]]:
    first, best = found["held_out_loss"][0][1], min(loss for _, loss in found["held_out_loss"])
    lines = [
        (
            "trained on",
            f"{found['ticks']:,} ticks of {found['series']} series, {found['windows']:,} windows to draw from",
        ),
        ("autoencoder", f"{found['parameters']:,} weights on {found['components']} linear components"),
        (
            "held-out loss",
            f"{first:g} at the start (linear only), {best:g} at step {found['best_step']} of {found['steps']}",
        ),
        ("thresholds", f"{found['own_thresholds']} series have their own; {found['promise']}"),
        ("judge", _judged(found["judge"])),
    ]
    if "baseline" in found:
        lines.append((f"baseline {found['baseline']['autoencoder']}", _judged(found["baseline"]["judge"])))
        lines.append(("verdict", found["verdict"]))
    lines += [("note", note) for note in found["notes"]]
    return [*lines, ("seconds", ", ".join(f"{step} {took:g}" for step, took in found["seconds"].items()))]


def _judged(figures: Facts | None) -> str:
    if not figures:
        return "not judged: the readings are too short for a judge span"
    text = (
        f"{figures['alerts']} alerts in {figures['weeks']:g} weeks of {figures['series']} series, "
        f"{figures['false_per_week']:g} false per series and week"
    )
    return f"{text}; {figures['found']} of {figures['events']} events found" if "events" in figures else text
