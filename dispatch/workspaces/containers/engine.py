"""The container engine of this host, Docker or Podman, through the API that both speak.

What it answers wrongly, or not at all, is a ContainerError with one of the causes below.
"""

import os
import socket
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from dispatch.errors import ContainerError

NO_ENGINE = "no engine"
NO_IMAGE = "no image"
ENGINE_FAILED = "engine failed"

PATIENCE = 60.0
"""Seconds that an engine may take to answer: one that copies a large image for a container takes some."""
USER_MAPPING = "userns_mode"
"""The option of a container by which the engine maps users."""
_CONTROLLERS = {"memory": "memory", "pids": "pids", "cpus": "cpu"}
"""The cgroup controller that keeps each limit."""
_FRAME_HEADER = struct.Struct(">BxxxL")
"""What is before each part of a program's output: the descriptor, three empty bytes, the length."""
_OLDEST_API = "1.41"
"""What is spoken to an engine that does not say what it speaks."""


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """What an engine is. `limits` are the settings of a project that it can keep on this host."""

    is_podman: bool
    version: str
    rootless: bool
    remaps_users: bool
    limits: frozenset[str]

    def __str__(self) -> str:
        return f"{'Podman' if self.is_podman else 'Docker'} {self.version}{' (rootless)' if self.rootless else ''}"


@dataclass(frozen=True, slots=True)
class _Greeting:
    """What an engine says to whoever comes: the version of the API that it speaks, and if it is Podman that of its own.

    `mark` tells one start of it from the next.
    """

    address: str
    mark: str
    api_version: str
    podman_version: str


_known: dict[_Greeting, EngineFacts] = {}


@dataclass(frozen=True, slots=True)
class Found:
    """A container that the engine has."""

    id: str
    labels: Mapping[str, str]


class Stream:
    """A connection that the engine has given over to what a container reads or prints.

    The SDK's own way of reading one skips the reader that read the answer's headers, and with it what came in the same
    packet: the first words of a quick program.
    """

    def __init__(self, raw: Any) -> None:
        self._raw = raw

    def frames(self) -> Iterator[tuple[int, bytes]]:
        """Give what comes, each part with the descriptor that it was printed to, however long that takes."""
        reader = self._raw._response.raw._fp.fp
        self._raw._sock.settimeout(None)
        with suppress(
            ConnectionError
        ):  # the container is gone, or the engine: whoever asks for the exit code learns it
            while len(header := reader.read(_FRAME_HEADER.size)) == _FRAME_HEADER.size:
                descriptor, length = _FRAME_HEADER.unpack(header)
                yield descriptor, reader.read(length)

    def close(self) -> None:
        """Let the engine know at once, whoever else still knows of the connection. Closing it again does nothing."""
        if self._raw.closed:
            return
        connection = self._raw._sock
        with suppress(OSError):  # the engine closed it before
            connection.shutdown(socket.SHUT_RDWR)
        self._raw._response.close()
        self._raw.close()
        connection.close()


