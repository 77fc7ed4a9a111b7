"""By what a container of ours is known: whose it is, for which run it was made, and by which process."""

import hashlib
import os
import socket
from collections.abc import Mapping
from pathlib import Path

import psutil

from dispatch.models.identity import ProjectId, RunId
from dispatch.settings import Settings

RUN = "dispatch.run"
_DEPLOYMENT = "dispatch.deployment"
_HOST = "dispatch.host"
_PROJECT = "dispatch.project"
_OWNER = "dispatch.owner"


def deployment_labels(settings: Settings) -> dict[str, str]:
    """Return the labels that every container of this deployment and host carries, and no other does."""
    words = f"{settings.key_prefix}\0{settings.home.resolve()}"
    return {_DEPLOYMENT: hashlib.sha256(words.encode()).hexdigest()[:16], _HOST: socket.gethostname()}


def labels_of(settings: Settings, project_id: ProjectId, run_id: RunId | None) -> dict[str, str]:
    """Return the labels of a container that this process is about to make; without a run it is for a command."""
    labels = deployment_labels(settings) | {_PROJECT: project_id, _OWNER: f"{os.getpid()}-{_start_of(os.getpid())}"}
    return labels if run_id is None else labels | {RUN: str(run_id)}


def owner_lives(labels: Mapping[str, str]) -> bool:
    """Tell whether the process that made a container still runs on this host."""
    pid, _, started = labels.get(_OWNER, "").partition("-")
    return pid.isdigit() and _start_of(int(pid)) == started


def _start_of(pid: int) -> str:
    """Return when a process started, on a clock that nobody sets; empty when there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return "" if Path("/proc/self").exists() else _start_told_by_system(pid)
    return stat[stat.rindex(b")") :].split()[20].decode("ascii")


def _start_told_by_system(pid: int) -> str:
    try:
        return str(int(psutil.Process(pid).create_time()))
    except psutil.NoSuchProcess:
        return ""
