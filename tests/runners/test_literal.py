"""The literal agent: does what the fenced blocks say, and nothing outside the workspace."""

import sys
from pathlib import Path

import pytest

from dispatch.models.messages import ActionEvent
from dispatch.models.outcome import Completed, Failed, NeedsInput, TimedOut
from workers.runners import CommandRunner

LITERAL = CommandRunner([sys.executable, "-I", "-S", str(Path(__file__).parents[2] / "examples/agents/literal.py")])


@pytest.fixture
def run(make_stage):
    """Run the agent on a description; return the stage and the outcome."""

    def run(description, **options):
        stage = make_stage(bead={"description": description}, **options)
        return stage, stage.run(LITERAL)

    return run


def actions(stage):
    return [(event.action_type, event.action_data) for event in stage.events if isinstance(event, ActionEvent)]


def test_it_writes_changes_and_runs_in_order(run):
    stage, outcome = run(
        """Some words before.

```file src/app.py
print("one")
print("two")
```
```replace src/app.py
<<<<<<< old
print("one")
=======
print("1")
>>>>>>> new
<<<<<<<
print("two")
=======
>>>>>>>
```
~~~~append notes/log.txt
```
kept as it is
```
~~~~
```python
print("only an example")
```
```sh
cat src/app.py > seen.txt
```
"""
    )
    workspace = stage.context.assignment.workspace

    assert outcome == Completed(summary="Did 4 blocks; no tests were run.")
    assert (workspace / "src/app.py").read_text() == 'print("1")\n'
    assert (workspace / "notes/log.txt").read_text() == "```\nkept as it is\n```\n"
    assert (workspace / "seen.txt").read_text() == 'print("1")\n'
    assert actions(stage) == [
        ("edit", {"path": "src/app.py"}),
        ("read", {"path": "src/app.py"}),
        ("edit", {"path": "src/app.py"}),
        ("edit", {"path": "notes/log.txt"}),
        ("command", {"command": "cat src/app.py > seen.txt"}),
    ]
    assert all(event.result_hash for event in stage.events if isinstance(event, ActionEvent))


def test_it_runs_the_tests_of_the_project(run):
    command = ("sh", "-c", "echo checking; test -e done.txt")
    _, passing = run("```file done.txt\n```", test_command=command)
    stage, failing = run("```sh\nrm done.txt\n```", test_command=command)
    _, skipped = run("tests: skip\n```sh\ntrue\n```", test_command=command)
    _, missing = run("```sh\ntrue\n```", test_command=("no-such-test-program",))

    assert passing == Completed(summary="Did 1 block; the tests pass.")
    assert isinstance(failing, Failed)
    assert failing.cause == missing.cause == "tests failed"
    assert "checking" in failing.summary
    assert actions(stage)[-1] == ("test", {"command": "sh -c 'echo checking; test -e done.txt'"})
    assert skipped == Completed(summary="Did 1 block; no tests were run.")


@pytest.mark.parametrize(
    ("block", "outcome"),
    [
        ("fail the disk is full", Failed(cause="the disk is full", summary="The bead told the agent to fail.")),
        ("ask which colour?", NeedsInput(question="which colour?")),
        ("nothing", Completed(nothing_to_do=True, summary="There was nothing to do.")),
    ],
)
def test_a_block_can_end_the_run(run, block, outcome):
    stage, found = run(f"```{block}\n```\n```file never.txt\n```")

    assert found == outcome
    assert not (stage.context.assignment.workspace / "never.txt").exists()


def test_a_block_can_be_for_one_attempt_only(run):
    description = "```sleep 3600 attempt=1\n```\n```fail no luck attempt=2\n```\n```file a.txt\nthird\n```"

    assert run(description, attempt=1, timeout=1)[1] == TimedOut(limit_seconds=1)
    assert run(description, attempt=2)[1].cause == "no luck"
    assert run(description, attempt=3)[1] == Completed(summary="Did 1 block; no tests were run.")


def test_a_bead_without_blocks_is_a_failure_that_says_so(run):
    for description in ("", "Please fix the login.", "```python\nprint()\n```"):
        assert run(description)[1].cause == "no instructions"


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("file", "../out.txt"),
        ("append", "../out.txt"),
        ("replace", "../out.txt"),
        ("file", "link/out.txt"),
        ("file", "/tmp/out.txt"),
        ("file", ""),
        ("file", "."),
        ("file", ".git/hooks/pre-commit"),
    ],
)
def test_paths_out_of_the_workspace_are_refused(make_stage, tmp_path, kind, name):
    stage = make_stage(bead={"description": f"```{kind} {name}\ntext\n```"})
    (stage.context.assignment.workspace / "link").symlink_to(tmp_path)
    outcome = stage.run(LITERAL)

    assert outcome.cause == "path outside the workspace"
    assert not (tmp_path / "out.txt").exists()


@pytest.mark.parametrize(
    ("block", "cause"),
    [
        ("```sh\nexit 9\n```", "command failed (exit 9)"),
        ("```replace none.txt\n<<<<<<<\na\n=======\nb\n>>>>>>>\n```", "no such file"),
        ("```file a.txt\naa\n```\n```replace a.txt\nno parts\n```", "bad replace block"),
        ("```file a.txt\na\na\n```\n```replace a.txt\n<<<<<<<\na\n=======\nb\n>>>>>>>\n```", "text not found once"),
        ("```sleep soon\n```", "ValueError"),
        ("```file a\n```\n```file a/b.txt\n```", "FileExistsError"),
    ],
)
def test_what_cannot_be_done_is_a_failure_with_a_stable_cause(run, block, cause):
    assert run(block)[1].cause == cause
