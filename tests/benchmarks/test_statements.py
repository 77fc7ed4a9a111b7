"""Counting in PostgreSQL's log."""

from benchmarks.parts.statements import Asked, count_statements

LOG = """\
2026-01-01 12:00:00.001 UTC [11] ticker LOG:  statement: BEGIN
2026-01-01 12:00:00.002 UTC [11] ticker LOG:  execute <unnamed>: SELECT one
\tFROM somewhere
2026-01-01 12:00:00.003 UTC [22] agents LOG:  execute _pg3_0: UPDATE runs SET state = $1
2026-01-01 12:00:00.004 UTC [11] ticker LOG:  statement: SAVEPOINT "_pg3_1"
2026-01-01 12:00:00.005 UTC [11] ticker LOG:  statement: ROLLBACK TO "_pg3_1"
2026-01-01 12:00:00.006 UTC [11] ticker LOG:  execute <unnamed>: SELECT two
2026-01-01 12:00:00.007 UTC [11] ticker LOG:  statement: COMMIT
2026-01-01 12:00:00.008 UTC [11] ticker LOG:  statement: ;
2026-01-01 12:00:00.009 UTC [22] agents LOG:  execute _pg3_0: UPDATE runs SET state = $1
2026-01-01 12:00:00.010 UTC [5]  LOG:  received SIGHUP, reloading configuration files
2026-01-01 12:00:00.011 UTC [11] ticker LOG:  statement: BEGIN
2026-01-01 12:00:00.012 UTC [11] ticker LOG:  statement: ROLLBACK
"""


def test_statements_and_transactions_are_counted_by_program() -> None:
    found = count_statements(LOG.splitlines())
    assert found["ticker"] == Asked(round_trips=9, transactions=2), "the ping is a round trip and no transaction"
    assert found["agents"] == Asked(round_trips=2, transactions=2), "outside of a transaction each is one"
    assert set(found) == {"ticker", "agents"}


def test_sessions_of_one_program_are_told_apart() -> None:
    log = [
        "2026-01-01 12:00:00.001 UTC [1] agents LOG:  statement: BEGIN",
        "2026-01-01 12:00:00.002 UTC [2] agents LOG:  execute <unnamed>: SELECT one",
        "2026-01-01 12:00:00.003 UTC [1] agents LOG:  execute <unnamed>: SELECT two",
        "2026-01-01 12:00:00.004 UTC [1] agents LOG:  statement: COMMIT",
    ]
    assert count_statements(log)["agents"] == Asked(round_trips=4, transactions=2)
