"""Which programs make up a deployment on one host, and what they are started with. All are the stock Celery commands.

Agents never share a worker with the control, results or landing queue: a run may take half an hour (PROTOCOL).
"""

import importlib.util
import os
import secrets
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import dispatch
from dispatch.cli.supervisor import Program
from dispatch.errors import ConfigurationError
from dispatch.models.queues import CONTROL_QUEUE, LANDING_QUEUE, RESULTS_QUEUE, role_queue
from dispatch.settings import Settings, WorkerSettings

SETTLER, TICKER, LANDER, BEAT, FLOWER = "settler", "ticker", "lander", "beat", "flower"
SERVICES = (SETTLER, TICKER, LANDER, BEAT, FLOWER)
_CELERY = (sys.executable, "-m", "celery", "-A", "workers")
_WORKER_OPTIONS = ("--loglevel", "INFO", "--without-gossip", "--without-mingle")
_FLOWER_PORT = 5555
_LOOPBACK = "127.0.0.1"
_INSTALLED_IN = ("site-packages", "dist-packages")


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowerAccess:
    """Where Flower listens on this machine, and who it lets in."""

    port: int
    user: str = "dispatch"
    password: str = field(repr=False)

    @classmethod
    def fresh(cls) -> "FlowerAccess":
        """Return Flower's usual port if it is free, else any free one, and a new password."""
        return cls(port=_free_port(), password=secrets.token_urlsafe(12))

    @property
    def address(self) -> str:
        return f"http://{_LOOPBACK}:{self.port}"


def agent_workers(settings: Settings) -> list[Program]:
    """Return the workers whose agents do the work: one for each `[workers.<name>]`.

    Raises ConfigurationError when there is none, or one has the name of a service.
    """
    place = str(settings.config_file or "dispatch.toml")
    if not settings.workers:
        raise ConfigurationError(
            place=place,
            problem="no worker is configured, so there is nothing to start",
            cure="`dispatch init` writes one; or add [workers.agents], [roles.<role>] and [runners.<name>] yourself.",
        )
    for name in settings.workers:
        if name in SERVICES:
            raise ConfigurationError(
                place=place, problem=f'the worker name "{name}" is that of a service', cure="Choose another name."
            )
    return [_agent_worker(name, worker, settings) for name, worker in settings.workers.items()]


def services(settings: Settings, flower: FlowerAccess) -> list[Program]:
    """Return the programs that every deployment has once: they settle, tick, land, keep time and show."""
    return [
        _worker(SETTLER, RESULTS_QUEUE, concurrency=2),
        _worker(TICKER, CONTROL_QUEUE, concurrency=1),
        _worker(LANDER, LANDING_QUEUE, concurrency=1),
        Program(name=BEAT, command=(*_CELERY, "beat", "--loglevel", "INFO", "--schedule", str(_schedule(settings)))),
        _flower(flower),
    ]


def environment(settings: Settings, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the environment of all programs: ours, and the configuration that we ourselves read.

    An agent sees of it only what its runner names.
    """
    given = dict(environ) | {"DISPATCH_HOME": str(settings.home), "PYTHONUNBUFFERED": "1"}
    if settings.config_file is not None:
        given["DISPATCH_CONFIG"] = str(settings.config_file)
    if settings.dispatch.max_running:
        given["DISPATCH_DISPATCH__MAX_RUNNING"] = str(settings.dispatch.max_running)
    root = Path(dispatch.__file__).resolve().parents[1]
    if root.name not in _INSTALLED_IN:
        given["PYTHONPATH"] = os.pathsep.join(filter(None, [str(root), environ.get("PYTHONPATH")]))
    return given


def _agent_worker(name: str, worker: WorkerSettings, settings: Settings) -> Program:
    queues = ",".join(role_queue(settings.resolve_role(role)) for role in worker.roles)
    return _worker(name, queues, concurrency=worker.concurrency, pool=worker.pool)


def _worker(name: str, queues: str, *, concurrency: int, pool: str = "prefork") -> Program:
    options = ("-n", f"{name}@%h", "-Q", queues, "-c", str(concurrency), "-P", pool)
    return Program(name=name, command=(*_CELERY, "worker", *options, *_WORKER_OPTIONS))


def _schedule(settings: Settings) -> Path:
    return settings.home / "celerybeat-schedule"


def _flower(access: FlowerAccess) -> Program:
    """Flower reads its password from the environment: a command line is open to every user of the machine."""
    found = importlib.util.find_spec("flowerconfig")
    if found is None or found.origin is None:
        raise ConfigurationError(
            place="flowerconfig.py", problem="is not installed", cure="Install dispatch again: `make setup`."
        )
    options = (f"--conf={found.origin}", f"--address={_LOOPBACK}", f"--port={access.port}")
    return Program(
        name=FLOWER,
        command=(*_CELERY, "flower", *options),
        environment={"FLOWER_BASIC_AUTH": f"{access.user}:{access.password}"},
    )


def _free_port() -> int:
    for port in (_FLOWER_PORT, 0):
        with socket.socket() as probe:
            try:
                probe.bind((_LOOPBACK, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OSError("no port is free on the loopback address")
