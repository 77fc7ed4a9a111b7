"""One order out of two: how well a lesson's words fit, and how near its vector is; and its age."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from dispatch.models.lesson import FoundLesson, RankedLesson


@dataclass(frozen=True, slots=True, kw_only=True)
class Blend:
    """How the two are weighed: `words` of 1 goes to the words, the rest to the vectors.

    `fading` is how fast relevance falls with age; the figures were chosen on half of the pairs of
    `benchmarks/retrieval.py`.
    """

    words: float = 0.85
    fading: float = 0.25


DEFAULT_BLEND: Final = Blend()


def fused(
    found: Sequence[FoundLesson], now: datetime, half_life: timedelta, blend: Blend = DEFAULT_BLEND
) -> list[RankedLesson]:
    """Return what was found, the most relevant first; among equals the newest.

    Both figures are taken relative to the best of this search, since neither has a scale of its own.
    """
    best_words = max((one.words or 0.0 for one in found), default=0.0)
    best_likeness = max((one.likeness or 0.0 for one in found), default=0.0)
    ranked = []
    for one in found:
        words = (one.words or 0.0) / best_words if best_words > 0 else 0.0
        likeness = max(0.0, one.likeness or 0.0) / best_likeness if best_likeness > 0 else 0.0
        fresh = freshness(now - one.lesson.confirmed_at, half_life, blend.fading)
        score = (blend.words * words + (1 - blend.words) * likeness) * fresh
        ranked.append(RankedLesson(found=one, score=score, freshness=fresh))
    return sorted(ranked, key=lambda one: (-one.score, -one.lesson.confirmed_at.timestamp(), -one.lesson.id))


def freshness(age: timedelta, half_life: timedelta, fading: float = DEFAULT_BLEND.fading) -> float:
    """Return what age leaves of a lesson's relevance: 1 when it is new, a half after `half_life`, then ever slower.

    It is a power of the age, as forgetting is: with a fading of 1/4 it halves again when the age is 16 times as large.
    What was learned at the work at hand comes first, while a month and two months are almost the same.
    """
    unit = half_life / (2 ** (1 / fading) - 1)
    return float((1 + max(0.0, age / unit)) ** -fading)
