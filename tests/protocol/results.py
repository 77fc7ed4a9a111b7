"""Rules 1 to 4: outcomes are written, settled once each, under the project's lock."""

from tests.protocol.mutation import Change, taken_out

EXECUTION = "tests/workers/test_execution.py"
FAULTS = "tests/walk/test_faults.py"
SERVERS = "tests/walk/test_server_faults.py"
LOCK = "tests/protocol/test_project_lock.py"
WRITER = f"{LOCK}::test_a_writer_waits_for_the_projects_lock_and_holds_no_row_meanwhile"
TWO_CLOSINGS = f"{LOCK}::test_two_closings_that_waited_for_one_lock_release_the_bead_that_waits_for_both"
TWO_SETTLES = f"{LOCK}::test_two_settles_that_waited_for_one_lock_release_the_bead_that_waits_for_both"
LOCK_PROJECT = (
    "dispatch/store/transaction.py",
    "SELECT pg_advisory_xact_lock({_PROJECT_LOCK_SPACE}, number)",
    "SELECT number",
)
LOCK_PROJECT_OF = Change(
    "dispatch/store/transaction.py", ", pg_advisory_xact_lock({_PROJECT_LOCK_SPACE}, projects.number)", ""
)
TRY_PROJECTS = Change(
    "dispatch/store/transaction.py", "pg_try_advisory_xact_lock({_PROJECT_LOCK_SPACE}, number) AS ours", "true AS ours"
)
UNLOCKED = "Somebody else has the project locked."

