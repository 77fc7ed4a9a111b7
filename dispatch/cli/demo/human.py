"""The human of the demo: it decides what waits in the inbox, after a moment, and says so."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from dispatch.cli.demo.shop import ANSWERS
from dispatch.deciding import Answer, decide
from dispatch.models.decision import InboxEntry
from dispatch.settings import Settings
from dispatch.store import Store

NAME = "the demo"
THINKS = timedelta(seconds=2)
"""How long it lets a question stand, for who watches to read it."""


class ScriptedHuman:
    """Answers questions as the script says, and any other decision by what is recommended."""

    def __init__(self, settings: Settings, tell: Callable[[str], None]) -> None:
        self._settings = settings
        self._tell = tell

    def attend(self, store: Store) -> bool:
        """Decide what waited long enough; tell whether anything waits."""
        entries = store.decisions.inbox()
        for entry in entries:
            if entry.waiting >= THINKS:
                self._decide(store, entry)
        return bool(entries)

    def _decide(self, store: Store, entry: InboxEntry) -> None:
        decision = entry.decision
        advice = ANSWERS.get(decision.bead_id, "Try it once more.")
        answer = Answer(option=decision.offer.recommended, by=NAME, advice=advice)
        decide(store, self._settings, str(decision.key), answer, now=datetime.now(UTC))
        asked = decision.question or f"{decision.reason}."
        self._tell(f"{decision.bead_id} waits for a human: {asked} The demo decides for you: {answer.option}. {advice}")
