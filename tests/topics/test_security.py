"""TLS and passwords, against a real broker that demands them: what is right works, what is wrong says so."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import pytest

from streamae.errors import ConfigError, TopicsError, TransactionFailed, Unreachable
from streamae.topics import open_store
from streamae.topics.kafka import KafkaStore
from streamae.topics.kafka_client import Timing
from streamae.topics.kafka_log import heard
from streamae.topics.topics import Output, Position
from tests.kafka.secure import PASSWORD, USER, SecureBroker
from tests.topics.member import Stage, no_socket_left, values
from tests.topics.security import WAYS, WRONG, Settings, right, url


@pytest.mark.parametrize(("protocol", "mechanism"), WAYS)
def test_with_the_right_settings_everything_works(
    secure_broker: SecureBroker, protocol: str, mechanism: str, topic_name: Callable[[str], str]
) -> None:
    with open_store(url(secure_broker, protocol), **right(secure_broker, protocol, mechanism)) as store:
        stage = Stage.set(store, topic_name)
        member = stage.running(3)
        member.take(3)
        member.publish([Output(stage.alerts, b"pump", b"hot", 0)], {0: Position(3, "")})
        assert stage.everything(stage.alerts) == [b"hot"]
        assert member.committed(0) == Position(3, "")


def test_what_is_no_longer_allowed_may_be_allowed_again(
    secure_broker: SecureBroker, topic_name: Callable[[str], str], caplog: pytest.LogCaptureFixture
) -> None:
    protocol, mechanism = "SASL_PLAINTEXT", "PLAIN"  # by TLS alone, nobody is named
    with open_store(url(secure_broker, protocol), **right(secure_broker, protocol, mechanism)) as store:
        stage = Stage.set(store, topic_name)
        member = stage.running(1)
        member.take(1)
        hot = Output(stage.alerts, b"pump", b"hot", 0)
        with secure_broker.denied(stage.alerts, "WRITE"):
            forbidden(lambda: member.publish([hot], {0: Position(1, "")}), TransactionFailed)
        with secure_broker.denied(stage.readings, "READ"):
            forbidden(lambda: member.source.poll(0.1), Unreachable)
        with secure_broker.denied(stage.alerts, "DESCRIBE"):
            member.sink.renew()
            forbidden(lambda: member.publish([hot], {0: Position(1, "")}), TransactionFailed)
        member.sink.renew()
        stage.fill(1)
        assert values(member.take(1)) == [b"reading-0"]
    assert "uthorized" not in caplog.text  # kafka-python would say so at every try


def forbidden(call: Callable[[], object], error: type[TopicsError]) -> None:
    """A call is refused as not allowed, as soon as the broker goes by the new list."""
    with pytest.raises(error, match="not allowed"):
        for _ in range(100):
            call()


@pytest.mark.parametrize(("protocol", "mechanism"), [way for way in WAYS if way[1]])
@pytest.mark.parametrize("wrong", [{"sasl_plain_password": WRONG}, {"sasl_plain_username": "nobody"}])
def test_a_wrong_password_is_told_and_never_shown(
    secure_broker: SecureBroker, protocol: str, mechanism: str, wrong: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with heard() as lines:
        told = refused(secure_broker, protocol, right(secure_broker, protocol, mechanism) | wrong)
    assert "check sasl_plain_username, sasl_plain_password and sasl_mechanism" in told
    assert "socket disconnected (backoff" not in str(lines)  # every refusal was heard before the end of its connection
    for secret in (PASSWORD, WRONG):
        assert secret not in told
        assert secret not in caplog.text


def test_a_wrong_password_is_told_long_before_patience_ends(secure_broker: SecureBroker) -> None:
    """kafka-python tries it again and again until then."""
    protocol, patience_s = "SASL_PLAINTEXT", 60
    settings = right(secure_broker, protocol, "PLAIN") | {"sasl_plain_password": WRONG}
    began = time.monotonic()
    with pytest.raises(ConfigError):
        KafkaStore(secure_broker.address(protocol), timing=Timing(bootstrap=patience_s * 1000), **settings).about()
    assert time.monotonic() - began < patience_s / 2


def test_an_admin_client_that_logs_all_its_settings_does_not_log_the_password(
    secure_broker: SecureBroker, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "kafka.admin.client")
    protocol, mechanism = "SASL_PLAINTEXT", "PLAIN"
    with open_store(url(secure_broker, protocol), **right(secure_broker, protocol, mechanism)) as store:
        store.about()
    assert "kafka.admin.client" in {record.name for record in caplog.records}
    assert PASSWORD not in caplog.text


@pytest.mark.parametrize(
    ("protocol", "wrong", "cure"),
    [
        ("SSL", "stranger", "set ssl_cafile to the authority that signed the broker's certificate"),
        ("SSL", "no authority", "set ssl_cafile to the authority that signed the broker's certificate"),
        ("PLAINTEXT", "TLS", "the broker may not speak TLS on this port: check security_protocol and the port"),
        ("SSL", "another name", "name the broker as its certificate does"),
    ],
)
def test_wrong_tls_is_told_with_its_cure(secure_broker: SecureBroker, protocol: str, wrong: str, cure: str) -> None:
    settings = right(secure_broker, "SSL", "")
    if wrong == "stranger":
        settings["ssl_cafile"] = str(secure_broker.stranger)
    if wrong == "no authority":
        del settings["ssl_cafile"]
    with no_socket_left():
        assert cure in refused(
            secure_broker, protocol, settings, "localhost" if wrong == "another name" else "127.0.0.1"
        )


def refused(secure_broker: SecureBroker, protocol: str, settings: Settings, name: str = "127.0.0.1") -> str:
    """What a client is told that cannot come in: that its config is wrong."""
    with pytest.raises(ConfigError) as caught:
        open_store(url(secure_broker, protocol, name), **settings).about()
    return str(caught.value)


@pytest.mark.parametrize("protocol", ["SSL", "SASL_PLAINTEXT"])
def test_a_client_without_security_is_told_what_may_be_demanded(secure_broker: SecureBroker, protocol: str) -> None:
    """The broker's answer is no protocol that the client knows, or none at all."""
    with pytest.raises((ConfigError, Unreachable), match="on this port") as caught:
        open_store(url(secure_broker, protocol)).about()
    assert "security_protocol" in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"sasl_mechanism": "GSSAPI"}, "PLAIN, SCRAM-SHA-256, SCRAM-SHA-512"),
        ({"sasl_mechanism": "PLAIN", "sasl_plain_username": USER}, "sasl_plain_password is needed with SASL_SSL"),
    ],
)
def test_what_is_missing_is_found_before_anything_is_reached(settings: Settings, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        open_store("kafka://127.0.0.1:1", security_protocol="SASL_SSL", **settings)
