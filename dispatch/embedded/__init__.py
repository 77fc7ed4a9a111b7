"""PostgreSQL and Valkey out of wheels, private to one user, shared by the processes of a home."""

from dispatch.embedded.servers import (
    EmbeddedStatus,
    Servers,
    ServerStatus,
    down,
    ensure,
    inspect,
    purge,
    release,
)
from dispatch.embedded.up_lock import UpLock

__all__ = [
    "EmbeddedStatus",
    "ServerStatus",
    "Servers",
    "UpLock",
    "down",
    "ensure",
    "inspect",
    "purge",
    "release",
]
