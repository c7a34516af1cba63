"""What all tests share: a broker for the session, and fresh names."""

from tests.kafka.fixtures import *  # noqa: F403
