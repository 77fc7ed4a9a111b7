"""The tick: rescue, then dispatch, and once more while somebody asked for it meanwhile."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

import structlog

from dispatch.dispatcher.dispatcher import Dispatcher
from dispatch.errors import TickBusyError
from dispatch.models.dispatching import Handover, Pulse
from dispatch.models.identity import ProjectId, RunId
from dispatch.ports import MessageBus
from dispatch.settings import Settings

LARGEST_GAP = timedelta(seconds=15)
"""Ticks further apart than this were an outage, or a laptop's sleep."""
MAX_PUBLISHES = 3
OVERDUE_SLACK = timedelta(seconds=5)
ASK_LANDING_AGAIN = timedelta(seconds=30)
MAX_ROUNDS = 10

log = structlog.get_logger(__name__)


class RescueStore(Protocol):
    """What the rescue needs of the store; each call is one pass, in transactions of its own."""

    def beat(self, *, largest_gap: timedelta, arm_after: timedelta) -> Pulse: ...
    def take_nudge(self) -> None: ...
    def bury_incarnations(self, lease: timedelta) -> list[str]: ...
    def withdraw_unstartable(self, *, max_publishes: int, backoff: timedelta, lease: timedelta) -> list[RunId]: ...
    def unpublished(self, backoff: timedelta) -> list[Handover]: ...
    def stop_overdue(self, slack: timedelta) -> list[RunId]: ...
    def expire_leases(self) -> list[RunId]: ...
    def stale_landings(self, patience: timedelta) -> list[ProjectId]: ...


class TickStore(Protocol):
    """The part of the store that the tick uses besides the dispatcher's."""

    @property
    def rescue(self) -> RescueStore: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TickReport:
    """What one tick did. `busy`: another one was at work, and this one left it the field."""

    busy: bool = False
    armed: bool = False
    lost: tuple[RunId, ...] = ()
    withdrawn: tuple[RunId, ...] = ()
    republished: int = 0
    dispatched: int = 0


class Tick:
    """What beat fires, and a nudge. Ticks may overlap and may be doubled without harm.

    `sweep` settles what a lost message left, `tend` sees to workflows that no run moves on.
    """

    def __init__(
        self,
        store: TickStore,
        dispatcher: Dispatcher,
        bus: MessageBus,
        settings: Settings,
        sweep: Callable[[Sequence[RunId]], object],
        tend: Callable[[], object] = lambda: None,
    ) -> None:
        self._rescue = store.rescue
        self._dispatcher = dispatcher
        self._bus = bus
        self._settings = settings
        self._sweep = sweep
        self._tend = tend

    def run(self) -> TickReport:
        """Do one tick. It leaves the field when another tick holds it for more than 2 s."""
        try:
            return self._run()
        except TickBusyError:
            return TickReport(busy=True)

    def _run(self) -> TickReport:
        lease = self._settings.dispatch.lease
        pulse = self._rescue.beat(largest_gap=LARGEST_GAP, arm_after=lease)
        lost = self.end_leases(pulse)
        withdrawn = self.withdraw()
        self._sweep(lost)
        self._tend()
        republished = self._dispatcher.hand_over(self._rescue.unpublished(self._settings.dispatch.republish_after))
        self.ask_for_landings()
        dispatched = self._dispatch_until_quiet(wait=True)
        return TickReport(
            armed=pulse.armed,
            lost=tuple(lost),
            withdrawn=tuple(withdrawn),
            republished=republished,
            dispatched=dispatched,
        )

    def end_leases(self, pulse: Pulse) -> list[RunId]:
        """Stop what is overdue; once armed, bury workers that are gone and report the runs whose lease ended."""
        self._rescue.stop_overdue(OVERDUE_SLACK)
        if not pulse.armed:
            return []
        for node in self._rescue.bury_incarnations(self._settings.dispatch.lease):
            log.warning("a worker is gone", worker=node)
        return self._rescue.expire_leases()

    def withdraw(self) -> list[RunId]:
        """Take back what no worker will start."""
        times = self._settings.dispatch
        return self._rescue.withdraw_unstartable(
            max_publishes=MAX_PUBLISHES, backoff=times.republish_after, lease=times.lease
        )

    def ask_for_landings(self) -> None:
        """Ask again for landings whose message may be lost; what the bus does not take now is asked for later."""
        for project_id in self._rescue.stale_landings(ASK_LANDING_AGAIN):
            try:
                self._bus.publish_landing(project_id)
            except Exception as error:  # noqa: BLE001 - brokers fail in many ways; the bead waits in the database
                log.warning("the bus did not take a landing", project=project_id, cause=repr(error))
                return

    def nudged(self) -> int:
        """Dispatch what can go, without rescue: what a nudge asks for. Return how many beads went."""
        self._rescue.take_nudge()
        return self.go_on()

    def go_on(self) -> int:
        """Dispatch at once what the caller made possible, once the wish for it is counted; return how many beads went.

        When a round is under way it is left to that: whoever holds it looks for wishes again after giving it back.
        """
        try:
            return self._dispatch_until_quiet(wait=False)
        except TickBusyError:
            return 0

    def _dispatch_until_quiet(self, *, wait: bool) -> int:
        dispatched = 0
        for _ in range(MAX_ROUNDS):
            round_ = self._dispatcher.round(wait=wait)
            dispatched += len(round_.results)
            if not round_.wished:
                return dispatched
        self._publish_nudge()
        return dispatched

    def _publish_nudge(self) -> None:
        """Leave to somebody else what is still wished for; failing that, the next tick sees to it."""
        try:
            self._bus.publish_nudge()
        except Exception as error:  # noqa: BLE001 - brokers fail in many ways; beat ticks anyway
            log.warning("the bus did not take a nudge", cause=repr(error))
