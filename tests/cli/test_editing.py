"""`add`, `close` and `adopt`, and the tick that follows."""

import pytest
import redis

from dispatch.models.identity import BeadKey

LEFT = {"title": "Left", "priority": 1, "status": "in_progress"}


@pytest.fixture
def left(cli, project, beads_file):
    """Given the project `shop` with two beads that its tracker has in progress, and one that is open."""
    path = beads_file(
        {**LEFT, "id": "shop-1"}, {**LEFT, "id": "shop-2", "status": "hooked"}, {"id": "shop-3", "title": "O"}
    )
    cli("import", path)
    return cli


def test_add_prints_the_id_and_nothing_else(cli, store, project):
    said = cli("add", "Mend the login", "--project", "shop", "-d", "It is broken.", "-p", "1", "--type", "bug")
    assert (said.code, said.err) == (0, "")
    bead = store.reading.bead(BeadKey(project.id, said.out.strip()))
    assert (bead.title, bead.description, bead.priority, bead.issue_type) == (
        "Mend the login",
        "It is broken.",
        1,
        "bug",
    )


def test_add_takes_labels_a_role_and_edges(cli, project):
    first, whole = (cli("add", title).out.strip() for title in ("First", "Whole"))
    options = ("--label", "ui", "--label", "quick", "--role", "QA Engineer", "--depends-on", first, "--parent", whole)
    bead = cli("add", "Second", *options, "--json").json
    assert bead["labels"] == ["ui", "quick", "role:qa-engineer"]
    assert (bead["role"], bead["blocked"]) == ("qa-engineer", True)
    third = cli("add", "Third", "--blocks", first, "--id", "shop-third")
    assert third.out == "shop-third\n"
    assert cli("why", first).out == f"shop/{first}: It waits for shop-third (open).\n"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["x", "--depends-on", "none"], 3, "There is no bead 'none'"),
        (["x", "--id", "shop-1", "--depends-on", "shop-1"], 4, "shop-1 cannot wait for shop-1"),
        ([" "], 6, "the new bead: has no title"),
    ],
)
def test_add_refuses_what_cannot_be(cli, project, arguments, code, message):
    said = cli("add", *arguments)
    assert (said.code, said.out) == (code, "")
    assert message in said.err
    assert cli("ready", "--json").json == []


def test_close_tells_what_can_go_now_and_refuses_a_second_time(cli, project):
    first = cli("add", "First").out.strip()
    second = cli("add", "Second", "--depends-on", first).out.strip()
    assert cli("close", first, "--reason", "done").out == f"Closed shop/{first}.\nNo longer blocked: {second}.\n"
    assert cli("show", first, "--json").json["close_reason"] == "done"
    said = cli("close", f"shop/{first}")
    assert said.code == 4
    assert "closed already" in said.err
    assert cli("close", second, "--json").json == {"id": second, "project": "shop", "released": []}


def test_close_does_not_call_the_bead_itself_released(cli, project):
    first = cli("add", "First").out.strip()
    second = cli("add", "Second", "--depends-on", first).out.strip()
    assert cli("close", second).out == f"Closed shop/{second}.\n"


def test_adopt_opens_all_that_nobody_here_holds(left):
    assert left("adopt").out == "Adopted shop/shop-1.\nAdopted shop/shop-2.\n"
    assert {bead["id"] for bead in left("ready", "--json").json} == {"shop-1", "shop-2", "shop-3"}
    again = left("adopt", "--project", "shop")
    assert (again.code, again.out, again.err) == (0, "", "There is nothing to adopt.\n")


def test_adopt_opens_the_named_beads_alone_and_refuses_others(left):
    assert left("adopt", "shop-2", "--json").json == {"adopted": ["shop/shop-2"]}
    said = left("adopt", "shop/shop-1", "shop-3", "--project", "shop")
    assert said.code == 4
    assert "Not in progress, or held by a run of ours: shop/shop-3." in said.err
    assert left("show", "shop-1", "--json").json["status"] == "open"


class TestTheNudge:
    @pytest.fixture
    def queued(self, settings):
        """Return a function that counts the messages which wait for a ticker."""
        client = redis.Redis.from_url(settings.broker_url.replace("redis+socket://", "unix://").partition("?")[0])
        yield lambda: client.llen(f"{settings.key_prefix}:control")
        client.close()

    def test_asks_a_live_ticker_for_a_tick(self, cli, project, enlist, queued):
        enlist("control")
        cli("add", "One")
        assert queued() == 1

    def test_is_not_sent_where_no_ticker_would_take_it(self, cli, project, queued):
        cli("add", "One")
        assert queued() == 0

    def test_may_fail_without_harm_to_the_change(self, cli, project, enlist, monkeypatch):
        enlist("control")
        monkeypatch.setenv("DISPATCH_BROKER_URL", "redis://127.0.0.1:1/0")
        said = cli("add", "One", "--json")
        assert said.code == 0
        assert said.json["title"] == "One"
        assert "the bus did not take a message" in said.err
