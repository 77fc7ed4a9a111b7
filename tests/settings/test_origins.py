"""Each value and where it came from."""

import tomllib

import pytest

from dispatch.settings import SettingOrigin, explain, mask_password

TEXT = """\
database_url = "postgresql://u:hunter2@db/x"
[dispatch]
lease = "1m"
heartbeat = "4s"
[projects."a.b"]
test_command = ["make", "test"]
"""


def test_each_value_has_its_origin(read):
    environ = {"DISPATCH_DISPATCH__HEARTBEAT": "3s", "DISPATCH_PROJECTS": '{"other": {"landing": "none"}}'}
    explained = explain(read(TEXT, environ, {"dispatch.tick_interval": "2s"}))
    assert {
        SettingOrigin("database_url", '"postgresql://u:***@db/x"', "dispatch.toml:1"),
        SettingOrigin("dispatch.lease", '"1m"', "dispatch.toml:3"),
        SettingOrigin("dispatch.heartbeat", '"3s"', "environment DISPATCH_DISPATCH__HEARTBEAT"),
        SettingOrigin("dispatch.tick_interval", '"2s"', "flag"),
        SettingOrigin("dispatch.max_running", "0", "default"),
        SettingOrigin("guards.cooldown", '["10s", "5m"]', "default"),
        SettingOrigin('projects."a.b".test_command', '["make", "test"]', "dispatch.toml:6"),
        SettingOrigin('projects."a.b".landing', '"auto"', "default"),
        SettingOrigin("projects.other.landing", '"none"', "environment DISPATCH_PROJECTS"),
    } <= set(explained)
    assert len({origin.key for origin in explained}) == len(explained)


def test_the_home_tells_who_named_it(read):
    def origin_of_home(*sources: object) -> str:
        return next(line.origin for line in explain(read(*sources)) if line.key == "home")

    assert origin_of_home("") == "default"
    assert origin_of_home('home = "x"') == "dispatch.toml:1"
    assert origin_of_home('home = "x"', {"DISPATCH_HOME": "y"}) == "environment DISPATCH_HOME"
    assert origin_of_home('home = "x"', {"DISPATCH_HOME": "y"}, {"home": "z"}) == "flag"


def test_what_is_shown_is_toml(read):
    shown = "\n".join(f"{line.key} = {line.value}" for line in explain(read(TEXT)))
    assert tomllib.loads(shown)["projects"]["a.b"]["test_command"] == ["make", "test"]


def test_a_list_of_tables_is_shown_as_toml(read):
    evidence = "[[bug_evidence]]\npattern = 'a\\b\"'\nrole = 'dev'\nweight = 7\n[roles.dev]"
    environ = {"DISPATCH_BUG_EVIDENCE": '[{"pattern": "y", "role": "dev"}]'}
    lines = [
        next(line for line in explain(read(evidence, *more)) if line.key == "bug_evidence") for more in ((), (environ,))
    ]
    assert [line.origin for line in lines] == ["dispatch.toml:1", "environment DISPATCH_BUG_EVIDENCE"]
    assert [tomllib.loads(f"{line.key} = {line.value}")["bug_evidence"] for line in lines] == [
        [{"pattern": 'a\\b"', "role": "dev", "weight": 7}],
        [{"pattern": "y", "role": "dev", "weight": 5}],
    ]


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("redis://broker:6379/0", "redis://broker:6379/0"),
        ("redis://:secret@broker:6379/0", "redis://:***@broker:6379/0"),
        ("postgresql://me:s@c:ret@db/x", "postgresql://me:***@db/x"),
        ("postgresql://me@db/x?password=secret&a=b", "postgresql://me@db/x?password=***&a=b"),
        ("no address: a:b@c", "no address: a:b@c"),
    ],
)
def test_passwords_are_masked_and_nothing_else(text: str, masked: str):
    assert mask_password(text) == masked


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("https://x-token:hunter2@forge.example/a.git", "https://x-token:***@forge.example/a.git"),
        ("https://ghp_hunter2@forge.example/a.git", "https://***@forge.example/a.git"),
        ("ssh://git@forge.example/a.git", "ssh://git@forge.example/a.git"),
        ("https://forge.example/@a.git", "https://forge.example/@a.git"),
    ],
)
def test_what_opens_a_repository_is_not_shown(read, written, shown):
    rows = {line.key: line.value for line in explain(read(f'[projects.shop]\nurl = "{written}"'))}
    assert rows["projects.shop.url"] == f'"{shown}"'