MUTATIONS = (
    taken_out(
        1,
        "writing the outcome before it is returned",
        "workers/execution.py",
        "attempt.finish(self._outcome(attempt, limit))",
        "bool(self._outcome(attempt, limit))",
        fault="None: the run ends, and nobody told the database.",
        tests=[f"{EXECUTION}::test_the_work_is_committed_reported_and_its_worktree_removed"],
    ),
    taken_out(
        1,
        "writing the outcome again while PostgreSQL is away",
        "workers/persistence.py",
        "if not is_passing(error):",
        "if True:",
        fault="PostgreSQL is stopped while an outcome is written, and started again.",
        tests=[
            f"{EXECUTION}::test_an_outcome_waits_for_a_database_that_is_away",
            f"{SERVERS}::test_an_outcome_outlasts_a_database_that_is_away",
        ],
    ),
    taken_out(
        1,
        "committing the work again while PostgreSQL is away",
        "workers/attempt.py",
        "write_patiently(lambda: self._commit(outcome), ",
        "(lambda commit, _: commit())(lambda: self._commit(outcome), ",
        fault="PostgreSQL is stopped while an outcome is written, and started again.",
        tests=[
            f"{EXECUTION}::test_a_commit_waits_for_a_database_that_is_away",
            f"{SERVERS}::test_an_outcome_outlasts_a_database_that_is_away",
        ],
    ),
    taken_out(
        1,
        "the guard of the token on a report",
        "dispatch/store/running.py",
        "AND token = :token AND state IN",
        "AND state IN",
        fault="A worker that lost its run reports late.",
        tests=["tests/store/test_running.py::test_a_report_without_the_token_is_refused_and_in_the_history"],
    ),
    taken_out(
        1,
        "the sweep of every tick",
        "dispatch/dispatcher/tick.py",
        "self._sweep(lost)",
        "",
        fault="A lost chord; the broker emptied in mid-run; PostgreSQL restarted during the settle.",
        tests=[
            "tests/dispatcher/test_tick.py::test_a_tick_settles_what_a_lost_message_left",
            f"{SERVERS}::test_a_broker_that_is_emptied_in_mid_run_loses_nothing",
            f"{SERVERS}::test_a_settle_in_the_middle_of_which_the_database_restarts_is_done_once",
        ],
    ),
    taken_out(
        1,
        "looking for reports that nobody settled",
        "dispatch/results/handler.py",
        "for run_id in dict.fromkeys([*reported_now, *stale]):",
        "for run_id in dict.fromkeys(reported_now):",
        fault="A lost chord.",
        tests=["tests/results/test_handler.py::test_a_sweep_settles_what_waited_and_joins_what_nobody_joined"],
    ),
    taken_out(
        1,
        "waiting for the body before the sweep settles",
        "dispatch/store/settling.py",
        "_RUNS.c.reported_at <= tx.now() - age,",
        "",
        fault="The body of the chord is on its way.",
        tests=["tests/store/test_rescue.py::test_a_report_is_swept_when_it_has_waited_for_5_seconds"],
    ),
    taken_out(
        1,
        "settling each run once",
        "dispatch/models/states.py",
        "RunEvent.SETTLE: _move(RunState.REPORTED,",
        "RunEvent.SETTLE: _move(RunState.REPORTED, RunState.SETTLED,",
        fault="The body of a chord delivered twice, at the same moment.",
        tests=[
            f"{LOCK}::test_of_two_settles_of_one_run_that_waited_for_one_lock_one_counts",
            "tests/models/test_states.py::test_the_moves_are_exactly_those_of_the_protocol",
        ],
    ),
    taken_out(
        1,
        "counting settles that fail",
        "dispatch/results/handler.py",
        "if failures < MAX_SETTLE_FAILURES:",
        "if True:",
        fault="A settle that fails five times.",
        tests=["tests/results/test_handler.py::test_the_fifth_settle_that_fails_blocks_the_bead_behind_a_decision"],
    ),
    taken_out(
        1,
        "the next run's turn when one cannot be settled",
        "dispatch/results/handler.py",
        "            return work() is not None\n        except Exception as error:",
        "            return work() is not None\n        except ZeroDivisionError as error:",
        fault="A settle that fails again and again.",
        tests=["tests/results/test_handler.py::test_one_run_that_cannot_be_settled_keeps_no_other_waiting"],
    ),
    taken_out(
        2,
        "raising Ignore for a refused start",
        "workers/tasks/runs.py",
        "raise Ignore(str(refused)) from refused",
        'return str(message["run_id"])',
        fault="A duplicate header while the run works.",
        tests=[f"{FAULTS}::test_a_doubled_order_neither_fires_the_body_nor_stores_a_result"],
    ),
    taken_out(
        2,
        "refusing a start after a database error",
        "workers/execution.py",
        "except SQLAlchemyError as error:",
        "except ZeroDivisionError as error:",
        fault="PostgreSQL is away when the message comes.",
        tests=[f"{EXECUTION}::test_a_database_that_is_away_refuses_the_start_and_leaves_the_run_as_it_was"],
    ),
    taken_out(
        3,
        "an errback that settles nothing",
        "workers/tasks/results.py",
        "within=_HURRY",
        "within=timedelta()",
        fault="Only the result backend blinked: the errback comes while the agent works.",
        tests=[f"{SERVERS}::test_an_errback_shortens_the_lease_and_settles_nothing"],
    ),
    taken_out(
        3,
        "an errback that shortens the lease",
        "dispatch/store/running.py",
        "func.least(_RUNS.c.lease_until, tx.now() + within)",
        "_RUNS.c.lease_until",
        fault="A pool process is killed in mid-run.",
        tests=[
            "tests/store/test_running.py::test_a_hurried_run_has_a_shorter_lease_until_its_worker_is_heard_of",
            f"{SERVERS}::test_an_errback_shortens_the_lease_and_settles_nothing",
        ],
    ),
    taken_out(
        3,
        "the errback",
        "dispatch/bus/celery.py",
        ", link_error=[errback]",
        "",
        fault="A pool process is killed in mid-run.",
        tests=[
            "tests/protocol/test_messages.py::test_the_body_of_a_step_wakes_the_settler_and_its_errback_knows_the_runs"
        ],
    ),
    taken_out(
        4,
        "the project's lock",
        *LOCK_PROJECT,
        also=(LOCK_PROJECT_OF, TRY_PROJECTS),
        fault="Two closings at the same moment.",
        tests=[
            WRITER,
            TWO_CLOSINGS,
            TWO_SETTLES,
        ],
    ),
    taken_out(
        4,
        "a statement of its own for the lock",
        *LOCK_PROJECT,
        also=(
            LOCK_PROJECT_OF,
            Change(
                "dispatch/store/graph.py",
                "changed AS (SELECT unnest(CAST(:ids AS text[])) AS id),",
                "changed AS (SELECT unnest(CAST(:ids AS text[])) AS id"
                " FROM (SELECT pg_advisory_xact_lock(1684632944, number) FROM projects WHERE id = :project) locked),",
            ),
        ),
        fault="Two closings at the same moment.",
        tests=[
            TWO_CLOSINGS,
            TWO_SETTLES,
        ],
    ),
    taken_out(
        4,
        "the lock of a settle",
        LOCK_PROJECT_OF.file,
        LOCK_PROJECT_OF.old,
        LOCK_PROJECT_OF.new,
        fault=UNLOCKED,
        tests=[
            f"{WRITER}[settle]",
            TWO_SETTLES,
        ],
    ),
    taken_out(
        4,
        "the lock of a join",
        "dispatch/store/settling.py",
        "tx.lock_project(ProjectId(step.project_id))",
        "",
        fault=UNLOCKED,
        tests=[f"{WRITER}[join]"],
    ),
    taken_out(
        4,
        "the lock of a landing's end",
        "dispatch/store/settling.py",
        "            tx.lock_project(key.project_id)\n            row = effects.lock_bead",
        "            row = effects.lock_bead",
        fault=UNLOCKED,
        tests=[f"{WRITER}[finish_landing]"],
    ),
    taken_out(
        4,
        "the lock of an escalation",
        "dispatch/store/settling.py",
        "            tx.lock_project(key.project_id)\n            return asking.open_decision",
        "            return asking.open_decision",
        fault=UNLOCKED,
        tests=[f"{WRITER}[escalate]"],
    ),
    taken_out(
        4,
        "the lock of a decision",
        "dispatch/store/decisions.py",
        "            tx.lock_project(key.project_id)\n            row = asking.row_of",
        "            row = asking.row_of",
        fault=UNLOCKED,
        tests=[f"{WRITER}[decide]"],
    ),
    taken_out(
        4,
        "the lock of the end of a decision about a bead that is done",
        "dispatch/store/decisions.py",
        "            tx.lock_project(key.project_id)\n            done =",
        "            done =",
        fault=UNLOCKED,
        tests=[f"{WRITER}[end_moot]"],
    ),
    taken_out(
        4,
        "the lock of a closing by hand",
        "dispatch/store/edits.py",
        "            tx.lock_project(key.project_id)\n            row = beads.row_of",
        "            row = beads.row_of",
        fault=UNLOCKED,
        tests=[
            f"{WRITER}[close]",
            TWO_CLOSINGS,
        ],
    ),
    taken_out(
        4,
        "the lock of an adoption",
        "dispatch/store/edits.py",
        "            tx.lock_project(key.project_id)\n            row = guard.move_one",
        "            row = guard.move_one",
        fault=UNLOCKED,
        tests=[f"{WRITER}[adopt]"],
    ),
    taken_out(
        4,
        "the lock of a new bead",
        "dispatch/store/edits.py",
        "            tx.lock_project(project_id)\n",
        "",
        fault=UNLOCKED,
        tests=[f"{WRITER}[add]"],
    ),
    taken_out(
        4,
        "the lock of an import",
        "dispatch/store/imports.py",
        "            tx.lock_project(project_id)\n",
        "",
        fault=UNLOCKED,
        tests=[f"{WRITER}[import]"],
    ),
    taken_out(
        4,
        "the lock of a claim",
        "dispatch/store/dispatching.py",
        "ours = self._tx.try_lock_projects({",
        "ours = set({",
        fault=UNLOCKED,
        tests=[
            f"{WRITER}[claim]",
            "tests/store/test_claiming.py::test_a_project_that_somebody_holds_keeps_no_other_waiting",
        ],
    ),
    taken_out(
        4,
        "the lock of a withdrawal",
        "dispatch/store/rescue.py",
        "if tx.try_lock_project(ProjectId(row.project_id)) and withdraw",
        "if withdraw",
        fault=UNLOCKED,
        tests=[f"{WRITER}[withdraw]", "tests/store/test_rescue.py::test_a_project_that_somebody_holds_is_passed_over"],
    ),
    taken_out(
        4,
        "the order of locks: the run before its agent",
        "dispatch/store/running.py",
        "row = binding.lock_run(tx, run_id)",
        "tx.connection.execute(select(schema.agents).with_for_update())\n"
        "            row = binding.lock_run(tx, run_id)",
        fault="A start waits for a run that somebody else settles.",
        tests=[f"{LOCK}::test_a_start_that_waits_for_its_run_holds_no_agent"],
    ),
    taken_out(
        4,
        "trying the victim of a deadlock again",
        "dispatch/store/engine.py",
        "victim = isinstance(error.orig, pg.DeadlockDetected | pg.SerializationFailure)",
        "victim = False",
        fault="40P01 and 40001.",
        tests=["tests/store/test_sessions.py::test_the_victim_of_a_deadlock_is_tried_again"],
    ),
)
