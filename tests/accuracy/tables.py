"""Tables of what was judged, and the choice among candidates that no family makes for itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from tests.accuracy.judging import Row

SCORES = ("causal", "settled")
MACRO = "MACRO"


def by_family(rows: Sequence[Row]) -> pd.DataFrame:
    """Mean VUS-PR, a row a family and one for their mean, a column a candidate and score; seeds are averaged first."""
    good = pd.DataFrame([row for row in rows if not row["error"]])
    of_series = good.groupby(["candidate", "family", "series"], sort=False)[list(SCORES)].mean()
    of_family = of_series.groupby(["candidate", "family"], sort=False).mean()
    names = good["candidate"].unique()
    parts = {(name, score): of_family.loc[name, score] for name in names for score in SCORES}
    table = pd.DataFrame(parts).reindex(good["family"].unique())
    table.loc[MACRO] = table.mean()
    return table


def left_out_choice(rows: Sequence[Row], score: str = "causal") -> pd.DataFrame:
    """For each family the candidate that is best on the mean of all others, and what that one comes to on it."""
    table = by_family(rows).xs(score, axis=1, level=1).drop(MACRO)
    chosen = {family: str(table.drop(family).mean().idxmax()) for family in table.index}
    found = pd.DataFrame({"chosen": chosen, score: {family: table.loc[family, one] for family, one in chosen.items()}})
    macro = pd.DataFrame({"chosen": [""], score: [found[score].mean()]}, index=[MACRO])
    return pd.concat([found, macro])


def spread(rows: Sequence[Row]) -> pd.DataFrame:
    """The standard deviation over seeds of each candidate's macro mean; empty for one seed."""
    seeds = sorted({row["seed"] for row in rows})
    if len(seeds) < 2:
        return pd.DataFrame()
    means = {seed: by_family([row for row in rows if row["seed"] == seed]).loc[MACRO] for seed in seeds}
    return pd.DataFrame(pd.DataFrame(means).std(axis=1).unstack())


def costs(rows: Sequence[Row]) -> pd.DataFrame:
    """CPU seconds to train and microseconds a row to score: mean and largest of each candidate."""
    good = pd.DataFrame([row for row in rows if not row["error"]])
    found: Any = good.groupby("candidate", sort=False)[["fit_cpu_s", "us_per_row"]].agg(["mean", "max"])
    return pd.DataFrame(found)


def served(rows: Sequence[Row], baseline: str = "pca") -> list[Row]:
    """What the gate would serve of each autoencoder: itself where it is worth it, else the baseline's row."""
    plain = {(row["series"], row["family"], row["seed"]): row for row in rows if row["candidate"] == baseline}
    chosen = []
    for row in rows:
        other = plain.get((row["series"], row["family"], row["seed"]))
        if row["error"] or not row["duels"] or other is None or other["error"]:
            continue
        chosen.append((row if row["worth"] else other) | {"candidate": f"{row['candidate']} by gate"})
    return chosen
