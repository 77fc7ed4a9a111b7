"""What a human says, checked, and what it does."""

from typing import Any

import pytest

from dispatch.errors import UsageError
from dispatch.escalation import MAX_ADVICE, check, choose, effect_of
from dispatch.models.decision import Option, Ruling, RulingEffect
from dispatch.models.identity import BeadId

OFFERED = (Option.RETRY, Option.RAISE_LIMIT, Option.CLOSE)


@pytest.mark.parametrize("written", ["raise-limit", "raise_limit", " Raise-Limit "])
def test_an_option_is_named_in_any_spelling(written: str) -> None:
    assert choose(written, OFFERED) is Option.RAISE_LIMIT


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (
            "retri",
            'It has no option "retri". Did you mean "retry"? The options of this decision are: retry, raise-limit',
        ),
        ("moot", 'It has no option "moot". The options of this decision are: retry, raise-limit, close.'),
        ("answer", 'It has no option "answer".'),
    ],
)
def test_another_option_is_refused_and_those_there_are_are_named(written: str, message: str) -> None:
    with pytest.raises(UsageError) as refused:
        choose(written, OFFERED)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("option", "given"),
    [
        (Option.ANSWER, {"advice": "Red."}),
        (Option.RETRY, {}),
        (Option.RETRY, {"advice": "Red."}),
        (Option.RAISE_LIMIT, {"advice": "", "role": "", "into": (), "reason": ""}),
        (Option.REASSIGN, {"role": "qa", "advice": "Look."}),
        (Option.SPLIT, {"into": ("a", "b")}),
        (Option.CLOSE, {"reason": "No."}),
        (Option.CLOSE, {}),
    ],
)
def test_what_an_option_takes_is_taken(option: Option, given: dict[str, Any]) -> None:
    check(option, given)


@pytest.mark.parametrize(
    ("option", "given", "message"),
    [
        (Option.ANSWER, {}, "answer needs --advice. Say --advice 'what its agent is to know'."),
        (Option.REASSIGN, {"advice": "Look."}, "reassign needs --role."),
        (Option.SPLIT, {}, "split needs --into."),
        (Option.RETRY, {"role": "qa"}, "retry takes no --role. It takes --advice."),
        (Option.CLOSE, {"advice": "Look."}, "close takes no --advice. It takes --reason."),
        (Option.RETRY, {"advice": "x" * (MAX_ADVICE + 1)}, "--advice has 10001 characters."),
        (Option.CLOSE, {"reason": "x" * (MAX_ADVICE + 1)}, "--reason has 10001 characters."),
        (Option.SPLIT, {"into": ("a", " ")}, "--into ' ' is no title."),
        (Option.SPLIT, {"into": ("x" * 501,)}, "is no title. Write 1 to 500 characters"),
    ],
)
def test_what_it_does_not_take_is_refused(option: Option, given: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as refused:
        check(option, given)
    assert message in str(refused.value)


def test_what_each_option_does() -> None:
    def effect(option: Option, **fields: Any) -> RulingEffect:
        return effect_of(Ruling(option=option, by="ann", **fields))

    assert effect(Option.ANSWER, advice="Red.") == RulingEffect(advice="Red.")
    assert effect(Option.RETRY, advice="Red.") == RulingEffect(advice="Red.")
    assert effect(Option.RAISE_LIMIT) == RulingEffect(renews_limit=True)
    assert effect(Option.REASSIGN, role="qa", advice="Look.") == RulingEffect(
        renews_limit=True, role="qa", advice="Look."
    )
    split = effect(Option.SPLIT, into=(BeadId("a"), BeadId("b")), advice="Begin with a.")
    assert split.renews_limit
    assert split.advice.startswith("It was split into a, b, ")
    assert split.advice.endswith("\n\nBegin with a.")
    assert effect(Option.CLOSE, reason="No.") == RulingEffect(closes=True, close_reason="No.")
    assert effect(Option.CLOSE).close_reason
    assert effect(Option.MOOT) == RulingEffect()


@pytest.mark.parametrize(
    ("ruling", "words"),
    [
        (Ruling(option=Option.RETRY, by="ann"), "retry"),
        (Ruling(option=Option.RETRY, by="ann", advice="Red."), "retry: Red."),
        (Ruling(option=Option.REASSIGN, by="ann", role="qa", advice="Look."), "reassign: qa; Look."),
        (Ruling(option=Option.SPLIT, by="ann", into=(BeadId("a"), BeadId("b"))), "split: a, b"),
    ],
)
def test_a_ruling_is_said_in_a_line(ruling: Ruling, words: str) -> None:
    assert str(ruling) == words
