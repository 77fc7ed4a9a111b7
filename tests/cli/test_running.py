"""`status`, `runs`, `agents` and `tick`."""

import json
import subprocess
import sys

import pytest

from dispatch.models.outcome import Completed


@pytest.fixture
def shop(cli, project, beads_file):
    """Given the project `shop` with one bead that can go."""
    cli("import", beads_file({"id": "s-1", "title": "First", "priority": 0}))
    return cli


def test_status_before_anything_was_started(shop):
    view = shop("status", "--json").json
    assert (view["state"], view["tick_age_seconds"], view["open_runs"]) == ("parked", None, 0)
    assert view["queues_without_consumer"] == ["control", "results", "landing"]
    (project,) = view["projects"]
    assert (project["id"], project["ready"], project["beads"]) == ("shop", 1, {"open": 1})
    text = shop("status").out
    assert text.startswith("parked: No tick has looked yet.\nlast tick: never\nopen runs: 0; agents: 0, idle: 0\n")
    assert "no live worker consumes: control, results, landing" in text


def test_status_with_workers_and_a_run(shop, enlist, claimed):
    enlist("control", "results", "landing")
    claimed("s-1")
    view = shop("status", "--project", "shop", "--json").json
    assert (view["state"], view["open_runs"], view["agents"]) == ("active", 1, {"all": 1, "idle": 0})
    assert view["queues_without_consumer"] == []
    assert len(view["workers"]) == 2
    assert view["projects"][0]["beads"] == {"in_progress": 1}


def test_runs_tell_who_works_on_what_and_how_it_ended(shop, claimed):
    run = claimed("s-1")
    (shown,) = shop("runs", "--open", "--json").json
    assert (shown["id"], shown["bead"], shown["state"], shown["outcome"]) == (str(run), "s-1", "pending", None)
    assert shop("runs", "--project", "shop").out.startswith(f"{run}\tshop/s-1\tbackend-engineer\t1\tpending\t")
    assert shop("runs", "--project", "nope").code == 3


def test_ended_runs_are_shown_unless_only_open_ones_are_wanted(shop, ran):
    ran("s-1", Completed(nothing_to_do=True, summary="It was done."))
    assert shop("runs").out.endswith("\tcompleted: It was done.\n")
    said = shop("runs", "--open")
    assert (said.out, said.err) == ("", "There are no runs.\n")


def test_agents_tell_what_each_of_them_works_on(shop, enlist, claimed):
    run = claimed("s-1")
    enlist("role.qa-engineer", agents=1)
    agents = {agent["roles"][0]: agent for agent in shop("agents", "--json").json}
    assert (agents["backend-engineer"]["bead"], agents["backend-engineer"]["run"]) == ("shop/s-1", str(run))
    assert (agents["qa-engineer"]["bead"], agents["qa-engineer"]["state"]) == (None, "idle")
    assert len(shop("agents").out.splitlines()) == 2


def test_without_workers_agents_says_how_to_start_some(cli):
    said = cli("agents")
    assert (said.code, said.out) == (0, "")
    assert "dispatch up" in said.err


def test_a_tick_by_hand_dispatches_what_can_go(shop, enlist, environment):
    enlist("role.backend-engineer", agents=1)
    # A process of its own: Celery keeps connections for what it published until a process ends.
    program = [sys.executable, "-c", "from dispatch.cli import main; main()", "tick", "--json"]
    done = subprocess.run(program, env=environment, capture_output=True, timeout=60, check=True)
    assert json.loads(done.stdout)["dispatched"] == 1
    assert shop("tick").out == "dispatched 0, republished 0, lost 0, withdrawn 0\n"
    assert shop("runs", "--open", "--json").json[0]["state"] == "pending"


def test_a_tick_without_a_broker_is_refused_before_it_claims_anything(shop, enlist, monkeypatch):
    enlist("role.backend-engineer", agents=1)
    monkeypatch.setenv("DISPATCH_BROKER_URL", "redis://:secret@127.0.0.1:1/0")
    said = shop("tick")
    assert (said.code, said.out) == (5, "")
    assert said.err.startswith("dispatch: The broker at redis://:***@127.0.0.1:1/0 does not answer")
    assert shop("runs", "--json").json == []
