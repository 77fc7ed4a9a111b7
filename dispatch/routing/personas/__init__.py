"""The personas that ship with dispatch, by which words they go, and their instructions (one Markdown file each)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import resources

from dispatch.settings import Settings, normal_name


@dataclass(frozen=True, slots=True)
class Persona:
    """A role plus its instructions, which name the role too. All names are in normal form.

    `aliases` are other words for the one who does the work ("tester"), `areas` words for the work itself ("docs"),
    which are also used to head a title or a paragraph, and so count only where somebody is clearly spoken to.
    """

    name: str
    aliases: tuple[str, ...] = ()
    areas: tuple[str, ...] = ()


DEFAULT_PERSONAS = (
    Persona("ceo", ("chief-executive", "chief-executive-officer")),
    Persona("cto", ("chief-technology-officer", "architect", "software-architect")),
    Persona(
        "engineering-manager",
        ("em", "eng-manager", "engineering-lead", "development-manager", "dev-manager", "team-lead", "tech-lead"),
    ),
    Persona("product-manager", ("pm", "product-owner", "product-lead"), ("product",)),
    Persona("project-manager", ("project-lead", "program-manager", "delivery-manager", "scrum-master")),
    Persona(
        "backend-engineer",
        ("backend", "back-end", "backend-developer", "backend-dev", "backend-team", "server-engineer", "api-engineer"),
        ("server", "api"),
    ),
    Persona(
        "frontend-engineer",
        ("frontend", "front-end", "frontend-developer", "frontend-dev", "frontend-team", "ui-engineer", "ui-developer"),
    ),
    Persona(
        "web-designer",
        ("designer", "ui-designer", "ux-designer", "graphic-designer", "product-designer", "design-team"),
        ("ui", "ux", "web", "web-design", "design", "styling", "css"),
    ),
    Persona(
        "devops-engineer",
        (
            "devops",
            "dev-ops",
            "devops-team",
            "sre",
            "site-reliability-engineer",
            "platform-engineer",
            "infrastructure-engineer",
            "release-engineer",
            "build-engineer",
            "ops-engineer",
        ),
        ("ops", "infra", "infrastructure", "deployment", "ci", "ci-cd"),
    ),
    Persona(
        "qa-engineer",
        ("qa", "qa-team", "qa-tester", "tester", "test-engineer", "quality-engineer", "quality-assurance"),
    ),
    Persona("code-reviewer", ("reviewer", "peer-reviewer", "pr-reviewer")),
    Persona(
        "documentation-manager",
        ("technical-writer", "tech-writer", "documentation-writer", "docs-writer", "docs-manager", "docs-team"),
        ("docs", "documentation"),
    ),
    Persona(
        "security-engineer",
        ("appsec", "appsec-engineer", "security-analyst", "security-reviewer", "security-team"),
        ("security",),
    ),
    Persona(
        "data-engineer",
        ("data-analyst", "data-scientist", "analytics-engineer", "etl-engineer", "database-engineer", "dba"),
        ("data", "analytics", "etl"),
    ),
)


def known_personas(settings: Settings) -> tuple[Persona, ...]:
    """Return every persona that a bead may ask for: the configured roles, then the default personas besides them.

    A configured role keeps the words of the default persona of that name, or of one that is now its alias; a word that
    the configuration gives to somebody counts for nobody else. The areas of a persona that is not configured name
    nobody: who serves no role for the documents need not let "[docs] ..." wait for one.
    """
    claimed = {word: name for name, role in settings.roles.items() for word in (name, *map(normal_name, role.aliases))}
    configured = [_configured(name, tuple(map(normal_name, role.aliases))) for name, role in settings.roles.items()]
    others = [Persona(one.name, one.aliases) for one in DEFAULT_PERSONAS if one.name not in claimed]
    return tuple(
        Persona(one.name, _left(one.aliases, one.name, claimed), _left(one.areas, one.name, claimed))
        for one in (*configured, *others)
    )


def role_names(settings: Settings) -> dict[str, str]:
    """Return every name, in normal form, by which a role or persona may be called, with the persona that it means."""
    known = known_personas(settings)
    aliases = {alias: persona.name for persona in reversed(known) for alias in persona.aliases}
    return aliases | {persona.name: persona.name for persona in known}


def role_of_persona(persona: str, settings: Settings) -> str:
    """Return the role that does the work of a persona, which is named in normal form.

    That is the configured role of that name or alias, else one whose name is a word of the default persona ("qa" does
    the work of qa-engineer), else the only one whose name has the persona's in it, in whole words. Where there is none
    it is the persona's own name, which some worker may serve all the same.
    """
    role = settings.resolve_role(persona)
    if role in settings.roles:
        return role
    aliases = next((one.aliases for one in DEFAULT_PERSONAS if one.name == role), ())
    named = [alias for alias in aliases if alias in settings.roles]
    containing = [name for name in settings.roles if f"-{role}-" in f"-{name}-"]
    if named:
        return named[0]
    return containing[0] if len(containing) == 1 else role


def role_instructions(role: str, settings: Settings) -> str:
    """Return what an agent in a role is told to be: the role's file, else the text of the persona it stands for.

    The file is read anew each time. Raises OSError when it cannot be read.
    """
    name, configured = settings.resolve_role(role), settings.role(role)
    if configured.instructions is not None:
        return configured.instructions.read_text(encoding="utf-8")
    words = (name, *map(normal_name, configured.aliases))
    by_name = [one.name for one in DEFAULT_PERSONAS if one.name in words]
    persona = [*by_name, *(one.name for one in DEFAULT_PERSONAS if name in one.aliases)][:1]
    return instructions_of(persona[0]) if persona else ""


def instructions_of(persona: str) -> str:
    """Return the Markdown instructions that ship for a persona; empty for one that is not among the default set."""
    if persona not in {one.name for one in DEFAULT_PERSONAS}:
        return ""
    return resources.files(__name__).joinpath(f"{persona}.md").read_text(encoding="utf-8")


def _configured(name: str, aliases: tuple[str, ...]) -> Persona:
    """Return a configured role, with the words of the default personas that it stands for."""
    stands_for = [one for one in DEFAULT_PERSONAS if one.name == name or one.name in aliases]
    words = dict.fromkeys((*aliases, *(word for one in stands_for for word in one.aliases)))
    areas = (area for one in stands_for for area in one.areas)
    return Persona(name, tuple(words), tuple(area for area in areas if area not in words))


def _left(words: Iterable[str], name: str, claimed: dict[str, str]) -> tuple[str, ...]:
    return tuple(_unclaimed(words, name, claimed))


def _unclaimed(words: Iterable[str], name: str, claimed: dict[str, str]) -> Iterator[str]:
    for word in words:
        if word != name and claimed.get(word, name) == name:
            yield word
