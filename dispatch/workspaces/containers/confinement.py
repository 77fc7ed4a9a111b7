"""What may be done inside a container: as whom, with how much of the machine, and on which files."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dispatch.errors import ContainerError
from dispatch.settings import ProjectSettings
from dispatch.workspaces.containers.engine import USER_MAPPING, EngineFacts

WORKSPACE = "/workspace"
"""Where the worktree is inside: the same for every run, so that the paths an agent speaks of are, too."""
TOLD = "/dispatch"
"""Where the files that tell the agent its work are inside, read-only."""
HOME = "/home/agent"

CANNOT_ISOLATE = "cannot isolate"

_AGENT_USER = 58_001
"""Who an agent is inside when the worker is root: a number that no host gives to anybody."""
_KEEPER_USERS = (58_002, 58_003)
"""Who the first process is: never the agent's user, which could end it, or hold its input open, otherwise."""


@dataclass(frozen=True, slots=True)
class Users:
    """The users inside, each as `uid:gid`, and how the engine maps them: `keep-id`, or empty for not at all."""

    agent: str
    keeper: str
    mapping: str = ""

    @property
    def agent_ids(self) -> tuple[int, int]:
        uid, _, gid = self.agent.partition(":")
        return int(uid), int(gid)


def choose_users(facts: EngineFacts) -> Users:
    """Return the users of a container: its agent is not root, and has the numbers of the worker unless that is root.

    So the files that it makes are the worker's. A rootless Podman maps the worker's user to itself. Raises
    ContainerError for engines that would make them somebody else's: rootless Docker, and Docker that remaps users.
    """
    uid, gid = os.geteuid(), os.getegid()
    if facts.remaps_users or (facts.rootless and not facts.is_podman):
        raise ContainerError(
            cause=CANNOT_ISOLATE,
            problem="This Docker gives users other numbers outside (rootless, or userns-remap), so that a worker could "
            "not take what its agents write",
            cure="Use Podman for rootless containers, or a Docker without userns-remap.",
        )
    if facts.rootless and uid == 0:
        raise ContainerError(
            cause=CANNOT_ISOLATE,
            problem="The engine runs without root and this worker is root, so that it would not be the worker's agent",
            cure="Run the worker as the engine's user, or name the engine of root: [containers] engine.",
        )
    if uid == 0:
        uid = gid = _AGENT_USER
    keeper = next(user for user in _KEEPER_USERS if user != uid)
    return Users(f"{uid}:{gid}", f"{keeper}:{keeper}", "keep-id" if facts.rootless else "")


def check_limits(project_id: str, project: ProjectSettings, facts: EngineFacts) -> None:
    """Raise ContainerError for a limit that is wanted and that the engine would ignore on this host."""
    for key in ("memory", "pids", "cpus"):
        if getattr(project, key) and key not in facts.limits:
            raise ContainerError(
                cause=CANNOT_ISOLATE,
                problem=f"{facts} cannot limit {key} on this host: the cgroup controller for it is missing",
                cure=f"Give it the controller, or do without the limit: {key} = 0 in [projects.{project_id}].",
            )


def host_options(project: ProjectSettings, users: Users, binds: Mapping[Path, tuple[str, str]]) -> dict[str, Any]:
    """Return the options by which the engine confines a container.

    `binds` are what is mounted: from the path here to the path inside, and `rw` or `ro`. Everything else is read-only,
    but for directories in memory; what is in those counts as memory.
    """
    in_memory = "rw,exec,nosuid,nodev,mode=1777" + (f",size={project.memory}" if project.memory else "")
    options: dict[str, Any] = {
        "auto_remove": True,
        "binds": {str(path): {"bind": inside, "mode": f"{mode},Z"} for path, (inside, mode) in binds.items()},
        "cap_drop": ["ALL"],
        "ipc_mode": "private",
        "network_mode": "default" if project.network else "none",
        "read_only": True,
        "security_opt": ["no-new-privileges"],
        "tmpfs": {"/tmp": in_memory, HOME: in_memory},
    }
    if project.memory:
        options |= {"mem_limit": project.memory, "memswap_limit": project.memory}
    if project.pids:
        options["pids_limit"] = project.pids
    if project.cpus:
        options["nano_cpus"] = int(min(project.cpus, os.cpu_count() or 1) * 1_000_000_000)
    if users.mapping:
        options[USER_MAPPING] = users.mapping
    return options


def give(tree: Path, users: Users) -> None:
    """Give a worktree to the agent's user, links themselves and not what they lead to.

    Only root has to and can: everybody else's agents have the worker's own user.
    """
    if os.geteuid() != 0:
        return
    uid, gid = users.agent_ids
    os.lchown(tree, uid, gid)
    for directory, subdirectories, files in os.walk(tree):
        for name in (*subdirectories, *files):
            os.lchown(os.path.join(directory, name), uid, gid)  # noqa: PTH118 - of every file of a repository
