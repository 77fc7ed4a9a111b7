"""One run from its message to its written outcome, with a real agent in a real worktree."""

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from billiard.pool import soft_timeout_sighandler
from celery.exceptions import SoftTimeLimitExceeded
from sqlalchemy import text

from dispatch.errors import GitError
from dispatch.models.identity import IncarnationId, RunId, uuid7
from dispatch.models.messages import ActionEvent, ResultMessage
from dispatch.models.outcome import Cancelled, Completed, Failed, Lost, TimedOut
from dispatch.models.states import RunState, StopReason
from dispatch.settings import Workspace
from dispatch.store.projects import ProjectRecords
from dispatch.store.running import RunningRecords
from dispatch.workspaces import WorktreeManager
from workers.attempt import Attempt
from workers.collecting import collect_worktrees
from workers.execution import RunExecutor, StartRefusedError
from workers.process_file import PROCESS_FILE
from workers.registry import RunnerRegistry
from workers.runners import ProcessIdentity
from workers.runners.guard import start_ticks
from workers.runners.processes import identify

WRITES = "pathlib.Path('made.txt').write_text('made\\n')"
WAITS = f"{WRITES}; say(type='progress', message='waiting'); time.sleep(600)"


def executor(shop: Any, **options: Any) -> RunExecutor:
    values: dict[str, Any] = {"incarnation_id": lambda: shop.worker, "stopping": lambda: False} | options
    return RunExecutor(shop.system, RunnerRegistry(shop.system.settings), **values)


def execute(shop: Any, does: str, bead_id: str = "a", *, timeout: float = 60, **options: Any) -> Any:
    """Run a bead and return its run as it is then."""
    message = shop.order(shop.add(bead_id, does), timeout=timedelta(seconds=timeout))
    return shop.run(executor(shop, **options).execute(message))


