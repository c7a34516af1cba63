"""Promotion: whether a challenger may take over, decided on what it and the champion did on the same judge span.

The challenger is promoted where it is not worse. It is worse where

1. it has more false alerts than both the champion has and the alert budget allows, by more than chance explains;
2. it finds fewer of the times that alerts have already pointed at, by more than could have been false alarms;
3. it misses injected anomalies that the champion finds, more than the other way round, beyond what chance explains.

What chance explains: an equally good model would exceed it one time in twenty. Pure: figures in, a verdict out.
"""

from __future__ import annotations

from math import sqrt

from streamae.detection.manifest import Facts, Manifest, Span

ONE_IN_TWENTY = 1.64  # standard deviations
FEWEST = 12  # injected anomalies that a comparison needs: below, missing nearly all of them could be chance


class Showing(Facts, frozen=True, kw_only=True):
    """What one version did on the judge span."""

    version: str
    alerts: int  # in the readings as they are
    false: int  # alerts that touch no earlier alert; one that goes on counts again and again
    false_per_week: float  # the same per series and week
    again: int  # earlier alerts that it finds again
    found: dict[str, int]  # injected anomalies by kind


class Evidence(Facts, frozen=True, kw_only=True):
    """Champion and challenger side by side: the same stored readings, the rules that serve."""

    span: Span  # the challenger's judge span
    series: int
    weeks: float  # its duration
    budget: float  # false alerts that the alert budget allows in it
    earlier: int  # times in it that alerts have already pointed at; some may have been false alarms
    injected: dict[str, int]  # anomalies by kind
    champion: Showing
    challenger: Showing
    lost: int  # injected anomalies that only the champion finds
    gained: int  # and only the challenger
    notes: tuple[str, ...] = ()


class Verdict(Facts, frozen=True, kw_only=True):
    """Whether the challenger is promoted, and why."""

    promote: bool
    why: str


def incomparable(champion: Manifest, challenger: Manifest) -> str | None:
    """Why two versions cannot be held against each other; None where they can."""
    if "judge" not in challenger.spans:
        return "there is no judge span: the readings are too short for one, so nothing was compared"
    names = [set(one.measured) for one in (champion, challenger)]
    if names[0] != names[1]:
        other = ", ".join(sorted(names[0] ^ names[1]))
        return f"{champion.version} has other channels (not in both: {other}), so the two cannot be compared"
    return None


def decide(evidence: Evidence) -> Verdict:
    """Hold the challenger against the champion."""
    champion, challenger, injected = evidence.champion, evidence.challenger, sum(evidence.injected.values())
    most_false = explained(max(champion.false, evidence.budget))
    excused = explained(evidence.budget)
    beyond_chance = ONE_IN_TWENTY * sqrt(evidence.lost + evidence.gained)
    faults = []
    if injected < FEWEST:
        faults.append(f"only {injected} anomalies could be injected, too few to compare by")
    if challenger.false > most_false:
        faults.append(
            f"more false alerts: {challenger.false}, {champion.version} has {champion.false}, "
            f"and {most_false:.1f} would pass"
        )
    if champion.again - challenger.again > excused:
        faults.append(
            f"finds {challenger.again} of {evidence.earlier} earlier alerts again, {champion.version} {champion.again}"
        )
    if evidence.lost - evidence.gained > beyond_chance:
        faults.append(
            f"misses {evidence.lost} injected anomalies that {champion.version} finds, and finds {evidence.gained} "
            "that it misses"
        )
    if faults:
        return Verdict(promote=False, why="; ".join(faults))
    new, old = (sum(one.found.values()) for one in (challenger, champion))
    return Verdict(
        promote=True,
        why=f"not worse than {champion.version}: {challenger.false} false alerts (it: {champion.false}), "
        f"finds {new} of {injected} injected anomalies (it: {old})",
    )


def explained(count: float) -> float:
    """Up to how many of something chance explains where so many are expected."""
    return count + ONE_IN_TWENTY * sqrt(count) + 1
