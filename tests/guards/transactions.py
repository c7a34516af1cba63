"""Guards of producers and transactions."""

from __future__ import annotations

from tests.guards.guard import Guard

SINK = "streamae/topics/kafka_sink.py"
PRODUCER = "streamae/topics/kafka_producer.py"
JOINING = "tests/topics/proxied/test_members.py"
SENDING = "tests/topics/proxied/test_transactions.py"
CONTRACT = "tests/topics/test_contract.py"

TRANSACTIONS = (
    Guard(
        "P1: a batch expires, and the commit after it succeeds without its records",
        PRODUCER,
        {"int(future.get(self.delivery_s).offset)": "int(future.value.offset) if future.succeeded() else -1"},
        (f"{SENDING}::test_a_batch_that_expired_is_never_committed",),
    ),
    Guard(
        "P2, P4: a producer is used again after a failure: leaked offsets, an epoch on which every call raises",
        SINK,
        {
            "self._drop()\n            raise self._verdict": "self._stock.abort_transaction()\n"
            '            self.renew = lambda: setattr(self, "_state", "ready")\n'
            "            raise self._verdict"
        },
        (
            f"{SENDING}::test_offsets_of_a_failed_transaction_do_not_leak_into_the_next",
            f"{SENDING}::test_an_epoch_raised_within_a_transaction_ends_the_producer",
        ),
        how="AssertionError|Invalid transition",
    ),
    Guard(
        "P7: the open transaction of a dead producer holds up the next owner",
        SINK,
        {"transaction_timeout_ms=timing.transaction,": ""},
        (f"{JOINING}::test_the_dead_hold_up_nobody_for_longer_than_the_transaction_timeout",),
    ),
    Guard(
        "P12: close with what cannot be delivered waits, raises and leaves its thread",
        PRODUCER,
        {"self.sender.force_close()": "", "self.sender.join(5)": ""},
        (f"{SENDING}::test_closing_with_what_cannot_be_delivered_is_quick_and_leaves_no_thread",),
    ),
    Guard(
        "P14: a commit that was sent twice commits the next transaction half-written",
        SINK,
        {"if self._late_end:": "if False:"},
        (f"{SENDING}::test_a_late_copy_of_a_commit_does_not_commit_the_next_transaction",),
    ),
    Guard(
        "P17: a generation of -1 is taken from anyone, unchecked",
        SINK,
        {"if membership is None or membership.generation_id < 0:": "if membership is None:"},
        (f"{SENDING}::test_a_member_without_a_generation_commits_nothing",),
    ),
    Guard(
        "P18: a checkpoint of more than 4,096 characters is fatal for the producer",
        SINK,
        {"check_metadata(positions)": ""},
        (f"{CONTRACT}::test_a_checkpoint_that_is_too_long_is_refused_and_the_transaction_lives[kafka]",),
    ),
    Guard(
        "P19, P23: the steps of a transaction wait for ever for an answer",
        SINK,
        {"result.wait(self._access.timing.transaction)": "result.wait()"},
        (f"{SENDING}::test_a_commit_that_the_broker_never_gets_ends_in_time[26]",),
        hangs=True,
    ),
    Guard(
        "P19: a commit whose answer is lost raises, though it has been committed, and that ends the service",
        SINK,
        {"if not isinstance(error, (faults.KafkaError, ValueError)):": "if True:"},
        (f"{SENDING}::test_a_commit_whose_answer_is_lost_ends_in_time_and_the_truth_is_what_is_committed",),
        how="kafka.errors",
    ),
    Guard(
        "P23: a start of transactions that is not answered waits for a minute",
        PRODUCER,
        {"max_block_ms=timing.delivery,": ""},
        (f"{SENDING}::test_a_start_of_transactions_that_is_not_answered_ends_in_time",),
    ),
    Guard(
        "P19, P23: what became of a transaction is unknown, and it is gone on with",
        SINK,
        {'self._state = "failed"\n            self._drop()\n': 'self._state = "ready"\n'},
        (f"{CONTRACT}::test_after_a_failure_the_sink_refuses_until_it_is_renewed[kafka]",),
    ),
    Guard(
        "P21, P22: a process whose place is taken tries again, against the one that took it",
        SINK,
        {'return Fenced(f"{doing}': 'return TransactionFailed(f"{doing}'},
        (
            f"{CONTRACT}::test_a_zombie_is_fenced_whatever_it_does_next[kafka-before begin]",
            f"{SENDING}::test_a_member_that_the_group_does_not_know_is_told_to_restart",
        ),
        how="TransactionFailed: .* another process has taken over",
    ),
    Guard(
        "a sink that cannot start leaves its network thread behind",
        SINK,
        {"            self._drop()\n            raise\n": "            raise\n"},
        (f"{SENDING}::test_a_sink_that_cannot_start_leaves_no_thread",),
    ),
    Guard(
        "a writer whose record expired goes on with the producer that lost it",
        PRODUCER,
        {"except Unreachable:\n            self.close()": "except Unreachable:"},
        (f"{SENDING}::test_a_writer_tells_what_it_could_not_write_and_works_again",),
        how="Unreachable: writing",
    ),
)
