"""`dispatch providers`, and what `doctor`, `plan` and `show` say of them."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from dispatch.cli.live_words import in_words
from dispatch.models.event import Event
from dispatch.models.provider import ProviderTrouble
from dispatch.readiness.providers import after_check
from dispatch.settings import GuardSettings
from tests.model_server import MODEL, Answer, serving

KEY = "sk-planted-2b7e151628aed2a6"
CONFIG = """
[providers.main]
kind = "openai"
base_url = "{url}"
model = "scripted-1"
api_key_env = "MY_KEY"
usd_per_mtok = [1.25, 10]

[providers.spare]
kind = "anthropic"
base_url = "http://127.0.0.1:9"
model = "other"

[runners.model]
kind = "llm"

[roles.backend-engineer]
runners = ["model"]

[projects.shop]
default_role = "backend-engineer"
"""


@pytest.fixture(scope="module")
def endpoint() -> Any:
    with serving() as server:
        server.listing = Answer(body=json.dumps({"data": [{"id": MODEL}]}))
        yield server


@pytest.fixture
def call(cli: Any, tmp_path: Any, endpoint: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    config = tmp_path / "dispatch.toml"
    config.write_text(CONFIG.format(url=endpoint.base_url))
    monkeypatch.setenv("MY_KEY", KEY)
    return lambda *arguments: cli("--config", config, *arguments)


def test_they_are_listed_with_state_price_and_last_error(call: Any, store: Any) -> None:
    said = call("providers")
    assert said.code == 0
    assert "scripted-1" in said.out
    assert "1.25, 10" in said.out
    for _ in range(3):
        store.providers.note_check(
            "spare",
            lambda record, now: after_check(record, ProviderTrouble.BUSY, "it is busy", GuardSettings(), now),
        )
    main, spare = call("providers", "--json").json
    assert (main["state"], main["key"], main["roles"]) == ("up", "MY_KEY", ["backend-engineer"])
    assert (spare["state"], spare["failures"], spare["last_error"]) == ("down", 3, "it is busy")
    assert datetime.fromisoformat(spare["retry_from"]) > datetime.now(UTC)
    assert "3 failed in a row: it is busy; tried again from" in " ".join(call("providers").out.split())
    assert call("providers", "--release", "spare", "--json").json[1]["state"] == "up"
    unknown = call("providers", "--release", "nobody")
    assert (unknown.code, unknown.err) == (
        3,
        "dispatch: There is no provider 'nobody'. Configured are: main, spare.\n",
    )


def test_they_are_asked_on_demand_and_by_the_doctor(call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    checks = {one["name"]: (one["check_ok"], one["check"]) for one in call("providers", "--check", "--json").json}
    assert checks == {"main": (True, "answers"), "spare": (False, "not reachable (ConnectError)")}
    found = {finding["part"]: finding for finding in call("doctor", "--json").json}
    assert found["provider main"]["health"] == "ok"
    assert found["provider spare"]["health"] == "broken"
    assert found["runner model"]["found"] == "an agent of dispatch's own, 25 iterations a run"
    monkeypatch.delenv("MY_KEY")
    found = {finding["part"]: finding for finding in call("doctor", "--json").json}
    assert (found["provider main"]["health"], found["provider main"]["found"]) == (
        "warning",
        "the variable MY_KEY is not set here",
    )
    assert "MY_KEY (not set here)" in call("providers").out


def test_plan_and_show_say_which_one_a_bead_gets(
    call: Any, store: Any, repository: Any, enlist: Any, beads_file: Any
) -> None:
    assert call("project", "add", repository, "--id", "shop").code == 0
    assert (
        call("import", beads_file({"id": "shop-1", "title": "Mend a typo", "status": "open", "priority": 2})).code == 0
    )
    enlist("role.backend-engineer", agents=1)
    (going,) = call("plan", "--json").json["going"]
    assert (going["runner"], going["provider"]) == ("model", "main")
    shown = call("show", "shop-1", "--json").json["runner"]
    assert (shown["name"], shown["provider"]) == ("model", "main")
    assert "provider: main; the work is simple (its title names a small change)." in call("show", "shop-1").out


@pytest.mark.parametrize(
    ("kind", "data", "line"),
    [
        (
            "provider.failed",
            {"provider": "main", "cause": "provider rate limit", "failures": 3},
            "provider main: provider rate limit, 3 in a row",
        ),
        ("provider.answers", {"provider": "main", "failures": 0}, "provider main answers again"),
        ("provider.released", {"provider": "main"}, "provider main may be used again"),
        (
            "run.claimed",
            {"role": "dev", "agent": "1", "attempt": 2, "provider": "main"},
            "claimed for dev, agent one on main, attempt 2",
        ),
    ],
)
def test_what_happens_to_them_is_told_in_a_line(kind: str, data: dict[str, Any], line: str) -> None:
    event = Event(id=1, at=datetime.now(UTC), kind=kind, data=data)
    assert in_words(event, lambda agent: "one") == line
