"""Keeps what an agent uses: tokens and dollars, written where the caps look, and held against its bead's cap."""

import threading
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import structlog
from sqlalchemy.exc import SQLAlchemyError

from dispatch.budget import bead_cap, used_up
from dispatch.models.bead import Bead
from dispatch.models.guarding import RunSpending, Spent
from dispatch.models.identity import RunId
from dispatch.models.messages import AgentEvent, UsageEvent
from dispatch.models.states import StopReason
from dispatch.settings import CapSettings
from workers.persistence import is_passing
from workers.runners import RunControl

_SMALLEST = Decimal("1e-9")
_MOST_USD = Decimal(10**12)
_MOST_TOKENS = 10**15
"""No agent uses that much: what one says beyond it would only break the sums of others."""

log = structlog.get_logger(__name__)


class SpendingMeter:
    """Sums what one run uses and charges it; thread-safe. No trouble with the database gets out.

    `charge` writes the whole that was used so far, so that it may be repeated, and tells whether the bead's cap is
    reached. Then the agent is asked to stop.
    """

    def __init__(
        self, charge: Callable[[RunSpending], bool], run_id: RunId, bead: Bead, caps: CapSettings, control: RunControl
    ) -> None:
        self._charge = charge
        self._control = control
        self._cap = bead_cap(caps)
        self._before = bead.usd
        self._total = RunSpending(
            run_id=run_id,
            bead=bead.key,
            spent=Spent(),
            bead_cap=self._cap,
            refusal=used_up(caps),
        )
        self._charged = Spent()
        self._lock = threading.Lock()

    def add(self, event: AgentEvent) -> None:
        """Take an event of the agent. What it used is written with the next beat, at once when the cap is reached."""
        if not isinstance(event, UsageEvent):
            return
        with self._lock:
            spent = self._total.spent + _spent(event)
            self._total = replace(self._total, spent=_bounded(spent))
            reached = self._cap is not None and self._before + self._total.spent.usd >= self._cap
        if reached:
            self._control.ask_to_stop(StopReason.BUDGET)
            self.flush()

    def flush(self) -> None:
        """Charge what was used since the last time; what cannot be written now waits on."""
        with self._lock:
            total = self._total
        if total.spent == self._charged:
            return
        try:
            is_over = self._charge(total)
        except SQLAlchemyError as error:
            if not is_passing(error):
                log.exception("what a run used cannot be kept", run_id=str(total.run_id))
                self._charged = total.spent
            else:
                log.warning("what a run used waits for the database", run_id=str(total.run_id), cause=repr(error))
            return
        self._charged = total.spent
        if is_over:
            self._control.ask_to_stop(StopReason.BUDGET)


def _spent(event: UsageEvent) -> Spent:
    """Return what an event tells of, in dollars as they were written: not as the binary fraction nearest to them."""
    return Spent(usd=Decimal(str(event.usd)), tokens_in=event.tokens_in, tokens_out=event.tokens_out)


def _bounded(spent: Spent) -> Spent:
    return Spent(
        usd=min(spent.usd, _MOST_USD).quantize(_SMALLEST),
        tokens_in=min(spent.tokens_in, _MOST_TOKENS),
        tokens_out=min(spent.tokens_out, _MOST_TOKENS),
    )
