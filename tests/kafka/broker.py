"""A real Apache Kafka broker on this machine, for tests and demonstrations.

    python tests/kafka/broker.py            prints its address, runs until it is stopped or its parent dies
    with Broker() as broker: broker.address

Needs Java 17 or newer; the first start needs Maven too, and fetches Kafka into the cache once.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

VERSION = "4.1.0"
_POM = Path(__file__).with_name("pom.xml")
_STARTED = "Kafka Server started"
_FAST_JVM = ("-Xmx320m", "-Xms320m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData")

# Only what differs from a broker in earnest: one node, small internal topics, no waiting.
SETTINGS = {
    "process.roles": "broker,controller",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "auto.create.topics.enable": "false",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "offsets.topic.num.partitions": "4",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
    "log.cleaner.dedupe.buffer.size": "4194304",
    "log.retention.check.interval.ms": "1000",
    "log.retention.ms": "-1",  # tests write with timestamps of their own, old ones among them
}
_LOGGING = """
rootLogger.level = INFO
rootLogger.appenderRef.stdout.ref = out
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{HH:mm:ss.SSS} %p %c{1} %m%n
"""
# The broker must not outlive the process that started it, however that one ends.
_TIED = """
import ctypes, os, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, 9)
    os.getppid() == int(sys.argv[1]) or sys.exit(1)
os.execvp(sys.argv[2], sys.argv[2:])
"""


class BrokerMissing(RuntimeError):
    """No broker can be started here; the message says what is needed."""


def cache() -> Path:
    """Where the jars are kept."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "streamae" / f"kafka-{VERSION}"


def _fetch() -> Path:
    """The folder of the jars, fetched by Maven the first time."""
    libs = cache() / "libs"
    if not libs.is_dir():
        if shutil.which("mvn") is None:
            raise BrokerMissing(f"Maven (mvn) is needed once, to fetch Kafka {VERSION} into {libs}")
        cache().mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache()) as folder:
            target = Path(folder) / "libs"
            goal = ["dependency:copy-dependencies", f"-DoutputDirectory={target}"]
            _run("mvn", "-q", "-B", "-f", str(_POM), f"-Dkafka.version={VERSION}", *goal)
            with suppress(OSError):  # another process was faster
                target.rename(libs)
    return libs


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        raise BrokerMissing(f"{' '.join(command[:2])} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


class Broker:
    """One node that is broker and controller, on free ports of the loopback, with its data in a folder of its own.

    Several make a cluster, see `cluster.py`; `settings` may be changed until it starts.
    """

    def __init__(self, settings: Mapping[str, str] | None = None, number: int = 1) -> None:
        if shutil.which("java") is None:
            raise BrokerMissing("Java 17 or newer (java) is needed to run a Kafka broker")
        self._libs = _fetch()
        self.settings = dict(settings or {})
        self.number = number
        self.folder = Path(tempfile.mkdtemp(prefix="streamae-kafka-"))
        self.log = self.folder / "server.log"
        self.address, self.controller = (f"127.0.0.1:{port}" for port in free_ports(2))
        self._process: subprocess.Popen[bytes] | None = None
        self._making: Path | None = None
        self._said_before = 0  # bytes of the log, of earlier lives

    def start(self, timeout_s: float = 90) -> Self:
        """Start, and return once it serves; after `kill` or `end`, go on from its data."""
        self.launch()
        self.wait(timeout_s)
        return self

    def launch(self) -> None:
        """Start it, without waiting."""
        properties = self._configure()
        if not (self.folder / "data").exists():
            self._format(properties)
        self._said_before = self.log.stat().st_size if self.log.exists() else 0
        self._launch(properties)

    def wait(self, timeout_s: float = 90) -> None:
        """Return once it serves. Raises BrokerMissing."""
        deadline = time.monotonic() + timeout_s
        while _STARTED not in (text := self.said()):
            if self._process is None or self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise BrokerMissing(f"the broker did not start; the end of {self.log}:\n{text[-3000:]}")
            time.sleep(0.05)

    def said(self) -> str:
        """What this life has said."""
        return self.log.read_bytes()[self._said_before :].decode(errors="replace") if self.log.exists() else ""

    def _configure(self) -> Path:
        where = {
            "node.id": str(self.number),
            "listeners": f"PLAINTEXT://{self.address},CONTROLLER://{self.controller}",
            "advertised.listeners": f"PLAINTEXT://{self.address}",
            "controller.quorum.voters": f"{self.number}@{self.controller}",
            "log.dirs": str(self.folder / "data"),
        }
        properties = self.folder / "server.properties"
        lines = (f"{name}={value}\n" for name, value in {**SETTINGS, **where, **self.settings}.items())
        properties.write_text("".join(lines))
        (self.folder / "log4j2.properties").write_text(_LOGGING)
        return properties

    def _format(self, properties: Path) -> None:
        """Give the data folder its cluster's identity, from a copy: making one takes as long as a start."""
        model, data = cache() / f"formatted-{self.number}", self.folder / "data"
        if not model.is_dir():
            tool = ["kafka.tools.StorageTool", "format", "-t", "c3RyZWFtYWUtdGVzdHMtMQ", "-c", str(properties)]
            _run(*self._java(*tool))
            with tempfile.TemporaryDirectory(dir=cache()) as folder, suppress(OSError):
                shutil.copytree(data, Path(folder) / "formatted")
                (Path(folder) / "formatted").rename(model)
        else:
            shutil.copytree(model, data)

    def _java(self, *arguments: str) -> list[str]:
        logging = f"-Dlog4j2.configurationFile={self.folder / 'log4j2.properties'}"
        return ["java", *_FAST_JVM, logging, "-cp", f"{self._libs}/*", *arguments]

    def _launch(self, properties: Path) -> None:
        archive = cache() / "classes.jsa"  # halves the start; made once, by the first broker that ends in order
        self._making = None if archive.exists() else archive.with_suffix(f".{os.getpid()}")
        flag = f"-XX:ArchiveClassesAtExit={self._making}" if self._making else f"-XX:SharedArchiveFile={archive}"
        command = [sys.executable, "-c", _TIED, str(os.getpid()), *self._java("kafka.Kafka", str(properties))]
        command.insert(command.index("-cp"), flag)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)

    def end(self) -> None:
        """End in order, with its leaderships handed over."""
        if self._process is not None:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(30)
        self.kill()

    def kill(self) -> None:
        """End at once, as a power cut would."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def stop(self) -> None:
        """End, in order where that is worth something, and remove the data."""
        process = self._process
        if process is not None and self._making is not None:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(60)
                with suppress(OSError):
                    self._making.rename(cache() / "classes.jsa")
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def free_ports(count: int) -> list[int]:
    """Ports of the loopback that nobody listens on."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def main() -> None:
    """Run one broker until this process is told to end, or its parent dies."""
    parent, ended = os.getppid(), threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: ended.set())
    try:
        with Broker() as broker:
            print(broker.address, flush=True)
            while not ended.wait(0.5) and os.getppid() == parent:
                pass
    except BrokerMissing as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
