"""By what a container of ours is known: whose it is, for which run it was made, and by which process."""

import hashlib
import os
import socket
from collections.abc import Mapping

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
    process = psutil.Process()
    labels = deployment_labels(settings) | {_PROJECT: project_id, _OWNER: f"{process.pid}-{process.create_time():.2f}"}
    return labels if run_id is None else labels | {RUN: str(run_id)}


def owner_lives(labels: Mapping[str, str]) -> bool:
    """Tell whether the process that made a container still runs on this host."""
    pid, _, started = labels.get(_OWNER, "").partition("-")
    try:
        return bool(pid) and f"{psutil.Process(int(pid)).create_time():.2f}" == started
    except (psutil.NoSuchProcess, ValueError):
        return False
    except psutil.AccessDenied:
        return int(pid) != os.getpid()
