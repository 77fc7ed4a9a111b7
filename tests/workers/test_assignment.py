"""What an agent is told."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dispatch.models.messages import AssignedNode, AssignedReview
from dispatch.models.outcome import Failed
from dispatch.models.workflow import DONE, Condition, Execution, Node, NodeKind, Review, Verdict, Workflow
from dispatch.settings import Settings
from workers.assignment import make_assignment


def test_it_tells_bead_project_and_limits(shop: Any) -> None:
    started = shop.started(shop.add("a", does="pass"))
    assignment = make_assignment(started, Path("/work"), shop.system.settings)
    assert (assignment.bead.id, assignment.bead.title, assignment.bead.description) == ("a", "Do a", "pass")
    assert (assignment.run_id, assignment.attempt, assignment.role) == (started.run.id, 1, "dev")
    assert (assignment.timeout_seconds, assignment.workspace) == (60, Path("/work"))
    assert (assignment.project.id, assignment.project.target_branch) == ("shop", "main")
    assert (assignment.dependencies, assignment.errors, assignment.instructions) == ((), (), "")


def test_it_tells_a_later_attempt_of_the_errors_before(shop: Any) -> None:
    from dispatch.models.messages import ResultMessage

    key = shop.add("a")
    first = shop.started(key)
    outcome = Failed(cause="red tests", summary="Two of them.")
    shop.store.running.report(ResultMessage(run_id=first.run.id, token=first.token, outcome=outcome, commit_sha=None))
    shop.system.results.settle(first.run.id)
    with shop.store.units.begin() as tx:
        tx.connection.exec_driver_sql("UPDATE beads SET cooldown_until = NULL")
    (error,) = make_assignment(shop.started(key), Path("/work"), shop.system.settings).errors
    assert (error.error, error.dispatch) == ("failed: red tests\nTwo of them.", 1)


@pytest.mark.parametrize(("hops", "beginnings"), [(18, []), (19, ["This is run 20 of this bead; the limit is 20."])])
def test_it_warns_from_one_hop_before_the_limit_on(shop: Any, hops: int, beginnings: list[str]) -> None:
    key = shop.add("a")
    with shop.store.units.begin() as tx:
        tx.connection.exec_driver_sql(f"UPDATE beads SET hops = {hops}")
    warnings = make_assignment(shop.started(key), Path("/work"), shop.system.settings).warnings
    assert [warning[: len(beginning)] for warning, beginning in zip(warnings, beginnings, strict=True)] == beginnings


def test_the_limit_is_the_one_that_is_set(shop: Any) -> None:
    guards = shop.system.settings.guards.model_copy(update={"max_dispatch_hops": 1})
    settings = shop.system.settings.model_copy(update={"guards": guards})
    (warning,) = make_assignment(shop.started(shop.add("a")), Path("/work"), settings).warnings
    assert "the limit is 1." in warning


def test_it_tells_what_a_human_said(shop: Any) -> None:
    key = shop.add("a")
    shop.system.dispatcher.escalate_bead_to_ceo("a", "It needs to know the version.")
    shop.store.edits.close(shop.store.decisions.find("a").key, "Use v2.", by="ann")
    (told,) = make_assignment(shop.started(key), Path("/work"), shop.system.settings).advice
    assert (told.by, told.asked, told.advice) == ("ann", "It needs to know the version.", "Use v2.")


def test_a_bead_whose_limit_was_raised_is_not_near_it(shop: Any) -> None:
    started = shop.started(shop.add("a"))
    settings = shop.system.settings

    def warnings(allowance: int) -> tuple[str, ...]:
        bead = replace(started.bead, hops=settings.guards.max_dispatch_hops, hop_allowance=allowance)
        return make_assignment(replace(started, bead=bead), Path("/work"), settings).warnings

    assert warnings(0) != ()
    assert warnings(settings.guards.max_dispatch_hops) == ()


def test_the_roles_instructions_are_read_anew_for_each_run(shop: Any, tmp_path: Path) -> None:
    persona = tmp_path / "persona.md"
    persona.write_text("Be kind.")
    values = shop.system.settings.model_dump()
    values["roles"]["dev"]["instructions"] = persona
    settings = Settings.model_validate(values)
    started = shop.started(shop.add("a"))
    assert make_assignment(started, Path("/work"), settings).instructions == "Be kind."
    persona.write_text("Be quick.")
    assert make_assignment(started, Path("/work"), settings).instructions == "Be quick."


def test_without_a_file_a_role_is_told_what_its_persona_is(shop: Any) -> None:
    values = shop.system.settings.model_dump()
    values["roles"]["dev"]["aliases"] = ["qa-engineer"]
    started = shop.started(shop.add("a"))
    said = make_assignment(started, Path("/work"), Settings.model_validate(values)).instructions
    assert said.startswith("# QA engineer")


@pytest.mark.parametrize(("field", "value"), [("design", "Blue."), ("acceptance_criteria", "Works."), ("notes", "Hm.")])
def test_texts_that_only_the_file_has_are_passed_on(shop: Any, field: str, value: str) -> None:
    started = shop.started(shop.add("a"))
    started.document[field] = value
    started.document["title"] = 5
    assignment = make_assignment(started, Path("/work"), shop.system.settings)
    assert getattr(assignment.bead, field) == value


def test_it_tells_the_projects_memory_lessons_commands_and_agents_file(shop: Any, tmp_path: Path) -> None:
    shop.store.memory.remember(shop.project.id, "money", "In cents.")
    (tmp_path / "AGENTS.md").write_text("Be quick.")
    values = shop.system.settings.model_dump()
    values["projects"]["shop"] |= {"build_command": ["make"], "test_command": ["make", "test"]}
    started = replace(shop.started(shop.add("a")), lessons="- Floats are no money.")
    told = make_assignment(started, tmp_path, Settings.model_validate(values))
    assert (told.memory, told.lessons) == ("- **money**: In cents.", "- Floats are no money.")
    assert (told.project.build_command, told.project.test_command) == (("make",), ("make", "test"))
    assert told.project.agents_md == "Be quick."


def test_it_tells_where_the_bead_is_in_its_workflow(shop: Any) -> None:
    node = Node(
        name="review", kind=NodeKind.VERIFY, instructions="Read.", reviewers=2, edges={Condition.APPROVED: DONE}
    )
    workflow = Workflow(name="bug", start="review", nodes={"review": node})
    said = Review(node="review", by="qa", verdict=Verdict.REJECTED, summary="No test.")
    at = Execution(workflow=workflow, node="review", attempts=1, cycles=2, reviews=(said,))
    started = replace(shop.started(shop.add("a")), execution=at)
    told = make_assignment(started, Path("/work"), shop.system.settings).workflow
    assert told == AssignedNode(
        workflow="bug",
        node="review",
        kind="verify",
        instructions="Read.",
        attempt=2,
        cycle=3,
        reviewers=2,
        reviews=(AssignedReview(node="review", by="qa", verdict="rejected", summary="No test."),),
    )
    through = replace(started, execution=replace(at, node=DONE))
    assert make_assignment(through, Path("/work"), shop.system.settings).workflow is None


def test_half_a_surrogate_pair_in_a_text_hinders_no_run(shop: Any) -> None:
    started = shop.started(shop.add("a"))
    started.document["notes"] = "a\ud800\0"
    assignment = make_assignment(started, Path("/work"), shop.system.settings)
    assert assignment.bead.notes == "a\ufffd\ufffd"
    assert assignment.model_dump_json()
