"""Environments: every problem at once, no secret in a file, none in a message."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from nexus_reimport import settings
from nexus_reimport.errors import SettingsError

ENVIRONMENTS = Path(__file__).parent.parent / "runbook" / "environments"


def change(environment_files: Path, old: str, new: str) -> None:
    path = environment_files / "sandbox-dev.toml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def refused(environment_files: Path, name: str = "sandbox-dev") -> str:
    with pytest.raises(SettingsError) as told:
        settings.load(name, environment_files)
    assert "tell-nobody" not in str(told.value)
    return str(told.value)


def test_the_sandbox_is_ready_to_run(environment_files: Path) -> None:
    found = settings.load("sandbox-dev", environment_files)
    assert found.postgres.port == 5999
    assert found.postgres.password.get_secret_value() == "tell-nobody"
    assert "tell-nobody" not in repr(found)
    assert "tell-nobody" not in str(found.public())


def test_no_environment_is_chosen_by_itself(environment_files: Path) -> None:
    assert "no environment was named" in refused(environment_files, "")


def test_an_empty_name_reads_the_environment_variable(
    environment_files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(settings.ENVIRONMENT_VARIABLE, "sandbox-prod")
    assert settings.load("", environment_files).name == "sandbox-prod"


def test_a_mistyped_environment_names_those_that_are_known(environment_files: Path) -> None:
    assert "sandbox-dev, sandbox-prod" in refused(environment_files, "sandbox-dve")


def test_all_problems_come_in_one_message(environment_files: Path) -> None:
    change(environment_files, 'kind = "dev"', 'kind = "development"')
    change(environment_files, "lock_wait = 10", "lock_wiat = 10")
    change(environment_files, 'timezone = "Australia/Sydney"', 'timezone = "Sydney"')
    told = refused(environment_files)
    for part in ("3 problem(s)", "kind:", "postgres.lock_wiat:", "timezone: no such time zone"):
        assert part in told


def test_a_secret_in_the_file_is_refused_and_not_repeated(environment_files: Path) -> None:
    change(environment_files, '{ env = "NEXUS_SANDBOX_PG_PASSWORD" }', '"tell-nobody"')
    assert "a secret has no place in this file" in refused(environment_files)


def test_a_secret_that_is_nowhere_is_named(environment_files: Path) -> None:
    path = environment_files / ".env.sandbox-dev"
    path.write_text(path.read_text().replace("NEXUS_SANDBOX_S3_SECRET_KEY", "OTHER"))
    assert "NEXUS_SANDBOX_S3_SECRET_KEY: not set" in refused(environment_files)


def test_a_file_of_secrets_that_others_can_read_is_refused(environment_files: Path) -> None:
    (environment_files / ".env.sandbox-dev").chmod(0o644)
    assert "chmod 600 .env.sandbox-dev" in refused(environment_files)


def test_a_file_under_another_name_is_refused(environment_files: Path) -> None:
    shutil.copy(environment_files / "sandbox-dev.toml", environment_files / "prod.toml")
    shutil.copy(environment_files / ".env.sandbox-dev", environment_files / ".env.prod")
    assert 'name: is "sandbox-dev"' in refused(environment_files, "prod")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('host = "127.0.0.1"', 'host = "db.example"', "sslmode must be"),
        ('url = { env = "NEXUS_SANDBOX_FILEMAKER_URL" }', 'url = "http://fm.example"', "https://"),
        ('endpoint = { env = "NEXUS_SANDBOX_S3_ENDPOINT" }', 'endpoint = "http://s3.example"',
         "https://"),
    ],
)  # fmt: skip
def test_beyond_loopback_everything_is_encrypted(
    environment_files: Path, old: str, new: str, told: str
) -> None:
    change(environment_files, old, new)
    assert told in refused(environment_files)


def test_prod_names_the_environment_that_was_run_before(environment_files: Path) -> None:
    path = environment_files / "sandbox-prod.toml"
    path.write_text(path.read_text().replace('dev_environment = "sandbox-dev"\n', ""))
    assert "dev_environment" in refused(environment_files, "sandbox-prod")


def test_a_file_that_is_no_toml_is_told(environment_files: Path) -> None:
    (environment_files / "sandbox-dev.toml").write_text("name = [")
    assert "not a TOML file" in refused(environment_files)


@pytest.mark.parametrize("kind", ["dev", "prod"])
def test_the_templates_are_complete(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(ENVIRONMENTS / f"{kind}.toml.template", tmp_path / f"{kind}.toml")
    for name in ("PG_PASSWORD", "FILEMAKER_PASSWORD", "S3_ACCESS_KEY", "S3_SECRET_KEY"):
        monkeypatch.setenv(f"NEXUS_{kind.upper()}_{name}", "x")
    assert settings.load(kind, tmp_path).kind == kind
