"""A real broker that demands TLS and passwords, and keeps to access control lists.

Each kind of security has a listener of its own. `app` may do anything until a test takes something away.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

import trustme
from cryptography.hazmat.primitives import serialization
from kafka import KafkaAdminClient
from kafka.admin import (
    ACL,
    ACLOperation,
    ACLPermissionType,
    ResourcePattern,
    ResourceType,
    UserScramCredentialUpsertion,
)

from tests.kafka.broker import SETTINGS, Broker, free_ports

USER, PASSWORD = "app", "right-horse-battery"
PROTOCOLS = ("SSL", "SASL_PLAINTEXT", "SASL_SSL")
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
_MODULES = "org.apache.kafka.common.security"


class SecureBroker:
    """The broker; it runs within a `with`."""

    def __init__(self) -> None:
        self._broker = Broker()
        self._addresses = dict(zip(PROTOCOLS, (f"127.0.0.1:{port}" for port in free_ports(3)), strict=True))
        self.authority, self.stranger, self._keys = (
            self._broker.folder / name for name in ("authority.pem", "stranger.pem", "server.pem")
        )
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(self.authority))
        trustme.CA().cert_pem.write_to_path(str(self.stranger))
        self._keys.write_bytes(_keys(authority.issue_cert("127.0.0.1")))
        self._broker.settings |= self._settings()

    def _settings(self) -> dict[str, str]:
        own = SETTINGS["listener.security.protocol.map"]
        every = ",".join(f"{name}://{address}" for name, address in self._addresses.items())
        inside = f"PLAINTEXT://{self._broker.address}"
        logins = {
            f"listener.name.{name.lower()}.{mechanism.lower()}.sasl.jaas.config": _login(mechanism)
            for name in ("SASL_PLAINTEXT", "SASL_SSL")
            for mechanism in MECHANISMS
        }
        return {
            "listeners": f"{inside},{every},CONTROLLER://{self._broker.controller}",
            "advertised.listeners": f"{inside},{every}",
            "listener.security.protocol.map": ",".join([own, *(f"{name}:{name}" for name in PROTOCOLS)]),
            "sasl.enabled.mechanisms": ",".join(MECHANISMS),
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(self._keys),
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
            "allow.everyone.if.no.acl.found": "true",
            **logins,
        }

    def address(self, protocol: str) -> str:
        """Where a protocol is spoken."""
        return self._addresses.get(protocol, self._broker.address)

    def topics(self, password: str = PASSWORD) -> dict[str, Any]:
        """Where topics are, in the config of a service that has to log in."""
        client = {
            "security_protocol": "SASL_PLAINTEXT",
            "sasl_mechanism": "SCRAM-SHA-512",
            "sasl_plain_username": USER,
            "sasl_plain_password": password,
        }
        return {"store": f"kafka://{self.address('SASL_PLAINTEXT')}", "client": client}

    def __enter__(self) -> Self:
        self._broker.start()
        self._know(PASSWORD)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._broker.stop()

    @contextmanager
    def denied(self, name: str, operation: str, kind: str = "TOPIC") -> Iterator[None]:
        """Meanwhile nobody but the broker itself may do one thing to a topic, a group or a transactional id."""
        pattern = ResourcePattern(ResourceType[kind], name)
        rules = [  # without the first one, a rule about anything would forbid all else
            ACL("User:*", "*", ACLOperation.ALL, ACLPermissionType.ALLOW, pattern),
            ACL("User:*", "*", ACLOperation[operation], ACLPermissionType.DENY, pattern),
        ]
        with self._admin() as admin:
            admin.create_acls(rules)
            try:
                yield
            finally:
                admin.delete_acls(rules)

    @contextmanager
    def another_password(self) -> Iterator[None]:
        """Meanwhile the user's password is another one, for SCRAM; who is in stays in."""
        self._know("another-horse-battery")
        try:
            yield
        finally:
            self._know(PASSWORD)

    def _know(self, password: str) -> None:
        with self._admin() as admin:
            for mechanism in MECHANISMS[1:]:
                refused = admin.alter_user_scram_credentials([UserScramCredentialUpsertion(USER, mechanism, password)])
                assert not any(refused.values()), refused

    @contextmanager
    def _admin(self) -> Iterator[Any]:
        admin = KafkaAdminClient(bootstrap_servers=self._broker.address)
        try:
            yield admin
        finally:
            admin.close()


def _keys(issued: trustme.LeafCert) -> bytes:
    """Key and certificates as Kafka reads them: the key as PKCS #8."""
    key = serialization.load_pem_private_key(issued.private_key_pem.bytes(), None)
    kind, secret = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    chain = (one.bytes() for one in issued.cert_chain_pems)
    return b"".join([key.private_bytes(serialization.Encoding.PEM, kind, secret), *chain])


def _login(mechanism: str) -> str:
    if mechanism == "PLAIN":
        return f'{_MODULES}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";'
    return f"{_MODULES}.scram.ScramLoginModule required;"
