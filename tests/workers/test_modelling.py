"""Providers on the worker's side: health checks that are kept, and the provider that a run really used."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from dispatch.errors import ConfigurationError
from dispatch.models.outcome import Completed
from dispatch.models.provider import ProviderRecord, ProviderTrouble
from dispatch.readiness.providers import after_check
from dispatch.settings import GuardSettings, Settings
from dispatch.wiring import wire
from tests.model_server import Answer, ModelServer, call, finish, serving
from workers.execution import RunExecutor
from workers.modelling import look_at_providers, provider_for
from workers.registry import RunnerRegistry
from workers.runners import LlmRunner

ENVIRON = {"PLANTED_KEY": "sk-planted-2b7e151628aed2a6"}
GOOD = Answer(body='{"data": [{"id": "scripted-1"}]}')


@pytest.fixture(scope="module")
def endpoint() -> Iterator[ModelServer]:
    with serving() as server:
        yield server


@pytest.fixture
def modelled(shop: Any, endpoint: ModelServer) -> Callable[..., Any]:
    """Given a function that gives the shop providers at the endpoint, and the role these runners."""

    def change(*runners: str, providers: tuple[str, ...] = ("main",)) -> Any:
        values = shop.system.settings.model_dump()
        values["providers"] = {name: endpoint.provider(api_key_env="PLANTED_KEY") for name in providers}
        values["runners"]["model"] = {"kind": "llm"}
        values["roles"]["dev"] = {"runners": runners}
        shop.system = wire(Settings.model_validate(values), shop.store, shop.bus)
        return shop

    return change


def _run(shop: Any, does: str = "", **options: Any) -> Any:
    message = shop.order(shop.add("a", does), timeout=timedelta(minutes=1))
    values: dict[str, Any] = {"incarnation_id": lambda: shop.worker, "stopping": lambda: False} | options
    return shop.run(RunExecutor(shop.system, RunnerRegistry(shop.system.settings), **values).execute(message))


def test_checks_are_kept_and_one_without_a_key_says_nothing(modelled: Any, endpoint: ModelServer) -> None:
    shop = modelled("model")
    assert [check.health.was_asked for check in look_at_providers(shop.system, {})] == [False]
    assert shop.store.providers.all() == {}
    endpoint.listing = Answer(status=401)
    for _ in range(3):
        look_at_providers(shop.system, ENVIRON)
    record = shop.store.providers.all()["main"]
    assert (record.failures, record.cause) == (3, ProviderTrouble.KEY_REFUSED)
    assert record.check_error == "the key is refused: it answered with status 401"
    endpoint.listing = GOOD
    look_at_providers(shop.system, ENVIRON)
    record = shop.store.providers.all()["main"]
    assert (record.failures, record.check_error) == (0, "")
    assert record.checked_at is not None


def test_a_run_that_was_claimed_without_one_gets_the_best_that_is_up(modelled: Any) -> None:
    shop = modelled("model", providers=("one", "two"))
    bead = shop.store.reading.bead(shop.add("b"))
    found = []
    for name in ("none", "one", "two"):
        for _ in range(3):
            shop.store.providers.note_check(name, _fail)
        found.append(provider_for(shop.store, shop.system.settings, "dev", bead))
    assert found == ["one", "two", "one"], "with all down it tries what it would"


def _fail(record: ProviderRecord, now: datetime) -> ProviderRecord:
    return after_check(record, ProviderTrouble.BUSY, "busy", GuardSettings(), now)


def test_the_run_keeps_the_provider_that_was_used_for_it(
    modelled: Any, endpoint: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was claimed for the role's own runner, and the caller named another one: that is a program, really started."""
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)
    shop = modelled("mine")
    endpoint.play(call("write_file", path="made.txt", content="made"), finish("Made."))
    run = _run(shop, runner="model")
    assert (run.outcome, run.provider) == (Completed(summary="Made."), "main")
    assert run.spent.tokens_in == 200


def test_a_run_that_was_claimed_for_a_model_and_done_otherwise_keeps_none(modelled: Any) -> None:
    shop = modelled("model")
    message = shop.order(shop.add("a", "say(type='result', outcome='completed', nothing_to_do=True)"))
    with shop.store.units.begin() as tx:
        tx.connection.exec_driver_sql("UPDATE runs SET provider = 'main'")
    executor = RunExecutor(
        shop.system,
        RunnerRegistry(shop.system.settings),
        incarnation_id=lambda: shop.worker,
        stopping=lambda: False,
        runner="mine",
    )
    assert shop.run(executor.execute(message)).provider == ""


def test_the_registry_makes_one_for_each_provider(modelled: Any) -> None:
    shop = modelled("mine", "model", providers=("one", "two"))
    registry = RunnerRegistry(shop.system.settings)
    bead = replace(shop.store.reading.bead(shop.add("b")), failures=1)
    name, first = registry.choose("dev", bead, provider="one")
    assert (name, isinstance(first, LlmRunner)) == ("model", True)
    assert registry.choose("dev", bead, provider="one")[1] is first
    assert registry.choose("dev", bead, provider="two")[1] is not first
    assert registry.choose("dev", bead)[0] == "mine", "claimed without a provider: the models were down"
    assert isinstance(registry.choose("dev", bead, "model")[1], LlmRunner)
    with pytest.raises(ConfigurationError, match="there is no provider 'three'"):
        registry.choose("dev", bead, provider="three")
