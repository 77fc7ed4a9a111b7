"""The tick: rescue, gates, choose, claim, hand over."""

from dispatch.dispatcher.choosing import role_for
from dispatch.dispatcher.dispatcher import Dispatcher
from dispatch.dispatcher.tick import Tick, TickReport

__all__ = ["Dispatcher", "Tick", "TickReport", "role_for"]
