"""What a benchmark finds: rows of figures, each with what it is compared with and what it should reach."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a figure should reach: its ratio, or its value, at most or at least `bound`."""

    of: Literal["ratio", "value"]
    kind: Literal["at most", "at least"]
    bound: float

    def is_reached(self, figure: float) -> bool:
        return figure <= self.bound if self.kind == "at most" else figure >= self.bound

    def __str__(self) -> str:
        return f"{self.of} {self.kind} {self.bound:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure of a run. `ratio` is it divided by the figure named `base`, which was measured in the same run."""

    name: str
    value: float
    unit: str
    ratio: float | None = None
    base: str = ""
    target: Target | None = None
    note: str = ""

    @property
    def reached(self) -> bool | None:
        """Whether the target was reached; None where there is none."""
        if self.target is None:
            return None
        figure = self.value if self.target.of == "value" else self.ratio
        if figure is None:
            raise ValueError(f"{self.name} has a target for its ratio, and no ratio")
        return self.target.is_reached(figure)

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "value": self.value,
            "unit": self.unit,
            "ratio": self.ratio,
            "ratio_base": self.base or None,
            "target": str(self.target) if self.target else None,
            "reached": self.reached,
            "note": self.note,
        }


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def median_ratio(values: Sequence[float], bases: Sequence[float]) -> float:
    """Return the median of the ratios of what was measured side by side: a slow moment slows both of a pair."""
    return statistics.median(value / base for value, base in zip(values, bases, strict=True))


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that at least `percent` of all do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]
