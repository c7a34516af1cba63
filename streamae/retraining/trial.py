"""Trial: champion and challenger on the challenger's judge span, by the code that serves.

Both see the same stored readings, each on its own grid: as they are, for false alerts and for the times that alerts
have already pointed at; and with injected anomalies, for what a model misses.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from streamae.config import Config
from streamae.detection.artifact import Artifact
from streamae.detection.manifest import Span
from streamae.detection.scoring import Scorer
from streamae.retraining.injection import Injected, plan, spoil
from streamae.retraining.promotion import Evidence, Showing
from streamae.training import evaluation
from streamae.training.files import Table
from streamae.training.history import Gathered
from streamae.training.matching import WEEK_MS, Alerted, Event, match, per_series_week
from streamae.training.material import of_channels
from streamae.training.series import within

GOES_ON = 4  # windows' lengths after which an alert that goes on counts again


@dataclass(frozen=True)
class Trial:
    """What both versions are shown."""

    config: Config
    table: Table  # channels as in the config
    span: Span
    window_ms: int  # the longer one of both versions' windows
    earlier: tuple[Event, ...]  # times in the span that alerts have already pointed at
    copies: tuple[tuple[tuple[Injected, ...], Table], ...]  # the readings with anomalies in them

    @property
    def series(self) -> int:
        """How many series have readings in the span."""
        return len(self.table.between(self.span.start, self.span.end).names)


def compare(config: Config, gathered: Gathered, champion: Artifact, challenger: Artifact) -> Evidence:
    """Show both the same; the two must be comparable. Raises ArtifactError for a graph that gives no numbers."""
    trial = _trial(config, gathered, champion, challenger)
    shown, found = zip(*(_show(trial, one) for one in (champion, challenger)), strict=True)
    span, fit = trial.span, champion.manifest.spans
    known = [name for name in ("fit", "calibrate") if name in fit and fit[name].end > span.start]
    notes = (
        [f"{champion.manifest.version} has seen part of the judge span: it is in its {known[-1]} span"] if known else []
    )
    return Evidence(
        span=span,
        series=trial.series,
        weeks=(span.end - span.start) / WEEK_MS,
        budget=challenger.manifest.budget_per_week * trial.series * (span.end - span.start) / WEEK_MS,
        earlier=len(trial.earlier),
        injected=dict(Counter(one.kind for anomalies, _ in trial.copies for one in anomalies)),
        champion=shown[0],
        challenger=shown[1],
        lost=len(found[0] - found[1]),
        gained=len(found[1] - found[0]),
        notes=tuple(notes),
    )


def _trial(config: Config, gathered: Gathered, champion: Artifact, challenger: Artifact) -> Trial:
    span = challenger.manifest.spans["judge"]
    window_ms = max(one.manifest.window.length_ms for one in (champion, challenger))
    earlier = [Event(one.series, one.start, one.end) for one in gathered.left_out]
    earlier = [event for event in earlier if event.end > span.start and event.start < span.end]
    names = list(config.readings.channels)
    scored = [{channel.name for channel in one.manifest.channels if channel.scored} for one in (champion, challenger)]
    channels = [at for at, name in enumerate(names) if name in scored[0] & scored[1]]
    since = min(span.start - window_ms, span.start)
    copies = plan(gathered.table, span, window_ms, channels, gathered.left_out)
    spoilt = [spoil(gathered.table, copy, span.start).between(since, span.end) for copy in copies]
    pairs = [(tuple(copy), table) for copy, table in zip(copies, spoilt, strict=True)]
    return Trial(config, gathered.table.between(since, span.end), span, window_ms, tuple(earlier), tuple(pairs))


def _show(trial: Trial, artifact: Artifact) -> tuple[Showing, set[tuple[int, Injected]]]:
    """What a version does, and which anomalies it finds: those that it says nothing about where they are not."""
    slack = artifact.manifest.window.length_ms
    calm = _alerts(trial, artifact, trial.table)
    found = set()
    for number, (anomalies, table) in enumerate(trial.copies):
        events = [one.event for one in anomalies]
        seen = zip(
            anomalies,
            match(_alerts(trial, artifact, table), events, slack).events,
            match(calm, events, slack).events,
            strict=True,
        )
        found |= {(number, one) for one, spoilt, plain in seen if spoilt.alert and not plain.alert}
    false = false_alerts(calm, trial)
    return Showing(
        version=artifact.manifest.version,
        alerts=len(calm),
        false=false,
        false_per_week=per_series_week(false, trial.series, trial.span.end - trial.span.start),
        again=match(calm, trial.earlier, slack).found,
        found=dict(Counter(one.kind for _, one in found)),
    ), found


def _alerts(trial: Trial, artifact: Artifact, table: Table) -> list[Alerted]:
    """The alerts that reach into the span."""
    manifest = artifact.manifest
    names = list(trial.config.readings.channels)
    own = replace(table, values=table.values[:, [names.index(name) for name in manifest.measured]])
    parts = of_channels(own, manifest.channels, manifest.window)
    parts = within(parts, Span(start=trial.span.start - manifest.window.length_ms, end=trial.span.end), manifest.window)
    alerts = evaluation.alerted(Scorer(artifact), parts, trial.config.rules())
    return [one for one in alerts if one.end is None or one.end > trial.span.start]


def false_alerts(alerts: Sequence[Alerted], trial: Trial) -> int:
    """How many alerts are of nothing known; one that goes on counts again, or who never stops would have but one."""
    slack, longest = trial.window_ms, GOES_ON * trial.window_ms
    false = 0
    for alert in alerts:
        start, end = max(alert.start, trial.span.start), min(alert.end or trial.span.end, trial.span.end)
        known = [event for event in trial.earlier if event.series == alert.series]
        touched = [event for event in known if event.start < end + slack and event.end + slack > start]
        outside = (
            end
            - start
            - sum(max(min(end, event.end + slack) - max(start, event.start - slack), 0) for event in touched)
        )
        false += max(outside, 0) // longest + (0 if touched else 1)
    return false
