"""The tree of errors. Each says what is wrong, where, and what to do; the core raises, the shell decides.

StreamaeError                 exit 1
├── ConfigError               the config or the command line is wrong                      exit 2
├── MissingExtra              a part of the installation is not there                      exit 2
├── DataError                 stored readings or episodes that cannot be used
├── ArtifactError             a damaged or foreign artifact
│   └── ExportRefused         the exported graph does not do what the network does
├── RegistryError             a version that is not there, a registry that cannot be used
├── TopicsError               topics that cannot be used as asked
│   ├── Unreachable           the broker is away, or refuses: try again, the cause may go away
│   ├── TransactionFailed     the outcome of a transaction is unknown: restore from what is committed
│   ├── RecordsGone           retention overtook the offset that was asked for
│   └── TopicsChanged         a topic was made again, or has other partitions than it had
└── RestartMe                 what this process cannot repair                              exit 70
    └── Fenced                another process has taken over
"""

from __future__ import annotations

from collections.abc import Sequence


class StreamaeError(Exception):
    """Something that a user of StreamAE can understand and act on."""

    exit_code = 1


class ConfigError(StreamaeError):
    """The config or the command line is wrong; found before anything starts."""

    exit_code = 2


class MissingExtra(StreamaeError):
    """A command needs an extra of the package that is not installed."""

    exit_code = 2


class DataError(StreamaeError):
    """Stored readings that cannot be trained on or scored, stored episodes that are none."""


class ArtifactError(StreamaeError):
    """An artifact that is damaged, incomplete or of a foreign contract."""


class ExportRefused(ArtifactError):
    """The exported graph does not give what the trained network gives."""


class RegistryError(StreamaeError):
    """A model or version that is not there, or a registry that cannot be used."""


class TopicsError(StreamaeError):
    """Topics that cannot be used as asked."""


class Unreachable(TopicsError):
    """The broker did not answer; the cause may go away by itself."""


class TransactionFailed(TopicsError):
    """The outcome of a transaction is unknown; the truth is what is committed."""


class RecordsGone(TopicsError):
    """Records that are needed have been deleted by retention."""


class TopicsChanged(TopicsError):
    """A topic was deleted and made again, or has other partitions than it had."""


class RestartMe(StreamaeError):
    """What this process cannot repair and a fresh one can: it exits 70."""

    exit_code = 70


class Fenced(RestartMe):
    """Another process has taken over this one's place."""


def some(names: Sequence[str], most: int) -> str:
    """The first of many names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"
