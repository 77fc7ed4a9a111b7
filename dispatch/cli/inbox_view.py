"""How a decision is shown: in one block of lines for a human, and as JSON."""

import textwrap
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

from dispatch.cli import output
from dispatch.escalation import command, meaning
from dispatch.models.decision import Decision, InboxEntry, Option
from dispatch.models.run import ErrorRecord
from dispatch.settings import format_duration

_LABEL = 12
"""Columns of the word before each fact."""
_INDENT = 4
_ERROR_LINES = 3
_SUGGESTIONS = 2
_QUESTION_LINES = 6
_DETAIL_LINES = 4
_DEPENDENTS = 3
"""How much of each a block of the list shows; the full view shows all."""


def waiting_text(waiting: timedelta) -> str:
    """Return how long something waits, to the minute."""
    minutes = int(waiting.total_seconds() // 60)
    return format_duration(timedelta(minutes=minutes)) if minutes else "less than a minute"


def block(entry: InboxEntry, width: int, *, full: bool = False) -> Iterator[str]:
    """Yield the lines of a decision, at most `width` wide unless a command to type is longer."""
    decision = entry.decision
    head = f"P{entry.priority}  {decision.bead_key}  {output.cell(entry.title)}"
    yield from textwrap.wrap(head, width, subsequent_indent=" " * _INDENT) if full else [_cut(head, width)]
    yield from _wrapped(_situation(entry), width)
    for label, lines in _facts(entry, full=full):
        yield from _fact(label, lines, width, full=full)
    if decision.ruling is None:
        yield ""
        yield from _commands(decision, width, full=full)


def _situation(entry: InboxEntry) -> str:
    decision = entry.decision
    role = f", for {decision.returned_to}" if decision.returned_to else ""
    runs = f"{entry.hops} run{'s'[: entry.hops != 1]} so far{role}"
    reason = f"{decision.reason[:1].upper()}{decision.reason[1:]}"
    if decision.ruling is not None:
        return f"{reason}; {runs}. It waited {waiting_text(entry.waiting)}."
    late = ": OVERDUE" if entry.is_overdue else ""
    return f"{reason}; {runs}. It has waited {waiting_text(entry.waiting)}{late}."


def _facts(entry: InboxEntry, *, full: bool) -> Iterator[tuple[str, list[str]]]:
    """Yield what helps to decide: a word, and lines."""
    decision = entry.decision
    if decision.ruling is not None:
        yield "decided", [f"by {decision.ruling.by} at {output.moment(decision.ruled_at)}", str(decision.ruling)]
    if decision.detail:
        yield "why", _first(decision.detail.splitlines(), _DETAIL_LINES, full=full)
    if decision.question:
        yield "asks", _first(decision.question.splitlines(), _QUESTION_LINES, full=full)
    yield from _errors(decision.errors, full=full)
    if decision.progress:
        yield "done", [decision.progress]
    if decision.commits.count:
        yield "commits", [str(decision.commits)]
    if decision.suggestions:
        yield "may help", _first(decision.suggestions, _SUGGESTIONS, full=full)
    if entry.dependents:
        yield "waiting", _dependents(entry, full=full)
    if decision.ruling is None:
        yield "recommended", [f"{decision.offer.recommended}: {decision.offer.why}"]


def _errors(errors: Sequence[ErrorRecord], *, full: bool) -> Iterator[tuple[str, list[str]]]:
    """Yield the newest error, and in full those before it, each text once."""
    if not errors:
        return
    newest = errors[-1]
    first, *rest = _lines(newest)
    yield "last error", _first([f"{first} (attempt {newest.dispatch})", *rest], _ERROR_LINES, full=full)
    known = newest.error
    for error in reversed(errors[:-1]) if full else ():
        yield f"attempt {error.dispatch}", ["the same"] if error.error == known else _lines(error)
        known = error.error


def _lines(error: ErrorRecord) -> list[str]:
    return [line for line in error.error.splitlines() if line.strip()] or [""]


def _dependents(entry: InboxEntry, *, full: bool) -> list[str]:
    shown = entry.dependents if full else entry.dependents[:_DEPENDENTS]
    more = len(entry.dependents) - len(shown)
    lines = [f"{dependent.id}  {dependent.title}" for dependent in shown]
    return [*lines, *([f"and {more} more"] if more else [])]


def _first(lines: Sequence[str], limit: int, *, full: bool) -> list[str]:
    shown = list(lines) if full else list(lines[:limit])
    return [*shown, "..."] if len(shown) < len(lines) else shown


def _fact(label: str, lines: Sequence[str], width: int, *, full: bool) -> Iterator[str]:
    """Yield a fact: its word once, and its lines beside it, each wrapped, or cut where one line has to do."""
    room = width - _INDENT - _LABEL
    for number, line in enumerate(lines):
        text = output.cell(line)
        wrapped = textwrap.wrap(text, room) or [""]
        if not full and len(wrapped) > 2:
            wrapped = [wrapped[0], _cut(" ".join(wrapped[1:]), room)]
        for part, piece in enumerate(wrapped):
            word = label if number == part == 0 else ""
            yield f"{' ' * _INDENT}{word:<{_LABEL}}{piece}".rstrip()


def _commands(decision: Decision, width: int, *, full: bool) -> Iterator[str]:
    """Yield what to type for each option, the recommended one first and marked; its meaning where there is room.

    In full the meaning has a line of its own where there is none.
    """
    offer = decision.offer
    ordered = [offer.recommended, *(option for option in offer.options if option is not offer.recommended)]
    typed = {option: command(option, decision.key) for option in ordered}
    column = max(map(len, typed.values()))
    told = {option: f"# {meaning(option, decision.kind)}" for option in ordered}
    aligned = _INDENT + column + 2 + max(map(len, told.values())) <= width
    for option in ordered:
        mark = "*" if option is offer.recommended else " "
        yield f"  {mark} {typed[option]:<{column}}  {told[option]}" if aligned else f"  {mark} {typed[option]}"
        if full and not aligned:
            yield f"{' ' * _INDENT}{told[option]}"


def _wrapped(text: str, width: int) -> list[str]:
    indent = " " * _INDENT
    return textwrap.wrap(output.cell(text), width, initial_indent=indent, subsequent_indent=indent)


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 3].rstrip()}..."


