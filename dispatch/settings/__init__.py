"""The configuration: dispatch.toml < environment (DISPATCH_*) < flags; frozen, read once by `load_settings`."""

from dispatch.settings.containers import ContainerSettings
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
from dispatch.settings.presets import KNOWN_PROGRAMS, KnownProgram, Preset
from dispatch.settings.projects import Landing, ProjectCapSettings, ProjectSettings
from dispatch.settings.providers import ModelLimits, ProviderKind, ProviderSettings
from dispatch.settings.runners import Isolation, RunnerKind, RunnerSettings, Workspace
from dispatch.settings.sessions import SessionSettings
from dispatch.settings.workflows import WorkflowChoice, WorkflowSettings

__all__ = [
    "DEFAULT_TASK_TIMEOUT",
    "EVIDENCE_FLAGS",
    "KNOWN_PROGRAMS",
    "BugEvidenceSettings",
    "CapSettings",
    "ContainerSettings",
    "DispatchMode",
    "DispatchSettings",
    "Fallback",
    "GuardSettings",
    "HousekeepingSettings",
    "Isolation",
    "KnownProgram",
    "Landing",
    "LessonSettings",
    "ModelLimits",
    "Pool",
    "Preset",
    "ProjectCapSettings",
    "ProjectSettings",
    "ProviderKind",
    "ProviderSettings",
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
