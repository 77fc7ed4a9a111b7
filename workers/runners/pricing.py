"""Dollars for the tokens of an agent program that tells only those, so that caps on money hold for it too."""

from dataclasses import replace
from decimal import Decimal

from dispatch.models.messages import AgentEvent, UsageEvent
from dispatch.models.outcome import Outcome
from workers.runners.base import Runner, RunnerContext

_MILLION = 1_000_000


class PricedRunner:
    """A runner whose tokens have a price: dollars for a million of them, in and out.

    What the agent says of dollars itself does not count then.
    """

    def __init__(self, runner: Runner, prices: tuple[Decimal, Decimal]) -> None:
        self._runner = runner
        self._prices = prices

    def run(self, context: RunnerContext) -> Outcome:
        return self._runner.run(replace(context, on_event=lambda event: context.on_event(self._priced(event))))

    def _priced(self, event: AgentEvent) -> AgentEvent:
        if not isinstance(event, UsageEvent):
            return event
        price_in, price_out = self._prices
        usd = (event.tokens_in * price_in + event.tokens_out * price_out) / _MILLION
        return event.model_copy(update={"usd": float(usd)})
