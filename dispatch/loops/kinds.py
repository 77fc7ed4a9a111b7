"""What kind of thing an action is. The tables are all there is to extend."""

import re
from enum import StrEnum

from dispatch.models.run import ActionRecord


class ActionKind(StrEnum):
    """What an action does. One action can be of several kinds: `cat a.py` is a command that reads."""

    READ = "read"
    EDIT = "edit"
    TEST = "test"
    COMMAND = "command"
    COMMIT = "commit"


_TYPES = {
    ActionKind.READ: "cat fetch find glob grep list listdirectory listfiles ls open openfile read readfile readtree"
    " search searchfiles searchtext tree view viewfile",
    ActionKind.EDIT: "append applypatch create createfile delete deletefile edit editfile insert movefile multiedit"
    " patch renamefile replace strreplace write writefile",
    ActionKind.TEST: "runtest runtests test tests",
    ActionKind.COMMAND: "bash build command exec execute run runbuild runcommand runlint runshell sh shell terminal",
    ActionKind.COMMIT: "commit gitcommit",
}
"""The action types of each kind, in lower case, without what joins their words."""
_KIND_OF_TYPE = {name: kind for kind, names in _TYPES.items() for name in names.split()}
_JOINTS = re.compile(r"[\W_]+")

_START = r"(?:^|[;&(\n])\s*"
_COMMANDS = {
    ActionKind.READ: re.compile(
        rf"{_START}(?:(?:cat|head|tail|less|more|nl)\b(?!\s*(?:<<|>))"
        r"|(?:[ef]?grep|rg|ag|ack|find|fd|ls|tree|awk)\b|sed\s+-n|git\s+(?:show|diff|log|grep|blame|ls-files)\b)"
    ),
    ActionKind.EDIT: re.compile(
        rf"(?:{_START}|\|\s*)(?:sed\s+(?:-\w+\s+)*(?:-\w*i|--in-place)|perl\s+-\w*i|tee|patch|apply_patch|git\s+apply"
        r"|mv|cp|rm|touch)\b"
        r"|(?<![\d&=<>-])>>?\s*(?![\s&=>]|/dev/)"
    ),
    ActionKind.TEST: re.compile(
        r"\b(?:pytest|py\.test|tox|nox|unittest|jest|vitest|mocha|rspec|ctest|phpunit|run_?tests?)\b"
        r"|\b(?:bundle|bun|cargo|deno|dotnet|go|gradlew?|just|make|mix|mvn|npm|pnpm|rake|sbt|swift|yarn)"
        r"\s+(?:run\s+)?(?:tests?|check)\b"
        r"|\b(?:python[\d.]*|bash|sh|node|ruby)\s+(?:-\w+\s+)?\S*test|\bmanage\.py\s+test\b|\bbin/test\b"
    ),
}
"""What of a shell command tells that it is of a kind besides."""
_WRITES_IN_CODE = re.compile(r"\.write(?:_text|_bytes)?\(|\bwriteFile(?:Sync)?\(")
_QUOTED = re.compile(r"'[^']*'|\"(?:[^\"\\]|\\.)*\"")
_HEREDOC = re.compile(r"(<<-?\s*)(['\"]?)(\w+)\2([^\n]*)\n.*?(?:^\s*\3\s*$|\Z)", re.DOTALL | re.MULTILINE)
_LOOKED_AT = 2000
"""Characters of a command: enough to tell its kind, and a bound for the time that takes."""


def kinds_of(action: ActionRecord) -> frozenset[ActionKind]:
    """Return what an action does, by its type and, of a shell command, by its words; empty for any other type."""
    kind = _KIND_OF_TYPE.get(_JOINTS.sub("", action.action_type.lower()))
    if kind is None:
        return frozenset()
    command = action.action_data.get("command")
    if kind is ActionKind.COMMAND and isinstance(command, str):
        return frozenset({kind, *_kinds_of_command(command[:_LOOKED_AT])})
    return frozenset({kind})


def _kinds_of_command(command: str) -> set[ActionKind]:
    shell = _QUOTED.sub("''", _HEREDOC.sub(r"\1\3\4", command))
    kinds = {kind for kind, pattern in _COMMANDS.items() if pattern.search(shell)}
    return kinds | {ActionKind.EDIT} if _WRITES_IN_CODE.search(command) else kinds
