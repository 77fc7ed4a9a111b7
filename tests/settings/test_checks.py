"""Keys that are right one by one and wrong together."""

from pathlib import Path

import pytest

from dispatch.errors import ConfigurationError

RUNNER = '[runners.mine]\nkind = "command"\nargv = ["agent"]\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '[dispatch]\nheartbeat = "5s"\nlease = "10s"',
            "dispatch.toml:3: the lease (10s) is not longer than two heartbeats (5s each), so that one late heartbeat "
            "would lose a healthy run. Make the lease longer than 10s, or the heartbeat shorter.",
        ),
        (
            '[dispatch]\nheartbeat = "30s"',
            "dispatch.toml:1: the lease (45s) is not longer than two heartbeats (30s each), so that one late heartbeat "
            "would lose a healthy run. Make the lease longer than 1m, or the heartbeat shorter.",
        ),
        (
            '[dispatch]\ngrace = "1m"',
            "dispatch.toml:2: the grace (1m) is not shorter than hard_grace (1m), so that the process that is to "
            "commit the work of an agent at its limit would be killed before. Make the grace shorter, or hard_grace "
            "longer.",
        ),
        (
            '[guards]\ncooldown = ["5m", "10s"]',
            "dispatch.toml:2: the first cooldown (5m) is longer than the longest (10s). Write the shorter one first.",
        ),
        (
            'broker_url = "amqp://broker"',
            "dispatch.toml:1: an AMQP broker keeps no results, and the hand-over of a run needs them. "
            "Set result_backend_url to a Valkey or Redis, for example redis://host:6379/0.",
        ),
        (
            'home = "dispatch.toml"',
            "dispatch.toml:1: the home {directory}/dispatch.toml is not a directory. Name a directory, or a new one.",
        ),
        (
            '\n[runners.mine]\nkind = "command"',
            'dispatch.toml:2: the command runner "mine" has no argv. Add argv = ["program", "argument"].',
        ),
        (
            RUNNER + 'target = "a:b"',
            'dispatch.toml:4: the command runner "mine" cannot have a target. Remove it.',
        ),
        (
            '[runners.own]\npreset = "any"',
            'dispatch.toml:1: the command runner "own" has no argv. Add argv = ["program", "argument"].',
        ),
        (
            '[runners.own]\nkind = "python"\ntarget = "a:b"\nsilence_limit = "1m"',
            'dispatch.toml:4: the python runner "own" cannot have a silence_limit. Remove it.',
        ),
        (
            '[runners.own]\nkind = "python"\ntarget = "a:b"\npreset = "codex"',
            'dispatch.toml:4: the python runner "own" cannot have a preset. Remove it.',
        ),
        (
            '[runners.own]\nkind = "python"\ntarget = "a:b"\nusd_per_mtok = [1, 2]',
            'dispatch.toml:4: the python runner "own" cannot have a usd_per_mtok. Remove it.',
        ),
        (
            RUNNER + 'silence_limit = "0s"',
            'dispatch.toml:4: runner "mine" may not be silent for any time. Write for example "5m", or "never".',
        ),
        (
            '[runners.own]\nkind = "python"',
            'dispatch.toml:1: the python runner "own" has no target of the form module:function. '
            'Write for example target = "my_agents.fixer:run".',
        ),
        (
            '[runners.own]\nkind = "python"\ntarget = "agents.fixer"',
            'dispatch.toml:3: the python runner "own" has no target of the form module:function. '
            'Write for example target = "my_agents.fixer:run".',
        ),
        (
            '[runners.own]\nkind = "python"\ntarget = "a:b"\nargv = ["x"]',
            'dispatch.toml:4: the python runner "own" cannot have an argv. Remove it.',
        ),
        (
            RUNNER + 'env = ["KEY=value"]',
            'dispatch.toml:4: "KEY=value" in the env of runner "mine" is not the name of a variable. '
            "List names only, without values; the values come from the environment of the worker.",
        ),
        (
            RUNNER + 'env = ["DISPATCH_DATABASE_URL"]',
            'dispatch.toml:4: runner "mine" would pass on DISPATCH_DATABASE_URL, and an agent is never told '
            "dispatch's own configuration. Take it out of env.",
        ),
        (
            RUNNER + '[roles.dev]\nrunners = ["mime"]',
            'dispatch.toml:5: role "dev" names the unknown runner "mime". Did you mean "mine"?',
        ),
        (
            '[roles.dev]\nrunners = ["codex"]',
            'dispatch.toml:2: role "dev" names the unknown runner "codex". '
            "Add [runners.codex], or name one that exists.",
        ),
        (
            '[roles.dev]\ninstructions = "dev.md"',
            'dispatch.toml:2: there is no file {directory}/dev.md with the instructions of role "dev". '
            "Write that file, or correct the path; it is relative to the configuration file.",
        ),
        (
            '[roles.dev]\n[roles.ops]\naliases = ["Dev"]',
            'dispatch.toml:3: the alias "dev" of role "ops" is itself a role. Choose another alias, or none.',
        ),
        (
            '[roles.dev]\naliases = ["coder"]\n[roles.ops]\naliases = ["Coder"]',
            'dispatch.toml:4: the alias "coder" of role "ops" is also one of role "dev". Leave it to one of them.',
        ),
        ('[roles.dev]\naliases = [" "]', 'dispatch.toml:2: role "dev" has an empty alias. Remove it.'),
        (
            "[workers.agents]\nroles = []",
            'dispatch.toml:2: worker "agents" serves no roles. List at least one: roles = ["backend-engineer"].',
        ),
        (
            RUNNER + '[roles.qa-engineer]\nrunners = ["mine"]\n[workers.agents]\nroles = ["qa-enginer"]',
            'dispatch.toml:7: worker "agents" serves the unknown role "qa-enginer". Did you mean "qa-engineer"?',
        ),
        (
            RUNNER + '[roles.qa-engineer]\nrunners = ["mine"]\naliases = ["qa"]\n[workers.agents]\nroles = ["qa"]',
            'dispatch.toml:8: worker "agents" serves the unknown role "qa". Write the role itself: "qa-engineer".',
        ),
        (
            '[roles.dev]\n[workers.agents]\nroles = ["dev"]',
            'dispatch.toml:1: role "dev" has no runner, and worker "agents" serves it. '
            'Say how its agents are started: runners = ["<name of a runner>"].',
        ),
        (
            '[projects.shop]\ndefault_role = "dev"',
            'dispatch.toml:2: project "shop" has the unknown default role "dev". '
            "Add [roles.dev], or name a role that exists.",
        ),
        (
            "[roles.dev]\n[[bug_evidence]]\npattern = 'x'\nrole = 'dev'\n"
            "[[bug_evidence]]\npattern = 'y'\nrole = 'devs'",
            'dispatch.toml:7: evidence number 2 speaks for the unknown role "devs". Did you mean "dev"?',
        ),
        ("[roles.Dev]", 'dispatch.toml:1: "Dev" cannot be a name in [roles]. Use lower-case words joined by hyphens.'),
        (
            '[projects."../etc"]',
            'dispatch.toml:1: "../etc" cannot be a name in [projects]. '
            "Use letters, digits, points, hyphens and underscores.",
        ),
    ],
)
def test_a_contradiction_is_told_with_its_line_and_the_cure(tmp_path: Path, read, text: str, message: str):
    with pytest.raises(ConfigurationError) as raised:
        read(text)
    assert str(raised.value) == message.replace("{directory}", str(tmp_path))


def test_an_amqp_broker_with_a_result_backend_is_fine(read):
    settings = read('broker_url = "amqp://broker"\nresult_backend_url = "redis://results"')
    assert settings.effective_result_backend == "redis://results"


def test_a_default_role_may_be_named_by_its_alias(read):
    settings = read('[roles.backend-engineer]\naliases = ["backend"]\n[projects.shop]\ndefault_role = "backend"')
    assert settings.resolve_role(settings.project("shop").default_role) == "backend-engineer"


def test_the_role_of_evidence_may_be_named_by_its_alias(read):
    settings = read('[roles.dev]\naliases = ["coder"]\n[[bug_evidence]]\npattern = "x"\nrole = "Coder"')
    assert [settings.resolve_role(evidence.role) for evidence in settings.bug_evidence] == ["dev"]


def test_a_role_with_the_same_alias_twice_is_only_untidy(read):
    assert read('[roles.dev]\naliases = ["coder", "Coder"]').resolve_role("coder") == "dev"
