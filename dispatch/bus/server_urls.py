"""What the address of a server means to Celery, and with TLS the verification that Celery would leave out by itself."""

import ssl
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

_ALIASES = {"valkey": "redis", "valkeys": "rediss", "valkey+socket": "redis+socket"}
_VERIFICATION = {"required": ssl.CERT_REQUIRED, "none": ssl.CERT_NONE}


def celery_url(url: str) -> str:
    """Return an address in the schemes that Celery knows; TLS verifies the server unless the address says otherwise."""
    scheme, _, rest = url.partition("://")
    url = f"{_ALIASES.get(scheme, scheme)}://{rest}"
    if url.startswith("rediss://") and "ssl_cert_reqs" not in parse_qs(urlsplit(url).query):
        url += "&ssl_cert_reqs=required" if "?" in url else "?ssl_cert_reqs=required"
    return url


def split_amqp_tls(url: str) -> tuple[str, dict[str, Any] | None]:
    """Return the address of an AMQP broker without its `ssl_` options, and those as Celery's `broker_use_ssl`.

    Other addresses are returned as they are: Celery reads the options of a `rediss://` itself.
    """
    if not url.startswith("amqps://"):
        return url, None
    parts = urlsplit(url)
    options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    tls: dict[str, Any] = {
        name.removeprefix("ssl_"): options.pop(name) for name in list(options) if name.startswith("ssl_")
    }
    tls["cert_reqs"] = _VERIFICATION[tls.get("cert_reqs", "required")]
    if tls["cert_reqs"] is ssl.CERT_REQUIRED:
        tls["server_hostname"] = None  # the one of the address, which without this is not compared
    return urlunsplit(parts._replace(query=urlencode(options))), tls
