"""`init`: write a commented dispatch.toml that fits the repository."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import typer

from dispatch.cli import output
from dispatch.cli.context import CommandContext
from dispatch.cli.discovering import FoundProgram, agents_on_path, current_branch, find_test_command
from dispatch.cli.options import project_name
from dispatch.errors import BadInputError, RefusedError
from dispatch.settings import KNOWN_PROGRAMS, Preset
from dispatch.settings.origins import key_text

CONFIG_NAME = "dispatch.toml"

_HEADER = """\
# The configuration of dispatch. Every key has a default; an unknown key is an error that names its line.
# Order: this file < environment (DISPATCH_DISPATCH__LEASE=30s) < flags. `dispatch config` shows each value.

# home = ".dispatch"                 # servers, logs and worktrees
# database_url = ""                  # empty: the embedded PostgreSQL in `home`
# broker_url = ""                    # empty: the embedded Valkey

# [dispatch]
# task_timeout = "30m"               # of a run, unless its bead, role or project says otherwise
# max_running = 0                    # 0: as many as there are agents

# [guards]
# max_failures = 5                   # failed runs in a row, then a human decides
# max_dispatch_hops = 20             # runs of a bead, then a human decides unless it makes progress
# cooldown = ["10s", "5m"]           # wait after a failed run: first, longest
"""

_AGENTS = """\

# What starts an agent: a program that has a preset, or any that reads the file DISPATCH_ASSIGNMENT names
# (docs/agents.md). To let agents work, take one of these and all that follows, without the `# `.
"""

_MODEL = """\

# # Or a model directly, without any program (docs/models.md); its runner is "model" then.
# [providers.main]
# kind = "openai"                    # or "anthropic"; any endpoint that speaks so, at base_url
# model = "some-model"
# api_key_env = "OPENAI_API_KEY"     # the variable with the key
# usd_per_mtok = [1.25, 10.0]        # dollars, read and written

# [runners.model]
# kind = "llm"
"""

_ROLES = """\

# [roles.backend-engineer]
# runners = [{runner}]               # weakest first; the next after failures
# slots = 0                          # at most so many runs at once, 0: no limit

# [workers.agents]                   # what `dispatch up` starts
# roles = ["backend-engineer"]
# concurrency = 2                    # agents
"""


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: `cd /src/shop && dispatch init`")(init)


def init(context: typer.Context) -> None:
    """Write a commented dispatch.toml for the repository in the current directory. An existing one is left alone."""
    here = Path.cwd()
    target = CommandContext.of(context).config_option or here / CONFIG_NAME
    command, found = find_test_command(here), agents_on_path()
    agents = [program.preset for program in found if program.answer.version]
    place = "." if target.parent.resolve() == here else str(here)
    text = configuration(project_name(here) or "project", place, current_branch(here), command, agents)
    try:
        with target.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise RefusedError(problem=f"There is a {target} already", cure="Edit it, or move it away first.") from None
    except OSError as error:
        raise BadInputError(
            place=target, problem=f"cannot be written ({error.strerror})", cure="Name a place that can: --config FILE."
        ) from error
    output.write(f"Wrote {target}.")
    output.write(f"Tests: {' '.join(command) if command else 'none found; set test_command'}")
    output.write(f"Agent programs: {_told(found)}")
    output.write(
        f"Next: `dispatch project add {here}`, `dispatch import`, `dispatch plan`; then an agent, `dispatch up`."
    )


def configuration(project_id: str, place: str, branch: str, command: Sequence[str], agents: Sequence[Preset]) -> str:
    """Return the text of a dispatch.toml. Active is only what is known of the project; the rest is commented."""
    project = [
        "",
        f"[projects.{key_text((project_id,))}]",
        f"path = {_quoted(place)}",
        f"target_branch = {_quoted(branch)}",
        f"test_command = {_list(command)}",
        '# landing = "auto"                 # merge | pr | none; auto: pr where there is a remote, else merge',
        '# default_role = "backend-engineer"  # of beads that ask for no role',
        '# image = "name:tag"               # its tests, and runners with isolation = "container", work in it',
        "",
    ]
    shown = [line for agent in agents for line in _runner(agent)] or [
        "# [runners.mine]",
        '# kind = "command"',
        '# argv = ["python", "agent.py"]',
        '# env = ["MY_API_KEY"]              # all that it sees besides PATH, HOME and locale',
    ]
    roles = _ROLES.format(runner=_quoted(agents[0] if agents else "mine"))
    return _HEADER + "\n".join(project) + _AGENTS + "\n".join(shown) + "\n" + _MODEL + roles


def _told(found: Sequence[FoundProgram]) -> str:
    """Say which agent programs there are, and of one that does not answer why it got no preset."""
    if not found:
        return "none of the known ones is on PATH"
    answers = (
        f"{one.preset} ({one.answer.version})" if one.answer.version else f"{one.preset}, which {one.answer.problem}"
        for one in found
    )
    return "; ".join(answers)


def _runner(preset: Preset) -> Iterable[str]:
    yield f"# [runners.{preset}]"
    yield f"# preset = {_quoted(preset)}"
    yield f"# env = {_list([KNOWN_PROGRAMS[preset].key])}    # all that it sees besides PATH, HOME and locale"
    yield '# silence_limit = "5m"            # printing nothing for so long, it is taken for waiting, and stopped'
    yield ""


def _quoted(text: str) -> str:
    """Write a TOML string; JSON's escapes are TOML's, but for DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _list(words: Iterable[str]) -> str:
    return f"[{', '.join(map(_quoted, words))}]"
