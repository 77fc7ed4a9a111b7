"""`config` and `db upgrade`."""

import re

from sqlalchemy import text


def test_config_tells_each_value_and_where_it_comes_from(cli, tmp_path):
    config = tmp_path / "dispatch.toml"
    config.write_text('[dispatch]\nlease = "30s"\n')
    settings = {row["key"]: row for row in cli("--config", config, "config", "--json").json}
    assert settings["dispatch.lease"]["value"] == '"30s"'
    assert settings["dispatch.lease"]["origin"].endswith("dispatch.toml:2")
    assert settings["key_prefix"]["origin"] == "environment DISPATCH_KEY_PREFIX"
    assert settings["dispatch.heartbeat"] == {"key": "dispatch.heartbeat", "value": '"10s"', "origin": "default"}


def test_config_is_a_line_a_setting_and_shows_no_password(cli, monkeypatch):
    monkeypatch.setenv("DISPATCH_DATABASE_URL", "postgresql://ann:secret@db/dispatch")
    said = cli("config")
    assert 'database_url\t"postgresql://ann:***@db/dispatch"\tenvironment DISPATCH_DATABASE_URL\n' in said.out
    assert said.err == "configuration file: none; these are the defaults\n"
    assert "secret" not in said.out


def test_db_upgrade_brings_an_empty_database_to_the_schema_and_repeats_quietly(
    cli, monkeypatch, maintenance, database_url
):
    name = f"{re.search(r'/(test_[0-9a-f]+)', database_url)[1]}_empty"
    with maintenance.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    try:
        monkeypatch.setenv("DISPATCH_DATABASE_URL", re.sub(r"/test_[0-9a-f]+", f"/{name}", database_url))
        assert cli("status").code == 5
        assert cli("db", "upgrade").out == "The database was upgraded.\n"
        assert cli("db", "upgrade").out == "The database is up to date.\n"
        assert cli("status").code == 0
    finally:
        with maintenance.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))


def test_the_home_can_be_named_before_the_command(cli, tmp_path):
    rows = {row["key"]: row for row in cli("--home", tmp_path / "there", "config", "--json").json}
    assert rows["home"] == {"key": "home", "value": f'"{tmp_path / "there"}"', "origin": "flag"}
