"""A bead in a workflow, by the command line: `workflow start`, `workflow show BEAD`, `show`, `why` and `decide`."""

from typing import Any

import pytest

from dispatch.models.identity import BeadKey
from dispatch.models.workflow import Condition


@pytest.fixture
def basket(cli: Any, project: Any) -> BeadKey:
    """Given a bead that begins the built-in workflow of changes to the user interface."""
    assert cli("add", "A basket", "--id", "shop-1").code == 0
    said = cli("workflow", "start", "shop-1", "UI")
    assert said.out == "shop/shop-1 begins the workflow ui at build.\n"
    return BeadKey.of(project.id, "shop-1")


def test_a_bead_shows_where_it_is_and_how_it_came_there(cli: Any, store: Any, basket: BeadKey) -> None:
    store.workflows.advance(basket, Condition.SUCCESS)

    lines = cli("workflow", "show", "shop-1").out.splitlines()
    whole = cli("show", "shop-1").out
    view = cli("show", "shop-1", "--json").json["workflow"]

    assert lines[0].startswith("ui: at review (verify) since ")
    assert lines[1] == "failures at it 0 of 3, back 0 of 3 times"
    assert lines[2].endswith("build -> review: success")
    assert "\nworkflow:\n  ui: at review (verify) since " in whole
    assert (view["name"], view["node"], view["cycles"]) == ("ui", "review", 0)
    assert [(move["from"], move["to"], move["condition"]) for move in view["moves"]] == [("build", "review", "success")]


def test_an_approval_is_in_the_inbox_and_is_given_there(cli: Any, store: Any, basket: BeadKey) -> None:
    store.workflows.advance(basket, Condition.SUCCESS)
    store.workflows.advance(basket, Condition.APPROVED)
    assert store.reading.bead(basket).node == "look"

    listed = cli("inbox").out
    assert "approve" in listed
    assert cli("why", "shop-1").out.startswith("shop/shop-1: It waits for a human: Approve shop-1: A basket")
    refused = cli("decide", "shop-1", "reject")
    assert (refused.code, "reject needs --advice" in refused.err) == (2, True)

    assert cli("decide", "shop-1", "reject", "--advice", "Too green.").code == 0
    shown = cli("workflow", "show", "shop-1", "--json").json

    assert shown["bead"]["node"] == "build"
    assert shown["bead"]["reviews"][-1]["summary"] == "Too green."
    assert shown["name"] == "ui"


def test_what_cannot_be_started_is_refused_with_the_cure(cli: Any, basket: BeadKey) -> None:
    again = cli("workflow", "start", "shop-1", "bug")
    unknown = cli("workflow", "start", "shop-1", "bugg", "--again")
    nothing = cli("workflow", "show", "shop-7")

    assert "is at build of the workflow ui already. `--again` begins anew." in again.err
    assert 'There is no workflow "bugg". Did you mean "bug"?' in unknown.err
    assert "shop-7" in nothing.err
    assert 0 not in (again.code, unknown.code, nothing.code)
    begun = cli("workflow", "start", "shop-1", "bug", "--again", "--json").json
    assert (begun["workflow"], begun["id"]) == ("bug", "shop-1")


def test_a_label_starts_one_with_the_next_tick_and_an_unknown_one_is_told(cli: Any, project: Any) -> None:
    cli("add", "Sell", "--id", "shop-1", "--label", "workflow:bug")
    cli("add", "Buy", "--id", "shop-2", "--label", "workflow:bugg")

    assert cli("why", "shop-1").out.splitlines()[0] == "shop/shop-1: Its workflow bug begins with the next tick."
    assert 'A label asks for the unknown workflow "bugg". Did you mean "bug"?' in cli("why", "shop-2").out
