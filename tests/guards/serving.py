"""Guards of the service: of what it restores from, and of what it does not guess."""

from __future__ import annotations

from tests.guards.guard import Guard

LOOP = "streamae/serving/loop.py"
SERVICE = "streamae/serving/service.py"
RECOVERY = "streamae/serving/recovery.py"
PARTITION = "streamae/serving/partition.py"
MODELS = "streamae/serving/models.py"
WATCHDOG = "streamae/serving/watchdog.py"
PROVISION = "streamae/serving/provision.py"
STORIES = "tests/serving/test_stories.py"
REFUSALS = "tests/serving/test_refusals.py"
FAULTS = "tests/serving/test_faults.py"
STARTS = "tests/serving/test_starts.py"
REBALANCE = "tests/serving/test_rebalance.py"
WITHDRAWN = "tests/serving/test_withdrawn.py"
CHECKPOINTS = "tests/serving/test_checkpoints.py"

SERVING = (
    Guard(
        "P21: a process that wakes after a long stop fences the one that replaced it",
        WATCHDOG,
        {"if late > self._frozen_s:": "if False:"},
        (f"{STARTS}::test_a_process_that_was_stopped_for_too_long_ends_itself",),
        how="TimeoutExpired",
    ),
    Guard(
        "P21: a loop that is merely busy is taken for one that hangs",
        PARTITION,
        {"            self._detect(part)\n            self._beat()\n": "            self._detect(part)\n"},
        (f"{STARTS}::test_a_loop_that_is_merely_busy_goes_on",),
    ),
    Guard(
        "P23: a loop that hangs hangs for ever",
        WATCHDOG,
        {"if self.stalled_s() > self._patience_s:": "if False:"},
        (f"{STARTS}::test_a_loop_that_hangs_is_ended_to_be_started_again",),
        how="TimeoutExpired",
    ),
    Guard(
        "P23: partitions that still replay are committed",
        LOOP,
        {
            "[partition for partition in self._running.values() if partition.changed]\n        self._last": (
                "[partition for partition in self._running.values() if partition.changed]\n"
                "        ready += [each._partition for each in self._restoring.values() if each._partition]\n"
                "        self._last"
            )
        },
        (f"{CHECKPOINTS}::test_a_partition_that_is_still_replayed_is_not_committed[kafka]",),
    ),
    Guard(
        "P19, P23: after a transaction of unknown outcome, what is committed is not asked",
        LOOP,
        {"self._restore_all()\n        while": "while"},
        (f"{FAULTS}::test_a_transaction_that_fails_at_any_step_changes_nothing[kafka]",),
    ),
    Guard(
        "a restored partition is delivered before it is told from where",
        LOOP,
        {"            self._source.hold(number)\n": ""},
        (f"{FAULTS}::test_a_transaction_that_fails_at_any_step_changes_nothing[kafka]",),
    ),
    Guard(
        "a broker is away while a failed transaction is resolved, and that costs the membership, too",
        LOOP,
        {"except (Unreachable, ConfigError) as error:  #": "except ConfigError as error:  #"},
        (f"{FAULTS}::test_a_transaction_that_fails_at_any_step_changes_nothing[kafka]",),
    ),
    Guard(
        "a password is withdrawn while a failed transaction is resolved, and that ends the service",
        LOOP,
        {"except (Unreachable, ConfigError) as error:  # the": "except Unreachable as error:  # the"},
        (f"{WITHDRAWN}::test_a_password_that_is_withdrawn_is_waited_for",),
    ),
    Guard(
        "a broker is away while the service connects, and that ends it",
        SERVICE,
        {
            'except Unreachable as error:\n                    self._notices.say("broker", f"connecting': (
                'except ZeroDivisionError as error:\n                    self._notices.say("broker", f"connecting'
            )
        },
        (f"{REFUSALS}::test_a_broker_that_is_away_while_the_service_connects_is_waited_for[kafka]",),
        how="Unreachable: a fault on purpose",
    ),
    Guard(
        "a broker that is away at the start ends the service",
        SERVICE,
        {
            "except Unreachable as error:\n            return [str(error)]": (
                "except ZeroDivisionError:\n            return []"
            )
        },
        (f"{REFUSALS}::test_a_broker_that_comes_late_is_waited_for",),
    ),
    Guard(
        "readings that may not be read for a while cost the membership, too",
        LOOP,
        {
            'except Unreachable as error:\n            self._notices.say("broker", f"trying on': (
                'except ZeroDivisionError as error:\n            self._notices.say("broker", f"trying on'
            )
        },
        (f"{WITHDRAWN}::test_a_permission_that_is_withdrawn_is_waited_for[readings-READ]",),
    ),
    Guard(
        "a committed offset that is undecided, or a state that may not be read, costs the membership, too",
        LOOP,
        {"except Unreachable as error:  # for a moment": "except ZeroDivisionError as error:  # for a moment"},
        (f"{WITHDRAWN}::test_a_permission_that_is_withdrawn_is_waited_for[state-READ]",),
    ),
    Guard(
        "retention overtakes a partition that runs, and that ends the service",
        LOOP,
        {"except RecordsGone as error:\n            log": "except ZeroDivisionError as error:\n            log"},
        (f"{REFUSALS}::test_readings_that_vanish_while_it_runs_hold_that_partition_only[kafka]",),
    ),
    Guard(
        "one partition that cannot run ends the others, too",
        LOOP,
        {"except (RecordsGone, TopicsChanged,": "except (TopicsChanged,"},
        (f"{REFUSALS}::test_a_partition_whose_readings_are_gone_is_held_and_the_others_go_on",),
        how="RecordsGone",
    ),
    Guard(
        "retention has overtaken the first reading of an open window",
        RECOVERY,
        {"if replay_from < first:": "if False:"},
        (f"{REFUSALS}::test_a_partition_whose_readings_are_gone_is_held_and_the_others_go_on",),
    ),
    Guard(
        "the broker has forgotten the group's offsets, and episodes are begun anew",
        RECOVERY,
        {"self._refuse_forgotten_offsets()\n        bounds": "bounds"},
        (f"{REFUSALS}::test_episodes_without_a_committed_offset_are_not_guessed_away[kafka]",),
    ),
    Guard(
        "windows are restored that other settings have made",
        RECOVERY,
        {" or checkpoint.settings_hash != around.settings.digest": ""},
        (f"{STORIES}::test_other_settings_begin_windows_anew_and_withdraw[kafka]",),
    ),
    Guard(
        "the windows that were open are not filled again",
        RECOVERY,
        {"replay_from = min(checkpoint.replay_from, committed.offset)": "replay_from = committed.offset"},
        (f"{STORIES}::test_a_service_that_is_stopped_and_started_publishes_what_one_run_publishes[kafka]",),
    ),
    Guard(
        "a poll reaches past the committed offset, and what is beyond it is never detected in",
        RECOVERY,
        {"self._around.source.resume(self.number, partition.next_offset)": "pass"},
        (f"{STORIES}::test_a_service_that_is_stopped_and_started_publishes_what_one_run_publishes[kafka]",),
    ),
    Guard(
        "a restored partition runs before it has reached the committed offset",
        RECOVERY,
        {"return self._around.source.position(self.number) >= self._until": "return True"},
        (f"{STORIES}::test_a_service_that_is_stopped_and_started_publishes_what_one_run_publishes[kafka]",),
    ),
    Guard(
        "a partition goes to another member while it is restored, and that ends the service",
        RECOVERY,
        {"contextlib.suppress(TopicsError)": "contextlib.suppress()"},
        (f"{REBALANCE}::test_a_partition_that_goes_between_two_polls_does_not_end_the_service[kafka]",),
    ),
    Guard(
        "episodes that are open or pending are forgotten at a restore",
        RECOVERY,
        {"state = self._around.source.record_at(topic, self.number, checkpoint.state_at)": "pass"},
        (f"{STORIES}::test_a_service_that_is_stopped_and_started_publishes_what_one_run_publishes[kafka]",),
    ),
    Guard(
        "a restored partition begins with the champion of now, not with the version of its checkpoint",
        RECOVERY,
        {"partition = self._partition_of(checkpoint.version)": "partition = self._partition_of(None)"},
        (f"{CHECKPOINTS}::test_a_restored_partition_first_serves_the_version_of_its_checkpoint",),
    ),
    Guard(
        "episodes are written to the state topic, and the checkpoint names another record",
        PARTITION,
        {"self.state_at = state, offsets[-1]": "self.state_at = state, offsets[0]"},
        (f"{STORIES}::test_a_service_that_is_stopped_and_started_publishes_what_one_run_publishes[kafka]",),
    ),
    Guard(
        "a new champion takes over amid a transaction",
        LOOP,
        {
            "partition.changed or partition.detector.version ==": "partition.detector.version ==",
            "            self._commit(stop)\n            self._refresh()": "            self._refresh()",
        },
        (f"{CHECKPOINTS}::test_a_new_champion_takes_over_after_what_the_old_one_has_scored_is_committed[kafka]",),
    ),
    Guard(
        "a version scores otherwise than where it was made: its golden windows are not reproduced",
        MODELS,
        {"            scorer.prove()\n": ""},
        (f"{CHECKPOINTS}::test_a_champion_that_does_not_reproduce_its_golden_windows_does_not_serve",),
    ),
    Guard(
        "a damaged champion, or a registry that cannot be read, ends the service",
        MODELS,
        {"except (ArtifactError, RegistryError) as error:": "except ZeroDivisionError as error:"},
        (f"{STORIES}::test_a_damaged_champion_leaves_the_old_one_serving[kafka]",),
    ),
    Guard(
        "retention deletes open episodes: the state topic is not compacted",
        PROVISION,
        {'"compact" not in spec.settings': "False and spec.settings"},
        (f"{CHECKPOINTS}::test_a_state_topic_that_forgets_is_refused_until_it_is_compacted[kafka]",),
    ),
    Guard(
        "outputs have another partition count than readings",
        PROVISION,
        {"elif spec.partitions != readings.partitions:": "elif False:"},
        (f"{REFUSALS}::test_wrong_partition_counts_are_named_and_it_goes_on_once_they_are_right[kafka]",),
    ),
    Guard(
        "a series in two partitions is torn apart",
        LOOP,
        {"        self._report_torn_series()\n": ""},
        ("tests/serving/test_page.py::test_a_series_in_two_partitions_is_named_and_counted[kafka]",),
    ),
)
