"""The tick: rescue, gates, choose, claim, hand over."""

from dispatch.dispatcher.choosing import default_role
from dispatch.dispatcher.dispatcher import Dispatcher
from dispatch.dispatcher.tick import Tick, TickReport

__all__ = ["Dispatcher", "Tick", "TickReport", "default_role"]
