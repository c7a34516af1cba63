"""Guards of members of a group, and of readers."""

from __future__ import annotations

from tests.guards.guard import Guard

BATCHES = "streamae/topics/kafka_batches.py"
SOURCE = "streamae/topics/kafka_source.py"
READER = "streamae/topics/kafka_reader.py"
CLIENTS = "tests/topics/proxied/test_clients.py"
JOINING = "tests/topics/proxied/test_members.py"
CONTRACT = "tests/topics/test_contract.py"

MEMBERS = (
    Guard(
        "a rejoin that takes longer than a poll is forgotten, and the member is silent for ever",
        "streamae/topics/kafka_mended.py",
        {"return bool(self.rejoining or super().need_rejoin())": "return bool(super().need_rejoin())"},
        (f"{JOINING}::test_a_rejoin_that_takes_longer_than_a_poll_is_seen_through",),
    ),
    Guard(
        "P3: what cannot be read makes every later poll spin for ever",
        BATCHES,
        {"                self.drain()\n": ""},
        (f"{JOINING}::test_a_damaged_batch_is_told_and_no_endless_loop",),
        hangs=True,
    ),
    Guard(
        "a partition whose records cannot be read is asked for again and again, and holds up the others",
        SOURCE,
        {"                self.hold(error.records.partition)\n": ""},
        (f"{JOINING}::test_a_damaged_batch_is_told_and_no_endless_loop",),
    ),
    Guard(
        "some kB unpack to gigabytes",
        BATCHES,
        {"if len(unpacked) > LARGEST:": "if False:"},
        ("tests/topics/test_foreign_batches.py::test_a_batch_that_would_fill_the_memory_is_not_unpacked",),
    ),
    Guard(
        "a header whose name is no text stops its partition",
        BATCHES,
        {"except UnicodeDecodeError:": "except ZeroDivisionError:"},
        ("tests/topics/test_foreign_batches.py::test_headers_may_have_any_name",),
        how="AssertionError|ValueError|UnicodeDecodeError",
    ),
    Guard(
        "P6: the poll interval is the rebalance timeout too, and its default blocks everyone for minutes",
        SOURCE,
        {"max_poll_interval_ms=timing.poll_interval,": ""},
        (f"{CLIENTS}::test_the_settings_that_exactly_once_needs_cannot_be_overruled",),
    ),
    Guard(
        "P8: offsets have gaps, and the last record's plus one may never reach the end",
        SOURCE,
        {
            "moved = gained | lost\n": "moved = gained | lost\n        for tp, rows in found.items():\n"
            '            self.__dict__.setdefault("last", {})[tp.partition] = rows[-1].offset\n',
            "self._consumer.position(self._tp(partition), timeout_ms=0)": (
                "self.__dict__.get('last', {}).get(partition, -1) + 1"
            ),
        },
        (f"{CONTRACT}::test_position_passes_what_is_no_readers_business[kafka]",),
    ),
    Guard(
        "P8: a reader that goes by the last record's offset never catches up",
        READER,
        {
            "return [columns(tp, rows, headers=True)": "for tp, rows in found.items():\n"
            '            self.__dict__.setdefault("last", {})[tp.partition] = rows[-1].offset\n'
            "        return [columns(tp, rows, headers=True)",
            "self._consumer.position(TopicPartition(self._topic, partition), timeout_ms=0)": (
                "self.__dict__.get('last', {}).get(partition, -1) + 1"
            ),
        },
        (f"{CONTRACT}::test_outputs_and_positions_are_committed_together[kafka]",),
    ),
    Guard(
        "P9: an eager assignor takes every partition from everyone",
        SOURCE,
        {"partition_assignment_strategy=[CooperativeStickyAssignor()],": ""},
        (f"{JOINING}::test_a_second_member_takes_its_share_and_no_more",),
    ),
    Guard(
        "P13: after a wait that timed out, the old answer is given to the next question",
        SOURCE,
        {"self._undecided.clear()": ""},
        (f"{JOINING}::test_the_answer_to_an_earlier_question_is_not_taken_for_this_one",),
    ),
    Guard(
        "P15: a partition without a position holds up the polls of all, or makes them raise",
        SOURCE,
        {"self.consumer.seek(tp, 0)": "pass"},
        (f"{CONTRACT}::test_assigned_is_reported_once[kafka]",),
        how="NoOffsetForPartition",
    ),
    Guard(
        "P15: what is newly assigned is delivered before it is restored",
        SOURCE,
        {"self.consumer.pause(*assigned)": ""},
        (f"{CONTRACT}::test_a_new_partition_delivers_nothing_until_it_is_resumed[kafka]",),
    ),
    Guard(
        "P16, P23: the question for an undecided offset waits until it is decided",
        SOURCE,
        {"metadata=True, timeout_ms=self._access.timing.undecided": "metadata=True"},
        (f"{JOINING}::test_an_undecided_partition_holds_up_no_other_and_fills_no_log",),
    ),
    Guard(
        "P17: the membership is taken after the revocations that belong to it",
        SOURCE,
        {
            "self.membership = self._consumer.group_metadata()\n        gained, lost = self._rebalances.take()": (
                "gained, lost = self._rebalances.take()\n        self.membership = self._consumer.group_metadata()"
            )
        },
        (f"{JOINING}::test_what_is_revoked_is_told_no_later_than_the_membership_it_belongs_to",),
    ),
    Guard(
        "P17: records of a partition that has gone meanwhile are handled",
        SOURCE,
        {" if tp.partition not in moved]": "]"},
        (f"{JOINING}::test_records_of_a_partition_that_went_meanwhile_are_dropped",),
    ),
    Guard(
        "P20: a record of a committed transaction whose marker is not written yet is not found",
        READER,
        {'isolation_level="read_uncommitted", ': ""},
        (f"{JOINING}::test_a_record_of_an_open_transaction_is_found_by_its_offset",),
        how="RecordsGone",
    ),
    Guard(
        "P20: a reader goes by the last stable offset, and calls itself caught up without the newest commit",
        READER,
        {
            "self._consumer.assign(tps)\n": "self._consumer.assign(tps)\n"
            "            ends = self._consumer.end_offsets(tps, timeout_ms=self._timeout)\n"
            "            self._targets = {tp.partition: end for tp, end in ends.items()}\n"
        },
        (f"{JOINING}::test_a_reader_waits_for_what_is_committed_and_not_yet_marked",),
    ),
    Guard(
        "an instance that joined again elsewhere: heartbeats are refused, and kafka-python only logs it",
        SOURCE,
        {"if self._deaf_since is not None and": "if False and"},
        (f"{JOINING}::test_a_member_whose_instance_joined_again_elsewhere_is_told",),
    ),
    Guard(
        "a member that joins before it knows the partitions shares out none",
        SOURCE,
        {"self.bounds(0)\n        except": "pass\n        except"},
        (f"{JOINING}::test_a_member_knows_the_partitions_before_it_shares_them_out",),
    ),
    Guard(
        "a source that cannot start leaves its network thread behind",
        SOURCE,
        {"except BaseException:\n            self.close()\n": "except BaseException:\n"},
        (f"{JOINING}::test_a_source_that_cannot_start_leaves_no_thread",),
    ),
    Guard(
        "without static membership, a restarted process waits for the session of the one before",
        SOURCE,
        {"group_instance_id=instance,": ""},
        (f"{CONTRACT}::test_the_same_instance_started_again_takes_over_at_once[kafka]",),
    ),
    Guard(
        "a poll waits for records, and a partition that came waits with it",
        SOURCE,
        {"if found or self._rebalances.events or": "if found or"},
        (f"{JOINING}::test_a_partition_that_comes_does_not_wait_for_records",),
    ),
    Guard(
        "a partition that came and went between two polls is taken for ours",
        SOURCE,
        {"else gained - partitions": "else gained"},
        (f"{JOINING}::test_a_partition_that_came_and_went_between_two_polls_is_lost",),
    ),
    Guard(
        "a partition that has gone meanwhile cannot be resumed, and that ends the loop",
        SOURCE,
        {"suppress(ValueError, KeyError):  # revoked": "suppress():  # revoked"},
        (f"{JOINING}::test_a_partition_that_has_gone_is_neither_resumed_nor_held",),
        how="ValueError: Unassigned",
    ),
    Guard(
        "a partition that has gone meanwhile cannot be held, and that ends the loop",
        SOURCE,
        {
            "suppress(ValueError, KeyError):\n            self._consumer.pause": (
                "suppress():\n            self._consumer.pause"
            )
        },
        (f"{JOINING}::test_a_partition_that_has_gone_is_neither_resumed_nor_held",),
        how="KeyError: TopicPartition",
    ),
    Guard(
        "the position of a partition that has gone meanwhile is asked for, and that ends the loop",
        SOURCE,
        {"except (faults.IllegalStateError, KeyError) as error:": "except ZeroDivisionError as error:"},
        (f"{JOINING}::test_a_partition_that_has_gone_is_neither_resumed_nor_held",),
        how="IllegalStateError",
    ),
)
