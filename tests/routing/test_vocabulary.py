"""How near a written word has to be to mean a persona."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatch.routing.personas import DEFAULT_PERSONAS, Persona
from dispatch.routing.vocabulary import Vocabulary, Words, is_slip, plain

VOCABULARY = Vocabulary(DEFAULT_PERSONAS)
LETTERS = st.text("abcdefghijklmnopqrstuvwxyz-", max_size=14)


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("Web Designer", "web-designer"),
        (" web__designer ", "web-designer"),
        ("default/Web-Designer", "web-designer"),
        ("**the QA engineer**", "qa-engineer"),
        ("'cto'", "cto"),
        ("", ""),
    ],
)
def test_a_name_is_compared_in_its_normal_form(written: str, name: str) -> None:
    assert plain(written) == name


@pytest.mark.parametrize(
    ("meant", "written"),
    [
        ("engineer", "enginer"),
        ("engineer", "enginneer"),
        ("engineer", "engimeer"),
        ("engineer", "enigneer"),
        ("engineer", "enginee"),
        ("engineer", "engineerr"),
        ("designer", "desginer"),
    ],
)
def test_one_letter_more_less_other_or_two_exchanged_is_a_slip(meant: str, written: str) -> None:
    assert is_slip(meant, written)


@pytest.mark.parametrize(
    ("meant", "written"),
    [
        ("engineer", "engineer"),
        ("engineer", "engneer-"),
        ("engineer", "enigner"),
        ("engineer", "ngineer"),
        ("engineer", "bengineer"),
        ("reviewer", "reviewed"),
        ("reviewer", "reviewers"),
        ("designer", "designs"),
        ("a", ""),
        ("", "a"),
    ],
)
def test_two_slips_another_beginning_or_another_ending_make_another_word(meant: str, written: str) -> None:
    assert not is_slip(meant, written)


@given(LETTERS, LETTERS)
def test_a_slip_is_one_edit(meant: str, written: str) -> None:
    """Compared with all that one edit can make of a word, listed."""
    letters = set(written)
    at = range(len(meant) + 1)
    edits = {meant[:i] + letter + meant[i:] for i in at for letter in letters}
    edits |= {meant[:i] + meant[i + 1 :] for i in at}
    edits |= {meant[:i] + letter + meant[i + 1 :] for i in at for letter in letters}
    edits |= {meant[:i] + meant[i + 1] + meant[i] + meant[i + 2 :] for i in range(len(meant) - 1)}
    if is_slip(meant, written):
        assert written in edits - {meant}
    elif written in edits - {meant}:
        assert meant[:1] != written[:1] or written[-1:] in ("d", "s")


@pytest.mark.parametrize(
    "word", ["web", "api", "dev", "sra", "em", "am", "pn", "qe", "cio", "doc", "dock", "oops", "tasted"]
)
def test_no_short_name_is_mistaken_for_another(word: str) -> None:
    assert VOCABULARY.find(word) == VOCABULARY.exact(word)


def test_a_slip_that_could_mean_two_persons_means_nobody() -> None:
    vocabulary = Vocabulary([Persona("red-painter"), Persona("red-pointer"), Persona("blue-painter")])
    assert vocabulary.find("red-pinter") == ""
    assert vocabulary.find("blue-panter") == "blue-painter"


def test_an_exact_name_goes_before_a_slip_and_a_name_before_an_alias() -> None:
    vocabulary = Vocabulary([Persona("house-painter", aliases=("mouse-painter",)), Persona("mouse-painter")])
    assert vocabulary.find("mouse painter") == "mouse-painter"
    assert vocabulary.find("house painter") == "house-painter"


def test_a_name_may_end_in_agent_itself() -> None:
    vocabulary = Vocabulary([Persona("support-agent"), Persona("support")])
    assert vocabulary.find("support agent") == "support-agent"
    assert vocabulary.find("support-agent agent") == "support-agent"


def test_fewer_kinds_of_words_find_less() -> None:
    found = [[VOCABULARY.find(word, kind) for kind in Words] for word in ("qa-engineer", "tester", "docs", "front-end")]
    assert found == [
        ["qa-engineer"] * 3,
        ["", "qa-engineer", "qa-engineer"],
        ["", "", "documentation-manager"],
        ["", "frontend-engineer", "frontend-engineer"],
    ]


def test_what_is_far_too_long_is_nobody() -> None:
    assert VOCABULARY.find("the " * 30 + "web-designer") == ""
