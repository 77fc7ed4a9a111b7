"""Where the command line shows which role a bead goes to, and why."""

from collections.abc import Callable
from typing import Any

import pytest

from dispatch.cli.local_service import serves_here
from dispatch.models.agent import LOCAL_POOL, Incarnation
from dispatch.models.identity import IncarnationId, uuid7
from dispatch.settings import Settings
from dispatch.store import Store

TRACEBACK = 'Traceback (most recent call last):\n  File "shop/basket.py", line 3, in add\nKeyError: 3'
BEADS = (
    {"id": "s-1", "title": "[qa] Try the basket"},
    {"id": "s-2", "title": "Two", "metadata": {"requires_persona": "qa-enginer"}, "priority": 1},
    {"id": "s-3", "title": "[auto-filed] It broke", "description": TRACEBACK, "priority": 1},
    {"id": "s-4", "title": "[auto-filed] It broke", "priority": 2},
    {"id": "s-5", "title": "Mend the deadlock", "issue_type": "feature", "priority": 3},
)
RUNNERS = """
[runners.weak]
kind = "command"
argv = ["true"]

[runners.strong]
kind = "command"
argv = ["true"]
"""
CONFIG = """
[roles.backend-engineer]
runners = ["weak", "strong"]

[roles.{tester}]
runners = ["weak"]
"""
UNKNOWN = 'Metadata.requires_persona asks for the unknown persona "qa-enginer". Did you mean "qa-engineer"?'


@pytest.fixture
def shop(cli: Any, project: Any, beads_file: Any, tmp_path: Any) -> Any:
    """Given the project `shop` with beads of several wishes, and the command line with a configuration."""
    config = tmp_path / "dispatch.toml"

    def call(*arguments: object) -> Any:
        return cli("--config", config, *arguments)

    def configure(tester: str = "qa-engineer", more: str = "") -> None:
        config.write_text(f"{more}{RUNNERS}{CONFIG.format(tester=tester)}")

    configure()
    call.configure = configure  # type: ignore[attr-defined]
    call.imported = call("import", beads_file(*BEADS))  # type: ignore[attr-defined]
    return call


def test_an_import_warns_of_an_unknown_persona_with_the_bead_and_the_one_that_may_be_meant(shop: Any) -> None:
    assert shop.imported.code == 0
    (warning,) = [line for line in shop.imported.err.splitlines() if "warning" in line]
    assert warning.startswith("warning: line 2 (s-2): metadata.requires_persona asks for the unknown persona")
    assert warning.endswith('Did you mean "qa-engineer"?')


def test_why_tells_how_the_role_was_found(shop: Any) -> None:
    said = shop("why", "s-1").out.splitlines()
    assert said[1:] == ["The title asks for qa-engineer."]
    assert shop("why", "s-2").out.splitlines()[1:] == ["Its metadata asks for qa-enginer.", UNKNOWN]
    view = shop("why", "s-2", "--json").json
    assert (view["role"], view["role_problem"]) == ("qa-enginer", UNKNOWN)
    assert len(shop("why", "s-5").out.splitlines()) == 1


def test_why_says_from_when_on_any_agent_may_take_it(shop: Any, enlist: Any) -> None:
    enlist("role.backend-engineer", agents=1)
    assert "No live worker serves the role qa-engineer; any agent may take it from 20" in shop("why", "s-1").out
    shop.configure(more='[dispatch]\nrole_wait = "never"\n')
    assert "start one with `-Q role.qa-engineer`" in shop("why", "s-1").out


def test_show_has_the_role_its_reason_the_runner_and_the_title_of_a_sorted_bug(shop: Any) -> None:
    said = shop("show", "s-3").out
    assert "role: backend-engineer\n" in said
    assert "It goes to backend-engineer for a Python traceback" in said
    assert "with its route: [backend-engineer] [auto-filed] It broke\n" in said
    assert "runner: weak; the work is simple.\n" in said
    view = shop("show", "s-3", "--json").json
    assert (view["title"], view["runner"]["name"]) == ("[auto-filed] It broke", "weak")
    unclear = shop("show", "s-4", "--json").json
    assert (unclear["role"], unclear["runner"], unclear["routed_title"]) == ("", None, "")
    assert "QA triages it" in unclear["role_reason"]


