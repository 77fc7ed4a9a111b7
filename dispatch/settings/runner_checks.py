"""What the keys of one runner must be together."""

import re
from collections.abc import Iterator
from datetime import timedelta

from dispatch.settings.finding import Finding
from dispatch.settings.providers import limits_given
from dispatch.settings.runners import Isolation, RunnerKind, RunnerSettings

_CONTAINABLE = (RunnerKind.COMMAND, RunnerKind.LLM)
"""The kinds that honour `isolation`: one that does not must refuse it, and never run without."""


def runner_contradictions(name: str, runner: RunnerSettings) -> Iterator[Finding]:
    table = ("runners", name)
    yield from _only_of_commands(name, runner)
    if runner.kind is RunnerKind.LLM:
        yield from _of_llm(name, runner)
    else:
        for key in limits_given(runner):
            yield Finding(
                (*table, key), f'the {runner.kind} runner "{name}" asks no model, so it has no {key}', "Remove it."
            )
    if runner.kind is RunnerKind.COMMAND:
        yield from _of_command(name, runner)
    elif runner.kind is RunnerKind.PYTHON:
        yield from _of_python(name, runner)
    if runner.isolation is Isolation.CONTAINER and runner.kind not in _CONTAINABLE:
        yield Finding(
            (*table, "isolation"),
            f'the {runner.kind} runner "{name}" cannot work in a container',
            'Write a runner of kind "command" for a program in the image.',
        )
    yield from _variables(name, runner)


def _of_llm(name: str, runner: RunnerSettings) -> Iterator[Finding]:
    table = ("runners", name)
    for key in ("argv", "target"):
        if getattr(runner, key):
            yield Finding((*table, key), f'the llm runner "{name}" cannot have {_article(key)}', "Remove it.")
    if runner.runs_per_process > 1:
        place = (*table, "runs_per_process")
        yield Finding(place, f'each run of the llm runner "{name}" is a process of its own', "Remove it.")


def _article(key: str) -> str:
    return "an argv" if key == "argv" else f"a {key}"


def _of_command(name: str, runner: RunnerSettings) -> Iterator[Finding]:
    table = ("runners", name)
    if runner.runs_per_process > 1:
        place = (*table, "runs_per_process")
        yield Finding(place, f'each run of the command runner "{name}" is a process of its own', "Remove it.")
    if not runner.command_line or not runner.command_line[0]:
        yield Finding(table, f'the command runner "{name}" has no argv', 'Add argv = ["program", "argument"].')
    if runner.target:
        yield Finding((*table, "target"), f'the command runner "{name}" cannot have a target', "Remove it.")


def _of_python(name: str, runner: RunnerSettings) -> Iterator[Finding]:
    table = ("runners", name)
    if not re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", runner.target):
        yield Finding(
            (*table, "target") if runner.target else table,
            f'the python runner "{name}" has no target of the form module:function',
            'Write for example target = "my_agents.fixer:run".',
        )
    if runner.argv:
        yield Finding((*table, "argv"), f'the python runner "{name}" cannot have an argv', "Remove it.")


def _variables(name: str, runner: RunnerSettings) -> Iterator[Finding]:
    table = ("runners", name)
    for variable in runner.env:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", variable):
            yield Finding(
                (*table, "env"),
                f'"{variable}" in the env of runner "{name}" is not the name of a variable',
                "List names only, without values; the values come from the environment of the worker.",
            )
        elif variable.startswith("DISPATCH_"):
            yield Finding(
                (*table, "env"),
                f'runner "{name}" would pass on {variable}, and an agent is never told dispatch\'s own configuration',
                "Take it out of env.",
            )


def _only_of_commands(name: str, runner: RunnerSettings) -> Iterator[Finding]:
    """Find what a function cannot have: it is no program, and tells what it does in events."""
    table = ("runners", name)
    if runner.silence_limit == timedelta():
        cure = 'Write for example "5m", or "never".'
        yield Finding((*table, "silence_limit"), f'runner "{name}" may not be silent for any time', cure)
    if runner.kind is RunnerKind.COMMAND:
        return
    for key in ("preset", "silence_limit", "usd_per_mtok"):
        if key in runner.model_fields_set:
            yield Finding(
                ("runners", name, key), f'the {runner.kind} runner "{name}" cannot have a {key}', "Remove it."
            )
