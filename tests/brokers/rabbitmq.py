"""A private RabbitMQ node of Debian's package: its data, ports, cookie and name service are the test's own."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from tests.brokers.certificates import Certificates

# Debian's /usr/sbin/rabbitmq-server changes the user and writes to /var/log; the script behind it does neither.
SCRIPTS = ("/usr/lib/rabbitmq/bin/rabbitmq-server", "rabbitmq-server")
USER = "dispatch"
PATIENCE = 90.0
"""Seconds that a node may take to start or stop; it is some 5 s on a quiet machine."""
_PROTOCOL_HEADER = b"AMQP\x00\x00\x09\x01"


def find_script() -> str | None:
    """Return the program that starts a node; None when RabbitMQ is not installed."""
    return next((found for script in SCRIPTS if (found := shutil.which(script))), None)


def free_ports(count: int) -> list[int]:
    """Return ports of loopback that are free, below those that the kernel gives to clients.

    One of theirs could be taken while the node is down, even by a client that tries to reach it.
    """
    found: list[int] = []
    while len(found) < count:
        port = 15_000 + secrets.randbelow(15_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found += [port] if port not in found else []
    return found


class RabbitMQ:
    """One node on loopback, which keeps its queues from one start to the next, and the epmd that it is registered at.

    It speaks TLS on a second port, with those certificates.
    """

    def __init__(self, directory: Path, script: str, certificates: Certificates) -> None:
        self._directory = directory
        self._script = script
        self._port, self._tls_port, distribution, names = free_ports(4)
        self._password = secrets.token_hex(16)
        self._authority = certificates.authority
        self._configure(certificates)
        self._environment = self._variables(distribution, names)
        self._epmd = self._spawn("epmd", "-address", "127.0.0.1", "-port", str(names))
        self._node: subprocess.Popen[bytes] | None = None

    def url(self, *, password: str | None = None, vhost: str = "/") -> str:
        return f"amqp://{USER}:{password or self._password}@127.0.0.1:{self._port}/{vhost}"

    def tls_url(self, authority: Path | None = None) -> str:
        place = f"{USER}:{self._password}@127.0.0.1:{self._tls_port}//"
        return f"amqps://{place}?ssl_ca_certs={authority or self._authority}"

    @property
    def password(self) -> str:
        return self._password

    def start(self) -> None:
        """Start the node and wait until it answers."""
        self._node = self._spawn(self._script)
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            assert self._node.poll() is None, f"RabbitMQ ended by itself\n{self.log()}"
            assert time.monotonic() < deadline, f"RabbitMQ does not answer\n{self.log()}"
            time.sleep(0.05)

    def kill(self) -> None:
        """End the node without warning."""
        assert self._node is not None
        os.killpg(self._node.pid, signal.SIGKILL)
        self._node.wait(PATIENCE)
        self._node = None

    def end(self) -> None:
        """End node and epmd, by force where they do not react."""
        for process in (self._node, self._epmd):
            if process is None:
                continue
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def log(self) -> str:
        return (self._directory / "output.log").read_text(errors="replace")[-5_000:]

    def _answers(self) -> bool:
        """Tell whether the node begins a connection; it listens some time before it takes one."""
        try:
            with socket.create_connection(("127.0.0.1", self._port), timeout=5) as connection:
                connection.sendall(_PROTOCOL_HEADER)
                return connection.recv(1) == b"\x01"
        except OSError:
            return False

    def _spawn(self, *arguments: str) -> subprocess.Popen[bytes]:
        with (self._directory / "output.log").open("ab") as log:
            return subprocess.Popen(
                arguments,
                cwd=self._directory,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _configure(self, certificates: Certificates) -> None:
        home = self._directory / "home"
        home.mkdir()
        cookie = home / ".erlang.cookie"
        cookie.write_text(secrets.token_hex(16))
        cookie.chmod(0o400)
        (self._directory / "enabled_plugins").write_text("[].\n")
        (self._directory / "environment").write_text("")
        settings = {
            "listeners.tcp.1": f"127.0.0.1:{self._port}",
            "listeners.ssl.1": f"127.0.0.1:{self._tls_port}",
            "ssl_options.cacertfile": certificates.authority,
            "ssl_options.certfile": certificates.certificate,
            "ssl_options.keyfile": certificates.key,
            "default_user": USER,
            "default_pass": self._password,
            # A nearly full disk of the machine that tests must not look like a broker that takes nothing.
            "disk_free_limit.absolute": "10MB",
        }
        lines = (f"{name} = {value}\n" for name, value in settings.items())
        (self._directory / "rabbitmq.conf").write_text("".join(lines))

    def _variables(self, distribution: int, names: int) -> dict[str, str]:
        directory = self._directory
        return {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "HOME": str(directory / "home"),
            "RABBITMQ_NODENAME": f"dispatch-{self._port}@localhost",
            "RABBITMQ_MNESIA_BASE": str(directory / "mnesia"),
            "RABBITMQ_LOG_BASE": str(directory / "log"),
            "RABBITMQ_CONFIG_FILE": str(directory / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": str(directory / "environment"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(directory / "enabled_plugins"),
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self._port),
            "RABBITMQ_DIST_PORT": str(distribution),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "ERL_FLAGS": "+S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none",  # it spins otherwise
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(names),
        }
