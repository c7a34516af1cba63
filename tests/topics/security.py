"""What becomes of each way to come in, with right and with wrong credentials: a table, from a real broker.

python -m tests.topics.security
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.table import Table

from streamae.errors import StreamaeError
from streamae.topics import open_store
from tests.kafka.secure import MECHANISMS, PASSWORD, PROTOCOLS, USER, SecureBroker

WRONG = "wrong-horse-secret"
WAYS = [(protocol, mechanism) for protocol in PROTOCOLS for mechanism in (MECHANISMS if "SASL" in protocol else ("",))]
Settings = dict[str, Any]


def right(broker: SecureBroker, protocol: str, mechanism: str) -> Settings:
    """The settings of a client that may come in."""
    settings: Settings = {"security_protocol": protocol}
    if "SSL" in protocol:
        settings["ssl_cafile"] = str(broker.authority)
    if mechanism:
        settings |= {"sasl_mechanism": mechanism, "sasl_plain_username": USER, "sasl_plain_password": PASSWORD}
    return settings


def wrong(broker: SecureBroker, protocol: str, mechanism: str) -> Iterator[tuple[str, Settings]]:
    """What can be wrong about them."""
    if mechanism:
        yield "wrong password", {"sasl_plain_password": WRONG}
        yield "unknown user", {"sasl_plain_username": "nobody"}
        yield "no password", {"sasl_plain_password": ""}
        yield "a mechanism nobody offers", {"sasl_mechanism": "GSSAPI"}
    if "SSL" in protocol:
        yield "another authority", {"ssl_cafile": str(broker.stranger)}
        yield "no authority", {"ssl_cafile": None}
        yield "no such file", {"ssl_cafile": "/nowhere.pem"}
    yield "no security at all", {"security_protocol": "PLAINTEXT"}


def url(broker: SecureBroker, protocol: str, name: str = "127.0.0.1") -> str:
    """Where a protocol is spoken, by an address or a name."""
    return f"kafka://{broker.address(protocol).replace('127.0.0.1', name)}"


def main() -> None:
    """Try them all, and print what came of it."""
    table = Table("protocol", "mechanism", "credentials", "after s", "result", "message", show_lines=True)
    with SecureBroker() as broker:
        for protocol, mechanism in WAYS:
            settings = right(broker, protocol, mechanism)
            for what, changes in [("right", {}), *wrong(broker, protocol, mechanism)]:
                table.add_row(protocol, mechanism, what, *_tried(url(broker, protocol), settings | changes))
        settings = right(broker, "SSL", "")
        table.add_row("SSL", "", "another host name", *_tried(url(broker, "SSL", "localhost"), settings))
        table.add_row("SSL", "", "a port without TLS", *_tried(url(broker, "PLAINTEXT"), settings))
    Console(width=170).print(table)


def _tried(url: str, settings: Settings) -> tuple[str, str, str]:
    began = time.monotonic()
    try:
        with open_store(url, **settings) as store:
            said = "works", store.about()
    except StreamaeError as error:
        said = type(error).__name__, str(error)
    return (f"{time.monotonic() - began:.1f}", *said)


if __name__ == "__main__":
    main()
