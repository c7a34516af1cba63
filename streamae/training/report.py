"""Report: what a training job found, as plain facts for the manifest; and the same as a table for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import msgspec
import numpy as np
from rich.table import Table

from streamae.config import LINEAR, Training
from streamae.detection.manifest import Span
from streamae.training import evaluation
from streamae.training.building import Built, budget
from streamae.training.calibration import promise
from streamae.training.fitting import Fitted
from streamae.training.material import Material
from streamae.training.repairs_report import said_of
from streamae.training.rivals import Rival
from streamae.training.series import ticks, within
from streamae.training.views import views

EVER = 2**62
WORST = 5  # series that are named
RANGED = 1_000  # windows from which the ranges of conditions are taken

Facts = dict[str, Any]


def facts(material: Material, built: Built, rivals: Sequence[Rival]) -> Facts:
    """Everything that is known about a job, as JSON can hold it. `rivals` are the baselines beside it."""
    training, fitted, rehearsed = material.config.training, built.fitted, built.rehearsed
    found: Facts = {
        "autoencoder": training.autoencoder,
        "objective": _objective(training, fitted),
        "seed": training.seed,
        "parameters": sum(weights.numel() for weights in fitted.graph.parameters()),
        "parts": [type(part).__name__ for part in fitted.graph.parts],
        "views": [view._asdict() for view in views(material.window.length)],
        "series": len({part.series for part in material.everything}),
        "profiles": len(material.fit.profiles.series),
        "ticks": sum(len(part.grid) for part in material.everything),
        "left_out": left_out(material),
        "windows": len(material.fit.learn),
        "steps": fitted.steps,
        "best_step": fitted.best_step,
        "loss": training.loss,
        "held_out_loss": [[step, round(loss, 6)] for step, loss in fitted.losses],
        "blocks": rehearsed.calibrated.blocks,
        "threshold_rule": training.threshold_rule,
        "own_thresholds": len(rehearsed.calibrated.series),
        "promise": promise(rehearsed.calibrated, budget(material, training)),
        "judge": evaluation.facts(rehearsed.judged) if rehearsed.judged else None,
        "uses": built.uses,
        "conditions": _conditions(material),
        "seconds": built.seconds,
        "refit": training.refit,
        "notes": list(material.notes),
        "baselines": {one.name: _rival(one) for one in rivals},
    }
    if rivals:
        found["verdict"] = verdict(found)
    return found


def _conditions(material: Material) -> dict[str, list[float]]:
    """The range of each context channel, as far as it was learnt from."""
    pool = material.fit.learn
    windows = pool.windows(pool.spread(RANGED)).astype(np.float64)
    found = {}
    for at, channel in enumerate(material.channels):
        values = windows[:, :, at][~np.isnan(windows[:, :, at])] + channel.origin
        if not channel.scored and not channel.derived and len(values):
            found[channel.name] = [float(values.min()), float(values.max())]
    return found


def _objective(training: Training, fitted: Fitted) -> Facts | None:
    """What a network was trained towards, with its parameters, and what its code came to; None without a network."""
    if not fitted.steps:
        return None
    code = {"code": training.code, **{name: round(value, 4) for name, value in fitted.facts.items()}}
    return {**msgspec.to_builtins(training.aim), **code}


def _rival(rival: Rival) -> Facts:
    duel, judged = rival.duel, rival.rehearsed.judged
    return {
        "held_out_loss": round(rival.fitted.losses[0][1], 6),
        "judge": evaluation.facts(judged) if judged else None,
        "seconds": rival.seconds,
        "duel": None if duel is None else {**asdict(duel), "better": duel.better, "worse": duel.worse},
    }


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
    """Whether the autoencoder is worth it beside its baselines, on the same injected anomalies."""
    name = found["autoencoder"]
    duels = {other: facts["duel"] for other, facts in found["baselines"].items() if facts["duel"]}
    if not duels:
        return f"too few windows to inject anomalies into, so {name} was not held against its baselines"
    own = next(iter(duels.values()))
    said = f"of {own['injected']} injected anomalies {name} finds {own['found']}; "
    said += ", ".join(f"{other} {duel['baseline_found']}{_against(duel)}" for other, duel in duels.items())
    if found["parameters"] and LINEAR in duels and not duels[LINEAR]["better"]:
        said += f'. {name} is not worth it here: train with autoencoder = "{LINEAR}", which is smaller and faster'
    return said


def _by_kind(found: Facts) -> str:
    """What was found of each kind of injected anomaly, next to what PCA found of it."""
    duel = found["baselines"].get(LINEAR, {}).get("duel")
    if not duel:
        return f"not held against {LINEAR}"
    kinds = duel["by_kind"].items()
    return ", ".join(f"{kind} {own} of {all_} ({LINEAR} {other})" for kind, (all_, own, other) in kinds)


def _against(duel: Facts) -> str:
    return " (clearly fewer)" if duel["better"] else " (clearly more)" if duel["worse"] else ""


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
        ("autoencoder", _parts(found)),
        (
            "held-out loss",
            f"{first:g} at the start, {best:g} at step {found['best_step']} of {found['steps']}"
            if found["parameters"]
            else f"{best:g}",
        ),
        *_aim(found.get("objective")),
        *((use, text) for use in ("clean", "impute") for text in said_of(use, found)),
        ("thresholds", f"{found['own_thresholds']} series have their own; {found['promise']}"),
        ("judge", _judged(found["judge"])),
    ]
    lines += [(f"baseline {name}", _judged(facts["judge"])) for name, facts in found["baselines"].items()]
    if found["baselines"]:
        lines += [("verdict", found["verdict"]), ("injected", _by_kind(found))]
    if "served" in found:
        lines.append(("serves", f"{found['served']} in its place, as $.training.gate says"))
    if found["refit"]:
        lines.append(("refit", "fitted again on all spans; thresholds and judge figures are those of the fit before"))
    lines += [("note", note) for note in found["notes"]]
    return [*lines, ("seconds", ", ".join(f"{step} {took:g}" for step, took in found["seconds"].items()))]


def _parts(found: Facts) -> str:
    seen = ", ".join(f"{view['ticks']} ticks by {view['to_row']}" for view in found["views"])
    return f"{' and '.join(found['parts'])}, {found['parameters']:,} weights, sees {seen}"


def _aim(objective: Facts | None) -> list[tuple[str, str]]:
    if objective is None:
        return []
    name, *said = (value if key == "name" else f"{key} {value}" for key, value in objective.items())
    return [("objective", f"{name}: {', '.join(said).replace('_', ' ')}")]


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
    if "allowed" in figures:
        text += f": {figures['false']} false seen, where the budget allows {figures['allowed']:g}"
    return f"{text}; {figures['found']} of {figures['events']} events found" if "events" in figures else text
