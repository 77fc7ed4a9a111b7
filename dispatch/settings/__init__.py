"""The configuration: dispatch.toml < environment (DISPATCH_*) < flags; frozen, read once by `load_settings`."""

from dispatch.settings.durations import DEFAULT_TASK_TIMEOUT, format_duration, parse_duration
from dispatch.settings.load import load_settings
from dispatch.settings.model import (
    EVIDENCE_FLAGS,
    BugEvidenceSettings,
    DispatchMode,
    DispatchSettings,
    GuardSettings,
    Landing,
    Pool,
    ProjectSettings,
    RoleSettings,
    RunnerKind,
    RunnerSettings,
    Settings,
    WorkerSettings,
    Workspace,
    normal_name,
)
from dispatch.settings.origins import SettingOrigin, explain, mask_password

__all__ = [
    "DEFAULT_TASK_TIMEOUT",
    "EVIDENCE_FLAGS",
    "BugEvidenceSettings",
    "DispatchMode",
    "DispatchSettings",
    "GuardSettings",
    "Landing",
    "Pool",
    "ProjectSettings",
    "RoleSettings",
    "RunnerKind",
    "RunnerSettings",
    "SettingOrigin",
    "Settings",
    "WorkerSettings",
    "Workspace",
    "explain",
    "format_duration",
    "load_settings",
    "mask_password",
    "normal_name",
    "parse_duration",
]
