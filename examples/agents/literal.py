#!/usr/bin/env python3
"""An agent that does exactly what the fenced blocks of a bead say, then runs the project's tests.

It needs no key, no network and nothing but Python 3.11, so it shows and tests everything around an agent. The first
word of a block's info string says what to do; a word `attempt=2` keeps the block for the second attempt only. Blocks
of other kinds (`python`, `text`, ...) are only to be read.

    ```file src/greeting.py        write this file
    ```append CHANGELOG.md         add to the end of this file
    ```replace src/app.py          one or more <<<<<<< old ======= new >>>>>>> parts, each old text found exactly once
    ```sh                          run these lines in the workspace with sh -e
    ```sleep 90                    wait so many seconds, to overrun a limit
    ```fail the reason             end as failed
    ```ask which colour?           end as a question to a human
    ```loop src/app.py             read this file again and again, to be stopped in a loop
    ```review reject no test yet   as a reviewer: approve or reject the work, and say why
    ```lesson Amounts are cents    tell the runs to come; the text inside says more
    ```recall whole cents          go on only if a lesson that it was given says so
    ```nothing                     end as done, with nothing to do

The reason and the question may also stand inside the block. A line `tests: skip` in the bead leaves the tests out. In a
text that is written, `{{answer}}` stands for what a human advised last. At a node of a workflow where the work is
reviewed only the `review` blocks are done, elsewhere all others.
"""

import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

