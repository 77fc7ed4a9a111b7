"""Which role a bead should go to, which agent that is, and how strong a runner it needs."""

from dispatch.routing.bugs import AutoBugRouter, BugRouteInfo
from dispatch.routing.complexity import Complexity, Level, RunnerChoice, choose_runner, complexity_of
from dispatch.routing.evidence import BUILT_IN_EVIDENCE, Evidence, bug_evidence
from dispatch.routing.hints import bead_timeout, is_auto_filed
from dispatch.routing.matching import Hint, HintSource, PersonaMatcher
from dispatch.routing.personas import (
    DEFAULT_PERSONAS,
    Persona,
    instructions_of,
    known_personas,
    role_instructions,
    role_names,
    role_of_persona,
)
from dispatch.routing.router import Router

__all__ = [
    "BUILT_IN_EVIDENCE",
    "DEFAULT_PERSONAS",
    "AutoBugRouter",
    "BugRouteInfo",
    "Complexity",
    "Evidence",
    "Hint",
    "HintSource",
    "Level",
    "Persona",
    "PersonaMatcher",
    "Router",
    "RunnerChoice",
    "bead_timeout",
    "bug_evidence",
    "choose_runner",
    "complexity_of",
    "instructions_of",
    "is_auto_filed",
    "known_personas",
    "role_instructions",
    "role_names",
    "role_of_persona",
]
