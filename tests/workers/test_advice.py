"""What an agent asks reaches a human, and his answer its next run; what he leaves lying is announced."""

import subprocess
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import text

from dispatch.deciding import Answer, decide
from dispatch.models.outcome import Completed, NeedsInput
from workers.execution import RunExecutor
from workers.housekeeping import keep_house
from workers.registry import RunnerRegistry

ASKS_ONCE = """
told = assignment["advice"]
if told:
    pathlib.Path("colour.txt").write_text(told[-1]["asked"] + " " + told[-1]["advice"])
    say(type="result", outcome="completed")
else:
    say(type="result", outcome="needs_input", question="Which colour?")
"""


def _run(shop: Any, key: Any) -> Any:
    """Let an agent work on a bead, and settle its run."""
    executor = RunExecutor(
        shop.system,
        RunnerRegistry(shop.system.settings),
        incarnation_id=lambda: shop.worker,
        stopping=lambda: False,
    )
    run_id = executor.execute(shop.order(key))
    shop.system.results.settle(run_id)
    return shop.run(run_id)


def test_the_answer_to_a_question_reaches_the_next_run(shop: Any) -> None:
    key = shop.add("a", ASKS_ONCE)
    assert _run(shop, key).outcome == NeedsInput(question="Which colour?")
    (entry,) = shop.store.decisions.inbox()
    assert (entry.decision.question, entry.title) == ("Which colour?", "Do a")
    answer = Answer(option="answer", by="ann", advice="Red.")
    made = decide(shop.store, shop.system.settings, "a", answer, now=datetime.now(UTC))
    assert made.released == (key.bead_id,)
    run = _run(shop, key)
    assert isinstance(run.outcome, Completed)
    assert (run.attempt, shop.store.reading.bead(key).hops) == (2, 1)
    shown = ["git", "show", f"{run.commit_sha}:colour.txt"]
    assert subprocess.check_output(shown, cwd=shop.repository, text=True) == "Which colour? Red."


def test_housekeeping_announces_what_nobody_decides(shop: Any) -> None:
    key = shop.add("a")
    shop.system.dispatcher.escalate_bead_to_ceo("a", "It needs a key.")
    keep_house(shop.system)
    with shop.store.units.begin() as tx:
        tx.connection.execute(text("UPDATE decisions SET announced_at = announced_at - interval '4 hours'"))
    keep_house(shop.system)
    keep_house(shop.system)
    kinds = [event.kind for event in shop.store.reading.events(key)]
    assert kinds.count("decision.open") == 1
