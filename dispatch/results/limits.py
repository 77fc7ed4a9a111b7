"""What a bead's past makes of the end of a run: a loop over its runs goes to a human, or to triage.

Source: SPEC, "Dispatch", steps 4 and 5. A bead that is far from its limits is judged without its past.
"""

from dataclasses import replace

from dispatch.escalation import looping, ping_pong, too_many_runs
from dispatch.loops import (
    PING_PONG_RUNS,
    BeadHistory,
    LoopRule,
    is_ping_pong,
    judge_runs,
    most_hops,
    suggest_next_steps,
)
from dispatch.models.bead import Bead
from dispatch.models.run import ErrorRecord
from dispatch.models.settling import BeadEffect, Escalation, LookBack, Past, Triage
from dispatch.models.states import BEAD_MOVES, BeadEvent, BeadStatus
from dispatch.settings import Settings

TRIAGE_ROLES = ("cto", "engineering-manager")
"""Who looks at a bead that went to and fro, the first that is served; else any agent of the project."""


def hold_to_limits(bead: Bead, effect: BeadEffect, past: Past | None, settings: Settings) -> BeadEffect | LookBack:
    """Return the effect with what the bead's past adds to it; a `LookBack` when that is needed and not there.

    Only a bead that goes back is held to its limits, after a run or a landing that counts.
    """
    wanted = _wanted(bead, effect, settings)
    if wanted == LookBack():
        return effect
    if past is None:
        return wanted
    escalation = effect.escalation or _escalation(bead, effect, past, settings)
    if escalation is not None:
        return replace(effect, escalation=inform(escalation, bead, past, effect))
    return replace(effect, triage=_triage(past, settings)) if is_ping_pong(past.agents) else effect


def _wanted(bead: Bead, effect: BeadEffect, settings: Settings) -> LookBack:
    if effect.escalation is not None:
        return LookBack(actions=True)
    counts = effect.hops > 0 or effect.event is BeadEvent.BOUNCE
    if not counts or BEAD_MOVES[effect.event].target != BeadStatus.OPEN:
        return LookBack()
    hops = bead.hops + effect.hops
    # A bead that was at triage before goes to a human when it goes to and fro again, who is told what was done.
    # In a workflow it is meant to go from one to another and back, as often as the cycle limit says.
    agents = hops >= PING_PONG_RUNS and not bead.node
    again = agents and bead.triaged_at is not None
    return LookBack(actions=again or _is_at_limit(bead, hops, settings), agents=agents)


def _is_at_limit(bead: Bead, hops: int, settings: Settings) -> bool:
    return hops >= settings.guards.max_dispatch_hops + bead.hop_allowance


def _escalation(bead: Bead, effect: BeadEffect, past: Past, settings: Settings) -> Escalation | None:
    """Return the wish for a human's decision; None when the bead may go on, or to triage."""
    hops, limit = bead.hops + effect.hops, settings.guards.max_dispatch_hops
    if hops >= most_hops(limit, bead.hop_allowance):
        return too_many_runs(bead, hops, limit + bead.hop_allowance)
    if _is_at_limit(bead, hops, settings):
        rule = LoopRule(settings.guards.repeat_threshold, settings.guards.progress_window)
        stuck, reason = judge_runs(past.actions, past.last_actions, rule).verdict
        if stuck:
            return looping(bead, hops, reason)
    return ping_pong(bead) if bead.triaged_at is not None and is_ping_pong(past.agents) else None


def _triage(past: Past, settings: Settings) -> Triage:
    roles = (settings.resolve_role(role) for role in TRIAGE_ROLES)
    role = next((role for role in roles if role in past.served_roles), "")
    whom = role or "any agent of the project"
    return Triage(role=role, reason=f"Two agents passed it to and fro in {PING_PONG_RUNS} runs; triage: {whom}.")


def inform(escalation: Escalation, bead: Bead, past: Past, effect: BeadEffect | None = None) -> Escalation:
    """Return an escalation with what a human needs to know of the bead's runs; `effect` is what ends the last one."""
    history = BeadHistory.of([*past.actions, *past.last_actions])
    errors = list(past.errors)
    if effect is not None and effect.error is not None:
        errors.append(ErrorRecord(timestamp=past.moment, error=effect.error, dispatch=past.attempts))
    return replace(
        escalation,
        progress=str(history.metrics),
        suggestions=tuple(suggest_next_steps(history)),
        commits=(effect.commits if effect is not None else None) or bead.commits,
        errors=tuple(errors),
    )
