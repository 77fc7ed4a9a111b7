"""Near misses: what the user probably meant."""

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(written: str, known: Iterable[str], prefix: str = "") -> str:
    """Return the question `Did you mean X?` for the nearest of the known names; empty when none is near.

    `prefix` is what stands before the names where the user writes them; it takes no part in the comparison.
    """
    near = get_close_matches(written, list(known), n=1, cutoff=0.6)
    return f'Did you mean "{prefix}{near[0]}"?' if near else ""
