"""Which role a bead goes to: what it asks for, else whom its assignee names, else what the evidence of a bug says.

Source: SPEC, "Routing".
"""

import hashlib
import json
from dataclasses import astuple

from dispatch.models.bead import Bead
from dispatch.models.routing import MAX_ROLE, UNCLEAR_BUG, Route
from dispatch.routing.bugs import AutoBugRouter
from dispatch.routing.evidence import BUILT_IN_EVIDENCE, bug_evidence
from dispatch.routing.hints import is_auto_filed
from dispatch.routing.matching import Hint, HintSource, PersonaMatcher
from dispatch.routing.personas import DEFAULT_PERSONAS, known_personas, role_of_persona
from dispatch.settings import Settings
from dispatch.version import VERSION

_SAYERS = {
    HintSource.METADATA: "Its metadata",
    HintSource.TITLE: "The title",
    HintSource.DESCRIPTION: "The description",
    HintSource.LABEL: "A label",
}


class Router:
    """Routes any number of beads by the names of one configuration; without one, by those of the default personas."""

    def __init__(self, settings: Settings | None = None) -> None:
        self._settings = settings
        self._personas = known_personas(settings) if settings is not None else DEFAULT_PERSONAS
        self._evidence = bug_evidence(settings) if settings is not None else BUILT_IN_EVIDENCE
        self._matcher = PersonaMatcher(self._personas)
        self._bugs = AutoBugRouter(self._evidence, self._matcher)

    @property
    def fingerprint(self) -> str:
        """A text that differs when another configuration, or another version, might route a bead elsewhere."""
        roles = list(self._settings.roles) if self._settings is not None else []
        known = [VERSION, roles, *(list(map(astuple, table)) for table in (self._personas, self._evidence))]
        return hashlib.sha256(json.dumps(known).encode()).hexdigest()

    def route(self, bead: Bead) -> Route:
        """Return where a bead goes, by its own words; a default route when they say nothing."""
        hint = self._matcher.hint(bead)
        if hint is not None:
            return self._asked(hint)
        persona = self._matcher.named(bead.assignee)
        if persona:
            return self._to(persona, f"Its assignee names {persona}")
        return self._sorted(bead) if is_auto_filed(bead) else Route()

    def routed_title(self, bead: Bead) -> str:
        """Return the title of an auto-filed bug with the role that its evidence gives it; empty for any other bead.

        It is only shown: the title in the tracker's file stays as whoever filed the bug wrote it.
        """
        info = self._bugs.analyze_bug_for_routing(bead)
        return info.updated_title if info.should_route else ""

    def _asked(self, hint: Hint) -> Route:
        if len(hint.name) > MAX_ROLE:
            problem = f"the role it asks for has {len(hint.name)} characters, ignored"
            return Route(problem=problem, cure=f"Use at most {MAX_ROLE}.")
        problem, cure = self._matcher.complaint(hint)
        return self._to(hint.name, f"{_SAYERS[hint.source]} asks for {hint.name}", problem, cure)

    def _sorted(self, bead: Bead) -> Route:
        info = self._bugs.analyze_bug_for_routing(bead)
        if not info.should_route:
            return Route(role=UNCLEAR_BUG, reason=info.routing_reason)
        role = self._role_of(info.persona_hint)
        does = "" if role == info.persona_hint else f" {role} does the work of {info.persona_hint} here."
        return Route(role=role, reason=f"{info.routing_reason}{does}")

    def _to(self, persona: str, reason: str, problem: str = "", cure: str = "") -> Route:
        role = self._role_of(persona)
        reason = f"{reason}." if role == persona else f"{reason}, whose work {role} does here."
        return Route(role=role, reason=reason, problem=problem, cure=cure)

    def _role_of(self, persona: str) -> str:
        role = role_of_persona(persona, self._settings) if self._settings is not None else persona
        return role.lstrip("*") or role