def test_a_plan_says_where_each_bead_goes_by_which_runner_and_why(shop: Any, enlist: Any) -> None:
    enlist("role.backend-engineer", agents=2)
    enlist("role.qa-engineer", agents=2)
    view = shop("plan", "--json").json
    going = {bead["id"]: (bead["role"], bead["runner"]) for bead in view["going"]}
    assert going == {
        "s-1": ("qa-engineer", "weak"),
        "s-3": ("backend-engineer", "weak"),
        "s-4": ("qa-engineer", "weak"),
        "s-5": ("backend-engineer", "strong"),
    }
    (waiting,) = view["waiting"]
    assert (waiting["id"], waiting["role_problem"]) == ("s-2", UNKNOWN)
    said = shop("plan").out
    assert "The title asks for qa-engineer. Runner weak: it is the only one of the role." in said
    assert "Runner strong: the work is medium (it is about concurrency; it is of type feature)." in said
    assert UNKNOWN in said


def test_the_doctor_names_beads_that_ask_for_somebody_unknown(shop: Any) -> None:
    findings = {finding["part"]: finding for finding in shop("doctor", "--json").json}
    assert (findings["bead shop/s-2"]["health"], findings["bead shop/s-2"]["found"]) == ("warning", UNKNOWN)
    assert "routing" not in findings


def test_beads_follow_the_names_of_the_configuration_at_an_upgrade_of_the_database(shop: Any) -> None:
    shop.configure(tester="qa")
    findings = {finding["part"]: finding for finding in shop("doctor", "--json").json}
    assert "`dispatch db upgrade`" in findings["routing"]["cure"]
    assert shop("db", "upgrade").out == "The database is up to date.\nBeads that go to another role now: 1.\n"
    assert shop("db", "upgrade").out == "The database is up to date.\n"
    assert shop("show", "s-1", "--json").json["role"] == "qa"
    assert "routing" not in {finding["part"] for finding in shop("doctor", "--json").json}


def test_add_goes_by_the_names_of_the_configuration_and_warns_of_others(shop: Any) -> None:
    shop.configure(tester="qa")
    added = shop("add", "[qa-engineer] Try it", "--json").json
    assert (added["role"], added["role_reason"]) == ("qa", "The title asks for qa-engineer, whose work qa does here.")
    said = shop("add", "Sing", "--role", "poet")
    assert said.code == 0
    assert 'asks for the unknown persona "poet"' in said.err


# Who serves


@pytest.fixture
def serves(settings: Settings) -> Callable[[str], Settings]:
    """Given a way to make the settings of a deployment that would serve `dev`, in a mode."""

    def make(mode: str) -> Settings:
        values = settings.model_dump() | {
            "dispatch": {"dispatch_mode": mode},
            "runners": {"mine": {"kind": "command", "argv": ["true"]}},
            "roles": {"dev": {"runners": ["mine"], "aliases": ["coder"]}, "qa": {}},
            "workers": {"agents": {"roles": ["coder"]}},
        }
        return Settings.model_validate(values)

    return make


@pytest.mark.parametrize(
    ("roles", "pool", "here"),
    [
        pytest.param((), "prefork", True, id="a settler only"),
        pytest.param(("dev", "qa"), "prefork", False, id="one for a needed role"),
        pytest.param(("qa",), "prefork", True, id="one for another role"),
        pytest.param(("dev",), LOCAL_POOL, True, id="a process that works for itself"),
    ],
)
def test_auto_is_local_while_no_worker_is_alive_for_any_needed_role(
    store: Store, serves: Callable[[str], Settings], roles: tuple[str, ...], pool: str, here: bool
) -> None:
    assert serves_here(serves("auto"), store), "there is no worker at all"
    store.swarm.register(
        Incarnation(
            id=IncarnationId(uuid7()),
            node="one@host",
            host="host",
            pid=1,
            version="1",
            queues=(),
            roles=roles,
            agents=len(roles),
            pool=pool,
        )
    )
    assert serves_here(serves("auto"), store) is here
    assert serves_here(serves("local"), store) is True
    assert serves_here(serves("queue"), store) is False
