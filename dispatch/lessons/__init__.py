"""What was learned: how it is worded, found again, and put into a prompt. No database, no network."""

from dispatch.lessons.drafting import drafted, fingerprint
from dispatch.lessons.fusing import DEFAULT_BLEND, Blend, fused
from dispatch.lessons.hashing import WORDS_ALONE, FeatureWeights, HashingEmbedder
from dispatch.lessons.overcoming import has_overcome, overcome
from dispatch.lessons.rendering import MOST_RECENT, recent_in_words, relevant_in_words

__all__ = [
    "DEFAULT_BLEND",
    "MOST_RECENT",
    "WORDS_ALONE",
    "Blend",
    "FeatureWeights",
    "HashingEmbedder",
    "drafted",
    "fingerprint",
    "fused",
    "has_overcome",
    "overcome",
    "recent_in_words",
    "relevant_in_words",
]
