"""The configuration: dispatch.toml < environment (DISPATCH_*) < flags; frozen, read once by `load_settings`."""

from dispatch.settings.durations import DEFAULT_TASK_TIMEOUT, format_duration, parse_duration
from dispatch.settings.fields import EVIDENCE_FLAGS, normal_name
from dispatch.settings.housekeeping import HousekeepingSettings
from dispatch.settings.lessons import LessonSettings
from dispatch.settings.load import load_settings
from dispatch.settings.model import (
    BugEvidenceSettings,
    CapSettings,
    DispatchMode,
    DispatchSettings,
    Fallback,
    GuardSettings,
    Pool,
    ReadinessMode,
    RoleSettings,
    Settings,
    WorkerSettings,
)
from dispatch.settings.origins import SettingOrigin, explain, mask_password
from dispatch.settings.projects import Landing, ProjectCapSettings, ProjectSettings
from dispatch.settings.runners import RunnerKind, RunnerSettings, Workspace
from dispatch.settings.sessions import SessionSettings
from dispatch.settings.workflows import WorkflowChoice, WorkflowSettings

__all__ = [
    "DEFAULT_TASK_TIMEOUT",
    "EVIDENCE_FLAGS",
    "BugEvidenceSettings",
    "CapSettings",
    "DispatchMode",
    "DispatchSettings",
    "Fallback",
    "GuardSettings",
    "HousekeepingSettings",
    "Landing",
    "LessonSettings",
    "Pool",
    "ProjectCapSettings",
    "ProjectSettings",
    "ReadinessMode",
    "RoleSettings",
    "RunnerKind",
    "RunnerSettings",
    "SessionSettings",
    "SettingOrigin",
    "Settings",
    "WorkerSettings",
    "WorkflowChoice",
    "WorkflowSettings",
    "Workspace",
    "explain",
    "format_duration",
    "load_settings",
    "mask_password",
    "normal_name",
    "parse_duration",
]
