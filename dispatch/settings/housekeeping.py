"""What a host keeps of the runs that were on it, and how full its disk may be."""

from datetime import timedelta

from pydantic import Field

from dispatch.settings.fields import PositiveDuration, Section


class HousekeepingSettings(Section):
    """The directories of ended runs (assignment, prompt, log) are kept for `keep_runs`, the newest of them first and at
    most `keep_runs_gb` together. A worker whose disk has less than `min_free_gb` left starts nothing; 0: it does not
    look.

    Gigabytes are 10^9 bytes.
    """

    keep_runs: PositiveDuration = timedelta(days=7)
    keep_runs_gb: float = Field(default=10, ge=0, allow_inf_nan=False)
    min_free_gb: float = Field(default=0.5, ge=0, allow_inf_nan=False)
