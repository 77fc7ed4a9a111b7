"""`plan`: where ready beads would go, why the others would not, and that nothing changes."""

import pytest

BEADS = (
    {"id": "s-1", "title": "First", "priority": 0},
    {"id": "s-2", "title": "Second", "priority": 1},
    {"id": "s-3", "title": "Tested", "priority": 1, "labels": ["role:qa-engineer"]},
    {"id": "s-4", "title": "Big", "priority": 2, "issue_type": "epic"},
    {"id": "s-5", "title": "Waits", "priority": 2, "dependencies": [{"depends_on_id": "s-1", "type": "blocks"}]},
)


@pytest.fixture
def shop(cli, project, beads_file):
    """Given the project `shop` with beads of several kinds."""
    cli("import", beads_file(*BEADS))
    return cli


def test_without_workers_every_ready_bead_waits_and_says_why(shop):
    view = shop("plan", "--project", "shop", "--json").json
    assert view["going"] == []
    assert [bead["id"] for bead in view["waiting"]] == ["s-1", "s-2", "s-3", "s-4"]
    assert view["waiting"][0]["reason"].startswith("No worker is alive")
    assert view["waiting"][3]["reason"] == "Beads of type epic are not given to agents."
    assert view["not_ready"] == {"shop": {"blocked": 1}}


def test_agents_get_beads_by_priority_and_the_rest_says_who_is_in_the_way(shop, enlist):
    enlist("role.backend-engineer", agents=1)
    view = shop("plan", "--json").json
    (going,) = view["going"]
    assert (going["id"], going["role"], len(going["agents"]), going["timeout_seconds"]) == (
        "s-1",
        "backend-engineer",
        1,
        1800.0,
    )
    reasons = {bead["id"]: bead["reason"] for bead in view["waiting"]}
    assert reasons["s-2"] == "All agents are busy."
    assert reasons["s-3"].startswith("No live worker serves the role qa-engineer")


def test_a_plan_changes_nothing(shop, enlist, store, project):
    enlist("role.backend-engineer", agents=1)
    before = [store.reading.bead(bead.key) for bead in store.reading.ready(project.id)]
    said = shop("plan")
    assert said.code == 0
    assert said.out.startswith("shop/s-1\tP0\tbackend-engineer\tworker-role.backend-engineer@here/1\tFirst\t")
    assert "Not ready in shop: blocked 1." in said.err
    assert [store.reading.bead(bead.key) for bead in store.reading.ready(project.id)] == before
    assert store.reading.runs() == []


def test_nothing_to_plan_is_said(cli, project):
    said = cli("plan")
    assert (said.code, said.out, said.err) == (0, "", "Nothing is ready.\n")
    assert cli("plan", "--project", "nope").code == 3