def git(shop: Any, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=shop.repository, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def fail_once(monkeypatch: pytest.MonkeyPatch, owner: type, name: str, error: Exception) -> None:
    """Let the next call of a method raise."""
    method, calls = getattr(owner, name), []

    def replacement(*arguments: Any, **keywords: Any) -> Any:
        calls.append(1)
        if len(calls) == 1:
            raise error
        return method(*arguments, **keywords)

    monkeypatch.setattr(owner, name, replacement)


def test_the_work_is_committed_reported_and_its_worktree_removed(shop: Any) -> None:
    run = execute(shop, WRITES)
    assert run.state is RunState.REPORTED
    assert run.outcome == Completed()
    assert run.base_sha == git(shop, "rev-parse", "main")
    assert git(shop, "show", f"{run.commit_sha}:made.txt") == "made"
    assert git(shop, "rev-parse", f"{run.commit_sha}^") == run.base_sha
    assert not list(shop.system.worktrees_directory.glob("*/"))
    assert run.process_group is not None


def test_who_watches_sees_the_events(shop: Any) -> None:
    seen: list[Any] = []
    execute(shop, f"{WRITES}; say(type='action', action_type='edit', action_data=dict(path='x'))", watch=seen.append)
    assert [type(event) for event in seen] == [ActionEvent]


def test_a_success_that_changed_nothing_is_doubted_unless_it_says_so(shop: Any) -> None:
    assert execute(shop, "pass").outcome.cause == "no_change"
    says = "say(type='result', outcome='completed', nothing_to_do=True)"
    assert execute(shop, says, "b").outcome == Completed(nothing_to_do=True)


def test_a_bead_that_has_work_already_may_end_without_a_change(shop: Any) -> None:
    first = execute(shop, WRITES)
    started = shop.started(shop.add("b"))
    attempt = Attempt(shop.system, replace(started, run=replace(started.run, base_sha=first.commit_sha)))
    attempt.prepare()
    assert attempt.checked(Completed(), first.commit_sha) == Completed()


def test_a_second_order_for_the_same_run_is_refused(shop: Any) -> None:
    message = shop.order(shop.add("a", WRITES))
    executor(shop).execute(message)
    with pytest.raises(StartRefusedError, match="it is reported"):
        executor(shop).execute(message)
    with pytest.raises(StartRefusedError, match="it is unknown"):
        executor(shop).execute(message.model_copy(update={"run_id": uuid4()}))


def test_a_worker_that_is_not_registered_may_not_start_a_run(shop: Any) -> None:
    message = shop.order(shop.add("a", WRITES))
    with pytest.raises(StartRefusedError, match="not registered"):
        executor(shop, incarnation_id=lambda: IncarnationId(uuid7())).execute(message)
    assert shop.run(message.run_id).state is RunState.PENDING


def test_a_database_that_is_away_refuses_the_start_and_leaves_the_run_as_it_was(
    shop: Any, monkeypatch: pytest.MonkeyPatch, away: Callable[[], Exception]
) -> None:
    message = shop.order(shop.add("a", WRITES))
    fail_once(monkeypatch, RunningRecords, "start", away())
    with pytest.raises(StartRefusedError, match="the database failed"):
        executor(shop).execute(message)
    assert shop.run(message.run_id).state is RunState.PENDING
    executor(shop).execute(message)
    assert shop.run(message.run_id).outcome == Completed()


def test_an_outcome_waits_for_a_database_that_is_away(
    shop: Any, monkeypatch: pytest.MonkeyPatch, away: Callable[[], Exception]
) -> None:
    fail_once(monkeypatch, RunningRecords, "report", away())
    assert execute(shop, WRITES).outcome == Completed()


def test_finished_work_waits_to_be_committed_for_a_database_that_is_away(
    shop: Any, monkeypatch: pytest.MonkeyPatch, away: Callable[[], Exception]
) -> None:
    says = f"{WRITES}; say(type='progress', message='done')"
    run = execute(shop, says, watch=lambda _: fail_once(monkeypatch, ProjectRecords, "get", away()))
    assert run.outcome == Completed()
    assert git(shop, "show", f"{run.commit_sha}:made.txt") == "made"


def test_a_commit_waits_for_a_database_that_is_away(
    shop: Any, monkeypatch: pytest.MonkeyPatch, away: Callable[[], Exception]
) -> None:
    """It is asked where the project's repository is."""
    fail_once(monkeypatch, WorktreeManager, "commit_all", away())
    run = execute(shop, WRITES)
    assert run.outcome == Completed()
    assert git(shop, "show", f"{run.commit_sha}:made.txt") == "made"


def test_where_the_agent_runs_is_noted_later_when_the_database_is_away_at_its_start(
    shop: Any, monkeypatch: pytest.MonkeyPatch, away: Callable[[], Exception]
) -> None:
    fail_once(monkeypatch, RunningRecords, "note_process", away())
    noted = threading.Event()
    note = RunningRecords.note_process

    def note_and_tell(*arguments: Any, **keywords: Any) -> None:
        note(*arguments, **keywords)
        noted.set()

    monkeypatch.setattr(RunningRecords, "note_process", note_and_tell)
    go = shop.repository.parent / "go"
    does = f"{WRITES}\nwhile not os.path.exists({str(go)!r}): time.sleep(0.01)"
    helper = threading.Thread(target=lambda: (noted.wait(20), go.write_text("")))
    helper.start()
    run = execute(shop, does)
    helper.join()
    assert noted.is_set(), "the report said it as well, too late for whoever looks meanwhile"
    assert run.outcome == Completed()
    assert run.process_group is not None


def test_where_the_agent_runs_is_noted_at_once_when_no_file_can_hold_it(
    shop: Any,
) -> None:
    dead = shop.started(shop.add("a"))
    attempt = Attempt(shop.system, dead)
    attempt.prepare()
    (shop.system.runs_directory / str(dead.run.id) / PROCESS_FILE).mkdir()
    attempt._note_process(ProcessIdentity("here", "a boot", 7, 1.5))
    run = shop.run(dead.run.id)
    assert (run.host, run.boot_id, run.process_group, run.process_started) == ("here", "a boot", 7, 1.5)
    assert run.base_sha == git(shop, "rev-parse", "main")


def test_a_database_that_was_away_in_between_is_nobodys_failure(
    shop: Any, monkeypatch: pytest.MonkeyPatch, away: Callable[[], Exception]
) -> None:
    fail_once(monkeypatch, ProjectRecords, "get", away())
    assert isinstance(execute(shop, WRITES).outcome, Lost)


def test_an_outcome_that_the_database_cannot_hold_is_replaced_by_one_that_it_can(
    shop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    surrogate = OSError("a name with \udcff in it")
    fail_once(monkeypatch, WorktreeManager, "create", surrogate)
    run = execute(shop, WRITES)
    assert run.outcome.cause == "unwritable outcome"
    assert run.state is RunState.REPORTED


def test_work_that_cannot_be_committed_is_a_failure_and_is_kept_for_the_next_attempt(
    shop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = shop.add("a", WRITES)
    broken = GitError(command="add", place="here", code=128, output="disk full")
    fail_once(monkeypatch, WorktreeManager, "commit_all", broken)
    run = shop.run(executor(shop).execute(shop.order(key)))
    assert isinstance(run.outcome, Failed)
    assert run.outcome.cause == "commit failed"
    assert "disk full" in run.outcome.summary
    assert run.commit_sha is None


def test_whatever_breaks_around_the_agent_is_a_failed_run_not_a_lost_one(
    shop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_once(monkeypatch, WorktreeManager, "create", ValueError("not foreseen"))
    outcome = execute(shop, WRITES).outcome
    assert isinstance(outcome, Failed)
    assert (outcome.cause, "not foreseen" in outcome.summary) == ("ValueError", True)


def test_a_worktree_that_cannot_be_removed_does_not_keep_the_result(
    shop: Any, monkeypatch: pytest.MonkeyPatch, away: Callable[[], Exception]
) -> None:
    fail_once(monkeypatch, WorktreeManager, "remove", away())
    assert execute(shop, WRITES).outcome == Completed()


def test_a_worker_that_ends_hands_its_run_back(shop: Any) -> None:
    waiting = threading.Event()
    run = execute(shop, WAITS, watch=lambda _: waiting.set(), stopping=waiting.is_set)
    assert run.outcome == Cancelled(cause=StopReason.HANDBACK)
    assert git(shop, "show", f"{run.commit_sha}:made.txt") == "made"


def test_a_run_that_is_no_longer_its_workers_ends_at_once_and_its_report_is_refused(shop: Any) -> None:
    """Nothing else would end its agent for many minutes."""
    times = shop.system.settings.dispatch.model_copy(update={"lease": timedelta(hours=1)})
    shop.system = replace(shop.system, settings=shop.system.settings.model_copy(update={"dispatch": times}))

    def take_away(_: Any) -> None:
        with shop.store.units.begin() as tx:
            tx.connection.exec_driver_sql(
                "UPDATE runs SET state = 'reported', token = NULL, outcome = '{\"kind\": \"lost\"}'"
            )

    run = execute(shop, WAITS, watch=take_away, timeout=600)
    assert isinstance(run.outcome, Lost)
    assert run.commit_sha is None


def test_what_a_dead_attempt_left_on_this_host_is_kept_and_counts_as_work(shop: Any) -> None:
    key = shop.add("a", "pass")
    dead = shop.started(key)
    attempt = Attempt(shop.system, dead)
    attempt.prepare()
    leftover = shop.system.worktrees_directory / str(dead.run.id) / "left.txt"
    leftover.write_text("left\n")
    import socket

    attempt._note_process(ProcessIdentity(socket.gethostname(), "another boot", 1, 1.0))
    shop.store.running.report(ResultMessage(run_id=dead.run.id, token=dead.token, outcome=Lost(), commit_sha=None))
    shop.system.results.settle(dead.run.id)

    run = shop.run(executor(shop).execute(shop.order(key)))
    assert run.outcome == Completed(), "the agent had nothing more to do"
    assert run.base_sha == git(shop, "rev-parse", "main")
    assert git(shop, "show", f"{run.commit_sha}:left.txt") == "left"
    shop.system.results.settle(run.id)
    assert shop.store.reading.bead(key).head_sha == run.commit_sha


@pytest.mark.parametrize("noted", ["file", "database"])
def test_what_a_dead_attempt_left_running_on_this_host_is_ended_before_its_work_is_kept(shop: Any, noted: str) -> None:
    """Worker and guard are gone both, and the agent writes on. The worker may have gone before any heartbeat."""
    key = shop.add("a", "pass")
    dead = shop.started(key)
    attempt = Attempt(shop.system, dead)
    attempt.prepare()
    workspace = shop.system.worktrees_directory / str(dead.run.id)
    writes_on = "n=0; while :; do n=$((n+1)); echo $n > wip.part; mv wip.part wip.txt; sleep 0.01; done"
    with subprocess.Popen(["sh", "-c", writes_on], cwd=workspace, start_new_session=True) as agent:
        try:
            attempt._note_process(identify(agent.pid, start_ticks(agent.pid)))
            assert shop.run(dead.run.id).host is None
            if noted == "database":
                attempt._look()
                (shop.system.runs_directory / str(dead.run.id) / PROCESS_FILE).unlink()
            with shop.store.engine.begin() as connection:
                connection.execute(text("UPDATE runs SET lease_until = clock_timestamp()"))
            (lost,) = shop.store.rescue.expire_leases()
            shop.system.results.settle(lost)
            deadline = time.monotonic() + 20
            while not (workspace / "wip.txt").exists():
                assert time.monotonic() < deadline
                time.sleep(0.01)

            run = shop.run(executor(shop).execute(shop.order(key)))
            assert agent.wait(10) == -signal.SIGKILL
        finally:
            agent.kill()
    assert run.outcome == Completed()
    assert int(git(shop, "show", f"{run.commit_sha}:wip.txt")) > 0
    assert run.base_sha == git(shop, "rev-parse", "main")


def test_an_agent_is_not_left_running_longer_than_the_lease(
    shop: Any, monkeypatch: pytest.MonkeyPatch, away: Callable[[], Exception]
) -> None:
    """With the default lease the guard's own limit is the shorter one; with a short one the lease is."""

    def fail(*_: Any) -> None:
        raise away()

    times = shop.system.settings.dispatch.model_copy(update={"lease": timedelta(seconds=1.5)})
    shop.system = replace(shop.system, settings=shop.system.settings.model_copy(update={"dispatch": times}))
    monkeypatch.setattr(RunningRecords, "renew", fail)
    run = execute(shop, WAITS, timeout=15)
    assert run.outcome == Lost(summary="The guard ended the agent (no pulse for 1.5 s).")
    assert git(shop, "show", f"{run.commit_sha}:made.txt") == "made"


def test_the_lease_is_renewed_until_the_outcome_is_written(shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commit of a large repository may take longer than a lease."""
    commit = WorktreeManager.commit_all

    def commit_slowly(worktrees: WorktreeManager, run: Any, message: str) -> str:
        leases = {shop.run(run.id).lease_until}
        deadline = time.monotonic() + 20
        while len(leases) < 4:
            assert time.monotonic() < deadline, "the agent is done and its lease runs out"
            time.sleep(0.02)
            leases.add(shop.run(run.id).lease_until)
        return commit(worktrees, run, message)

    monkeypatch.setattr(WorktreeManager, "commit_all", commit_slowly)
    assert execute(shop, WRITES).outcome == Completed()


@pytest.fixture
def soft_limits() -> Any:
    """Given the handler that Celery's prefork pool has in its processes."""
    before = signal.signal(signal.SIGUSR1, soft_timeout_sighandler)
    yield
    assert signal.getsignal(signal.SIGUSR1) is soft_timeout_sighandler, "it holds for the next task"
    signal.signal(signal.SIGUSR1, before)


@pytest.mark.usefixtures("soft_limits")
def test_the_soft_limit_ends_the_agent_and_keeps_its_work(shop: Any) -> None:
    run = execute(shop, WAITS, watch=lambda _: os.kill(os.getpid(), signal.SIGUSR1))
    assert run.outcome == TimedOut(limit_seconds=60, summary="Celery's limit ended it.")
    assert git(shop, "show", f"{run.commit_sha}:made.txt") == "made"


@pytest.mark.usefixtures("soft_limits")
def test_a_soft_limit_that_was_swallowed_on_the_way_still_holds(shop: Any, away: Callable[[], Exception]) -> None:
    def swallow(_: Any) -> None:
        with pytest.raises(SoftTimeLimitExceeded):
            os.kill(os.getpid(), signal.SIGUSR1)

    assert isinstance(execute(shop, WAITS, watch=swallow).outcome, TimedOut)


@pytest.mark.usefixtures("soft_limits")
@pytest.mark.parametrize("step", ["_commit", "_write", "clean_up"])
def test_a_soft_limit_after_the_agents_end_changes_nothing(
    shop: Any, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    method = getattr(Attempt, step)

    def late(*arguments: Any) -> Any:
        os.kill(os.getpid(), signal.SIGUSR1)
        return method(*arguments)

    monkeypatch.setattr(Attempt, step, late)
    assert execute(shop, WRITES).outcome == Completed()


def test_two_runs_at_once_in_threads_do_not_touch_each_other(shop: Any) -> None:
    meet = shop.repository.parent
    does = (
        "name = assignment['bead']['id']\n"
        f"pathlib.Path({str(meet)!r}, 'here-' + name).touch()\n"
        f"while len(list(pathlib.Path({str(meet)!r}).glob('here-*'))) < 2: time.sleep(0.01)\n"
        "pathlib.Path(name + '.txt').write_text(name)"
    )
    orders = [shop.order(shop.add(name, does)) for name in ("a", "b")]
    both = executor(shop)
    threads = [threading.Thread(target=both.execute, args=(order,)) for order in orders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for order in orders:
        run = shop.run(order.run_id)
        assert run.outcome == Completed()
        assert git(shop, "diff", "--name-only", run.base_sha, run.commit_sha) == f"{order.bead_id}.txt"
    assert {shop.run(order.run_id).agent_name for order in orders} == {"one@here/1", "one@here/2"}


LOSES_ITS_GIT = """
import subprocess
pathlib.Path('.git').unlink()
found = subprocess.run(['git', 'rev-parse', '--show-toplevel'], capture_output=True, text=True)
pathlib.Path('found.txt').write_text(found.stdout or 'no repository')
"""


def test_an_agent_that_loses_its_git_file_does_not_find_the_repository_around_the_home(shop: Any) -> None:
    subprocess.run(["git", "init", "--quiet", str(shop.system.settings.home.parent)], check=True)

    run = execute(shop, LOSES_ITS_GIT)

    assert isinstance(run.outcome, Completed)
    assert git(shop, "show", f"{run.commit_sha}:found.txt") == "no repository"


def without_worktree(shop: Any) -> None:
    """Let the project's runner work in an empty directory from now on."""
    (name,) = shop.system.settings.runners
    runners = {name: shop.system.settings.runners[name].model_copy(update={"workspace": Workspace.EMPTY})}
    shop.system = replace(shop.system, settings=shop.system.settings.model_copy(update={"runners": runners}))


def test_a_run_without_a_worktree_works_in_an_empty_directory_and_changes_nothing(shop: Any) -> None:
    without_worktree(shop)
    says = "say(type='progress', message=os.getcwd() + ' ' + str(os.listdir()))"
    seen: list[Any] = []
    run = execute(shop, f"{says}; {WRITES}", watch=seen.append)
    assert (run.outcome, run.base_sha, run.commit_sha) == (Completed(), None, None)
    directory, _, content = seen[0].message.partition(" ")
    assert content == "[]"
    assert not os.path.exists(directory)  # noqa: PTH110
    assert list(shop.system.worktrees_directory.iterdir()) == []
    assert git(shop, "for-each-ref", "refs/dispatch") == ""


def test_a_run_without_a_worktree_keeps_the_work_that_a_dead_attempt_with_one_left(shop: Any) -> None:
    key = shop.add("a", WRITES)
    dead = Attempt(shop.system, shop.started(key))
    dead.prepare()
    assert dead._workspace is not None
    (dead._workspace / "half.txt").write_text("half")
    dead._note_process(ProcessIdentity(socket.gethostname(), "another boot", 1, 1.0))
    with shop.store.engine.begin() as connection:
        connection.execute(text("UPDATE runs SET lease_until = clock_timestamp() - interval '1 second'"))
    (lost,) = shop.store.rescue.expire_leases()
    shop.system.results.settle(lost)
    without_worktree(shop)
    run = shop.run(executor(shop).execute(shop.order(key)))
    assert run.outcome == Completed()
    assert git(shop, "show", f"{run.commit_sha}:half.txt") == "half"
    assert run.base_sha == git(shop, "rev-parse", "main")


def test_what_a_dead_worker_left_in_an_empty_directory_is_collected(shop: Any) -> None:
    run_id = RunId(uuid7())
    path = shop.system.scratch.make(run_id)
    attempt = Attempt(shop.system, shop.started(shop.add("a")))
    attempt.prepare(Workspace.EMPTY)
    assert collect_worktrees(shop.system) == 1
    assert not path.exists()
    assert attempt._workspace is not None
    assert attempt._workspace.exists(), "its run is open"
