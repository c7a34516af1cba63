"""Report: what a training job found, as plain facts for the manifest; and the same as a table for the terminal."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from streamae.detection.artifact import Span
from streamae.training import evaluation
from streamae.training.building import Built, budget
from streamae.training.calibration import promise
from streamae.training.material import Material
from streamae.training.series import ticks, within

EVER = 2**62
WORST = 5  # series that are named
WORTH = 0.1  # of the baseline's loss that an autoencoder has to save to be called worth it
ROUGHLY = 0.005  # of it: what is no difference

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
        "left_out": left_out(material),
        "windows": len(material.fit.learn),
        "steps": fitted.steps,
        "best_step": fitted.best_step,
        "loss": training.loss,
        "held_out_loss": [[step, round(loss, 6)] for step, loss in fitted.losses],
        "blocks": built.calibrated.blocks,
        "threshold_rule": training.threshold_rule,
        "own_thresholds": len(built.calibrated.series),
        "promise": promise(built.calibrated, budget(material, training)),
        "judge": evaluation.facts(built.judged) if built.judged else None,
        "seconds": built.seconds,
        "refit": training.refit,
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


def left_out(material: Material) -> Facts:
    """The times that nothing was learnt from: how many, how long, what share; and the series that lost most."""
    whole = Span(start=min(one.start for one in material.spans.values()), end=EVER)
    before = ticks(material.everything)
    after = ticks(within(material.everything, whole, material.window, material.left_out))
    lost = (before - after).most_common(WORST)
    hour = 3_600_000 / material.window.cadence_ms
    return {
        "spans": len(material.left_out),
        "hours": round((before.total() - after.total()) / hour, 2),
        "share": round(1 - after.total() / max(before.total(), 1), 4),
        "series": [[name, round(count / hour, 2), round(count / before[name], 4)] for name, count in lost],
    }


def verdict(found: Facts) -> str:
    """Whether the autoencoder is worth it beside its baseline."""
    best, plain = min(loss for _, loss in found["held_out_loss"]), found["baseline"]["held_out_loss"]
    saved = 1 - best / plain if plain > 0 else 0.0
    name, other = found["autoencoder"], found["baseline"]["autoencoder"]
    if saved >= WORTH:
        return f"{name} rebuilds held-out readings {saved:.0%} better than {other}"
    if not found["parameters"]:  # a baseline itself
        better = f"{saved:.0%} better than" if saved > 0 else f"{-saved:.0%} worse than"
        than = better if abs(saved) >= ROUGHLY else "as well as"
        return f"{name} rebuilds held-out readings {than} {other}"
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
        ("left out", _left_out(found.get("left_out"))),
        ("autoencoder", f"{found['parameters']:,} weights on {found['components']} linear components"),
        (
            "held-out loss",
            f"{first:g} at the start (linear only), {best:g} at step {found['best_step']} of {found['steps']}"
            if found["parameters"]
            else f"{best:g}",
        ),
        ("thresholds", f"{found['own_thresholds']} series have their own; {found['promise']}"),
        ("judge", _judged(found["judge"])),
    ]
    if "baseline" in found:
        lines.append((f"baseline {found['baseline']['autoencoder']}", _judged(found["baseline"]["judge"])))
        lines.append(("verdict", found["verdict"]))
    if found["refit"]:
        lines.append(("refit", "fitted again on all spans; thresholds and judge figures are those of the fit before"))
    lines += [("note", note) for note in found["notes"]]
    return [*lines, ("seconds", ", ".join(f"{step} {took:g}" for step, took in found["seconds"].items()))]


def _left_out(figures: Facts | None) -> str:
    if not figures or not figures["spans"]:
        return "nothing"
    worst = ", ".join(f"{name} {hours:g} h ({share:.0%})" for name, hours, share in figures["series"])
    text = f"{figures['spans']} alerted or labelled times, {figures['hours']:g} h, {figures['share']:.1%} of all"
    return f"{text}; most of it: {worst}" if worst else text


def _judged(figures: Facts | None) -> str:
    if not figures:
        return "not judged: the readings are too short for a judge span"
    text = (
        f"{figures['alerts']} alerts in {figures['weeks']:g} weeks of {figures['series']} series, "
        f"{figures['false_per_week']:g} false per series and week"
    )
    return f"{text}; {figures['found']} of {figures['events']} events found" if "events" in figures else text
