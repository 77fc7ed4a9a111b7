"""Which role an auto-filed bug belongs to, by the evidence in its text. Source: SPEC, "Routing"."""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from dispatch.models.bead import MAX_TITLE, Bead
from dispatch.routing.evidence import BUILT_IN_EVIDENCE, Evidence
from dispatch.routing.hints import is_auto_filed
from dispatch.routing.matching import PersonaMatcher
from dispatch.settings import EVIDENCE_FLAGS

READ_CHARACTERS = 20_000
"""Of a description: a report may bring a whole log, and the patterns are not all ours."""
NEEDED_WEIGHT = 5
"""Of all evidence for a role, before a bug is sent there."""
WEAK_WEIGHT = 3
"""Of a sign that proves nothing alone: words of this weight and less are only enough in numbers."""
NEEDED_WEAK_WEIGHT = 9
"""Of all evidence for a role if there are none but weak signs."""
NEEDED_LEAD = 2
"""Over the evidence for the next role; what speaks for two roles alike is for a tester to sort out."""
_QUOTED = 60


@dataclass(frozen=True, slots=True)
class BugRouteInfo:
    """Where an auto-filed bug should go. Without `should_route` it keeps its title, and names no persona.

    `routing_reason` is a sentence for a human: the strongest evidence, or why there is no route.
    """

    should_route: bool
    persona_hint: str
    updated_title: str
    routing_reason: str


@dataclass(frozen=True, slots=True)
class _Find:
    evidence: Evidence
    text: str

    def __str__(self) -> str:
        return f'{self.evidence.what or f"the pattern {self.evidence.pattern}"} ("{_shortened(self.text)}")'


class AutoBugRouter:
    """Sorts beads that a program filed, by weighed evidence. Without `evidence` it goes by the built-in table; with it,
    by that alone: give `bug_evidence(settings)` for the table with the additions of a configuration.

    `matcher` knows the personas that a bead may already ask for; without one, those of the default set.
    """

    def __init__(self, evidence: Iterable[Evidence] | None = None, matcher: PersonaMatcher | None = None) -> None:
        given = BUILT_IN_EVIDENCE if evidence is None else evidence
        self._evidence = [(one, re.compile(one.pattern, EVIDENCE_FLAGS)) for one in given]
        self._matcher = matcher or PersonaMatcher()

    def analyze_bug_for_routing(self, bead: Bead) -> BugRouteInfo:
        """Say which role a bead should go to, if it was auto-filed and asks for nobody yet."""
        if not is_auto_filed(bead):
            return _stay(bead, "It was not filed by a program, so its evidence is not weighed.")
        hint = self._matcher.hint(bead)
        if hint:
            return _stay(bead, f"It already asks for {hint.name} ({hint.source.value}).")
        weights, strongest = self._weigh(bead)
        if not weights:
            return _stay(bead, "Unclear: nothing in it tells what kind of error it is, so QA triages it.")
        (role, weight), *others = sorted(weights.items(), key=lambda entry: -entry[1])
        needed = NEEDED_WEIGHT if strongest[role].evidence.weight > WEAK_WEIGHT else NEEDED_WEAK_WEIGHT
        if weight < needed:
            return _stay(bead, f"Unclear: all there is for {role} is {strongest[role]}, so QA triages it.")
        if others and weight - others[0][1] < NEEDED_LEAD:
            rival = others[0][0]
            both = f"{strongest[role]} speaks for {role}, {strongest[rival]} for {rival}"
            return _stay(bead, f"Unclear: {both}, so QA triages it.")
        return BugRouteInfo(True, role, _titled(role, bead.title), f"It goes to {role} for {strongest[role]}.")

    def _weigh(self, bead: Bead) -> tuple[dict[str, int], dict[str, _Find]]:
        """Return the weight of the evidence for each role that there is any for, and the strongest piece of it."""
        text = _evidence_text(bead)
        weights: dict[str, int] = defaultdict(int)
        strongest: dict[str, _Find] = {}
        for evidence, pattern in self._evidence:
            found = pattern.search(text)
            if found:
                weights[evidence.role] += evidence.weight
                best = strongest.get(evidence.role)
                if best is None or best.evidence.weight < evidence.weight:
                    strongest[evidence.role] = _Find(evidence, found.group())
        return weights, strongest


def _evidence_text(bead: Bead) -> str:
    labels = "\n".join(f"label:{label.strip()}" for label in bead.labels)
    return f"{bead.title}\n{bead.description[:READ_CHARACTERS]}\n{labels}"


def _stay(bead: Bead, reason: str) -> BugRouteInfo:
    return BugRouteInfo(False, "", bead.title, reason)


def _titled(role: str, title: str) -> str:
    """Put the role before a title, in the form that names a persona; too long a title loses its end."""
    tag = f"[{role}] "
    return title if title.startswith(tag) else f"{tag}{title}"[:MAX_TITLE]


def _shortened(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= _QUOTED else f"{words[: _QUOTED - 3]}..."