class Engine:
    """A connection to an engine, for one thread."""

    def __init__(self, api: Any, address: str, greeting: _Greeting) -> None:
        self._api = api
        self._greeting = greeting
        self.address = address

    @classmethod
    def open(cls, configured: str = "", *, timeout: float = PATIENCE) -> "Engine":
        """Connect to the engine at an address, else to the one that is found. Raises ContainerError.

        Each answer may take `timeout` seconds; what a program prints is waited for without an end.
        """
        address = configured or _find_address()
        with _translated(address):
            _knock(address, timeout)
            greeting = _greet(address, _socket_mark(address), timeout)
            return cls(_client(address, greeting.api_version, timeout), address, greeting)

    def close(self) -> None:
        self._api.close()

    def facts(self) -> EngineFacts:
        """Return what the engine is. It is asked once by each process: some take a second to answer."""
        facts = _known.get(self._greeting)
        if facts is None:
            with _translated(self.address):
                info = self._api.info()
                facts = read_facts(info, is_podman=bool(self._greeting.podman_version))
                if facts.is_podman and facts.rootless:
                    facts = replace(facts, limits=self._delegated_limits())
            _known[self._greeting] = facts
        return facts

    def _delegated_limits(self) -> frozenset[str]:
        """Return the limits that a rootless Podman can keep: it ignores the others, and does not say so in `info`."""
        answer = self._api.get(f"{self._api.base_url}/v{self._greeting.podman_version}/libpod/info", timeout=PATIENCE)
        answer.raise_for_status()
        controllers = answer.json()["host"].get("cgroupControllers") or ()
        return frozenset(key for key, controller in _CONTROLLERS.items() if controller in controllers)

    def require_image(self, image: str, project_id: str) -> None:
        """Raise ContainerError when the engine does not have an image: it is never fetched behind anybody's back."""
        from docker.errors import ImageNotFound

        with _translated(self.address):
            try:
                self._api.inspect_image(image)
            except ImageNotFound as missing:
                raise ContainerError(
                    cause=NO_IMAGE,
                    problem=f"The engine at {self.address} has no image {image!r}, which [projects.{project_id}] names",
                    cure=f"Build it there or fetch it (`docker pull {image}` or `podman pull {image}`), or correct it.",
                ) from missing

    def create(self, image: str, program: Sequence[str], host: Mapping[str, Any], **options: Any) -> str:
        """Make a container that is not started, and whose standard input ends with the first who holds it."""
        with _translated(self.address):
            host_config = self._api.create_host_config(**{name: host[name] for name in host if name != USER_MAPPING})
            if USER_MAPPING in host:
                host_config["UsernsMode"] = host[USER_MAPPING]  # the SDK knows Docker's words for it only
            made = self._api.create_container(
                image,
                entrypoint=list(program),
                stdin_open=True,
                detach=False,
                host_config=host_config,
                use_config_proxy=False,
                **options,
            )
        return str(made["Id"])

    def hold_input(self, container_id: str) -> Stream:
        """Return the connection to a container's standard input."""
        with _translated(self.address):
            return Stream(self._api.attach_socket(container_id, params={"stdin": 1, "stream": 1}))

    def start(self, container_id: str) -> None:
        with _translated(self.address):
            self._api.start(container_id)

    def prepare_program(
        self, container_id: str, argv: Sequence[str], *, user: str, directory: str, env: Mapping[str, str]
    ) -> str:
        """Return the id of a program that is to run in a container beside its first one."""
        with _translated(self.address):
            made = self._api.exec_create(container_id, list(argv), user=user, workdir=directory, environment=dict(env))
        return str(made["Id"])

    def run_program(self, program_id: str) -> Iterator[tuple[int, bytes]]:
        """Start a prepared program and give what it prints, with the descriptor, until it has ended."""
        with _translated(self.address):
            stream = Stream(self._api.exec_start(program_id, socket=True))
            try:
                yield from stream.frames()
            finally:
                stream.close()

    def exit_code(self, program_id: str) -> int | None:
        """Return how a program ended; None while it runs."""
        with _translated(self.address):
            told = self._api.exec_inspect(program_id)
        code = told["ExitCode"]
        return None if told["Running"] or code is None else int(code)

    def process_limit(self, container_id: str) -> int:
        """Return how many processes and threads a container may have at once; 0 when that is not limited."""
        with _translated(self.address):
            told = self._api.inspect_container(container_id)
        return max(0, int(told["HostConfig"].get("PidsLimit") or 0))

    def limit_processes(self, container_id: str, limit: int) -> None:
        """Let a running container have another number of processes and threads at once."""
        version = self._greeting.podman_version
        with _translated(self.address):
            wanted: Mapping[str, Any]
            if version:  # Podman 4 has only its own call for it
                call, wanted = f"v{version}/libpod/containers/{container_id}/update", {"pids": {"limit": limit}}
            else:
                call, wanted = f"v{self._greeting.api_version}/containers/{container_id}/update", {"PidsLimit": limit}
            self._api.post(f"{self._api.base_url}/{call}", json=wanted, timeout=PATIENCE).raise_for_status()

    def labelled(self, labels: Mapping[str, str]) -> list[Found]:
        """Return the containers, running or not, that carry all of these labels."""
        return self._find({"label": [f"{name}={value}" for name, value in labels.items()]})

    def has(self, container_id: str) -> bool:
        return bool(self._find({"id": container_id}))

    def is_running(self, container_id: str) -> bool:
        return bool(self._find({"id": container_id, "status": "running"}))

    def _find(self, filters: Mapping[str, Any]) -> list[Found]:
        with _translated(self.address):
            found = self._api.containers(all=True, filters=dict(filters))
        return [Found(str(one["Id"]), dict(one.get("Labels") or {})) for one in found]

    def remove(self, container_id: str) -> None:
        """Kill whatever runs in a container and remove it. Refused while it ends, or somebody else removes it."""
        with _translated(self.address):
            self._api.remove_container(container_id, force=True, v=True)


