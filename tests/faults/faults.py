"""The faults: what each does to a run. All of them can be survived."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

from tests.faults.points import POINTS, Point
from tests.faults.run import Run
from tests.faults.workers import PATIENCE_S
from tests.kafka.broker import Broker
from tests.kafka.proxy import Api, Harm, Side
from tests.serving.stand import wait_for

FROZEN_S = 13.0  # past the session of 10 s and the watchdog's patience
Fault = Callable[[Run], None]


def _killed(point: Point, run: Run) -> None:
    """A worker is killed at a moment of the protocol."""
    worker = run.worker()
    lives = worker.process.lives
    often = point not in ("restoring", "swapping", "closing")
    worker.die_at(point, run.random.randint(1, 6) if often else 1, now=point != "restoring")
    if point == "restoring":
        worker.process.kill()
        lives += 1
    if point == "swapping":
        run.promote()
    if point == "closing":
        worker.process.send(signal.SIGTERM)
    run.workers.died(worker, lives)


def _frozen(run: Run) -> None:
    """A worker is stopped until another has its partitions, and goes on."""
    worker = run.worker()
    lives = worker.process.lives
    worker.process.send(signal.SIGSTOP)
    _pass(FROZEN_S)
    worker.process.send(signal.SIGCONT)
    run.workers.died(worker, lives)


def _left(run: Run) -> None:
    """A worker leaves in order, and comes back."""
    worker = run.worker()
    run.workers.leave(worker)
    _pass(run.random.uniform(0, 1))
    run.workers.start(worker)


def _joined(run: Run) -> None:
    """A third worker comes, takes its share, and goes for good."""
    third = next(worker for worker in run.workers.each if not worker.wanted)
    run.workers.start(third)
    wait_for(lambda: third.running() > 0, PATIENCE_S)
    run.workers.leave(third)


def _swapped(run: Run) -> None:
    """Another version becomes champion."""
    version = run.promote()
    wait_for(lambda: all(one.process.health().get("version") == version for one in run.serving), 30)


def _registry_gone(run: Run) -> None:
    """The registry's folder is away for a while, and back with a new champion."""
    folder = run.stand.folder / "registry"
    folder.rename(folder.with_suffix(".away"))
    _pass(run.random.uniform(1, 3))
    folder.with_suffix(".away").rename(folder)
    _swapped(run)


def _damaged(run: Run) -> None:
    """A champion's graph is damaged before it is loaded: the one before goes on serving, until a good one comes."""
    for worker in run.serving:
        worker.process.send(signal.SIGSTOP)
    version = run.promote()
    graph = run.stand.folder / "registry" / "tiny" / version / "model.onnx"
    graph.write_bytes(graph.read_bytes()[:-1])
    for worker in run.serving:
        worker.process.send(signal.SIGCONT)
    refused = f"/tiny/{version}"  # in what is logged about it
    wait_for(lambda: all(refused in one.process.said() for one in run.serving), PATIENCE_S)
    _swapped(run)


def _broker_down(find: Callable[[Run], Broker], end: Callable[[Broker], None], run: Run) -> None:
    """A broker goes, by a power cut or in order, and comes back."""
    broker = find(run)
    end(broker)
    _pass(run.random.uniform(0.5, 4))
    broker.start()


def _leaders_moved(run: Run) -> None:
    """Readings, alerts and scores are led by other brokers from now on."""
    config = run.stand.config
    for topic in (config.topics.readings, config.topic("alerts"), config.topic("scores")):
        run.cluster.move_leaders(topic, run.stand.partitions)


def _network(harm: Harm, seconds: tuple[float, float], run: Run) -> None:
    """All that workers and brokers say to each other is harmed for some seconds."""
    with _harmed(run, None, None, harm):
        _pass(run.random.uniform(*seconds))


def _reset(run: Run) -> None:
    """Every connection breaks."""
    for proxy in run.cluster.proxies:
        proxy.reset()


def _once(api: Api, side: Side, harm: Harm, run: Run) -> None:
    """One request or answer is lost."""
    with _harmed(run, api, side, harm, times=1) as met:
        wait_for(met, PATIENCE_S)


@contextmanager
def _harmed(
    run: Run, api: Api | None, side: Side | None, harm: Harm, times: int = 1_000_000
) -> Iterator[Callable[[], bool]]:
    with ExitStack() as stack:
        rules = [stack.enter_context(proxy.rule(api, side, harm, times)) for proxy in run.cluster.proxies]
        yield lambda: any(rule.met.is_set() for rule in rules)


def _pass(seconds: float) -> None:
    threading.Event().wait(seconds)


def _any(run: Run) -> Broker:
    return run.random.choice(run.cluster.brokers)


def _controller(run: Run) -> Broker:
    return run.cluster.controller()


def _of_group(run: Run) -> Broker:
    return run.cluster.coordinator("__consumer_offsets", run.stand.name)


def _of_transactions(run: Run) -> Broker:
    return run.cluster.coordinator("__transaction_state", f"{run.stand.name}-a")


KILLS: dict[str, Fault] = {f"killed: {point}": partial(_killed, point) for point in POINTS}
OTHERS: dict[str, Fault] = {
    "frozen": _frozen,
    "left and came back": _left,
    "joined and left": _joined,
    "champion swapped": _swapped,
    "registry gone": _registry_gone,
    "champion damaged": _damaged,
    "broker killed": partial(_broker_down, _any, Broker.kill),
    "broker restarted": partial(_broker_down, _any, Broker.end),
    "controller killed": partial(_broker_down, _controller, Broker.kill),
    "group's coordinator killed": partial(_broker_down, _of_group, Broker.kill),
    "transactions' coordinator killed": partial(_broker_down, _of_transactions, Broker.kill),
    "leaders moved": _leaders_moved,
    "network slow": partial(_network, "delay", (2, 4)),
    "network black hole": partial(_network, "hold", (1, 6)),
    "connections half open": partial(_network, "drop", (1, 6)),
    "connections reset": _reset,
    "answer to a commit lost": partial(_once, Api.END_TXN, "answer", "cut"),
    "commit lost": partial(_once, Api.END_TXN, "request", "cut"),
    "batch swallowed": partial(_once, Api.PRODUCE, "request", "drop"),
}
FAULTS = KILLS | OTHERS
