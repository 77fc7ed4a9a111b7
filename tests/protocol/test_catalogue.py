"""The catalogue of what can be taken out of the protocol is whole, and fits the code and the tests as they are.

That the named tests do fail is what `make mutants` shows.
"""

import ast
from collections import Counter

import pytest

from tests.protocol.catalogue import MUTATIONS, RULES
from tests.protocol.mutation import ROOT, Mutation, names_of_tests


def test_every_rule_is_taken_out() -> None:
    assert sorted({mutation.rule for mutation in MUTATIONS}) == sorted(RULES) == list(range(1, 18))


def test_no_two_mutations_have_one_name() -> None:
    names = Counter((mutation.rule, mutation.without) for mutation in MUTATIONS)
    assert [name for name, count in names.items() if count > 1] == []


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: f"{mutation.rule} without {mutation.without}")
def test_a_mutation_fits_the_code_and_leaves_it_python_and_its_tests_exist(mutation: Mutation) -> None:
    problems = [problem for change in mutation.changes if (problem := change.problem())]
    assert not problems, "\n".join(problems)
    for file, text in mutation.mutated().items():
        ast.parse(text, filename=file)

    assert mutation.tests, "a rule that no test shows"
    for name in mutation.tests:
        file, _, test = name.partition("::")
        assert (ROOT / file).is_file(), f"there is no file {file}"
        assert test.partition("[")[0] in set(names_of_tests(ROOT / file)), f"{file} has no test {test}"
