"""What a human decided, checked, and what it does to the bead: plain functions."""

from collections.abc import Mapping, Sequence

from dispatch.errors import UsageError
from dispatch.models.bead import MAX_TITLE
from dispatch.models.decision import Option, Ruling, RulingEffect
from dispatch.models.workflow import Verdict
from dispatch.settings.nearest import did_you_mean

MAX_ADVICE = 10_000
"""Characters."""
_TAKES: Mapping[Option, frozenset[str]] = {
    Option.ANSWER: frozenset({"advice"}),
    Option.APPROVE: frozenset({"advice"}),
    Option.REJECT: frozenset({"advice"}),
    Option.RETRY: frozenset({"advice"}),
    Option.RAISE_LIMIT: frozenset({"advice"}),
    Option.REASSIGN: frozenset({"advice", "role"}),
    Option.SPLIT: frozenset({"into", "advice"}),
    Option.CLOSE: frozenset({"reason"}),
}
_NEEDS: Mapping[Option, str] = {
    Option.ANSWER: "advice",
    Option.REJECT: "advice",
    Option.REASSIGN: "role",
    Option.SPLIT: "into",
}


def choose(written: str, offered: Sequence[Option]) -> Option:
    """Return the option that a human names. Raises `UsageError`, which names those there are."""
    name = written.strip().lower().replace("_", "-")
    for option in offered:
        if option == name:
            return option
    meant = did_you_mean(name, offered)
    there = f"The options of this decision are: {', '.join(offered)}."
    raise UsageError(problem=f'It has no option "{written}"', cure=f"{meant} {there}".strip())


def check(option: Option, given: Mapping[str, str | Sequence[str]]) -> None:
    """Raise `UsageError` unless exactly what an option takes is `given` with it: advice, role, into, reason."""
    present = {name: value for name, value in given.items() if value}
    needed = _NEEDS.get(option)
    if needed is not None and needed not in present:
        raise UsageError(problem=f"{option} needs --{needed}", cure=f"Say --{needed} {_EXAMPLES[needed]}.")
    extra = sorted(present.keys() - _TAKES[option])
    if extra:
        takes = ", ".join(f"--{name}" for name in sorted(_TAKES[option]))
        raise UsageError(problem=f"{option} takes no --{extra[0]}", cure=f"It takes {takes}.")
    for name in ("advice", "reason"):
        length = len(present.get(name, ""))
        if length > MAX_ADVICE:
            raise UsageError(problem=f"--{name} has {length} characters", cure=f"Write at most {MAX_ADVICE}.")
    for title in present.get("into", ()):
        if not title.strip() or len(title) > MAX_TITLE:
            raise UsageError(
                problem=f"--into {title[:40]!r} is no title", cure=f"Write 1 to {MAX_TITLE} characters for each part."
            )


_EXAMPLES = {"advice": "'what its agent is to know'", "role": "ROLE", "into": "'the title of a part', once a part"}


def effect_of(ruling: Ruling) -> RulingEffect:
    """Return what a ruling does to its bead."""
    match ruling.option:
        case Option.APPROVE:
            return RulingEffect(verdict=Verdict.APPROVED)
        case Option.REJECT:
            return RulingEffect(verdict=Verdict.REJECTED)
        case Option.ANSWER | Option.RETRY:
            return RulingEffect(advice=ruling.advice)
        case Option.RAISE_LIMIT:
            return RulingEffect(renews_limit=True, advice=ruling.advice)
        case Option.REASSIGN:
            return RulingEffect(renews_limit=True, role=ruling.role, advice=ruling.advice)
        case Option.SPLIT:
            told = f"It was split into {', '.join(ruling.into)}, which are done before it. Do what is left of it."
            return RulingEffect(renews_limit=True, advice="\n\n".join(filter(None, (told, ruling.advice))))
        case Option.CLOSE:
            return RulingEffect(closes=True, close_reason=ruling.reason or "A human decided so.")
        case Option.MOOT:
            return RulingEffect()
