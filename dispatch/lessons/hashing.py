"""An embedder that needs no model and no network: features of a text are hashed into dimensions.

The same text has the same vector in every process and on every machine. Texts are near each other when they share rare
shapes: words, their stems, pairs of words that follow each other, and runs of letters in words, which survive typing
slips and endings.
"""

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final
from zlib import crc32

_WORD = re.compile(r"[^\W_]+")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_ENDINGS: Final = ("ations", "ation", "ments", "ment", "ings", "ing", "ies", "ers", "ed", "es", "er", "s", "e", "y")
_LEAST_STEM: Final = 3
_SEED: Final = 0x5EED
_LONGEST_TEXT: Final = 20_000
"""Characters of a text that are looked at."""
COMMON: Final = frozenset(
    [
        "a",
        "about",
        "all",
        "also",
        "an",
        "and",
        "any",
        "are",
        "as",
        "at",
        "be",
        "been",
        "but",
        "by",
        "can",
        "could",
        "do",
        "does",
        "for",
        "from",
        "had",
        "has",
        "have",
        "how",
        "i",
        "if",
        "in",
        "into",
        "is",
        "it",
        "its",
        "just",
        "may",
        "more",
        "must",
        "new",
        "no",
        "not",
        "now",
        "of",
        "on",
        "one",
        "only",
        "or",
        "other",
        "our",
        "out",
        "over",
        "same",
        "should",
        "so",
        "some",
        "such",
        "than",
        "that",
        "the",
        "their",
        "them",
        "then",
        "there",
        "these",
        "they",
        "this",
        "those",
        "to",
        "too",
        "two",
        "up",
        "use",
        "used",
        "uses",
        "using",
        "via",
        "was",
        "we",
        "were",
        "what",
        "when",
        "where",
        "which",
        "while",
        "who",
        "why",
        "will",
        "with",
        "would",
        "you",
        "your",
    ]
)
"""Words that say nothing of what a text is about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureWeights:
    """How much each kind of feature counts beside a word that counts 1; 0: not at all. `title`: the first line."""

    stem: float = 1.0
    pair: float = 0.5
    letters: float = 0.15
    title: float = 3.0
    common: float = 0.0


WORDS_ALONE: Final = FeatureWeights(stem=0, pair=0, letters=0, title=1, common=1)


class HashingEmbedder:
    """Hashes the features of a text into `dimensions`, with a sign, and makes the vector of length 1."""

    def __init__(self, dimensions: int = 1024, weights: FeatureWeights | None = None) -> None:
        self.dimensions = dimensions
        self.weights = weights or FeatureWeights()
        self.name = f"hashing-1 {dimensions}"

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Return a vector for each text; that of a text without a word is all zeros."""
        return [self._embed(text) for text in texts]

    def _embed(self, text: str) -> list[float]:
        vector = [0.0] * self.dimensions
        for feature, weight in self._features(text[:_LONGEST_TEXT]).items():
            place = crc32(feature.encode("utf-8", "replace"), _SEED)
            vector[(place >> 1) % self.dimensions] += weight if place & 1 else -weight
        length = math.sqrt(sum(value * value for value in vector))
        return [value / length for value in vector] if length else vector

    def _features(self, text: str) -> dict[str, float]:
        """Return what a text has, and how much of it: one more of the same adds less and less."""
        title, _, rest = text.partition("\n")
        counts: dict[str, float] = defaultdict(float)
        for part, weight in ((title, self.weights.title), (rest, 1.0)):
            for feature in self._of_words(list(words_of(part))):
                counts[feature] += weight
        return {feature: self._weight(feature) * math.log1p(count) for feature, count in counts.items()}

    def _of_words(self, words: list[str]) -> Iterator[str]:
        for word in words:
            yield f"w{word}"
            if word not in COMMON:
                if self.weights.stem:
                    yield f"s{stem(word)}"
                if self.weights.letters:
                    yield from (f"l{run}" for run in _runs_of_letters(word))
        if self.weights.pair:
            telling = [stem(word) for word in words if word not in COMMON]
            yield from (f"p{one} {other}" for one, other in pairwise(telling))

    def _weight(self, feature: str) -> float:
        kind = feature[0]
        if kind == "w":
            return self.weights.common if feature[1:] in COMMON else 1.0
        return {"s": self.weights.stem, "p": self.weights.pair, "l": self.weights.letters}[kind]


def words_of(text: str) -> Iterator[str]:
    """Return the words of a text in lower case; names in code are taken apart: `loadFile` is `load`, `file`."""
    for found in _WORD.findall(text):
        for part in _HUMP.split(found):
            yield part.lower()


def stem(word: str) -> str:
    """Return a word without its ending: crude, and the same for most forms of a word."""
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= _LEAST_STEM:
            return word[: -len(ending)]
    return word


def _runs_of_letters(word: str, length: int = 4) -> Iterable[str]:
    padded = f"^{word}$"
    return (padded[start : start + length] for start in range(max(1, len(padded) - length + 1)))
