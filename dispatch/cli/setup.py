"""`init`: write a commented dispatch.toml that fits the repository."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import typer

from dispatch.cli import output
from dispatch.cli.context import CommandContext
from dispatch.cli.discovering import AgentProgram, agents_on_path, current_branch, find_test_command
from dispatch.cli.options import project_name
from dispatch.errors import BadInputError, RefusedError
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

# What starts an agent: any program that reads the file DISPATCH_ASSIGNMENT names (docs/agents.md). To let agents work,
# take one of these and all that follows, without the `# `.
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
    command, agents = find_test_command(here), agents_on_path()
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
    output.write(f"Agent programs: {', '.join(agent.name for agent in agents) or 'none of the known ones is on PATH'}")
    output.write(
        f"Next: `dispatch project add {here}`, `dispatch import`, `dispatch plan`; then an agent, `dispatch up`."
    )


def configuration(
    project_id: str, place: str, branch: str, command: Sequence[str], agents: Sequence[AgentProgram]
) -> str:
    """Return the text of a dispatch.toml. Active is only what is known of the project; the rest is commented."""
    project = [
        "",
        f"[projects.{key_text((project_id,))}]",
        f"path = {_quoted(place)}",
        f"target_branch = {_quoted(branch)}",
        f"test_command = {_list(command)}",
        '# landing = "auto"                 # merge | pr | none; auto: pr where there is a remote, else merge',
        '# default_role = "backend-engineer"  # of beads that ask for no role',
        "",
    ]
    shown = [line for agent in agents for line in _runner(agent)] or [
        "# [runners.mine]",
        '# kind = "command"',
        '# argv = ["python", "agent.py"]',
        '# env = ["MY_API_KEY"]              # all that it sees besides PATH, HOME and locale',
    ]
    roles = _ROLES.format(runner=_quoted(agents[0].name if agents else "mine"))
    return _HEADER + "\n".join(project) + _AGENTS + "\n".join(shown) + "\n" + roles


def _runner(agent: AgentProgram) -> Iterable[str]:
    yield f"# [runners.{agent.name}]"
    yield '# kind = "command"'
    yield f"# argv = {_list(agent.argv)}"
    yield f"# env = {_list([agent.key])}    # all that it sees besides PATH, HOME and locale"
    yield ""


def _quoted(text: str) -> str:
    """Write a TOML string; JSON's escapes are TOML's, but for DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _list(words: Iterable[str]) -> str:
    return f"[{', '.join(map(_quoted, words))}]"
