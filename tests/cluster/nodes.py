"""Nodes of a pytest-celery cluster that are processes of this machine, where the plugin's own are Docker containers.

Each has what the plugin asks of a container: `celeryconfig`, `ready`, `logs`, `kill`, `restart`, `reload`, `teardown`,
`name`, `id`, `status`.
"""

import signal
from typing import Any

import celery

from tests.brokers.valkey import PrivateValkey
from tests.walk.conftest import Deployment


def _number(sent: str | int) -> signal.Signals:
    return signal.Signals[sent] if isinstance(sent, str) else signal.Signals(sent)


class ValkeyNode:
    """A Valkey of its own, as a broker or as a result backend. What it kept survives a kill, until `forget`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.valkey = PrivateValkey()

    @property
    def celeryconfig(self) -> dict[str, Any]:
        return {"url": self.valkey.url, "host_url": self.valkey.url}

    @property
    def id(self) -> str:
        return str(self.valkey.socket)

    @property
    def status(self) -> str:
        return "running" if self.valkey.is_running() else "exited"

    def ready(self) -> bool:
        return self.valkey.is_running()

    def logs(self) -> str:
        return self.valkey.log()

    def kill(self, signal: str | int) -> None:
        self.valkey.kill(_number(signal))

    def restart(self, timeout: float) -> None:
        if self.valkey.is_running():
            self.valkey.kill(_number("SIGTERM"))
        self.valkey.start()

    def reload(self) -> None:
        """Nothing is remembered that could be out of date."""

    def forget(self) -> None:
        """Throw away all that the killed server kept."""
        self.valkey.forget()

    def teardown(self) -> None:
        self.valkey.end()


class WorkerNode:
    """A worker started by the stock command, in a session of its own; `id` is the host part of its node name."""

    id = "here"

    def __init__(self, deployment: Deployment, name: str, queues: str, concurrency: int) -> None:
        self.name = name
        self._deployment = deployment
        self._queues = queues
        self._concurrency = concurrency

    def start(self) -> None:
        self._deployment.start_worker(self.name, self._queues, concurrency=self._concurrency)

    @property
    def celeryconfig(self) -> dict[str, Any]:
        return {}

    @property
    def status(self) -> str:
        return "running" if self.name in self._deployment.processes else "exited"

    def ready(self) -> bool:
        """Wait until the worker is one of the swarm."""
        self._deployment.await_workers(self.name)
        return True

    def logs(self) -> str:
        return self._deployment.log(self.name).read_text()

    def kill(self, signal: str | int) -> None:
        """Send SIGKILL to all processes of the worker, or another signal to the one that leads it; wait for its end."""
        if _number(signal) is _number("SIGKILL"):
            self._deployment.kill(self.name)
        else:
            process = self._deployment.processes.pop(self.name)
            process.send_signal(_number(signal))
            process.wait(60)

    def restart(self, timeout: float) -> None:
        if self.status == "running":
            self._deployment.terminate(self.name, seconds=timeout)
        self.start()
        self.ready()

    def reload(self) -> None:
        """Nothing is remembered that could be out of date."""

    def teardown(self) -> None:
        """The deployment ends its processes."""

    def worker_name(self) -> str:
        return self.name

    def worker_queue(self) -> str:
        return self._queues

    def version(self) -> str:
        return celery.__version__

    def log_level(self) -> str:
        return "INFO"
