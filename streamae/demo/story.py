"""The demo's story: simulate, train, serve, watch, sum up. It ends by itself."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.live import Live
from rich.table import Table

from streamae.batch import train_and_register
from streamae.config import Config
from streamae.demo.summary import alerted, figures, render
from streamae.demo.world import publishing, settle
from streamae.detection.alerts import Alert
from streamae.errors import StreamaeError
from streamae.serving.child import ServeProcess
from streamae.simulation import Plant, SimulationSpec, config_text, simulate
from streamae.subscriber import line, moment
from streamae.topics import open_store
from streamae.topics.topics import Reader, TopicStore
from streamae.training.matching import Event, match

PATIENCE_S = 600.0  # for all live readings to be handled


class Demo:
    """One run, on the plant of `spec`, in the store and under the name given."""

    def __init__(self, spec: SimulationSpec, autoencoder: str, console: Console, place: tuple[str, str]) -> None:
        self._spec = spec
        self._autoencoder = autoencoder
        self._store, self._service = place
        self._console = console
        self._alerts: list[Alert] = []

    def run(self, folder: Path | None = None, as_json: bool = False) -> None:
        """Tell the story; all that it makes is in `folder`. Raises StreamaeError where a part of it fails."""
        began = time.monotonic()
        self.folder = folder or Path(tempfile.mkdtemp(prefix="streamae-demo-"))
        plant = simulate(self._spec)
        text = config_text(self._spec, self._store, self._autoencoder, self._service)
        config = settle(self.folder, plant, text)
        self._say(
            f"[bold]1. A plant[/] of {plant.spec.series} pumps: {len(plant.history):,} readings of fault-free history"
        )
        self._say(f"[bold]2. Training[/] a {self._autoencoder} autoencoder on it, in {self.folder}")
        quiet = Console(file=sys.stderr, quiet=True) if as_json else self._console
        train_and_register(config, promote=False, console=quiet)
        trained = time.monotonic()
        self._say(f"[bold]3. Serving[/] {len(plant.live):,} live readings with {len(plant.faults)} faults in them")
        self._serve(config, plant)
        facts: dict[str, Any] = {"autoencoder": self._autoencoder, "seed": self._spec.seed}
        facts |= figures(config, plant, self._alerts)
        facts |= {"train_s": round(trained - began, 1), "total_s": round(time.monotonic() - began, 1)}
        if as_json:
            sys.stdout.write(msgspec.json.encode(facts).decode() + "\n")
            return
        self._console.print(render(facts))
        self._close(facts)

    def _serve(self, config: Config, plant: Plant) -> None:
        with open_store(config.topics.store, **config.topics.client) as store, publishing(config, plant.live):
            service = ServeProcess(config, self.folder)
            try:
                reader = self._subscribe(config, store, service)
                with self._screen(plant, config) as show:
                    until = time.monotonic() + PATIENCE_S
                    while service.handled() < len(plant.live):
                        if time.monotonic() > until:
                            raise StreamaeError(f"not all readings were handled in {PATIENCE_S:g} s; see {service.log}")
                        show(self._take(reader))
                    reader.close()
                    show(self._rest(config, store))
            finally:
                service.stop()

    def _subscribe(self, config: Config, store: TopicStore, service: ServeProcess) -> Reader:
        """A reader of the alerts, once the service has made their topic."""
        topic = config.topic("alerts")
        until = time.monotonic() + 60
        while store.describe([topic])[topic] is None:
            service.handled()
            if time.monotonic() > until:
                raise StreamaeError(f"the service has made no topic {topic} in a minute; see {service.log}")
            time.sleep(0.05)
        return store.reader(topic, "earliest")

    def _take(self, reader: Reader) -> list[Alert]:
        values = [value for records in reader.poll(0.2) for value in records.value if value]
        new = [msgspec.json.decode(value, type=Alert) for value in values]
        self._alerts += new
        return new

    def _rest(self, config: Config, store: TopicStore) -> list[Alert]:
        """Everything that is committed by now, read once more from the start; returns what was not shown yet."""
        shown = len(self._alerts)
        self._alerts = []
        reader = store.reader(config.topic("alerts"), "earliest")
        while not reader.caught_up():
            self._take(reader)
        reader.close()
        return self._alerts[shown:]

    @contextmanager
    def _screen(self, plant: Plant, config: Config) -> Iterator[Callable[[list[Alert]], None]]:
        """On a terminal a live table, elsewhere a line an alert."""
        if not self._console.is_terminal:
            yield self._print
            return
        with Live(console=self._console, refresh_per_second=4) as live:
            yield lambda new: live.update(self._table(plant, config))

    def _print(self, new: list[Alert]) -> None:
        for alert in new:
            self._say(line(alert))

    def _table(self, plant: Plant, config: Config) -> Table:
        """The faults whose time has come, next to the alerts that found them."""
        table = Table("pump", "fault", "size", "from", "to", "alert", "after", "channels", title="Faults and alerts")
        newest = max((alert.peak.time for alert in self._alerts), default=0)
        begun = [fault for fault in plant.faults if fault.start_ms <= newest]
        events = [Event(fault.series, fault.start_ms, fault.end_ms) for fault in begun]
        found = match(alerted(self._alerts, config), events, config.windows.spec().length_ms)
        blame = {(alert.series, alert.start): alert for alert in self._alerts}
        for fault, one in list(zip(begun, found.events, strict=True))[-18:]:
            where = [fault.series, fault.kind, f"{fault.size} sd", moment(fault.start_ms), moment(fault.end_ms)]
            if one.alert is None:
                table.add_row(*where, "[dim]none yet[/]", "", "")
                continue
            alert = blame[(one.alert.series, one.alert.start)]
            state = "[green]resolved[/]" if one.alert.end else "[red]firing[/]"
            channels = ", ".join(channel.name for channel in alert.channels[:2])
            table.add_row(*where, state, f"{(one.delay or 0) / 60_000:.0f} min", channels)
        table.caption = f"{len(found.false)} alerts without a fault so far"
        return table

    def _say(self, text: str) -> None:
        self._console.print(text, highlight=False, soft_wrap=True)

    def _close(self, facts: dict[str, Any]) -> None:
        path = self.folder / "streamae.toml"
        self._say(f"\nDone in {facts['total_s']:g} s. Try next:")
        for command in (f"alerts {path}", f"models show {path} v0001", f"doctor {path}"):
            self._say(f"  .venv/bin/streamae {command}")
