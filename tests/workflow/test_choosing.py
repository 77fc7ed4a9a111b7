"""Which workflow a bead begins."""

from typing import Any

import pytest

from dispatch.models.bead import Bead
from dispatch.models.identity import BeadId
from dispatch.models.workflow import Condition, Node, Workflow
from dispatch.settings import WorkflowChoice
from dispatch.workflow.choosing import choose


def flow(name: str, **chosen_by: Any) -> Workflow:
    node = Node(name="a", edges={Condition.SUCCESS: "done"})
    return Workflow(name=name, start="a", nodes={"a": node}, **chosen_by)


WORKFLOWS = {
    one.name: one
    for one in (
        flow("feature", types=("feature",)),
        flow("bug", types=("bug",), title_words=("crash", " sign in ")),
        flow("bug-report", types=("bug",), title_words=("report",)),
        flow("ui", labels=("ui", "Front_End"), title_words=("ui",)),
        flow("docs", labels=("docs",)),
        flow("quiet"),
    )
}


def bead(title: str = "Some work", **fields: Any) -> Bead:
    return Bead(id=BeadId("a"), title=title, **fields)


def chosen(one: Bead, choice: WorkflowChoice = WorkflowChoice.AUTO) -> str:
    found = choose(one, WORKFLOWS, choice).workflow
    return found.name if found is not None else ""


@pytest.mark.parametrize("label", ["workflow:quiet", " Workflow: Quiet ", "WORKFLOW:QUIET"])
def test_a_label_names_one(label: str) -> None:
    found = choose(bead(labels=("docs", label), issue_type="bug"), WORKFLOWS)

    assert found.workflow is WORKFLOWS["quiet"]
    assert found.reason == "A label asks for the workflow quiet."
    assert (found.problem, found.cure) == ("", "")


def test_an_unknown_name_is_a_problem_and_nothing_else_is_chosen() -> None:
    near = choose(bead(labels=("workflow:bugg",), issue_type="bug"), WORKFLOWS, WorkflowChoice.AUTO)
    far = choose(bead(labels=("workflow:xyz",)), WORKFLOWS, WorkflowChoice.AUTO)

    assert near.workflow is None
    assert (near.problem, near.cure) == ('a label asks for the unknown workflow "bugg"', 'Did you mean "bug"?')
    assert far.cure == "Name one that exists: bug, bug-report, docs, feature, quiet, ui."


def test_a_label_without_a_name_asks_for_nothing() -> None:
    assert choose(bead(labels=("workflow:",)), WORKFLOWS).problem == ""


@pytest.mark.parametrize(
    ("one", "name", "by"),
    [
        (bead(issue_type="bug", labels=("front-end",)), "ui", "its labels"),
        (bead(labels=("docs", "ui", "front end")), "ui", "its labels"),
        (bead(labels=("docs", "ui"), issue_type="bug"), "docs", "its labels"),
        (bead(issue_type="Feature"), "feature", "its type"),
        (bead(issue_type="bug"), "bug", "its type"),
        (bead("A report of the UI", issue_type="bug"), "bug-report", "its type"),
        (bead("Crash: on sign-in"), "bug", "its title"),
        (bead("Make the UI-kit smaller"), "ui", "its title"),
    ],
)
def test_the_most_specific_one_is_chosen_where_beads_choose_themselves(one: Bead, name: str, by: str) -> None:
    found = choose(one, WORKFLOWS, WorkflowChoice.AUTO)

    assert found.workflow is not None
    assert (found.workflow.name, found.reason) == (name, f"The workflow {name} is for it, by {by}.")


@pytest.mark.parametrize("title", ["Build the thing", "Crashes often", "Sign the inn", "guide"])
def test_a_part_of_a_word_is_no_word(title: str) -> None:
    assert chosen(bead(title)) == ""


def test_without_auto_only_the_label_counts_and_when_off_nothing_does() -> None:
    assert chosen(bead(issue_type="bug"), WorkflowChoice.LABELLED) == ""
    assert chosen(bead(labels=("workflow:bug",)), WorkflowChoice.LABELLED) == "bug"
    assert choose(bead(labels=("workflow:xyz",)), WORKFLOWS, WorkflowChoice.OFF).problem == ""
    assert chosen(bead(labels=("workflow:bug",)), WorkflowChoice.OFF) == ""


@pytest.mark.parametrize("issue_type", ["epic", "decision", "gate"])
def test_a_bead_that_no_agent_is_given_begins_none(issue_type: str) -> None:
    assert chosen(bead(labels=("workflow:bug", "ui"), issue_type=issue_type)) == ""


def test_the_order_of_the_definitions_changes_nothing() -> None:
    one = bead(labels=("docs", "ui"))
    turned = dict(reversed(WORKFLOWS.items()))

    assert choose(one, turned, WorkflowChoice.AUTO) == choose(one, WORKFLOWS, WorkflowChoice.AUTO)


def test_where_there_are_none_none_is_chosen() -> None:
    assert choose(bead(issue_type="bug"), {}, WorkflowChoice.AUTO).workflow is None
