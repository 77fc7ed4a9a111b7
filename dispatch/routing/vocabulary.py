"""The words by which personas are known, and how near a written word has to be to mean one of them."""

from collections import defaultdict
from collections.abc import Iterable
from enum import IntEnum

from dispatch.routing.personas import Persona
from dispatch.settings import normal_name

DEFAULT_PREFIX = "default/"
LONGEST_NAME = 60
"""Characters of what is still looked up as the name of a persona."""
_ENDINGS = ("-agent", "-only")
_SINGLE_WORD_SLIP = 8
"""Letters that a name of one word needs before a slip in it counts: a shorter one is too near to other words."""
_WORD_SLIP = 5
"""Letters that a word of a longer name needs before more than two exchanged letters count as a slip."""
_GRAMMAR = ("d", "s")
"""Last letters by which another form of the same word ends: "code reviewed", "reviewers"."""


class Words(IntEnum):
    """Which words of a persona are taken for it."""

    NAMES = 0
    ALIASES = 1
    AREAS = 2


def plain(written: str) -> str:
    """Return a name as it is compared: in normal form, without `default/`, quotes or a leading article."""
    bare = written.strip().strip("\"'`*_").strip()
    name = normal_name(bare.lower().removeprefix(DEFAULT_PREFIX))
    return name.removeprefix("the-")


def without_ending(name: str) -> str:
    """Return a name in normal form without the "agent" or "only" at its end."""
    for ending in _ENDINGS:
        if name.endswith(ending):
            return name.removesuffix(ending)
    return name


class Vocabulary:
    """Finds the persona that a written name means, in time that does not depend on how many there are."""

    def __init__(self, personas: Iterable[Persona]) -> None:
        self._meanings: dict[str, tuple[str, Words]] = {}
        self._joined: dict[str, str] = {}
        self._gapped: dict[tuple[str, ...], list[tuple[str, str]]] = defaultdict(list)
        known = list(personas)
        for kind in Words:
            for persona in known:
                for word in ((persona.name,), persona.aliases, persona.areas)[kind]:
                    self._learn(normal_name(word), persona.name, kind)

    def _learn(self, word: str, persona: str, kind: Words) -> None:
        if not word or word in self._meanings:
            return
        self._meanings[word] = (persona, kind)
        self._joined.setdefault(word.replace("-", ""), word)
        parts = word.split("-")
        if kind < Words.AREAS:
            for place, part in enumerate(parts):
                self._gapped[_gap(parts, place)].append((part, word))

    @property
    def names(self) -> list[str]:
        """Every word that means somebody, areas excepted."""
        return [word for word, (_, kind) in self._meanings.items() if kind < Words.AREAS]

    def exact(self, written: str, words: Words = Words.AREAS) -> str:
        """Return the persona that a name means as it is written, in any case and spelling of spaces; else nothing."""
        return self._exact(plain(written), words)

    def find(self, written: str, words: Words = Words.AREAS) -> str:
        """Return the persona that a name means, exactly or with one typing slip in it; else nothing."""
        if len(written) > LONGEST_NAME:
            return ""
        name = plain(written)
        return self._exact(name, words) or self._meaning(self._slipped(without_ending(name)), words)

    def _exact(self, name: str, words: Words) -> str:
        return self._meaning(name, words) or self._meaning(without_ending(name), words)

    def _meaning(self, name: str, words: Words) -> str:
        persona, kind = self._meanings.get(name, ("", Words.NAMES))
        return persona if kind <= words else ""

    def _slipped(self, name: str) -> str:
        """Return the one known word that is a typing slip away from a name; nothing if two persons would fit."""
        joined = self._joined.get(name.replace("-", ""), "")
        if joined and len(joined) >= _SINGLE_WORD_SLIP and abs(joined.count("-") - name.count("-")) == 1:
            return joined
        parts = name.split("-")
        near = [
            word
            for place, part in enumerate(parts)
            for meant, word in self._gapped.get(_gap(parts, place), ())
            if _may_slip(meant, part, alone=len(parts) == 1)
        ]
        return near[0] if len({self._meanings[word][0] for word in near}) == 1 else ""


def _gap(parts: list[str], place: int) -> tuple[str, ...]:
    return (*parts[:place], "", *parts[place + 1 :])


def _may_slip(meant: str, written: str, *, alone: bool) -> bool:
    """Tell whether a word can be a slip for another, which is a whole name when it stands `alone`."""
    if alone and len(meant) < _SINGLE_WORD_SLIP:
        return False
    if len(meant) < _WORD_SLIP:
        return _exchanged(meant, written)
    return is_slip(meant, written)


def is_slip(meant: str, written: str) -> bool:
    """Tell whether one typing slip makes `written` of `meant`: a letter more, less, another, or two exchanged.

    The first letter is hardly ever missed, and another ending makes another word: neither counts.
    """
    same = 0
    while same < min(len(meant), len(written)) and meant[same] == written[same]:
        same += 1
    meant_rest, rest = meant[same:], written[same:]
    if same == 0 or meant == written:
        return False
    if len(rest) == 1 and len(meant_rest) <= 1 and rest in _GRAMMAR:
        return False
    return meant_rest in (rest[1:], _turned(rest)) or rest == meant_rest[1:] or meant_rest[1:] == rest[1:]


def _exchanged(meant: str, written: str) -> bool:
    places = [place for place, pair in enumerate(zip(meant, written, strict=False)) if pair[0] != pair[1]]
    return len(meant) == len(written) and len(places) == 2 and _turned(written[places[0] :]) == meant[places[0] :]


def _turned(text: str) -> str:
    """Return a text with its first two letters exchanged."""
    return text[1::-1] + text[2:]
