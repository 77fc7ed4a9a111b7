"""Rules 9 to 12: agents end surely, time is the database's, rescue takes nothing from anybody who lives."""

from tests.protocol.mutation import Change, taken_out

ENDING = "tests/runners/test_ending.py"
EXECUTION = "tests/workers/test_execution.py"
RESCUE = "tests/store/test_rescue.py"
TICK = "tests/dispatcher/test_tick.py"
LIMITS = "tests/walk/test_time_limits.py"
OUTAGE = "tests/protocol/test_outage.py::test_a_mass_of_leases_that_look_over_after_an_outage_are_left_to_their_workers"
FAULTS = "tests/walk/test_faults.py"
SLOW_CLOCK = f"{FAULTS}::test_a_worker_whose_wall_clock_is_wrong_and_jumps_does_its_work_in_time"
FORKS = "An agent that forks and changes its process group."
OUTAGE_FAULT = "A mass of leases that look over after an outage."

MUTATIONS = (
    taken_out(
        9,
        "a worktree for each run",
        "dispatch/workspaces/worktrees.py",
        "return self._root / str(UUID(str(run_id)))",
        'return self._root / "shared"',
        fault="Two runs of one bead at once.",
        tests=["tests/workspaces/test_concurrency.py::test_two_runs_of_one_bead_do_not_touch_each_other"],
    ),
    taken_out(
        9,
        "a ref for each run",
        "dispatch/workspaces/worktrees.py",
        'return f"refs/dispatch/runs/{UUID(str(run_id))}"',
        'return "refs/dispatch/runs/shared"',
        fault="Two runs of one bead at once.",
        tests=["tests/workspaces/test_concurrency.py::test_two_runs_of_one_bead_do_not_touch_each_other"],
    ),
    taken_out(
        9,
        "starting from the accepted work",
        "dispatch/store/claiming.py",
        "RETURNING able.step_id, beads.head_sha",
        "RETURNING able.step_id, CAST(NULL AS text) AS head_sha",
        fault="None: a second attempt.",
        tests=[
            "tests/walk/test_one_bead.py::test_a_bead_that_fails_is_tried_again_from_where_it_was_and_knows_its_errors"
        ],
    ),
    taken_out(
        9,
        "ending the agent when the worker is gone",
        "workers/runners/guard.py",
        "self.worker_gone = not orders",
        "self.worker_gone = False",
        fault="SIGKILL of the worker.",
        tests=[f"{ENDING}::test_an_agent_does_not_outlive_its_worker[SIGKILL]"],
    ),
    taken_out(
        9,
        "ending the agent without renewals",
        "workers/runners/guard.py",
        "now - last_pulse > pulse_limit",
        "False",
        fault="SIGSTOP of a worker past its lease, with an agent that goes on writing.",
        tests=[
            f"{ENDING}::test_an_agent_without_pulses_is_ended_by_its_guard",
            f"{ENDING}::test_an_agent_does_not_outlive_its_worker[SIGSTOP]",
        ],
    ),
    taken_out(
        9,
        "a clock that goes on while the machine sleeps",
        "workers/runners/guard.py",
        'getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)',
        "time.CLOCK_MONOTONIC",
        fault="A laptop's sleep.",
        tests=[f"{ENDING}::test_a_guard_counts_the_time_that_the_machine_slept"],
    ),
    taken_out(
        9,
        "a session of the agent's own",
        "workers/runners/guard.py",
        "    os.setsid()\n",
        "",
        fault="Signals to the worker's group.",
        tests=["tests/runners/test_command.py::test_an_agent_starts_with_default_signals_in_a_session_of_its_own"],
    ),
    taken_out(
        9,
        "finding what left the process group",
        "workers/runners/guard.py",
        "ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)",
        "pass",
        fault=FORKS,
        tests=[
            f"{ENDING}::test_at_the_deadline_a_stubborn_agent_and_all_its_offspring_are_gone",
            f"{ENDING}::test_daemons_of_an_agent_that_ends_by_itself_end_with_it",
        ],
    ),
    taken_out(
        9,
        "ending what an agent left that ended by itself",
        "workers/runners/guard.py",
        "leftovers = self._end_all()",
        "leftovers = 0",
        fault=FORKS,
        tests=[f"{ENDING}::test_daemons_of_an_agent_that_ends_by_itself_end_with_it"],
    ),
    taken_out(
        9,
        "SIGKILL after the grace",
        "workers/runners/guard.py",
        "if KILL in orders or now >= kill_at:",
        "if KILL in orders:",
        fault="An agent that does not hear SIGTERM, under a worker that is stopped.",
        tests=[f"{ENDING}::test_an_agent_does_not_outlive_its_worker[SIGSTOP]"],
    ),
    taken_out(
        9,
        "a limit of the guard within the lease",
        "workers/attempt.py",
        "return min(max(PULSE_LIMIT, lease * 2 / 3), lease)",
        "return PULSE_LIMIT",
        fault="SIGSTOP of a worker past its lease, with an agent that goes on writing.",
        tests=[f"{EXECUTION}::test_an_agent_is_not_left_running_longer_than_the_lease"],
    ),
    taken_out(
        9,
        "ending what a dead attempt left running",
        "workers/attempt.py",
        "if identity is not None and end_process_group(identity):",
        "if identity is None:",
        fault="Worker and guard are killed both, and the agent writes on.",
        tests=[f"{EXECUTION}::test_what_a_dead_attempt_left_running_on_this_host_is_ended_before_its_work_is_kept"],
    ),
    taken_out(
        9,
        "keeping what a dead attempt left",
        "workers/attempt.py",
        "left = self._system.worktrees.salvage(previous.id, previous.project_id)",
        "left = None",
        fault="A worker is killed in mid-run.",
        tests=[f"{EXECUTION}::test_what_a_dead_attempt_left_on_this_host_is_kept_and_counts_as_work"],
    ),
    taken_out(
        9,
        "the boot in the identity of a process",
        "workers/runners/processes.py",
        "if identity.host != socket.gethostname() or identity.boot_id != this_boot():",
        "if identity.host != socket.gethostname():",
        fault="A process number that was given out again after a boot.",
        tests=["tests/runners/test_processes.py::test_processes_of_another_start_host_or_boot_are_left_alone"],
    ),
    taken_out(
        9,
        "the start in the identity of a process",
        "workers/runners/processes.py",
        "return identity.started > 0 and identify(leader, start_ticks(leader)).started == identity.started",
        "return True",
        fault="A process number that was given out again.",
        tests=["tests/runners/test_processes.py::test_processes_of_another_start_host_or_boot_are_left_alone"],
    ),
    taken_out(
        9,
        "noting where the agent runs",
        "workers/attempt.py",
        "on_process=self._note_process,",
        "on_process=lambda process: None,",
        fault="Worker and guard are killed both.",
        tests=[f"{EXECUTION}::test_the_work_is_committed_reported_and_its_worktree_removed"],
    ),
    taken_out(
        9,
        "the file that says where the agent runs",
        "workers/attempt.py",
        "write_process(self._run_directory, process, self._base_sha)",
        "pass",
        fault="Worker and guard are killed both before the first look of the heartbeat.",
        tests=[
            f"{EXECUTION}::test_what_a_dead_attempt_left_running_on_this_host_is_ended_before_its_work_is_kept[file]"
        ],
    ),
    taken_out(
        10,
        "the database's clock",
        "dispatch/store/clock.py",
        "    given: datetime | None = None\n",
        "    given = property(lambda _: datetime.now().astimezone())\n",
        also=(
            Change(
                "dispatch/store/clock.py",
                "return func.clock_timestamp()",
                "return literal(self.given, TIMESTAMP(timezone=True))",
            ),
        ),
        fault="A worker whose wall clock is ten minutes off.",
        tests=[SLOW_CLOCK],
    ),
    taken_out(
        10,
        "a clock that goes on inside a transaction",
        "dispatch/store/clock.py",
        "return func.clock_timestamp()",
        "return func.now()",
        also=(Change("dispatch/store/written.py", "clock_timestamp())", "now())"),),
        fault="A start that waits for a lock.",
        tests=[
            "tests/store/test_clock.py::test_the_databases_clock_goes_on_inside_a_transaction",
            "tests/store/test_clock.py::test_the_lease_of_a_start_that_waited_is_a_whole_one",
        ],
    ),
    taken_out(
        10,
        "the monotonic clock of a runner",
        "workers/runners/watch.py",
        "import time\n",
        "import time as wall\nfrom types import SimpleNamespace\n",
        also=(
            Change(
                "workers/runners/watch.py",
                "_CHUNK = 65536\n",
                "time = SimpleNamespace(monotonic=wall.time)\n_CHUNK = 65536\n",
            ),
        ),
        fault="A worker's wall clock jumps by twenty minutes.",
        tests=[SLOW_CLOCK],
    ),
    taken_out(
        10,
        "the deadline that counts from the start",
        "dispatch/store/starting.py",
        "deadline_at = agent.moment + make_interval",
        "deadline_at = runs.created_at + make_interval",
        fault="A run that waited for its worker.",
        tests=["tests/store/test_running.py::test_a_start_gives_the_token_the_deadline_and_the_lease"],
    ),
    taken_out(
        10,
        "the runner's deadline",
        "workers/runners/watch.py",
        "elif now >= self._deadline:",
        "elif False:",
        fault="An agent that does not end.",
        tests=[f"{ENDING}::test_at_the_deadline_a_stubborn_agent_and_all_its_offspring_are_gone"],
    ),
    taken_out(
        10,
        "Celery's soft limit",
        "dispatch/bus/celery.py",
        "soft_time_limit=task.timeout_seconds + self._hard_grace / 3,",
        "",
        fault="A worker that hangs in the database.",
        tests=[
            "tests/protocol/test_messages.py"
            "::test_a_run_is_sent_with_its_own_id_the_limits_behind_its_runners_and_no_expiry",
            f"{LIMITS}::test_the_soft_limit_ends_a_run_whose_worker_hangs_in_the_database",
        ],
    ),
    taken_out(
        10,
        "Celery's hard limit",
        "dispatch/bus/celery.py",
        "            time_limit=task.timeout_seconds + self._hard_grace,\n",
        "",
        fault="A pool process that is stopped.",
        tests=[
            "tests/protocol/test_messages.py"
            "::test_a_run_is_sent_with_its_own_id_the_limits_behind_its_runners_and_no_expiry",
            f"{LIMITS}::test_behind_the_hard_limit_the_lease_ends_a_run_whose_process_is_stopped",
        ],
    ),
    taken_out(
        10,
        "the wish that an overdue run stops",
        "dispatch/dispatcher/tick.py",
        "self._rescue.stop_overdue(OVERDUE_SLACK)",
        "pass",
        fault="A worker whose own deadline does not hold.",
        tests=[f"{TICK}::test_the_passes_come_in_their_order"],
    ),
    taken_out(
        10,
        "the lease behind the limits",
        "dispatch/dispatcher/tick.py",
        "return self._rescue.expire_leases()",
        "return []",
        fault="A worker is killed in mid-run.",
        tests=[f"{TICK}::test_the_run_of_a_dead_worker_is_dispatched_again_by_the_tick_that_notices"],
    ),
    taken_out(
        11,
        "waiting before rescue is armed",
        "dispatch/dispatcher/tick.py",
        "if not pulse.armed:",
        "if False:",
        fault=OUTAGE_FAULT,
        tests=[OUTAGE, f"{TICK}::test_a_tick_that_is_not_armed_ends_no_lease_and_buries_nobody"],
    ),
    taken_out(
        11,
        "noticing a gap between ticks",
        "dispatch/store/rescue.py",
        "(now - _TICKER.c.last_tick_at > largest_gap, now),",
        "",
        fault=OUTAGE_FAULT,
        tests=[OUTAGE, f"{RESCUE}::test_a_gap_between_ticks_disarms_it"],
    ),
    taken_out(
        11,
        "keeping the last tick in the database",
        "dispatch/store/rescue.py",
        "steady_since=steady, last_tick_at=now,",
        "steady_since=steady,",
        fault=OUTAGE_FAULT,
        tests=[OUTAGE, f"{RESCUE}::test_a_gap_between_ticks_disarms_it"],
    ),
    taken_out(
        12,
        "renewing a lease that is renewed until the outcome is written",
        "workers/execution.py",
        "                taken = attempt.finish(self._outcome(attempt, limit))\n",
        "                outcome = self._outcome(attempt, limit)\n            taken = attempt.finish(outcome)\n",
        fault="A commit that takes longer than a lease.",
        tests=[f"{EXECUTION}::test_the_lease_is_renewed_until_the_outcome_is_written"],
    ),
    taken_out(
        12,
        "the heartbeat's thread",
        "workers/attempt.py",
        "        heartbeat.start()\n",
        "        heartbeat.end = lambda: None\n",
        fault="None: a run that is longer than its lease.",
        tests=[
            f"{EXECUTION}::test_the_lease_is_renewed_until_the_outcome_is_written",
            f"{EXECUTION}::test_where_the_agent_runs_is_noted_later_when_the_database_is_away_at_its_start",
        ],
    ),
    taken_out(
        12,
        "a renewal as soon as the worker is called",
        "workers/heartbeat.py",
        "if self._was_called():",
        "if self._was_called() and False:",
        fault="An agent that is cancelled just after a heartbeat.",
        tests=["tests/workers/test_heartbeat.py::test_a_call_makes_a_renewal_due_long_before_the_next_one"],
    ),
    taken_out(
        12,
        "calling the worker of a run that is asked to stop",
        "dispatch/store/stopping.py",
        "    call(tx, {IncarnationId(row.incarnation_id) for row in rows if row.incarnation_id is not None})\n",
        "",
        fault="An agent that is cancelled just after a heartbeat.",
        tests=[
            f"tests/store/test_calling.py::test_whoever_asks_an_agent_to_stop_calls_its_worker[_{way}]"
            for way in ("close", "cancel", "stop", "hand_back", "be_late")
        ],
    ),
    taken_out(
        12,
        "a connection of the forked process's own",
        "workers/process.py",
        "os.register_at_fork(after_in_child=self._forget)",
        "os.register_at_fork(after_in_child=int)",
        fault="A pool process that is forked while the worker talks to the database.",
        tests=[
            "tests/workers/test_process.py"
            "::test_a_forked_process_opens_connections_of_its_own_and_leaves_those_of_its_parent_alone"
        ],
    ),
    taken_out(
        12,
        "ending an agent that is not ours any more",
        "workers/heartbeat.py",
        "self._control.abandon()",
        "pass",
        fault="A lease that ended while the database was away.",
        tests=[
            "tests/workers/test_heartbeat.py::test_a_renewal_that_changes_nothing_ends_the_agent_at_once",
            f"{EXECUTION}::test_a_run_that_is_no_longer_its_workers_ends_at_once_and_its_report_is_refused",
        ],
    ),
    taken_out(
        12,
        "the guard of the token on a renewal",
        "dispatch/store/running.py",
        '_RUNS.c.token == token,\n                values={"lease_until"',
        'values={"lease_until"',
        fault="A worker that lost its run goes on renewing.",
        tests=["tests/store/test_running.py::test_a_renewal_with_another_token_or_after_the_report_changes_nothing"],
    ),
    taken_out(
        12,
        "feeding the guard with each renewal",
        "workers/heartbeat.py",
        "self._control.pulse()",
        "pass",
        fault="None: a run that is longer than the guard's limit.",
        tests=[
            "tests/workers/test_heartbeat.py"
            "::test_each_renewal_feeds_the_guard_even_when_something_else_cannot_be_written"
        ],
    ),
    taken_out(
        12,
        "the answer that carries the wish to stop",
        "workers/heartbeat.py",
        "if renewal.stop_reason is not None:",
        "if False:",
        fault="Cancelled while running.",
        tests=[
            "tests/workers/test_heartbeat.py::test_what_the_answer_asks_for_is_passed_on",
            f"{FAULTS}::test_a_bead_closed_by_hand_while_its_agent_works_ends_the_agent",
        ],
    ),
)
