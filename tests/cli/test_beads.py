"""`ready`, `why` and `show`, on the real database."""

import pytest

from dispatch.models.outcome import Failed

SOON = {"id": "shop-3", "title": "Later", "priority": 0, "defer_until": "2126-09-26T00:00:00Z"}
BEADS = (
    {"id": "shop-1", "title": "One", "priority": 2, "created_at": "2026-01-02T00:00:00Z"},
    {"id": "shop-2", "title": "Two", "priority": 2, "created_at": "2026-01-01T00:00:00Z"},
    SOON,
    {"id": "shop-4", "title": "All of it", "priority": 1, "issue_type": "epic"},
    {
        "id": "shop-5",
        "title": "Waits",
        "priority": 0,
        "dependencies": [
            {"depends_on_id": "shop-1", "type": "blocks"},
            {"depends_on_id": "gone-1", "type": "related"},
        ],
    },
)


@pytest.fixture
def shop(cli, project, beads_file):
    """Given the project `shop` with five beads."""
    assert cli("import", beads_file(*BEADS), "--project", "shop").code == 0
    return cli


def ids(said) -> list[str]:
    return [bead["id"] for bead in said.json]


def test_ready_lists_what_agents_may_get_in_the_order_in_which_it_goes(shop):
    assert ids(shop("ready", "--now", "2026-09-25T00:00Z", "--json")) == ["shop-2", "shop-1"]
    assert shop("ready", "--now", "2026-09-25T00:00Z").out == "shop-2\tP2\ttask\t\tTwo\nshop-1\tP2\ttask\t\tOne\n"


def test_ready_can_be_asked_about_another_time_for_all_and_for_a_few(shop):
    assert ids(shop("ready", "--now", "2126-09-26", "--json")) == ["shop-3", "shop-2", "shop-1"]
    assert ids(shop("ready", "--all", "--now", "2026-09-25T00:00Z", "--json")) == ["shop-4", "shop-2", "shop-1"]
    assert ids(shop("ready", "--limit", "1", "--now", "2026-09-25T00:00:00+00:00", "--json")) == ["shop-2"]


def test_ready_tells_what_scripts_need(shop):
    (bead,) = shop("ready", "--limit", "1", "--now", "2026-09-25T00:00Z", "--json").json
    assert bead == {
        "id": "shop-2",
        "project": "shop",
        "title": "Two",
        "status": "open",
        "blocked": False,
        "priority": 2,
        "type": "task",
        "assignee": "",
        "labels": [],
        "role": "",
        "role_reason": "",
        "role_problem": "",
        "created_at": "2026-01-01T00:00:00Z",
        "updated_at": None,
        "closed_at": None,
        "close_reason": "",
        "ready_from": None,
        "hold": "",
        "hops": 0,
        "failures": 0,
        "head_sha": None,
        "commits": {"first": "", "last": "", "count": 0},
        "triaged_at": None,
    }


@pytest.mark.parametrize(
    ("bead", "reason"),
    [
        ("shop-1", "No worker is alive"),
        ("shop/shop-4", "Beads of type epic are not given to agents."),
        ("shop-5", "It waits for shop-1 (open)."),
    ],
)
def test_why_is_one_sentence(shop, bead, reason):
    said = shop("why", bead)
    assert said.out.startswith(f"shop/{bead.removeprefix('shop/')}: {reason}")
    assert said.out.count("\n") == 1
    assert shop("why", bead, "--json").json["reason"].startswith(reason)


def test_why_names_blocked_parents_and_awaited_children(cli, project, beads_file):
    path = beads_file(
        {"id": "s-1", "title": "First"},
        {"id": "s-2", "title": "Part", "dependencies": [{"depends_on_id": "s-1", "type": "blocks"}]},
        {"id": "s-3", "title": "Child", "dependencies": [{"depends_on_id": "s-2", "type": "parent-child"}]},
        {"id": "s-4", "title": "Waiter", "dependencies": [{"depends_on_id": "s-2", "type": "waits-for"}]},
    )
    cli("import", path)
    assert cli("why", "s-3").out == "shop/s-3: It waits for its parent s-2, which is blocked itself.\n"
    assert cli("why", "s-4").out == "shop/s-4: It waits for the children of s-2.\n"


def test_show_has_the_bead_its_edges_and_why_it_waits(shop):
    view = shop("show", "shop-5", "--json").json
    assert view["dependencies"] == [
        {"id": "shop-1", "type": "blocks", "status": "open"},
        {"id": "gone-1", "type": "related", "status": None},
    ]
    assert (view["runs"], view["actions"], view["errors"]) == ([], [], [])
    assert shop("show", "shop-1", "--json").json["dependents"] == [{"id": "shop-5", "type": "blocks", "status": "open"}]
    text = shop("show", "shop-5").out
    assert text.startswith("shop/shop-5  Waits\nopen, task, priority 0. It waits for shop-1 (open).\n")
    assert "  gone-1  related  not in this project\n" in text


def test_show_has_the_runs_of_a_bead_their_actions_and_errors(shop, ran):
    run = ran("shop-2", Failed(cause="no_change", summary="It gave up."))
    view = shop("show", "shop-2", "--json").json
    assert [shown["id"] for shown in view["runs"]] == [str(run)]
    assert view["runs"][0]["outcome"]["cause"] == "no_change"
    assert [action["type"] for action in view["actions"]] == ["read"]
    assert [error["attempt"] for error in view["errors"]] == [1]
    text = shop("show", "shop-2").out
    assert "attempt 1  settled" in text
    assert "\nprogress: Files read: 1, files modified: 0, tests run: 0, commands executed: 0, last progress: " in text
    assert "failed: It gave up." in text
    assert "no_change" in text
    assert "cools down after 1 failed run" in shop("why", "shop-2").out


def test_show_has_the_commits_of_a_bead(shop, project, store):
    said = shop("show", "shop-2")
    assert "commits: " not in said.out
    assert "progress: " not in said.out
    with store.units.begin() as tx:
        tx.run(f"UPDATE beads SET commit_first = '{'a' * 40}', commit_last = '{'b' * 40}', commit_count = 3")
    assert shop("show", "shop-2", "--json").json["commits"] == {"first": "a" * 40, "last": "b" * 40, "count": 3}
    assert "\ncommits: 3 commits, aaaaaaaaaaaa to bbbbbbbbbbbb\n" in shop("show", "shop-2").out


def test_a_running_bead_says_which_run_has_it(shop, claimed):
    run = claimed("shop-2")
    assert f"It is pending as run {run} (attempt 1)" in shop("why", "shop-2").out
