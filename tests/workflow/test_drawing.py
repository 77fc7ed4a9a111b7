"""A workflow as it is shown."""

from pathlib import Path

from dispatch.models.workflow import Workflow
from dispatch.routing import role_names
from dispatch.settings import Settings
from dispatch.workflow.drawing import drawn, in_order, mermaid
from dispatch.workflow.library import read_text

TEXT = """
name = "w"
description = "What for."
start = "build"
cycle_limit = 1
[chosen_by]
types = ["task", "chore"]
labels = ["w"]
title = ["some words"]
[nodes.tidy]
kind = "commit"
max_attempts = 1
on = { success = "done" }
[nodes.ask]
kind = "approval"
timeout = "2d"
on = { approved = "tidy", rejected = "build", timeout = "ask" }
[nodes.build]
timeout = "45m"
on = { success = "review", failure = "build" }
[nodes.review]
kind = "verify"
role = "qa"
reviewers = 3
on = { approved = "ask", rejected = "build" }
"""


def workflow() -> Workflow:
    read = read_text("w.toml", TEXT, role_names(Settings(home=Path("/nowhere"))))
    assert read.workflow is not None, read.told
    return read.workflow


def test_nodes_are_shown_in_the_order_of_a_beads_way_with_all_that_leads_on() -> None:
    assert in_order(workflow()) == ["build", "review", "ask", "tidy"]
    assert drawn(workflow()) == [
        "w: What for.",
        "For beads by type: task, chore; label: w; in the title: some words.",
        "A bead may come back to a node once before a human is asked.",
        "",
        "build (task: whom the bead asks for, timeout 45m, 3 attempts), the start",
        "  success -> review",
        "  failure -> build",
        "",
        "review (verify: 3 x qa-engineer, most must approve, 3 attempts)",
        "  approved -> ask",
        "  rejected -> build",
        "",
        "ask (approval by a human, timeout 48h)",
        "  approved -> tidy",
        "  rejected -> build",
        "  timeout  -> ask",
        "",
        "tidy (commit: engineering-manager, if served, 1 attempt)",
        "  success -> done",
    ]


def test_of_a_single_reviewer_no_vote_is_spoken_of() -> None:
    read = read_text("w.toml", TEXT.replace("reviewers = 3", "reviewers = 1"), {"qa": "qa"})

    assert read.workflow is not None
    assert "review (verify: 1 x qa, 3 attempts)" in drawn(read.workflow)


def test_a_flowchart_has_every_node_and_every_edge() -> None:
    assert mermaid(workflow()) == [
        "flowchart TD",
        '  n0["build<br/>task: whom the bead asks for"]',
        '  n1["review<br/>verify: 3 x qa-engineer, most must approve"]',
        '  n2{{"ask<br/>approval by a human"}}',
        '  n3["tidy<br/>commit: engineering-manager, if served"]',
        '  done(["done"])',
        "  n0 -->|success| n1",
        "  n0 -->|failure| n0",
        "  n1 -->|approved| n2",
        "  n1 -->|rejected| n0",
        "  n2 -->|approved| n3",
        "  n2 -->|rejected| n0",
        "  n2 -->|timeout| n2",
        "  n3 -->|success| done",
    ]
