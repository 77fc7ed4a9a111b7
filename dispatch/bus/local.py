"""The local bus: runs, settles and lands in threads of this process. For one bead in the foreground, and `auto`."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

import structlog

from dispatch.models.identity import ProjectId, RunId
from dispatch.models.messages import TaskMessage

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalWork:
    """What the bus calls: the same functions that Celery's tasks call."""

    run: Callable[[TaskMessage], object]
    settle: Callable[[RunId], object]
    land: Callable[[ProjectId], object]
    tick: Callable[[], object]


class LocalBus:
    """Carries tasks to threads of this process; `agents` of them run beads, one more does the rest.

    `bind` gives it its work; it is a step of its own because that work publishes on this bus in turn.
    """

    def __init__(self, *, agents: int) -> None:
        self._runs = ThreadPoolExecutor(max_workers=agents, thread_name_prefix="dispatch-run")
        self._rest = ThreadPoolExecutor(max_workers=1, thread_name_prefix="dispatch-rest")
        self._open: set[Future[object]] = set()
        self._lock = threading.Lock()
        self._work: LocalWork | None = None

    def bind(self, work: LocalWork) -> None:
        """Say what to call."""
        self._work = work

    def publish_task(self, project_id: ProjectId, task: TaskMessage) -> None:
        """Hand over a step of one run."""
        self.publish_step(project_id, [task])

    def publish_task_for_role(self, project_id: ProjectId, role: str, task: TaskMessage) -> None:
        """Hand over a step of one run; every thread serves every role."""
        self.publish_step(project_id, [task])

    def publish_step(self, project_id: ProjectId, tasks: Sequence[TaskMessage]) -> None:
        """Hand over the runs of a step; each is settled when it ends."""
        for task in tasks:
            self._submit(self._runs, lambda task=task: self._run_and_settle(task))  # type: ignore[misc]

    def publish_settle(self, run_id: RunId) -> None:
        """Settle a reported run soon."""
        self._submit(self._rest, lambda: self._bound.settle(run_id))

    def publish_landing(self, project_id: ProjectId) -> None:
        """Land what waits in a project soon."""
        self._submit(self._rest, lambda: self._bound.land(project_id))

    def publish_nudge(self) -> None:
        """Tick soon."""
        self._submit(self._rest, self._bound.tick)

    def drain(self) -> None:
        """Wait until nothing is under way or queued, including what that work publishes."""
        while True:
            with self._lock:
                pending = set(self._open)
            if not pending:
                return
            wait(pending)

    def close(self) -> None:
        """Finish what is queued and end the threads."""
        self.drain()
        self._runs.shutdown()
        self._rest.shutdown()

    def _run_and_settle(self, task: TaskMessage) -> None:
        self._bound.run(task)
        self._bound.settle(RunId(task.run_id))

    @property
    def _bound(self) -> LocalWork:
        if self._work is None:
            raise RuntimeError("bind() says what a LocalBus does; it was not called")
        return self._work

    def _submit(self, pool: ThreadPoolExecutor, work: Callable[[], object]) -> None:
        with self._lock:
            future = pool.submit(work)
            self._open.add(future)
        future.add_done_callback(self._ended)

    def _ended(self, future: Future[object]) -> None:
        with self._lock:
            self._open.discard(future)
        error = future.exception()
        if error is not None:
            log.error("local work failed", cause=repr(error), exc_info=error)
