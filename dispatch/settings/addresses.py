"""The addresses of broker and result backend: which kinds dispatch can use, and what is wrong with the others."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

_REDIS = ("redis", "rediss", "redis+socket", "valkey", "valkeys", "valkey+socket")
BROKERS = (*_REDIS, "amqp", "amqps")
RESULT_BACKENDS = _REDIS
_WITH_TLS = ("rediss", "valkeys", "amqps")
_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with an address, as a phrase that follows it, and what to do, as a sentence."""

    problem: str
    cure: str


def find_fault(url: str, schemes: Collection[str]) -> Fault | None:
    """Return what is wrong with an address that may have one of the schemes; None when it can be used."""
    scheme, separator, _ = url.partition("://")
    if not separator:
        return Fault("is not an address", "Write for example redis://host:6379/0.")
    if scheme not in schemes:
        known = ", ".join(f"{each}://" for each in schemes)
        return Fault("is of a kind that dispatch does not support", f"Use one of {known}.")
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as unreadable:
        return Fault(f"cannot be read ({unreadable})", "Write for example redis://host:6379/0.")
    return _fault_of_tls(scheme, parse_qs(parts.query))


def is_amqp(url: str) -> bool:
    """Tell whether an address is one of RabbitMQ, which keeps no results."""
    return url.startswith(("amqp://", "amqps://"))


def _fault_of_tls(scheme: str, options: dict[str, list[str]]) -> Fault | None:
    if scheme not in _WITH_TLS and any(name.startswith("ssl_") for name in options):
        return Fault("has options of TLS and a scheme without it", f"Write {_secure(scheme)}://, or leave them out.")
    verification = options.get("ssl_cert_reqs", ["required"])[-1]
    if verification not in ("required", "none"):
        return Fault(
            f"has the unknown ssl_cert_reqs={verification}", "Use required, or none to trust whoever answers there."
        )
    for name in _FILES:
        for path in options.get(name, []):
            if not Path(path).is_file():
                return Fault(f"names a file that is not there ({name}={path})", "Correct its path.")
    return None


def _secure(scheme: str) -> str:
    return {"amqp": "amqps", "valkey": "valkeys"}.get(scheme, "rediss")
