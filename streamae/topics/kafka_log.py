"""What kafka-python says in its log: the only place where it tells why it cannot connect, and too much elsewhere."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

REPEAT_S = 60.0  # before the same is written again: a broker that is down is told of 40 times a second
_FAILED = re.compile(r"Bootstrap (?:connection|attempt) to \S+ failed: (.*) \(backoff")
_TELLING = re.compile(r"(?i)auth|sasl|ssl|certificate|errno")
_VAGUE = re.compile(r"(?i)disconnected|timed out")


def cause(lines: list[str]) -> str | None:
    """The reason in what was heard while a client could not connect, or None.

    A wrong password, a missing certificate and a dead host all end as the same timeout, and each leaves several lines.

    >>> cause(["Bootstrap connection to b failed: socket disconnected (backoff 0.1 secs)",
    ...        "Bootstrap connection to b failed: SaslAuthenticationFailedError: wrong password (backoff 0.2 secs)"])
    'SaslAuthenticationFailedError: wrong password'
    """
    found = [match[1] for line in lines if (match := _FAILED.search(line))]
    lookups = [line for line in lines if line.startswith("DNS lookup failed")]
    rank = lambda reason: 2 if _TELLING.search(reason) else 0 if _VAGUE.search(reason) else 1  # noqa: E731
    return max(lookups or found, key=rank, default=None)


# What a cause means for whoever set it up, and whether it can go away by itself.
_CURES: tuple[tuple[str, str, bool], ...] = (
    ("SaslAuthenticationFailed", "check sasl_plain_username, sasl_plain_password and sasl_mechanism", False),
    ("UnsupportedSaslMechanism", "the broker does not offer this sasl_mechanism", False),
    ("(?i)hostname mismatch|ip address mismatch", "name the broker as its certificate does", False),
    ("CERTIFICATE_VERIFY_FAILED", "set ssl_cafile to the authority that signed the broker's certificate", False),
    ("Handshake failed", "the broker may not speak TLS on this port: check security_protocol and the port", False),
    ("Invalid frame length", "the broker speaks TLS on this port: set security_protocol to SSL or SASL_SSL", False),
    ("disconnected", "the broker may demand another security_protocol on this port", True),
    ("ECONNREFUSED", "nobody listens there: check the address, and whether the broker runs", True),
    ("DNS lookup failed", "no such host: check the address", True),
)


def cure(reason: str) -> tuple[str, bool]:
    """What to do about the reason why a client cannot connect, and whether it may go away by itself.

    >>> cure("SaslAuthenticationFailedError: wrong password")
    ('check sasl_plain_username, sasl_plain_password and sasl_mechanism', False)
    """
    known = ((what, passes) for pattern, what, passes in _CURES if re.search(pattern, reason))
    return next(known, ("check the address, the security settings and the network", True))


class _Quiet(logging.Filter):
    """Drops what would be written at every retry, and what would write passwords; first it lets hear who listens."""

    _NOISE = (
        "Unknown error fetching offsets",
        "is not authorized for this client",
        "Not authorized to read from topic",
        "with configuration: ",
    )

    def __init__(self) -> None:
        super().__init__()
        self.listening: dict[int, list[str]] = {}
        self.said: dict[tuple[str, str], float] = {}  # logger and text, less what may differ at a retry -> when

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING:
            return not self._noise(record)
        for lines in list(self.listening.values()):
            lines.append(record.getMessage())
        return not self._noise(record) and self._is_news(record)

    def _noise(self, record: logging.LogRecord) -> bool:
        return any(noise in str(record.msg) for noise in self._NOISE)

    def _is_news(self, record: logging.LogRecord) -> bool:
        about, now = (record.name, re.sub(r"\d+", "", str(record.msg))), monotonic()
        news = now - self.said.get(about, -REPEAT_S) >= REPEAT_S
        if news:
            self.said[about] = now
        return news


_QUIET = _Quiet()


def quieten() -> None:
    """Filter all of kafka-python's loggers; a filter that is there already is not added again."""
    # A logger's filters see what is said to it, not what comes from loggers below.
    for name in list(logging.root.manager.loggerDict):
        if name.startswith("kafka."):
            logging.getLogger(name).addFilter(_QUIET)


@contextmanager
def heard() -> Iterator[list[str]]:
    """What kafka-python warns of meanwhile, all of it, whether it is written or not."""
    quieten()
    lines: list[str] = []
    _QUIET.listening[id(lines)] = lines
    try:
        yield lines
    finally:
        del _QUIET.listening[id(lines)]
