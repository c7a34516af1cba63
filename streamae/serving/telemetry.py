"""Every metric of the service, named once; and the HTTP page that shows them, with /healthz."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer

from streamae.errors import TopicsError
from streamae.serving.models import Models
from streamae.serving.partition import Partition, Tally
from streamae.topics.topics import Source


class Telemetry:
    """The metrics of one process."""

    def __init__(self) -> None:
        self.committed: dict[int, int] = {}  # partition -> offset of the next reading, as of the last transaction
        self.registry = on = CollectorRegistry()
        self.readings = Counter("streamae_readings", "Records handled", registry=on)
        self.skipped = Counter("streamae_skipped", "Records of series or channels not asked for", registry=on)
        self.windows = Counter("streamae_windows", "Windows scored", registry=on)
        self.alerts = Counter("streamae_alerts", "Alerts published", ["state"], registry=on)
        self.dead_letters = Counter("streamae_dead_letters", "Records set aside", ["reason"], registry=on)
        self.transactions = Counter("streamae_transactions", "Transactions", ["outcome"], registry=on)
        self.commit_seconds = Histogram("streamae_commit_seconds", "Duration of a transaction", registry=on)
        self.swaps = Counter("streamae_model_swaps", "Partitions that went over to another version", registry=on)
        self.model_failures = Gauge("streamae_model_failures", "Champions that could not be loaded", registry=on)
        self.restores = Counter("streamae_restores", "Partitions restored", registry=on)
        self.violations = Counter("streamae_torn_series", "Series seen in more than one partition", registry=on)
        self.partitions = Gauge("streamae_partitions", "Partitions by state", ["state"], registry=on)
        self.lag = Gauge("streamae_lag_records", "Records not yet handled", ["partition"], registry=on)
        self.event_time = Gauge("streamae_event_time_seconds", "Newest event time", ["partition"], registry=on)
        self.series = Gauge("streamae_series", "Series with a reading in an open window", registry=on)
        self.episodes = Gauge("streamae_episodes_firing", "Episodes that are firing", registry=on)
        self.model = Gauge("streamae_model_info", "1 for the version that serves", ["model", "version"], registry=on)
        self._measured: set[int] = set()  # partitions

    def count(self, tally: Tally) -> None:
        """Count what a transaction has committed."""
        self.readings.inc(tally.readings)
        self.skipped.inc(tally.skipped)
        self.windows.inc(tally.windows)
        for state, count in tally.alerts.items():
            self.alerts.labels(state).inc(count)
        for reason, count in tally.dead.items():
            self.dead_letters.labels(reason).inc(count)

    def measure(self, running: Mapping[int, Partition], states: Mapping[str, int], source: Source) -> None:
        """Bring the gauges of the partitions up to date."""
        for state, count in states.items():
            self.partitions.labels(state).set(count)
        self.series.set(sum(len(partition.detector.series) for partition in running.values()))
        self.episodes.set(sum(partition.detector.open_episodes for partition in running.values()))
        self._forget(self._measured - running.keys())
        self._measured = set(running)
        for number, partition in running.items():
            self.event_time.labels(number).set((partition.detector.partition_newest or 0) / 1000)
            with contextlib.suppress(TopicsError):  # it has gone to another member, which the next poll reports
                if (behind := source.lag(number)) is not None:
                    self.lag.labels(number).set(behind)

    def _forget(self, gone: set[int]) -> None:
        """Partitions that are another worker's now are no longer told of by this one."""
        for number in gone:
            for gauge in (self.lag, self.event_time):
                with contextlib.suppress(KeyError):  # it was never known
                    gauge.remove(number)

    def measure_model(self, models: Models) -> None:
        """Say which version serves."""
        self.model_failures.set(models.failures)
        self.model.clear()
        self.model.labels(models.name, models.champion_version or "").set(1)


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """A scrape every few seconds is no news."""


class Page:
    """Serves /metrics and /healthz until it is closed; healthy means that the loop makes progress."""

    def __init__(self, telemetry: Telemetry, host: str, port: int, health: Callable[[], dict[str, Any]]) -> None:
        metrics = make_wsgi_app(telemetry.registry)

        def app(environ: dict[str, Any], respond: Callable[..., Any]) -> Iterable[bytes]:
            if environ["PATH_INFO"] != "/healthz":
                page: Iterable[bytes] = metrics(environ, respond)
                return page
            facts = health()
            status = "200 OK" if facts["healthy"] else "503 Service Unavailable"
            respond(status, [("Content-Type", "application/json")])
            return [json.dumps(facts).encode()]

        self._server: WSGIServer = make_server(host, port, app, ThreadingWSGIServer, _Quiet)
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, name="page", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
