"""The service as a process: signals, the HTTP page, and the exit code."""

from __future__ import annotations

import logging
import signal
import threading
from types import FrameType

from streamae.config import Config
from streamae.registry import Registry
from streamae.serving.service import Service
from streamae.serving.telemetry import Page
from streamae.topics import open_store

log = logging.getLogger(__name__)


def serve_until_signalled(config: Config, create_topics: bool) -> None:
    """Serve until SIGTERM or SIGINT; what is done by then is committed. Raises what cannot be gone on with."""
    stop = threading.Event()

    def on_signal(number: int, frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    with open_store(config.topics.store, **config.topics.client) as store:
        service = Service(config, store, Registry(config.registry), create_topics)
        page = Page(service.telemetry, config.serving.http_host, config.serving.http_port, service.health)
        log.info("metrics and health at http://%s:%d", config.serving.http_host, page.port)
        try:
            service.run(stop)
            log.info("stopped; all that was handled is committed")
        finally:
            page.close()
