"""The README's page "How a bead is judged": what it says is said."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest

from dispatch.budget import bead_refusal
from dispatch.dispatcher.modelling import ModelSupply
from dispatch.escalation import looping, worn_out
from dispatch.loops import LoopDetector, result_fingerprint
from dispatch.models.agent import Agent
from dispatch.models.bead import Bead
from dispatch.models.dispatching import Supply
from dispatch.models.guarding import FailureRow, Readiness
from dispatch.models.identity import AgentId, BeadId, ProjectId
from dispatch.models.project import Project
from dispatch.models.provider import ProviderRecord, ProviderTrouble
from dispatch.models.run import ActionRecord
from dispatch.models.settling import Past
from dispatch.readiness.breaker import open_breaker
from dispatch.readiness.checking import blocking_reason
from dispatch.readiness.reasons import Situation, explain
from dispatch.results.limits import _triage
from dispatch.routing import Router
from dispatch.settings import Settings

NOON = datetime(2026, 9, 25, 12, tzinfo=UTC)
SHOP = ProjectId("shop")
BEAD = Bead(id=BeadId("shop-1"), title="Sell", project_id=SHOP)
ONE = Agent(id=AgentId(UUID(int=1)), name="one", roles=("qa",))
SUPPLY = Supply(
    agents=(ONE,),
    served_roles=frozenset({"qa", "cto"}),
    open_by_role={},
    projects=(Project(id=SHOP, path=Path("/srv/shop"), prefix="shop"),),
    agents_by_role={"qa": 2},
)
README = (Path(__file__).parents[1] / "README.md").read_text()
PAGE = README.partition("## How a bead is judged")[2].partition("\n## ")[0]
TRACEBACK = 'Traceback (most recent call last):\n  File "/srv/shop/catalogue.py", line 7, in cents_of\nKeyError: 1'


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Given settings without a file, with a cap on each bead."""
    return Settings.model_validate({"home": tmp_path, "caps": {"bead_usd": 5.0}})


def situation(bead: Bead = BEAD, supply: Supply = SUPPLY, any_from: datetime | None = None) -> Situation:
    return Situation(
        bead=bead,
        now=NOON,
        supply=supply,
        role="qa",
        blockers=(),
        run=None,
        slots=0,
        max_running=0,
        any_from=any_from,
    )


def readiness(settings: Settings) -> str | None:
    return blocking_reason(SHOP, Readiness(ok=False, issues=("No test command is set for [projects.shop].",)))


def human(settings: Settings) -> str:
    return explain(situation(replace(BEAD, labels=("human",))))


def cooldown(settings: Settings) -> str:
    return explain(situation(replace(BEAD, failures=2, ready_from=NOON + timedelta(seconds=20))))


def breaker(settings: Settings) -> str:
    row = FailureRow(cause="API key refused", failures=5, last_at=NOON - timedelta(hours=1))
    found = open_breaker(SHOP, row, settings.guards)
    assert found is not None
    return found.reason(NOON, 0)


def hop_limit(settings: Settings) -> str:
    return looping(BEAD, 20, "").title


def loop(settings: Settings) -> str:
    detector, stuck, reason = LoopDetector(), False, ""
    for second in range(99):
        result = result_fingerprint(f"1 failed in {second}.31s")
        at = NOON + timedelta(seconds=second)
        action = ActionRecord(timestamp=at, action_type="test", action_data={"command": "pytest"}, result_hash=result)
        detector.record_action(BEAD, action)
        stuck, reason = detector.is_stuck_in_loop(BEAD, at)
        if stuck:
            break
    assert stuck
    return reason


def ping_pong(settings: Settings) -> str:
    return _triage(Past(moment=NOON, served_roles=SUPPLY.served_roles), settings).reason


def failures(settings: Settings) -> str:
    return worn_out(BEAD, 5, "red").title


def spend(settings: Settings) -> str | None:
    return bead_refusal(Decimal(5), settings.caps)


def pause(settings: Settings) -> str:
    paused = replace(SUPPLY.projects[0], paused=True, pause_reason="The shop moves")
    return explain(situation(supply=replace(SUPPLY, projects=(paused,))))


def role_pause(settings: Settings) -> str:
    return explain(situation(supply=replace(SUPPLY, paused_roles={"qa": "It learns"})))


def hold(settings: Settings) -> str:
    return explain(situation(replace(BEAD, hold="cancelled by ada: Too early")))


def bug(settings: Settings) -> str:
    filed = replace(BEAD, title="[auto-filed] KeyError", description=TRACEBACK, labels=("auto-filed",))
    return Router(settings).route(filed).reason


def persona(settings: Settings) -> str:
    return Router(settings).route(replace(BEAD, title="[qa] Try the basket")).reason


def busy(settings: Settings) -> str:
    return explain(situation(supply=replace(SUPPLY, agents=())))


def unserved(settings: Settings) -> str:
    nobody = replace(SUPPLY, served_roles=frozenset({"cto"}))
    return explain(situation(supply=nobody, any_from=NOON + timedelta(minutes=10)))


def reviewers(settings: Settings) -> str:
    return explain(situation(replace(BEAD, step_size=2)))


def provider(settings: Settings) -> str:
    failing = ProviderRecord(name="main", failures=3, cause=ProviderTrouble.BUSY.value, failed_at=NOON)
    with_model = Settings.model_validate(
        {
            **settings.model_dump(),
            "providers": {"main": {"kind": "openai", "model": "m"}},
            "runners": {"model": {"kind": "llm"}},
            "roles": {"qa": {"runners": ("model",)}},
        }
    )
    supply = replace(SUPPLY, providers={"main": failing}, now=NOON)
    return explain(replace(situation(), models=ModelSupply(supply, with_model).obstacle("qa")))


RULES: list[Callable[[Settings], str | None]] = [
    readiness,
    human,
    cooldown,
    breaker,
    hop_limit,
    loop,
    ping_pong,
    failures,
    spend,
    hold,
    pause,
    role_pause,
    bug,
    persona,
    busy,
    unserved,
    reviewers,
    provider,
]


@pytest.mark.parametrize("said", RULES)
def test_the_page_quotes_what_the_rule_says(said: Callable[[Settings], str | None], settings: Settings) -> None:
    sentence = said(settings)

    assert sentence
    assert f"| {sentence} |" in PAGE, sentence


def test_no_rule_of_the_page_is_without_its_proof() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith("| rule")]

    assert len(rows) == len(RULES) + 1, "the workflow's row is shown by the tests of the engine"
