"""Who should do a bead, in the words of the bead; and which agent that is. Source: SPEC, "Routing"."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from dispatch.models.agent import Agent
from dispatch.models.bead import Bead
from dispatch.routing.hints import PERSONA_KEY, ROLE_LABEL, is_auto_filed
from dispatch.routing.personas import DEFAULT_PERSONAS, Persona
from dispatch.routing.vocabulary import Vocabulary, Words, plain, without_ending
from dispatch.routing.wishes import Wish, description_wishes, title_wishes
from dispatch.settings import normal_name
from dispatch.settings.nearest import did_you_mean

_EXPLICIT_LABELS = (ROLE_LABEL, "persona:")
_FOR_LABELS = ("for-", "for:")
_ONLY = "-only"


class HintSource(StrEnum):
    """Where a bead asks for a persona, in the order in which the places are looked at."""

    METADATA = "metadata.requires_persona"
    TITLE = "the title"
    DESCRIPTION = "the description"
    LABEL = "a label"


@dataclass(frozen=True, slots=True)
class Hint:
    """The persona that a bead asks for: its `name` in normal form, where that was said, and whether anybody knows it.

    `written` is how the bead puts it. Only metadata and the labels `role:` and `persona:`, which can mean nothing else,
    give hints of unknown personas; `PersonaMatcher.problem` says what to do about such a one.
    """

    name: str
    source: HintSource
    known: bool
    written: str


class PersonaMatcher:
    """Reads the persona hint of a bead, and finds the agent for it.

    `personas` are those a bead may ask for, as `Persona` or by name alone; without any, the default set. Made from a
    configuration by `PersonaMatcher(known_personas(settings))`.
    """

    def __init__(self, personas: Iterable[Persona | str] | None = None) -> None:
        given = DEFAULT_PERSONAS if personas is None else personas
        self._vocabulary = Vocabulary(Persona(normal_name(one)) if isinstance(one, str) else one for one in given)

    def extract_persona_hint(self, bead: Bead) -> str:
        """Return the persona that a bead asks for, in lower case and with hyphens; empty when it asks for none."""
        hint = self.hint(bead)
        return hint.name if hint else ""

    def hint(self, bead: Bead) -> Hint | None:
        """Return the first hint of a bead: by metadata, title, description or labels; None when it asks for nobody."""
        return (
            self._of_metadata(bead)
            or self._of_text(HintSource.TITLE, title_wishes(bead.title, auto_filed=is_auto_filed(bead)))
            or self._of_text(HintSource.DESCRIPTION, description_wishes(bead.description))
            or self._of_labels(bead.labels)
        )

    def named(self, written: str) -> str:
        """Return the persona that a name means, as it is written, by its own name or an alias; else nothing."""
        return self._vocabulary.exact(written, Words.ALIASES) if written.strip() else ""

    def problem(self, hint: Hint) -> str:
        """Say in one or two sentences what is wrong with a hint; empty when it is a known one."""
        said, cure = self.complaint(hint)
        return f"{said[0].upper()}{said[1:]}. {cure}" if said else ""

    def complaint(self, hint: Hint) -> tuple[str, str]:
        """Return a phrase for what is wrong with a hint, and a sentence for what to do; both empty for a known one."""
        if hint.known:
            return "", ""
        cure = did_you_mean(hint.name, self._vocabulary.names) or "Name a role, persona or alias that exists."
        return f'{hint.source.value} asks for the unknown persona "{hint.written}"', cure

    def find_agent_by_persona_hint(self, hint: str, agents: Iterable[Agent]) -> Agent | None:
        """Return the agent that a hint means, of those given; None when it means none of them.

        First those whose persona is the hint, then those whose persona contains it in whole words, then those that have
        it among their roles; of equals the least recently used. An agent without a persona goes by its roles.
        """
        wanted = without_ending(plain(hint)) if hint.strip() else ""
        if not wanted:
            return None
        names = list(dict.fromkeys((self._vocabulary.find(hint) or wanted, plain(hint), wanted)))
        everybody = list(agents)
        for fits in (_is_persona, _contains, _has_role):
            fitting = [agent for agent in everybody if any(fits(agent, name) for name in names)]
            if fitting:
                return min(fitting, key=_last_used)
        return None

    def _of_metadata(self, bead: Bead) -> Hint | None:
        written = bead.metadata.get(PERSONA_KEY)
        if not isinstance(written, str):
            return None
        return self._explicit(written, HintSource.METADATA)

    def _of_text(self, source: HintSource, wishes: Iterator[Wish]) -> Hint | None:
        for wish in wishes:
            name = self._vocabulary.find(wish.written, wish.words)
            if name:
                return Hint(name, source, known=True, written=wish.written)
        return None

    def _of_labels(self, labels: Sequence[str]) -> Hint | None:
        hints = [hint for label in labels if (hint := self._of_label(label)) is not None]
        return next((hint for hint in hints if hint.known), hints[0] if hints else None)

    def _of_label(self, label: str) -> Hint | None:
        lowered = label.strip().lower()
        for start in _EXPLICIT_LABELS:
            if lowered.startswith(start):
                return self._explicit(lowered.removeprefix(start), HintSource.LABEL)
        name = normal_name(lowered)
        if name.startswith(_FOR_LABELS):
            return self._of_text(HintSource.LABEL, iter([Wish(name[len(_FOR_LABELS[0]) :], Words.AREAS)]))
        if name.endswith(_ONLY):
            return self._of_text(HintSource.LABEL, iter([Wish(name.removesuffix(_ONLY), Words.ALIASES)]))
        return None

    def _explicit(self, written: str, source: HintSource) -> Hint | None:
        name = without_ending(plain(written))
        if not name:
            return None
        known = self._vocabulary.exact(written)
        return Hint(known or name, source, known=bool(known), written=written.strip())


def _personas_of(agent: Agent) -> tuple[str, ...]:
    return tuple(map(plain, (agent.persona,) if agent.persona else agent.roles))


def _is_persona(agent: Agent, name: str) -> bool:
    return name in _personas_of(agent)


def _contains(agent: Agent, name: str) -> bool:
    """Tell whether a persona of an agent has the words of a name in it, one after the other."""
    return any(f"-{name}-" in f"-{persona}-" for persona in _personas_of(agent))


def _has_role(agent: Agent, name: str) -> bool:
    return name in map(normal_name, agent.roles)


def _last_used(agent: Agent) -> tuple[bool, float]:
    return agent.last_used_at is not None, agent.last_used_at.timestamp() if agent.last_used_at else 0.0
