"""One conversation a bead: what an agent says of it in one run, its next run gets back."""

import subprocess
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from dispatch.models.identity import BeadKey, RunId
from dispatch.models.outcome import Completed, Failed
from workers.execution import RunExecutor
from workers.registry import RunnerRegistry

PATIENCE = 60
AGENT = """
seen = os.environ.get("DISPATCH_SESSION_ID", "none")
page = pathlib.Path(os.environ["DISPATCH_PROMPT"]).read_text()
pathlib.Path("seen.txt").write_text(seen + "\\n" + page)
if seen == "none":
    say(type="message", role="user", text="Make it work.")
    say(type="message", role="assistant", text="I will.")
    say(type="session", id="abc")
    say(type="result", outcome="failed", cause="too tired")
"""


def run(shop: Any, key: BeadKey, **options: Any) -> Any:
    """Let the bead have its next run, and settle it; return the run."""
    with shop.store.units.begin() as tx:
        tx.connection.exec_driver_sql("UPDATE beads SET cooldown_until = NULL")
    message = shop.order(key, timeout=timedelta(minutes=1))
    values: dict[str, Any] = {"incarnation_id": lambda: shop.worker, "stopping": lambda: False} | options
    RunExecutor(shop.system, RunnerRegistry(shop.system.settings), **values).execute(message)
    done = shop.run(RunId(message.run_id))
    shop.system.results.settle(done.id)
    return done


def seen(shop: Any, done: Any) -> tuple[str, str]:
    """What the agent of a run was told: its session, and its prompt."""
    show = ["git", "show", f"{done.commit_sha}:seen.txt"]
    text = subprocess.run(show, cwd=shop.repository, check=True, capture_output=True, text=True).stdout
    session, page = text.split("\n", 1)
    return session, page


def test_the_next_run_of_a_bead_resumes_the_session_of_the_last(shop: Any) -> None:
    """What no beat came to write goes with the outcome."""
    seldom = shop.system.settings.dispatch.model_copy(update={"heartbeat": timedelta(seconds=20)})
    object.__setattr__(shop.system, "settings", shop.system.settings.model_copy(update={"dispatch": seldom}))
    key = shop.add("a", AGENT)
    first = run(shop, key)
    assert first.outcome == Failed(cause="too tired")
    second = run(shop, key)
    assert second.outcome == Completed()
    session, page = seen(shop, second)
    assert session == "abc"
    assert "too tired" in page
    assert "Your session of the last attempt goes on." in page
    assert "Said by the" not in page
    assert seen(shop, first)[0] == "none"


def test_another_runner_is_told_the_conversation_instead(shop: Any) -> None:
    settings = shop.system.settings
    other = {"runners": {**settings.runners, "other": settings.runners["mine"]}}
    key = shop.add("a", AGENT)
    run(shop, key)
    object.__setattr__(shop.system, "settings", settings.model_copy(update=other))
    session, page = seen(shop, run(shop, key, runner="other"))
    assert session == "none"
    assert "Said by the assistant:\n\n```text\nI will.\n```" in page


def test_what_was_said_is_kept_before_the_run_ends(shop: Any, tmp_path: Path) -> None:
    go_on = tmp_path / "go-on"
    key = shop.add(
        "a",
        "say(type='session', id='abc')\n"
        f"while not pathlib.Path({str(go_on)!r}).exists(): time.sleep(0.02)\n"
        "say(type='result', outcome='completed', nothing_to_do=True)",
    )
    running = threading.Thread(target=run, args=(shop, key))
    running.start()
    try:
        give_up_at = time.monotonic() + PATIENCE
        while shop.store.sessions.find(key) is None:
            assert time.monotonic() < give_up_at, "the session was not kept while its run went on"
            threading.Event().wait(0.02)
    finally:
        go_on.touch()
        running.join(PATIENCE)
    assert not running.is_alive()
    assert shop.store.sessions.find(key).external_id == "abc"
