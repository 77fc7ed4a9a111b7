"""Takes each rule of the protocol out in turn, in a copy of the code, and demands that its tests fail.

`python -m tests.protocol.mutants [WORD...]` runs those mutations of which a word is the rule's number or a part of
the name, or all. First the tests have to pass on the code as it is. Exit code 1 when a mutation survives a test.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from tests.protocol.catalogue import MUTATIONS
from tests.protocol.mutation import ROOT, Mutation

AT_ONCE = 2
TEST_LIMIT = 90
"""Seconds that one test may take on changed code: many hang there, which is how they fail."""
COPIED = ("dispatch", "workers", "tests", "examples", "beat_schedule.py", "flowerconfig.py", "pyproject.toml")
LIVES_ON, FAILS, PASSES = "was not run to its end", "fails", "passes"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of each test of a mutation."""

    mutation: Mutation
    results: dict[str, str]
    output: str
    seconds: float

    @property
    def killed(self) -> bool:
        return all(result == FAILS for result in self.results.values())


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def copy_of_the_code(place: Path) -> Path:
    """Copy what the tests need, compiled files with it."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, place / name)
        else:
            shutil.copy2(source, place / name)
    return place


def run_tests(root: Path, tests: Sequence[str], *options: str) -> tuple[dict[str, str], str]:
    """Run tests on the code at `root`, end what they leave running, and return what became of each, and the output.

    Of a test with parameters one failure is enough. An error before the test is no failure of it.
    """
    report = root / "report.xml"
    pytest = [sys.executable, "-m", "tests.protocol.reaping"]
    pytest += [sys.executable, "-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider"]
    finished = subprocess.run(
        [*pytest, f"--timeout={TEST_LIMIT}", f"--junitxml={report}", *options, *tests],
        cwd=root,
        env=os.environ | {"PYTHONPATH": str(root)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    results = dict.fromkeys(tests, LIVES_ON)
    for case in ElementTree.parse(report).iter("testcase") if report.exists() else ():
        for name in _names_of(case):
            if name in results and results[name] != FAILS:
                results[name] = _result_of(case)
    return results, finished.stdout + finished.stderr


def _names_of(case: ElementTree.Element) -> tuple[str, str]:
    """Return how a test case may be named: `file::Class::function`, with its parameters and without."""
    *place, last = case.get("classname", "").split(".")
    file = f"{'/'.join(place)}.py::{last}" if last[:1].isupper() else f"{'/'.join([*place, last])}.py"
    name = f"{file}::{case.get('name', '')}"
    return name, name.partition("[")[0]


def _result_of(case: ElementTree.Element) -> str:
    if case.find("failure") is not None:
        return FAILS
    if case.find("skipped") is not None:
        return "is skipped"
    return LIVES_ON if case.find("error") is not None else PASSES


def try_mutation(mutation: Mutation) -> Verdict:
    """Run the tests of a mutation on changed code."""
    began = monotonic()
    with tempfile.TemporaryDirectory(prefix="dispatch-mutant-") as place:
        root = copy_of_the_code(Path(place))
        for file, text in mutation.mutated(root).items():
            (root / file).write_text(text)
        results, output = run_tests(root, mutation.tests)
    return Verdict(mutation, results, output, monotonic() - began)


def complaints(output: str) -> str:
    """Return the lines of pytest's output that say what is wrong."""
    return "\n".join(line for line in output.splitlines() if line.startswith(("E  ", "ERROR", "FAILED")))


def chosen(words: Sequence[str]) -> list[Mutation]:
    def is_meant(mutation: Mutation) -> bool:
        return any(word == str(mutation.rule) or (not word.isdigit() and word in mutation.without) for word in words)

    return [mutation for mutation in MUTATIONS if not words or is_meant(mutation)]


def all_pass(mutations: Iterable[Mutation]) -> bool:
    """Run all tests that are named on the code as it is; say which do not pass."""
    tests = sorted({test for mutation in mutations for test in mutation.tests})
    with tempfile.TemporaryDirectory(prefix="dispatch-unchanged-") as place:
        root = copy_of_the_code(Path(place))
        _, output = run_tests(root, tests, "--collect-only")
        if unknown := complaints(output):
            say(unknown)
            return False
        results, output = run_tests(root, tests, "-n", str(AT_ONCE), "--dist", "loadfile")
    bad = {test: result for test, result in results.items() if result != PASSES}
    for test, result in bad.items():
        say(f"{test} {result} on the code as it is")
    if bad:
        say(complaints(output))
    return not bad


def main(words: Sequence[str]) -> int:
    mutations = chosen(words)
    if not mutations:
        say(f"No mutation is called {' or '.join(words)}.")
        return 2
    if not all_pass(mutations):
        return 1
    survivors = 0
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for verdict in pool.map(try_mutation, mutations):
            mutation = verdict.mutation
            fate = "killed" if verdict.killed else "LIVES"
            say(f"{fate}  {mutation.rule:>2}  without {mutation.without}  ({verdict.seconds:.0f} s)")
            if not verdict.killed:
                survivors += 1
                for test, result in verdict.results.items():
                    if result != FAILS:
                        say(f"        {test} {result}")
                        if result == LIVES_ON:
                            say(complaints(verdict.output))
    say(f"{len(mutations) - survivors} of {len(mutations)} mutations are killed by every test that they name.")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
