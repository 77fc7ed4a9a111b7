"""Which workflow a bead begins. Source: SPEC, "Workflows"; `docs/workflows.md`."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from dispatch.models.bead import NEVER_DISPATCHED_TYPES, Bead
from dispatch.models.workflow import Workflow
from dispatch.settings import WorkflowChoice, normal_name
from dispatch.settings.nearest import did_you_mean

WORKFLOW_LABEL = "workflow:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The workflow of a bead, if any, and why in one sentence.

    `problem` is a phrase for what is wrong with the wish of the bead, and `cure` a sentence for what to do; both are
    empty when nothing is.
    """

    workflow: Workflow | None = None
    reason: str = ""
    problem: str = ""
    cure: str = ""


def choose(bead: Bead, workflows: Mapping[str, Workflow], choice: WorkflowChoice = WorkflowChoice.LABELLED) -> Chosen:
    """Choose the workflow of a bead: the one that a label `workflow:<name>` names; with `auto` also one that is for it.

    Of several that are for a bead, the one with most of its labels is taken, then one for its type, then the one with
    most words in its title, then the first by name. A bead that no agent is ever given begins none.
    """
    if choice is WorkflowChoice.OFF or bead.issue_type in NEVER_DISPATCHED_TYPES:
        return Chosen()
    named = _named(bead.labels)
    if named:
        return _labelled(named, workflows)
    return _fitting(bead, workflows) if choice is WorkflowChoice.AUTO else Chosen()


def _named(labels: Iterable[str]) -> str:
    """Return the name that the first label of ours has, in normal form."""
    lowered = (label.strip().lower() for label in labels)
    return next((normal_name(label.removeprefix(WORKFLOW_LABEL)) for label in lowered if _is_ours(label)), "")


def _is_ours(label: str) -> bool:
    return label.startswith(WORKFLOW_LABEL) and label != WORKFLOW_LABEL


def _labelled(name: str, workflows: Mapping[str, Workflow]) -> Chosen:
    if name in workflows:
        return Chosen(workflow=workflows[name], reason=f"A label asks for the workflow {name}.")
    cure = did_you_mean(name, workflows) or f"Name one that exists: {', '.join(sorted(workflows))}."
    return Chosen(problem=f'a label asks for the unknown workflow "{name}"', cure=cure)


def _fitting(bead: Bead, workflows: Mapping[str, Workflow]) -> Chosen:
    fits = {name: _fit(bead, workflow) for name, workflow in workflows.items()}
    best = max(fits.values(), default=(0, False, 0))
    if not any(best):
        return Chosen()
    name = min(name for name, fit in fits.items() if fit == best)
    by = ("its labels", "its type", "its title")[next(place for place, weight in enumerate(best) if weight)]
    return Chosen(workflow=workflows[name], reason=f"The workflow {name} is for it, by {by}.")


def _fit(bead: Bead, workflow: Workflow) -> tuple[int, bool, int]:
    """Weigh how far a workflow is for a bead: labels in common, its type, words found in the title."""
    labels = set(map(normal_name, bead.labels)) & set(map(normal_name, workflow.labels))
    types = map(normal_name, workflow.types)
    words = {normal_name(word) for word in workflow.title_words if _is_in(word, bead.title)}
    return len(labels), normal_name(bead.issue_type) in types, len(words)


def _is_in(word: str, title: str) -> bool:
    """Tell whether a word, or some with blanks or hyphens between them, stands in a title as whole words."""
    parts = r"[\s_-]+".join(map(re.escape, re.split(r"[\s_-]+", word.strip())))
    return re.search(rf"(?<!\w){parts}(?!\w)", title, re.IGNORECASE) is not None
