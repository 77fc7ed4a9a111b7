"""What is wrong with a configuration, where, and what to do."""

from dataclasses import dataclass

from dispatch.settings.toml_lines import KeyPath


@dataclass(frozen=True, slots=True)
class Finding:
    """A contradiction: the key to point at, what is wrong, and what to do. Both texts are complete sentences
    (the problem without its full stop).
    """

    path: KeyPath
    problem: str
    cure: str
