"""Guards of connections, settings and what is told of them."""

from __future__ import annotations

from tests.guards.guard import Guard

CLIENT = "streamae/topics/kafka_client.py"
MENDED = "streamae/topics/kafka_mended.py"
LOG = "streamae/topics/kafka_log.py"
PRIVATE = "streamae/topics/kafka_private.py"
STORE = "streamae/topics/kafka.py"
CLIENTS = "tests/topics/proxied/test_clients.py"
JOINING = "tests/topics/proxied/test_members.py"
CONTRACT = "tests/topics/test_contract.py"
SECURITY = "tests/topics/test_security.py"
SETTINGS = f"{CLIENTS}::test_the_settings_that_exactly_once_needs_cannot_be_overruled"

CONNECTIONS = (
    Guard(
        "P5: after every commit kafka-python sleeps for 100 ms before the next transaction",
        CLIENT,
        {'"retry_backoff_ms": timing.retry,': ""},
        (SETTINGS,),
    ),
    Guard(
        "P10: offsets that retention has deleted are skipped without a word",
        CLIENT,
        {'"auto_offset_reset": "none"': '"auto_offset_reset": "latest"'},
        (SETTINGS, f"{CONTRACT}::test_offsets_that_were_deleted_are_gone_and_said_to_be[kafka]"),
    ),
    Guard(
        "P16: an error is logged at each question for an undecided offset",
        LOG,
        {'"Unknown error fetching offsets",': ""},
        (f"{JOINING}::test_an_undecided_partition_holds_up_no_other_and_fills_no_log",),
    ),
    Guard(
        "a restart begins at an older offset: a commit that is being written is not waited for",
        CLIENT,
        {'"isolation_level": "read_committed",': ""},
        (SETTINGS, f"{CONTRACT}::test_an_open_transaction_is_seen_by_nobody[kafka]"),
    ),
    Guard(
        "offsets are committed by a clock, handled or not",
        CLIENT,
        {'"enable_auto_commit": False,': ""},
        (SETTINGS,),
    ),
    Guard(
        "a damaged batch is taken for a sound one",
        CLIENT,
        {'"check_crcs": True': '"check_crcs": False'},
        (SETTINGS, f"{JOINING}::test_a_damaged_batch_is_told_and_no_endless_loop"),
        how="AssertionError|RuntimeError: Frame incomplete",
    ),
    Guard(
        "the private parts that guards use are missing from another kafka-python",
        STORE,
        {"        probe()\n": ""},
        (f"{CLIENTS}::test_a_kafka_python_without_the_parts_that_guards_use_is_refused",),
    ),
    Guard(
        "P12, P13: private parts that only a client has are missing from another kafka-python",
        PRIVATE,
        {'raise missing(f"{type(owner).__name__}.{name}")': "return None"},
        (f"{CLIENTS}::test_a_client_without_the_parts_that_guards_use_is_refused",),
    ),
    Guard(
        "every failed connect leaves its socket open",
        MENDED,
        {"            sock.close()\n": ""},
        (f"{CLIENTS}::test_connects_that_fail_leave_no_socket_open",),
    ),
    Guard(
        "a failed TLS handshake leaves its socket open",
        MENDED,
        {"            self._close()\n": ""},
        (f"{SECURITY}::test_wrong_tls_is_told_with_its_cure",),
    ),
    Guard(
        "the last words of a broker are lost where it hangs up at once",
        MENDED,
        {"return data, None if data else error": "return data, error"},
        (f"{SECURITY}::test_a_wrong_password_is_told_and_never_shown",),
    ),
    Guard(
        "a constructor that fails leaves its network thread behind",
        CLIENT,
        {"                    _abandon(client)\n": "                    pass\n"},
        (f"{CLIENTS}::test_an_address_where_nobody_listens_is_told_with_its_cause",),
    ),
    Guard(
        "why a client cannot connect is told in its log only",
        CLIENT,
        {"reason = cause(lines) or str(error)": "reason = str(error)"},
        (
            f"{CLIENTS}::test_an_address_where_nobody_listens_is_told_with_its_cause",
            f"{SECURITY}::test_wrong_tls_is_told_with_its_cure",
        ),
        how="Regex pattern|Unreachable: Kafka at",
    ),
    Guard(
        "a wrong password is tried until the end of all patience",
        CLIENT,
        {"for patience in (quick, 2 * quick):": "for patience in ():"},
        (f"{SECURITY}::test_a_wrong_password_is_told_long_before_patience_ends",),
    ),
    Guard(
        "a password stands in an error",
        CLIENT,
        {"            if secret:\n": "            if False:\n"},
        (f"{CLIENTS}::test_the_wrong_security_is_told_with_its_cause_and_without_secrets",),
    ),
    Guard(
        "a password stands in the log: an admin client writes its settings there",
        LOG,
        {'"with configuration: ",': ""},
        (f"{SECURITY}::test_an_admin_client_that_logs_all_its_settings_does_not_log_the_password",),
    ),
    Guard(
        "what is not allowed fills the log",
        LOG,
        {'"is not authorized for this client",': "", '"Not authorized to read from topic",': ""},
        (f"{SECURITY}::test_what_is_no_longer_allowed_may_be_allowed_again",),
    ),
    Guard(
        "an unknown security protocol is taken for none",
        CLIENT,
        {"if protocol not in _PROTOCOLS:": "if False:"},
        (f"{CLIENTS}::test_a_setting_that_cannot_be_used_is_a_mistake_in_the_config[settings0]",),
    ),
    Guard(
        "a certificate's file is missed at the first connection only, and called a network fault",
        CLIENT,
        {"if path is not None and not Path(path).is_file():": "if False:"},
        (f"{CLIENTS}::test_a_setting_that_cannot_be_used_is_a_mistake_in_the_config[settings1]",),
    ),
    Guard(
        "a mechanism or a password that is missing is found at the first connection only",
        CLIENT,
        {
            'if protocol.startswith("SASL") and self': "if False and self",
            "            if not self.settings.get(name):\n": "            if False:\n",
        },
        (f"{SECURITY}::test_what_is_missing_is_found_before_anything_is_reached",),
    ),
    Guard(
        "what retention has deleted is taken for a broker that is away",
        CLIENT,
        {"except faults.OffsetOutOfRangeError as error:": "except ZeroDivisionError as error:"},
        (f"{CONTRACT}::test_offsets_that_were_deleted_are_gone_and_said_to_be[kafka]",),
    ),
    Guard(
        "P21, P22: a member that is told of its fencing takes it for a broker that is away",
        CLIENT,
        {"except (faults.FencedInstanceIdError, faults.ProducerFencedError)": "except ZeroDivisionError"},
        (f"{JOINING}::test_a_member_that_joins_again_in_the_place_of_another_is_told",),
    ),
    Guard(
        "what is not allowed is told as a code",
        CLIENT,
        {"except faults.AuthorizationError as error:": "except ZeroDivisionError as error:"},
        (f"{SECURITY}::test_what_is_no_longer_allowed_may_be_allowed_again",),
    ),
    Guard(
        "P22: a process that is fenced ends for good, and nobody starts it again",
        "streamae/errors.py",
        {"exit_code = 70": "exit_code = 1"},
        ("tests/test_cli.py::test_what_cannot_be_repaired_exits_70",),
    ),
)
