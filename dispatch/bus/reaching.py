"""Whether broker and result backend answer, and how to tell one that is away from one that refuses us."""

import ssl
from collections.abc import Callable, Iterator
from typing import Any, Final

import redis
from amqp.exceptions import AccessRefused, NotAllowed

from dispatch.errors import UnavailableError
from dispatch.settings import mask_password

_SECONDS: Final = 3
_REFUSALS: Final = (
    AccessRefused,
    NotAllowed,
    redis.exceptions.AuthenticationError,
    redis.exceptions.NoPermissionError,
    ssl.SSLCertVerificationError,
)


def require_broker(app: Any, url: str) -> None:
    """Connect to the broker of a Celery application; raise `UnavailableError` when that fails within about 3 s."""
    _require("The broker", "broker_url", url, lambda: _connect(app))


def require_result_backend(app: Any, url: str) -> None:
    """Ask the result backend of a Celery application; raise `UnavailableError` without an answer in about 3 s."""
    _require("The result backend", "result_backend_url", url, lambda: _ping(app))


def is_refusal(error: BaseException) -> bool:
    """Tell whether a server was there and did not want us, or we not it: waiting changes nothing then."""
    return any(isinstance(each, _REFUSALS) for each in _chain(error))


def _require(server: str, key: str, url: str, reach: Callable[[], None]) -> None:
    try:
        reach()
    except Exception as error:
        raise UnavailableError(
            server=server,
            place=mask_password(url),
            cause=" ".join(str(error).split()).rstrip(".") or type(error).__name__,
            cure=f"Start it, or correct {key}.",
        ) from error


def _connect(app: Any) -> None:
    with app.connection_for_write(connect_timeout=_SECONDS) as connection:
        connection.ensure_connection(max_retries=1, interval_start=0, timeout=_SECONDS, reraise_as_library_errors=False)


def _ping(app: Any) -> None:
    parameters = {**app.backend.connparams, "socket_timeout": _SECONDS}
    if "socket_connect_timeout" in parameters:  # a Unix socket has none
        parameters["socket_connect_timeout"] = _SECONDS
    pool = redis.ConnectionPool(**parameters)
    try:
        redis.Redis(connection_pool=pool).ping()
    finally:
        pool.disconnect()


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
