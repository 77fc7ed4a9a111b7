"""A program gives a bead back to a human."""

from typing import Any

import pytest

from dispatch.dispatcher import Dispatcher
from dispatch.errors import NotFoundError, RefusedError, UsageError
from dispatch.models.decision import Decision, EscalationKind, Option
from dispatch.models.outcome import Failed
from dispatch.ports import Escalator
from dispatch.results import DecisionEscalator
from dispatch.wiring import wire


@pytest.fixture
def escalator(scene: Any) -> Escalator:
    return DecisionEscalator(scene.store)


def test_it_makes_a_decision_with_what_the_runs_came_to(scene: Any, escalator: Escalator) -> None:
    worker = scene.worker()
    key = scene.bead(role="dev")
    scene.work(key, worker, Failed(cause="tests"))
    decision = escalator.escalate_bead_to_ceo("shop-1", "It needs a key.\nAsk the bank.", returned_to="qa")
    assert (decision.bead_key, decision.created, decision.kind) == (key, True, EscalationKind.RETURNED)
    assert (decision.reason, decision.detail) == ("It needs a key.", "It needs a key.\nAsk the bank.")
    assert decision.returned_to == "qa"
    assert [error.error for error in decision.errors] == ["failed: tests"]
    assert decision.progress
    assert decision.suggestions
    assert Option.RETRY in decision.offer.options
    assert scene.read(key).blocked


def test_a_second_time_it_brings_the_open_one_up_to_date(scene: Any, escalator: Escalator) -> None:
    scene.bead()
    first = escalator.escalate_bead_to_ceo("shop-1", "One.")
    second = escalator.escalate_bead_to_ceo("shop/shop-1", "Two.")
    assert (second.decision_id, second.created, second.reason) == (first.decision_id, False, "Two.")


def test_many_at_once_make_one(scene: Any, escalator: Escalator, at_once: Any) -> None:
    scene.bead()
    made = at_once(
        [lambda number=number: escalator.escalate_bead_to_ceo("shop-1", f"{number}.") for number in range(8)]
    )
    assert not [one for one in made if isinstance(one, Exception)]
    assert len({one.decision_id for one in made}) == 1
    assert len(scene.store.decisions.inbox()) == 1


def test_what_cannot_be_escalated_is_refused(scene: Any, escalator: Escalator) -> None:
    scene.bead()
    decision = escalator.escalate_bead_to_ceo("shop-1", "One.")
    with pytest.raises(RefusedError, match=f"{decision.key} is a decision itself"):
        escalator.escalate_bead_to_ceo(decision.decision_id, "Two.")
    scene.bead("shop-2", status="closed")
    with pytest.raises(RefusedError, match="shop/shop-2 is closed"):
        escalator.escalate_bead_to_ceo("shop-2", "Two.")
    with pytest.raises(UsageError, match="no reason"):
        escalator.escalate_bead_to_ceo("shop-1", " ")
    with pytest.raises(NotFoundError):
        escalator.escalate_bead_to_ceo("shop-9", "Two.")


def test_a_dispatcher_has_it_or_another_one(scene: Any, bus: Any) -> None:
    scene.bead()
    asked: list[tuple[str, str, str | None]] = []
    made = DecisionEscalator(scene.store).escalate_bead_to_ceo("shop-1", "One.")

    class Other:
        def escalate_bead_to_ceo(self, bead_id: str, reason: str, returned_to: str | None = None) -> Decision:
            asked.append((bead_id, reason, returned_to))
            return made

    dispatcher = Dispatcher(scene.store, bus, scene.settings, escalator=Other())
    assert dispatcher.escalate_bead_to_ceo("shop-1", "Why?", "dev") is made
    assert asked == [("shop-1", "Why?", "dev")]
    with pytest.raises(UsageError, match="without an escalator"):
        Dispatcher(scene.store, bus, scene.settings).escalate_bead_to_ceo("shop-1", "Why?")


def test_a_wired_one_has_the_built_in_one(scene: Any, bus: Any) -> None:
    scene.bead()
    decision = wire(scene.settings, scene.store, bus).dispatcher.escalate_bead_to_ceo("shop-1", "One.")
    assert scene.store.decisions.find("shop-1").decision_id == decision.decision_id
