"""What nobody decides is told again, and what nobody has to decide any more ends."""

from datetime import timedelta
from typing import Any

from structlog.testing import capture_logs

from dispatch.models.settling import Escalation
from dispatch.results import announce_decisions


def test_each_is_a_line_of_the_log_with_what_to_type(scene: Any) -> None:
    decision = scene.store.settling.escalate(scene.bead(), Escalation(reason="r", title="T", body="B"))
    scene.clock.advance(timedelta(hours=4))
    with capture_logs() as lines:
        assert announce_decisions(scene.store.decisions) == 1
        assert announce_decisions(scene.store.decisions) == 0
    (line,) = lines
    assert (line["log_level"], line["event"]) == ("warning", "a decision waits for a human")
    assert (line["bead"], line["decision"], line["announcement"]) == ("shop/shop-1", str(decision.key), 1)
    assert line["cure"] == f"dispatch inbox {decision.key}"


def test_one_about_a_bead_that_is_done_ends(scene: Any) -> None:
    key = scene.bead()
    decision = scene.store.settling.escalate(key, Escalation(reason="r", title="T", body="B"))
    scene.bead(status="closed", updated_at=scene.clock.at)
    scene.clock.advance(timedelta(hours=4))
    assert announce_decisions(scene.store.decisions) == 0
    assert scene.read(decision.key).status == "closed"
