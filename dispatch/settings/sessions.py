"""How long the conversation of a bead is kept."""

from datetime import timedelta

from dispatch.settings.fields import PositiveDuration, Section


class SessionSettings(Section):
    """The conversation of a bead is resumed by its next run, unless nothing was said in it for `lifetime`."""

    lifetime: PositiveDuration = timedelta(hours=24)
