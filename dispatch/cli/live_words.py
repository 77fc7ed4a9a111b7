"""Events in words: one line each, for the live view and for a log."""

from collections.abc import Callable, Mapping
from typing import Any

from dispatch.models.event import Event

NameOf = Callable[[str | None], str]
"""Turns the id of an agent into its name."""

_SILENT = frozenset({"run.reported", "run.settled", "project.added", "workflow.moved", "workflow.ended"})
"""Kinds that another event tells better: the bead's own after a run's end."""


def in_words(event: Event, agent_name: NameOf, *, with_project: bool = False) -> str | None:
    """Return an event as a line without its time; None for one that is not worth a line."""
    if event.kind in _SILENT:
        return None
    words = _WORDS.get(event.kind, _as_it_is)(event.data, agent_name)
    subject = _subject(event, with_project)
    return f"{subject} {words or event.kind}" if subject else words or event.kind


def short_agent(name: str) -> str:
    """Return `agents/1` for the agent `agents@host/1`: on one host the host says nothing."""
    worker, _, slot = name.rpartition("/")
    return f"{worker.partition('@')[0]}/{slot}" if worker else name


def _subject(event: Event, with_project: bool) -> str:
    if event.bead_id is None:
        return f"project {event.project_id}" if event.project_id else ""
    return f"{event.project_id}/{event.bead_id}" if with_project else event.bead_id


def _claimed(data: Mapping[str, Any], agent_name: NameOf) -> str:
    on = f" on {data['provider']}" if data.get("provider") else ""
    return f"claimed for {data.get('role')}, agent {agent_name(data.get('agent'))}{on}, attempt {data.get('attempt')}"


def _started(data: Mapping[str, Any], agent_name: NameOf) -> str:
    return f"started by agent {agent_name(data.get('agent'))}, attempt {data.get('attempt')}"


def _imported(data: Mapping[str, Any], _: NameOf) -> str:
    return f"imported: {data.get('created', 0)} new beads, {data.get('updated', 0)} changed"


def _opened(data: Mapping[str, Any], _: NameOf) -> str:
    failures = data.get("failures") or 0
    again = f" (failed {failures} time{'s'[: failures != 1]} in a row, goes again after a pause)" if failures else ""
    return f"open again: {data.get('reason', '')}{again}"


def _escalated(data: Mapping[str, Any], _: NameOf) -> str:
    return f"waits for a human: {data.get('reason', '')} (decision {data.get('decision')})"


def _decided(data: Mapping[str, Any], _: NameOf) -> str:
    goes = {"close": "and is closed", "split": f"into {', '.join(data.get('into') or ())}", "moot": "as it is done"}
    option = str(data.get("option"))
    return " ".join(filter(None, (f"was decided by {data.get('by')}: {option}", data.get("role"), goes.get(option))))


def _began(data: Mapping[str, Any], _: NameOf) -> str:
    return f"begins the workflow {data.get('workflow')} at {data.get('node')}"


def _still_open(data: Mapping[str, Any], _: NameOf) -> str:
    return f"still waits for a human: {data.get('reason', '')} (`dispatch inbox {data.get('decision')}`)"


def _with_reason(words: str, key: str = "reason") -> Callable[[Mapping[str, Any], NameOf], str]:
    def say(data: Mapping[str, Any], _: NameOf) -> str:
        return f"{words}: {data[key]}" if data.get(key) else words

    return say


def _worker(words: str) -> Callable[[Mapping[str, Any], NameOf], str]:
    def say(data: Mapping[str, Any], _: NameOf) -> str:
        return f"worker {short_agent(str(data.get('worker')) + '/').rstrip('/')} {words}"

    return say


def _provider_failed(data: Mapping[str, Any], _: NameOf) -> str:
    return f"provider {data.get('provider')}: {data.get('cause')}, {data.get('failures')} in a row"


def _provider(words: str) -> Callable[[Mapping[str, Any], NameOf], str]:
    return lambda data, _: f"provider {data.get('provider')} {words}"


def _role(words: str) -> Callable[[Mapping[str, Any], NameOf], str]:
    def say(data: Mapping[str, Any], agent_name: NameOf) -> str:
        return f"the role {data.get('role')} {_with_reason(words)(data, agent_name)}"

    return say


def _let_go_on(data: Mapping[str, Any], _: NameOf) -> str:
    return f"was let go on by {data.get('by')}{f', as {role}' if (role := data.get('role')) else ''}"


def _as_it_is(data: Mapping[str, Any], _: NameOf) -> str:
    return str(data.get("reason", ""))


_WORDS: Mapping[str, Callable[[Mapping[str, Any], NameOf], str]] = {
    "project.imported": _imported,
    "project.paused": _with_reason("paused"),
    "project.resumed": _with_reason("goes on"),
    "project.breaker_closed": _with_reason("goes on: its row of failures is forgotten"),
    "system.paused": _with_reason("everything is paused"),
    "system.resumed": _with_reason("everything goes on"),
    "role.paused": _role("is paused"),
    "role.resumed": _role("goes on"),
    "worker.registered": _worker("is ready"),
    "worker.left": _worker("left"),
    "worker.gone": _worker("is gone: it was not heard of any more"),
    "run.claimed": _claimed,
    "run.started": _started,
    "run.start_refused": _with_reason("a run was not started"),
    "run.asked_to_stop": _with_reason("its agent is asked to stop"),
    "run.expired": _with_reason("its worker was not heard of any more", "outcome"),
    "run.report_refused": _with_reason("a late result was refused", "outcome"),
    "run.withdrawn": _with_reason("taken back before it started"),
    "run.settle_failed": _with_reason("a result could not be settled", "cause"),
    "provider.failed": _provider_failed,
    "provider.answers": _provider("answers again"),
    "provider.released": _provider("may be used again"),
    "workflow.started": _began,
    "workflow.unknown": _with_reason("goes without a workflow", "problem"),
    "bead.added": _with_reason("added", "title"),
    "bead.discovered": _with_reason("its agent leaves to others", "title"),
    "bead.closed": _with_reason("closed"),
    "bead.open": _opened,
    "bead.landing": _with_reason("done, waits to land"),
    "bead.proposed": _with_reason("pull request"),
    "bead.triaged": _with_reason("goes to triage"),
    "bead.held": _with_reason("is on hold"),
    "bead.let_go_on": _let_go_on,
    "bead.kept": _with_reason("stays as it is", "status"),
    "bead.escalated": _escalated,
    "decision.made": _decided,
    "decision.open": _still_open,
    "decision.reopened": _escalated,
    "bead.adopted": _with_reason("opened again after another tracker left it in progress"),
}