def entry_view(entry: InboxEntry) -> dict[str, Any]:
    """Return a decision as `--json` shows it. The keys are a promise to scripts."""
    decision = entry.decision
    return {
        "decision": decision.decision_id,
        "project": decision.project_id,
        "bead": decision.bead_id,
        "title": entry.title,
        "priority": entry.priority,
        "status": entry.status,
        "runs": entry.hops,
        "kind": decision.kind,
        "reason": decision.reason,
        "question": decision.question,
        "detail": decision.detail,
        "returned_to": decision.returned_to,
        "opened_at": decision.opened_at,
        "waiting_seconds": entry.waiting,
        "overdue": entry.is_overdue,
        "announcements": decision.announcements,
        "progress": decision.progress,
        "suggestions": decision.suggestions,
        "commits": decision.commits if decision.commits.count else None,
        "errors": [
            {"at": error.timestamp, "attempt": error.dispatch, "error": error.error} for error in decision.errors
        ],
        "dependents": entry.dependents,
        "options": [_option_view(option, decision) for option in decision.offer.options],
        "recommended": decision.offer.recommended,
        "why_recommended": decision.offer.why,
        **ruling_view(decision),
    }


def _option_view(option: Option, decision: Decision) -> dict[str, str]:
    return {
        "option": option,
        "meaning": meaning(option, decision.kind),
        "command": command(option, decision.key),
    }


def ruling_view(decision: Decision) -> dict[str, Any]:
    """Return what was decided as `--json` shows it; each is null while it is not."""
    ruling = decision.ruling
    return {
        "decided_at": decision.ruled_at,
        "decided_by": ruling.by if ruling else None,
        "option": ruling.option if ruling else None,
        "advice": ruling.advice if ruling else None,
        "role": ruling.role if ruling else None,
        "into": ruling.into if ruling else None,
        "close_reason": ruling.reason if ruling else None,
    }
