"""What a user is told of a wrong configuration: the line, what is wrong, and the cure."""

from pathlib import Path

import pytest

from dispatch.errors import ConfigurationError
from dispatch.settings import Settings, load_settings

RUNNER = '[runners.mine]\nkind = "command"\nargv = ["agent"]\n'


def told(read, text: str, environ: dict[str, str] | None = None, flags: dict[str, object] | None = None) -> str:
    with pytest.raises(ConfigurationError) as raised:
        read(text, environ, flags)
    assert raised.value.exit_code == 2
    return str(raised.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '\n[dispatch]\nleese = "45s"',
            'dispatch.toml:3: unknown key "leese" in [dispatch]. Did you mean "lease"?',
        ),
        (
            "[caps]\nxyz = 1",
            'dispatch.toml:2: unknown key "xyz" in [caps]. The keys there are: bead_usd, project_usd_day, '
            "system_usd_day, system_tokens_day.",
        ),
        ("[gards]\n", 'dispatch.toml:1: unknown key "gards" at the top level. Did you mean "guards"?'),
        (
            '[projects."a.b"]\nbranch = "x"',
            'dispatch.toml:2: unknown key "branch" in [projects."a.b"]. Did you mean "target_branch"?',
        ),
        (
            '[[hooks]]\npattern = "x"',
            'dispatch.toml:1: unknown key "hooks" at the top level. The keys there are: '
            f"{', '.join(Settings.model_fields)}.",
        ),
        (
            "[[bug_evidence]]\npattern = 'x'\nrole = 'dev'\n[[bug_evidence]]\npattern = 'x'\nrole = 'dev'\nwait = 3",
            'dispatch.toml:7: unknown key "wait" in [bug_evidence.1]. Did you mean "weight"?',
        ),
        (
            "[[bug_evidence]]\npattern = 'x'",
            'dispatch.toml:1: [bug_evidence.0] has no "role". Add role = ... to that section.',
        ),
        (
            "[[bug_evidence]]\npattern = 'x'\nrole = 'dev'\n[[bug_evidence]]\nrole = 'dev'\npattern = '(x'",
            'dispatch.toml:6: bug_evidence.1.pattern = "(x" is not a regular expression (missing ), unterminated '
            "subpattern at position 0). Correct it; single quotes keep its backslashes as they are.",
        ),
        (
            "bug_evidence = [{ pattern = 'x*', role = 'dev' }]",
            'dispatch.toml:1: bug_evidence.0.pattern = "x*" fits every text, even an empty one. Write what a report '
            "has to hold.",
        ),
        (
            "[[bug_evidence]]\npattern = 'x'\nrole = 'dev'\nweight = 0",
            "dispatch.toml:4: bug_evidence.0.weight = 0 is less than 1. Write 1 or more.",
        ),
        (
            '[dispatch]\nlease = "soon"',
            'dispatch.toml:2: dispatch.lease = "soon" is not a duration. Write for example 45s, 30m, 1h30m or 500ms.',
        ),
        (
            "[dispatch]\nlease = true",
            "dispatch.toml:2: dispatch.lease = true is not a duration. Write for example 45s, 30m, 1h30m or 500ms.",
        ),
        (
            "[dispatch]\ntick_interval = 0",
            "dispatch.toml:2: dispatch.tick_interval = 0 is not longer than nothing. "
            "Write a duration above zero, for example 45s, 30m, 1h30m or 500ms.",
        ),
        (
            '[dispatch]\ndispatch_mode = "quue"',
            'dispatch.toml:2: dispatch.dispatch_mode = "quue" is not one of queue, local, auto. Did you mean "queue"?',
        ),
        (
            "[dispatch]\ndispatch_mode = 3",
            "dispatch.toml:2: dispatch.dispatch_mode = 3 is not one of queue, local, auto. "
            "Write one of them: queue, local, auto.",
        ),
        (
            '[guards]\nmax_failures = "many"',
            'dispatch.toml:2: guards.max_failures = "many" is not a whole number. Write a whole number, for example 2.',
        ),
        (
            "[guards]\nmax_failures = 0",
            "dispatch.toml:2: guards.max_failures = 0 is less than 1. Write 1 or more.",
        ),
        (
            "[guards]\nmax_dispatch_hops = 0",
            "dispatch.toml:2: guards.max_dispatch_hops = 0 is less than 1. Write 1 or more.",
        ),
        (
            "[guards]\nrepeat_threshold = 1",
            "dispatch.toml:2: guards.repeat_threshold = 1 is less than 2. Write 2 or more.",
        ),
        (
            '[guards]\nprogress_window = "0s"',
            'dispatch.toml:2: guards.progress_window = "0s" is not longer than nothing. '
            "Write a duration above zero, for example 45s, 30m, 1h30m or 500ms.",
        ),
        (
            '[guards]\n\nreadiness_mode = "warm"',
            'dispatch.toml:3: guards.readiness_mode = "warm" is not one of block, warn. Did you mean "warn"?',
        ),
        (
            '[guards]\nreadiness_check = "my_checks.ready"',
            'dispatch.toml:2: guards.readiness_check = "my_checks.ready" does not name a function. '
            'Write "module:function", for example "my_checks:ready".',
        ),
        (
            "[guards]\nbreaker_failures = 0",
            "dispatch.toml:2: guards.breaker_failures = 0 is less than 1. Write 1 or more.",
        ),
        (
            "[caps]\nbead_usd = -0.5",
            "dispatch.toml:2: caps.bead_usd = -0.5 is less than 0. Write 0 or more.",
        ),
        (
            '[caps]\nbead_usd = "five"',
            'dispatch.toml:2: caps.bead_usd = "five" is not a number. Write a number, for example 5.0.',
        ),
        (
            "[caps]\nsystem_usd_day = inf",
            "dispatch.toml:2: caps.system_usd_day = inf is not a number that can be counted to. "
            "Write a number, for example 5.0; 0 means none.",
        ),
        (
            "[projects.shop]\ncaps = { system_usd_day = 5 }",
            'dispatch.toml:2: unknown key "system_usd_day" in [projects.shop.caps]. Did you mean "project_usd_day"?',
        ),
        (
            '[guards]\ncooldown = ["1s"]',
            'dispatch.toml:2: guards.cooldown = ["1s"] is not a pair of durations. '
            'Write the first and the longest wait: ["10s", "5m"].',
        ),
        (
            '[guards]\ncooldown = [\n"1s",\n"x"]',
            'dispatch.toml:2: guards.cooldown.1 = "x" is not a duration. Write for example 45s, 30m, 1h30m or 500ms.',
        ),
        ("home = 5", 'dispatch.toml:1: home = 5 is not a path. Write it in quotes, for example "some/path".'),
        (
            "key_prefix = 5",
            'dispatch.toml:1: key_prefix = 5 is not a text. Write it in quotes, for example "main".',
        ),
        (
            'key_prefix = "a b"',
            'dispatch.toml:1: key_prefix = "a b" cannot be a key prefix. '
            "Use letters, digits, points, hyphens and underscores.",
        ),
        (
            '[projects.shop]\ntarget_branch = ""',
            'dispatch.toml:2: projects.shop.target_branch = "" is empty. Write a value, or leave the key out.',
        ),
        (
            '[projects.shop]\nlanding = "prs"',
            'dispatch.toml:2: projects.shop.landing = "prs" is not one of auto, merge, pr, none. Did you mean "pr"?',
        ),
        (
            '[projects.shop]\npr_command = ["tea", "--head={branch}"]',
            'dispatch.toml:2: projects.shop.pr_command = ["tea", "--head={branch}"] has {branch} inside an argument. '
            'Make it an argument of its own: "--option", "{branch}".',
        ),
        (
            '[projects.shop]\npr_command = ["tea", "{what}"]',
            'dispatch.toml:2: projects.shop.pr_command = ["tea", "{what}"] has the unknown placeholder {what}. '
            "Use {branch}, {base}, {title}, {body}, {body_file}, {bead}.",
        ),
        (
            '[projects.shop]\nlanding = "merge"\npr_command = ["tea"]',
            'dispatch.toml:3: project "shop" opens no pull requests (landing = "merge"), so its pr_command has no use. '
            'Set landing = "pr", or leave pr_command out.',
        ),
        (
            '[projects.shop]\nremote = "-x"',
            'dispatch.toml:2: projects.shop.remote = "-x" cannot be the name of a remote. '
            'Write a name that `git remote` lists, such as "origin".',
        ),
        (
            '[projects.shop]\nurl = "ext::sh -c true"',
            'dispatch.toml:2: projects.shop.url = "ext::sh -c true" is not the address of a repository. '
            "Write for example https://host/owner/name.git.",
        ),
        (
            "[projects.shop]\nuse_clone = true",
            'dispatch.toml:2: project "shop" is to be worked on in a clone, and has no url to clone from. '
            'Add url = "https://host/owner/name.git", or leave use_clone out.',
        ),
        (
            '[projects.shop]\ntest_timeout = "0s"',
            'dispatch.toml:2: projects.shop.test_timeout = "0s" is not longer than nothing. '
            "Write a duration above zero, for example 45s, 30m, 1h30m or 500ms.",
        ),
        (
            "[housekeeping]\nkeep_runs_gb = -1",
            "dispatch.toml:2: housekeeping.keep_runs_gb = -1 is less than 0.0. Write 0.0 or more.",
        ),
        (
            '[projects.shop]\ntest_command = "make test"',
            'dispatch.toml:2: projects.shop.test_command = "make test" is a text, not a list. '
            'Write a list, each element in quotes of its own: ["one", "two"].',
        ),
        (
            "[projects.shop]\ntest_command = 5",
            'dispatch.toml:2: projects.shop.test_command = 5 is not a list. Write a list, for example ["one", "two"].',
        ),
        (
            '[runners.mine]\nargv = ["x"]',
            'dispatch.toml:1: [runners.mine] has no "kind". Add kind = ... to that section.',
        ),
        (
            "guards = 5",
            "dispatch.toml:1: guards = 5 is not a table. "
            "Write a section of that name in brackets, with its keys below it.",
        ),
        (
            "roles = 5",
            "dispatch.toml:1: roles = 5 is not a table. "
            "Write a section of that name in brackets, with its keys below it.",
        ),
        (
            'broker_url = "somewhere"',
            'dispatch.toml:1: broker_url = "somewhere" is not an address. Write for example redis://host:6379/0.',
        ),
        (
            'key_prefix = "a"\nkey_prefix = "b"\n',
            "dispatch.toml:2: is not TOML: Cannot overwrite a value. Correct that line.",
        ),
    ],
)
def test_a_wrong_file_is_told_with_its_line_and_the_cure(read, text: str, message: str):
    assert told(read, text) == message


