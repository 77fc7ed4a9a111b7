"""kombu's transport for Redis and Valkey with one client a channel, where kombu makes one for each command.

Making a client costs more than sending a command with it, and each message costs four: publish, take, note as unacked,
acknowledge. Clients hold nothing but their pool of connections, which stays the channel's.
"""

from typing import Any, Final

from kombu.transport import TRANSPORT_ALIASES, redis


class Channel(redis.Channel):
    """A channel that keeps its client as long as its pool of connections."""

    _kept: Any = None

    def _create_client(self, asynchronous: bool = False) -> Any:
        if asynchronous:
            return super()._create_client(asynchronous=True)  # type: ignore[no-untyped-call]
        if self._kept is None or self._kept.connection_pool is not self.pool:
            self._kept = super()._create_client()  # type: ignore[no-untyped-call]
        return self._kept


class Transport(redis.Transport):
    """The transport with that channel."""

    Channel = Channel


_SCHEMES: Final = ("redis", "rediss")


def use() -> None:
    """Make it the transport of this process for the addresses of Redis."""
    TRANSPORT_ALIASES.update(dict.fromkeys(_SCHEMES, f"{__name__}:Transport"))