MAX_RESULT = 20_000
FENCE = re.compile(r"^ {0,3}(?P<fence>`{3,}|~{3,})\s*(?P<info>[^`]*)$")
CONFLICT = re.compile(r"^<{7}[^\n]*\n(?P<old>.*?)^={7}\n(?P<new>.*?)^>{7}[^\n]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)
SKIP_TESTS = re.compile(r"^\s*tests:\s*skip\s*$", re.IGNORECASE | re.MULTILINE)
ATTEMPT = re.compile(r"attempt=(\d+)")


class Stop(Exception):
    """The run ends here; `result` are the fields of its result event."""

    def __init__(self, **result: Any) -> None:
        super().__init__(result)
        self.result = result


@dataclass(frozen=True)
class Block:
    kind: str
    argument: str
    text: str
    attempt: int | None

    @property
    def words(self) -> str:
        """What the block says: in its info string, else inside."""
        return self.argument or self.text.strip()

    def answered(self, answer: str) -> "Block":
        """Return the block with what a human advised in its text."""
        return replace(self, text=self.text.replace("{{answer}}", answer))


def emit(**event: Any) -> None:
    print(json.dumps(event), flush=True)


def act(kind: str, data: dict[str, Any], result: str) -> None:
    emit(type="action", action_type=kind, action_data=data, result=result[-MAX_RESULT:])


def failed(cause: str, summary: str) -> NoReturn:
    raise Stop(outcome="failed", cause=cause, summary=summary)


def blocks(text: str) -> Iterator[Block]:
    """Yield the fenced blocks that say what to do, in order."""
    lines = iter(text.splitlines(keepends=True))
    for line in lines:
        opening = FENCE.match(line.rstrip("\r\n"))
        if not opening:
            continue
        fence = opening["fence"]
        closing = re.compile(rf"^ {{0,3}}{re.escape(fence[0])}{{{len(fence)},}}\s*$")
        content = []
        for inner in lines:
            if closing.match(inner.rstrip("\r\n")):
                break
            content.append(inner)
        kind, *rest = opening["info"].split() or [""]
        attempts = [int(found[1]) for word in rest if (found := ATTEMPT.fullmatch(word))]
        argument = " ".join(word for word in rest if not ATTEMPT.fullmatch(word))
        if kind in DOINGS:
            yield Block(kind, argument, "".join(content), attempts[0] if attempts else None)


def inside(workspace: Path, name: str) -> Path:
    """Return the file that a block names. Paths out of the workspace, by `..`, links or otherwise, are refused."""
    path = (workspace / name).resolve()
    if not name or not path.is_relative_to(workspace) or path == workspace:
        failed("path outside the workspace", f"A block names {name!r}; only files inside the workspace are written.")
    if path.relative_to(workspace).parts[0] == ".git":
        failed("path outside the workspace", f"A block names {name!r}; git's own files are left alone.")
    return path


def save(path: Path, name: str, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    act("edit", {"path": name}, f"sha256 {hashlib.sha256(text.encode()).hexdigest()}")


def read(path: Path, name: str) -> str:
    if not path.is_file():
        failed("no such file", f"A block wants to change {name!r}, which is not there.")
    text = path.read_text(encoding="utf-8")
    act("read", {"path": name}, text)
    return text


def do_file(block: Block, workspace: Path) -> None:
    save(inside(workspace, block.argument), block.argument, block.text)


def do_append(block: Block, workspace: Path) -> None:
    path = inside(workspace, block.argument)
    before = read(path, block.argument) if path.exists() else ""
    save(path, block.argument, before + block.text)


def do_replace(block: Block, workspace: Path) -> None:
    path = inside(workspace, block.argument)
    text = read(path, block.argument)
    changes = list(CONFLICT.finditer(block.text))
    if not changes:
        failed("bad replace block", "It has no <<<<<<< old ======= new >>>>>>> part.")
    for change in changes:
        found = text.count(change["old"]) if change["old"] else 0
        if found != 1:
            failed("text not found once", f"The old text of a replace block is {found} times in {block.argument}.")
        text = text.replace(change["old"], change["new"])
    save(path, block.argument, text)


def run(command: list[str], workspace: Path) -> tuple[int, str]:
    done = subprocess.run(
        command,
        cwd=workspace,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    sys.stderr.write(done.stdout)
    sys.stderr.flush()
    return done.returncode, done.stdout


def do_sh(block: Block, workspace: Path) -> None:
    code, output = run(["sh", "-e", "-c", block.text], workspace)
    act("command", {"command": block.text.strip()}, f"exit {code}\n{output}")
    if code:
        failed(f"command failed (exit {code})", f"The commands of a sh block ended with {code}.")


def do_sleep(block: Block, workspace: Path) -> None:
    emit(type="progress", message=f"sleeping {block.words} s")
    time.sleep(float(block.words))


def do_fail(block: Block, workspace: Path) -> None:
    failed(block.words or "told to fail", "The bead told the agent to fail.")


def do_ask(block: Block, workspace: Path) -> None:
    raise Stop(outcome="needs_input", question=block.words or "The bead asks, but does not say what.")


def do_loop(block: Block, workspace: Path) -> None:
    path = inside(workspace, block.argument)
    for _ in range(1000):
        read(path, block.argument)
        time.sleep(0.02)


def do_review(block: Block, workspace: Path) -> None:
    word, _, why = block.words.partition(" ")
    verdicts = {"approve": "approved", "reject": "rejected"}
    if word not in verdicts:
        failed("bad review block", "It has to begin with approve or reject.")
    raise Stop(outcome="completed", verdict=verdicts[word], summary=why)


def do_lesson(block: Block, workspace: Path) -> None:
    emit(type="lesson", category="project", title=block.argument, detail=block.text.strip())


def do_recall(block: Block, workspace: Path) -> None:
    if block.words not in told_lessons():
        failed("not told", f"No lesson that this run was given says {block.words!r}.")
    emit(type="progress", message=f"was told: {block.words}")


def told_lessons() -> str:
    """Return the lessons of this run's assignment, as Markdown."""
    lessons: str = json.loads(Path(os.environ["DISPATCH_ASSIGNMENT"]).read_text(encoding="utf-8")).get("lessons", "")
    return lessons


def do_nothing(block: Block, workspace: Path) -> None:
    raise Stop(outcome="completed", nothing_to_do=True, summary=block.words or "There was nothing to do.")


DOINGS: dict[str, Callable[[Block, Path], None]] = {
    "file": do_file,
    "append": do_append,
    "replace": do_replace,
    "sh": do_sh,
    "sleep": do_sleep,
    "fail": do_fail,
    "ask": do_ask,
    "loop": do_loop,
    "lesson": do_lesson,
    "recall": do_recall,
    "review": do_review,
    "nothing": do_nothing,
}


def test(command: list[str], workspace: Path) -> None:
    emit(type="progress", message=f"testing: {shlex.join(command)}")
    try:
        code, output = run(command, workspace)
    except OSError as error:
        code, output = 127, f"{command[0]}: {error.strerror}\n"
    act("test", {"command": shlex.join(command)}, f"exit {code}\n{output}")
    if code:
        failed("tests failed", f"{shlex.join(command)} ended with {code}:\n{output[-2000:]}")


def work(assignment: dict[str, Any]) -> str:
    """Do what the bead says; return a summary. Raises Stop where the run ends otherwise."""
    workspace = Path(assignment["workspace"]).resolve()
    description = assignment["bead"]["description"]
    every = list(blocks(description))
    if not every:
        failed("no instructions", "The bead has no fenced block (file, append, replace, sh, ...) that says what to do.")
    reviews = (assignment.get("workflow") or {}).get("kind") == "verify"
    answers = [told["advice"] for told in assignment.get("advice", ())]
    chosen = [
        block.answered(answers[-1] if answers else "")
        for block in every
        if block.attempt in (None, assignment["attempt"]) and (block.kind == "review") is reviews
    ]
    for number, block in enumerate(chosen, 1):
        emit(type="progress", message=f"block {number} of {len(chosen)}: {block.kind} {block.argument}".rstrip())
        DOINGS[block.kind](block, workspace)
    done = "Did 1 block" if len(chosen) == 1 else f"Did {len(chosen)} blocks"
    tests = assignment["project"]["test_command"]
    if tests and not SKIP_TESTS.search(description):
        test(tests, workspace)
        return f"{done}; the tests pass."
    return f"{done}; no tests were run."


def main() -> None:
    assignment = json.loads(Path(os.environ["DISPATCH_ASSIGNMENT"]).read_text(encoding="utf-8"))
    try:
        emit(type="result", outcome="completed", summary=work(assignment))
    except Stop as stop:
        emit(type="result", **stop.result)
    except (OSError, ValueError) as error:
        emit(type="result", outcome="failed", cause=type(error).__name__, summary=str(error))


if __name__ == "__main__":
    main()
