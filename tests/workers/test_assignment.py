"""What an agent is told."""

from pathlib import Path
from typing import Any

import pytest

from dispatch.models.outcome import Failed
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


@pytest.mark.parametrize(("field", "value"), [("design", "Blue."), ("acceptance_criteria", "Works."), ("notes", "Hm.")])
def test_texts_that_only_the_file_has_are_passed_on(shop: Any, field: str, value: str) -> None:
    started = shop.started(shop.add("a"))
    started.document[field] = value
    started.document["title"] = 5
    assignment = make_assignment(started, Path("/work"), shop.system.settings)
    assert getattr(assignment.bead, field) == value