def test_a_text_that_ends_too_early_is_told_at_its_last_line(read):
    assert told(read, 'key_prefix = "a"\n[guards').startswith("dispatch.toml:2: is not TOML: ")


def test_of_several_errors_the_first_in_the_file_is_told(read):
    text = '[projects.shop]\nlanding = "prs"\n[dispatch]\nlease = "soon"\n'
    assert told(read, text).startswith("dispatch.toml:2: ")


def test_a_wrong_address_is_told_without_its_password(read):
    message = told(read, 'database_url = "mysql://root:hunter2@db/x?password=hunter2"')
    assert "mysql://root:***@db/x?password=***" in message
    assert "hunter2" not in message


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        (
            {"DISPATCH_GUARDS__MAX_FAILURE": "3"},
            'environment DISPATCH_GUARDS__MAX_FAILURE: names no setting. Did you mean "DISPATCH_GUARDS__MAX_FAILURES"?',
        ),
        (
            {"DISPATCH_ZZZZZZZ": "3"},
            "environment DISPATCH_ZZZZZZZ: names no setting. Unset it; `dispatch config` lists the settings.",
        ),
        (
            {"DISPATCH_KEY_PREFIX__MORE": "3"},
            "environment DISPATCH_KEY_PREFIX__MORE: names no setting. Unset it; `dispatch config` lists the settings.",
        ),
        (
            {"DISPATCH_ROLES__": "{}"},
            "environment DISPATCH_ROLES__: names no setting. Unset it; `dispatch config` lists the settings.",
        ),
        (
            {"DISPATCH_DISPATCH__LEASE": "soon"},
            'environment DISPATCH_DISPATCH__LEASE: dispatch.lease = "soon" is not a duration. '
            "Write for example 45s, 30m, 1h30m or 500ms.",
        ),
        (
            {"DISPATCH_WORKERS__AGENTS__ROLES": "backend"},
            "environment DISPATCH_WORKERS__AGENTS__ROLES: is not a list in JSON. "
            'Write it as JSON, for example ["one", "two"].',
        ),
        (
            {"DISPATCH_PROJECTS": "[]"},
            'environment DISPATCH_PROJECTS: is not a table in JSON. Write it as JSON, for example {"key": "value"}.',
        ),
        (
            {"DISPATCH_PROJECTS__SHOP": '{"landin": "none"}'},
            'environment DISPATCH_PROJECTS__SHOP: unknown key "landin" in [projects.shop]. Did you mean "landing"?',
        ),
    ],
)
def test_a_wrong_variable_is_told_by_its_name(read, environ: dict[str, str], message: str):
    assert told(read, "", environ) == message


def test_a_wrong_flag_is_told_as_one(read):
    assert told(read, "", flags={"dispatch.lease": "soon"}).startswith(
        'flag: dispatch.lease = "soon" is not a duration.'
    )


def test_a_file_elsewhere_is_named_by_its_whole_path(tmp_path: Path):
    (tmp_path / "below").mkdir()
    (tmp_path / "dispatch.toml").write_text("nothing = 1")
    with pytest.raises(ConfigurationError) as raised:
        load_settings(environ={}, cwd=tmp_path / "below")
    assert str(raised.value).startswith(f"{tmp_path}/dispatch.toml:1: unknown key")
