"""Guards of what a service holds back: topics that have changed, and what would fill the memory or the dead letters."""

from __future__ import annotations

from tests.guards.guard import Guard
from tests.guards.serving import FAULTS, LOOP, PARTITION, RECOVERY, REFUSALS

HOLDING = "tests/serving/test_bounds.py"

BOUNDS = (
    Guard(
        "a topic that was deleted and made again while it is read is taken for the old one",
        LOOP,
        {'self._source.identity() not in ("", self._around.topic_id)': "False"},
        (f"{REFUSALS}::test_a_service_that_runs_asks_whether_the_topic_is_still_the_same",),
    ),
    Guard(
        "a topic that was deleted and made again between two starts is taken for the old one",
        RECOVERY,
        {"        self._refuse_another_topic(checkpoint.topic_id)\n": ""},
        (f"{REFUSALS}::test_a_checkpoint_of_another_topic_of_the_same_name_holds_the_partition",),
    ),
    Guard(
        "a partition without outputs makes every transaction fail",
        RECOVERY,
        {"        around.outputs.check(self.number)\n": ""},
        (f"{REFUSALS}::test_a_new_partition_waits_for_its_outputs_and_the_others_go_on",),
    ),
    Guard(
        "small batches of one fetch that unpack to much fill the memory together",
        "streamae/topics/kafka_batches.py",
        {"        if self.room <= 0:\n            raise StopIteration\n": ""},
        (
            "tests/topics/test_batches.py::test_no_more_is_given_out_at_once_than_there_is_room_for_and_none_is_left_out",
            "tests/topics/test_foreign_batches.py::test_a_poll_brings_no_more_than_fits_however_small_the_batches_were",
        ),
    ),
    Guard(
        "a poll goes on asking where there is no room left",
        "streamae/topics/kafka_mended.py",
        {"return taken if self._room > 0 else max_records": "return taken"},
        ("tests/topics/test_foreign_batches.py::test_a_poll_brings_no_more_than_fits_however_small_the_batches_were",),
        hangs=True,
    ),
    Guard(
        "series without end fill the memory",
        PARTITION,
        {"if not self.detector.has_room(readings, self.settings.most_series):": "if False:"},
        (f"{HOLDING}::test_a_full_table_holds_its_partition_and_a_larger_one_goes_on_where_it_stopped",),
    ),
    Guard(
        "series that come and go fill a table that has room for those at hand",
        "streamae/detection/windows.py",
        {"return len(readings) == 1 and self._left_at(int(readings.time[0])) + new <= most": "return False"},
        (f"{HOLDING}::test_series_that_come_and_go_need_room_for_those_at_hand_only",),
    ),
    Guard(
        "a partition that was held is released into its restore, and its windows are not read again",
        LOOP,
        {"self._source.hold(number)\n            self._holds.forget(number)\n": "self._source.hold(number)\n"},
        ("tests/serving/test_damaged.py::test_a_hold_does_not_outlast_the_transaction_that_failed_meanwhile",),
        how="AssertionError|^assert |NoneType",
    ),
    Guard(
        "a transaction that fails again and again, as on a full disk, is tried without a pause",
        LOOP,
        {'if not self._notices.say("transaction", failed):': 'if self._notices.say("transaction", failed) is None:'},
        (f"{FAULTS}::test_a_full_disk_is_waited_for_without_haste_and_said_once",),
    ),
    Guard(
        "dead letters become a copy of a topic that was mapped wrongly",
        PARTITION,
        {"            self._halt_floods()\n": ""},
        (f"{HOLDING}::test_a_flood_of_dead_letters_is_slowed_and_all_are_kept",),
    ),
)