def _client(address: str, api_version: str, timeout: float) -> Any:
    import docker  # 0.3 s, which programs that need no container do not have to pay

    client = docker.APIClient(base_url=address, version=api_version, timeout=timeout)
    client.trust_env = False  # a proxy is for the network, not for a socket
    return client


@lru_cache(maxsize=16)
def _greet(address: str, mark: str, timeout: float) -> _Greeting:
    """Ask for the version of the API in the way that costs least; `mark` is another after the engine's next start."""
    client = _client(address, _OLDEST_API, timeout)
    try:
        answer = client.get(f"{client.base_url}/_ping", timeout=timeout)
        answer.raise_for_status()
    finally:
        client.close()
    told = answer.headers
    return _Greeting(address, mark, told.get("Api-Version", _OLDEST_API), told.get("Libpod-Api-Version", ""))


def _knock(address: str, timeout: float) -> None:
    """See that somebody listens: the SDK leaves a socket open when nobody does. Raises OSError."""
    with socket.socket(socket.AF_UNIX) as knocking:
        knocking.settimeout(timeout)
        knocking.connect(address.removeprefix("unix://"))


def _socket_mark(address: str) -> str:
    """Return what tells a socket from one that is made later in the same place."""
    found = Path(address.removeprefix("unix://")).stat()
    return f"{found.st_dev}-{found.st_ino}-{found.st_ctime_ns}"


def read_facts(info: Mapping[str, Any], *, is_podman: bool) -> EngineFacts:
    """Return what an engine is by its own account; a Podman before 4.6 tells elsewhere that it is rootless."""
    options = [str(option) for option in info.get("SecurityOptions") or ()]
    kept = {"memory": "MemoryLimit", "pids": "PidsLimit", "cpus": "CpuCfsQuota"}
    return EngineFacts(
        is_podman=is_podman,
        version=str(info.get("ServerVersion", "")),
        rootless=bool(info.get("Rootless")) or any(option.startswith("name=rootless") for option in options),
        remaps_users=any(option.startswith("name=userns") for option in options),
        limits=frozenset(key for key, told in kept.items() if info.get(told)),
    )


@contextmanager
def _translated(address: str) -> Iterator[None]:
    """Make one kind of error of all that the SDK and what is below it raise."""
    from docker.errors import APIError, DockerException
    from requests.exceptions import RequestException

    try:
        yield
    except APIError as error:
        raise ContainerError(
            cause=ENGINE_FAILED,
            problem=f"The container engine at {address} refuses: {error.explanation or error}",
            cure="`dispatch doctor` looks at the engine and at the images.",
        ) from error
    except (DockerException, RequestException, OSError) as error:
        raise ContainerError(
            cause=NO_ENGINE,
            problem=f"The container engine at {address} does not answer ({error})",
            cure="Start it (`systemctl start docker` or `systemctl start podman.socket`), let this user open its"
            " socket, or name another: [containers] engine.",
        ) from error


def _find_address() -> str:
    """Return the engine that the environment names, else the first usual socket that this user may open."""
    for name in ("DOCKER_HOST", "CONTAINER_HOST"):
        named = os.environ.get(name, "")
        if named.startswith("unix://"):
            return named
        if named:
            raise ContainerError(
                cause=NO_ENGINE,
                problem=f"{name} names {named}, and a worktree of this host can only be mounted by an engine of it",
                cure='Name a socket of this host: [containers] engine = "unix:///...".',
            )
    usual = _usual_sockets()
    for path in usual:
        if os.access(path, os.R_OK | os.W_OK):
            return f"unix://{path}"
    raise ContainerError(
        cause=NO_ENGINE,
        problem=f"No container engine was found: there is none of {', '.join(map(str, usual))} that this user may open",
        cure="Install Docker or Podman and start its service, or name its socket: [containers] engine.",
    )


def _usual_sockets() -> list[Path]:
    own = Path(os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.geteuid()}")
    system = [Path("/var/run/docker.sock"), Path("/run/podman/podman.sock")]
    return system if os.geteuid() == 0 else [own / "podman" / "podman.sock", *system]
