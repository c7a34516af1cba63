"""Tables of what kinds came to."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from tests.accuracy.judging import Row


def parts(rows: Sequence[Row]) -> dict[str, pd.DataFrame]:
    """A row a kind: what it costs, and how well it rebuilds next to PCA of the same code size."""
    good = [row for row in rows if not row["error"]]
    frame = pd.DataFrame([{**row["task"], **row} for row in good]).drop(
        columns=["task", "error", "batches", "code", "device"], errors="ignore"
    )
    rounded = frame.set_index(["objective", "backbone"]).astype(object)
    for name, digits in (("fit_s", 1), ("export_s", 1), ("train_cpu_s", 1), ("model_kb", 0), ("full_kb", 0)):
        rounded[name] = frame.set_index(["objective", "backbone"])[name].round(digits)
    for name in ("us_per_window", "rebuilt", "pca", "gpu_us_per_window"):
        if name in rounded:
            rounded[name] = frame.set_index(["objective", "backbone"])[name].map(lambda value: f"{value:.3g}")
    for name in {"parity", "gpu_parity"} & {*rounded}:
        rounded[name] = rounded[name].map(lambda value: f"{value:.0e}")
    codes = {(row["task"]["objective"], row["task"]["backbone"]): row["code"] for row in good if row["code"]}
    batches = sorted({batch for row in good for batch in row["batches"]})
    return {
        f"parity at batches of {', '.join(map(str, batches))}": rounded.sort_index(),
        "what objectives say of their codes": pd.DataFrame(codes).T.round(3),
    }


def by_kind(rows: Sequence[Row]) -> dict[str, pd.DataFrame]:
    """A row an objective: VUS-PR, mean over families, events found of all, false episodes."""
    good = [{**row["task"], **row} for row in rows if not row["error"] and "left_out" not in row]
    frame = pd.DataFrame(good)
    groups = frame.groupby(["backbone", "objective"], sort=False)
    found = groups[["causal", "settled"]].mean().round(3)
    counts = groups[["found", "events", "false"]].sum()
    each = frame.pivot_table(index=["backbone", "objective"], columns="family", values="causal", sort=False).round(3)
    families = groups["family"].nunique().rename("families")
    return {"all families": found.join(counts).join(families), "causal VUS-PR by family": each}
