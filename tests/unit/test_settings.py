"""Environments: every problem at once, no secret in a file, none in a message."""

from __future__ import annotations

import cProfile
import re
import shutil
import unicodedata
from datetime import date
from pathlib import Path

import pytest

from nexus_reimport import CHECKOUT, PACKAGE, mapping, settings, storage
from nexus_reimport.errors import MappingError, SettingsError, StorageError
from support import SUPPORT

ENVIRONMENTS = CHECKOUT / "runbook" / "environments"


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


@pytest.mark.parametrize("written", ['"2031-02-28"', "2031-02-28"])
def test_a_waiver_ends_on_a_day_as_text_or_as_toml_has_it(
    environment_files: Path, written: str
) -> None:
    change(environment_files, 'until = "2099-12-31"', f"until = {written}")
    found = settings.load("sandbox-dev", environment_files)
    assert {w.until for w in found.waivers} == {date(2031, 2, 28)}
    assert found.public()["waivers"][0]["until"] == "2031-02-28"


@pytest.mark.parametrize("written", ['"2031-02-30"', '"soon"', "2031", "2031-02-28T00:00:00", '""'])
def test_a_waiver_that_ends_on_no_day_is_refused(environment_files: Path, written: str) -> None:
    change(environment_files, 'until = "2099-12-31"', f"until = {written}")
    assert "waivers.0.until: must be a date, such as 2026-12-31" in refused(environment_files)


def test_no_environment_is_chosen_by_itself(environment_files: Path) -> None:
    assert "no environment was named" in refused(environment_files, "")


def test_an_empty_name_reads_the_environment_variable(
    environment_files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(settings.ENVIRONMENT_VARIABLE, "sandbox-prod")
    assert settings.load("", environment_files).name == "sandbox-prod"


def test_a_mistyped_environment_names_those_that_are_known(environment_files: Path) -> None:
    told = refused(environment_files, "sandbox-dve")
    assert "sandbox-dev, sandbox-prod" in told
    assert "'sandbox-dve'; did you mean sandbox-dev?" in told


def test_a_run_that_is_given_for_an_environment_is_told_as_a_run(environment_files: Path) -> None:
    """Many commands ask for one, some for the other: nobody is advised to make a new one."""
    run = "20261128T165244Z-d69d"
    assert f"no environment is called '{run}'" in refused(environment_files, run)
    change(environment_files, "../../", "")
    records = settings.load("sandbox-dev", environment_files).records_folder
    (records / run).mkdir(parents=True)
    told = refused(environment_files, run)
    assert f"'{run}' is a run of sandbox-dev, and no environment" in told
    assert "name sandbox-dev here" in told
    assert "nexus-reimport init" not in told


def test_a_mapping_beside_the_environment_files_is_none_of_them(environment_files: Path) -> None:
    shipped = PACKAGE / "mappings" / "nexus.toml"
    shutil.copy(shipped, environment_files / "clinic.toml")
    shutil.copy(shipped, environment_files / "SANDBOX-DEV-mapping.toml")
    (environment_files / "broken.toml").write_text("[sources.x]\ntable = [")
    (environment_files / "own.toml").write_text('name = "own"\n')
    assert settings.names(environment_files) == ["own", "sandbox-dev", "sandbox-prod"]
    for name in ("nobody", "clinic", "broken"):
        told = refused(environment_files, name)
        assert f"no environment is called '{name}'" in told
        assert "known environments: own, sandbox-dev, sandbox-prod" in told


def test_a_mapping_is_no_twin_of_an_environment(environment_files: Path) -> None:
    (environment_files / "Sandbox-Dev.toml").write_text("[entities.x]\n")
    assert settings.load("sandbox-dev", environment_files).name == "sandbox-dev"
    shutil.copy(environment_files / "sandbox-dev.toml", environment_files / "Sandbox-Dev.toml")
    assert "has the same name except for case" in refused(environment_files)


def test_no_other_environment_is_read_to_load_one(environment_files: Path) -> None:
    """The page loads its environment with each request."""

    def files_read() -> int:
        calls = cProfile.Profile()
        calls.runcall(settings.load, "sandbox-dev", environment_files)
        names = [getattr(one.code, "co_name", "") for one in calls.getstats()]
        assert "read_bytes" in names
        return sum(
            one.callcount
            for one, name in zip(calls.getstats(), names, strict=True)
            if name == "read_bytes"
        )

    alone = files_read()
    for number in range(9):
        shutil.copy(environment_files / "sandbox-prod.toml", environment_files / f"{number}.toml")
    assert files_read() == alone


def test_what_the_mapping_does_not_have_is_told_at_once(environment_files: Path) -> None:
    path = environment_files / "sandbox-dev.toml"
    path.write_text(
        path.read_text()
        .replace("[decisions.letters]", "[decisions.leters]")
        .replace(
            'when_different = { "*" = "filemaker" }',
            'when_different = { "contact_json.phone" = "nexus", "*" = "filemaker" }',
            1,
        )
        .replace("[decisions.notes]\n", '[decisions.notes]\npast_scheduled = "keep"\n')
        .replace('past_scheduled = "keep"', 'past_scheduled = "complete"', 1)
        .replace('channels = { notes = "odata"', 'channels = { note = "odata"')
    )
    found = settings.load("sandbox-dev", environment_files)
    with pytest.raises(SettingsError) as told:
        mapping.load_for(found, environment_files)
    for part in (
        "5 problems",
        "decisions.leters: no entity is called leters",
        'decisions.patients.when_different."contact_json.phone": the mapping feeds',
        "decisions.appointments.past_scheduled: must be keep or completed",
        "decisions.notes.past_scheduled: notes has no such rule",
        "filemaker.channels.note: no source is called note",
    ):
        assert part in str(told.value)
    path.write_text(path.read_text().replace('"contact_json.phone"', '"contact_json.phones"'))
    with pytest.raises(SettingsError, match="4 problems"):
        mapping.load_for(settings.load("sandbox-dev", environment_files), environment_files)


def test_all_problems_come_in_one_message(environment_files: Path) -> None:
    change(environment_files, 'kind = "dev"', 'kind = "development"')
    change(environment_files, "lock_wait = 10", "lock_wiat = 10")
    change(environment_files, 'timezone = "Australia/Sydney"', 'timezone = "Sydney"')
    told = refused(environment_files)
    for part in (
        "3 problems",
        "line 5, kind: must be 'dev' or 'prod'",
        "line 19, postgres.lock_wiat: is not a known name here; did you mean lock_wait?",
        "line 8, timezone: no such time zone",
    ):
        assert part in told


@pytest.mark.parametrize(
    ("right", "wrong", "told"),
    [
        ('database = "nexus_dev"', 'databse = "nexus_dev"', "postgres.databse: {}database?"),
        ("[postgres]", "[postgress]", "postgress: {}postgres?"),
        ("[decisions.notes]\n", "[decisions.notes]\npast_sheduled = 1\n", "{}past_scheduled?"),
        ("channels = {", "chanels = {", "filemaker.chanels: {}channels?"),
        ("at_most = 86", "at_mots = 86", "waivers.0.at_mots: {}at_most?"),
    ],
)
def test_a_mistyped_name_is_one_problem_and_names_the_one_that_was_meant(
    environment_files: Path, right: str, wrong: str, told: str
) -> None:
    path = environment_files / "sandbox-dev.toml"
    path.write_text(path.read_text().replace(right, wrong, 1))
    text = refused(environment_files)
    assert "1 problem\n" in text
    assert told.format("is not a known name here; did you mean ") in text


def test_a_name_that_is_like_none_is_told_without_a_guess(environment_files: Path) -> None:
    change(environment_files, "lock_wait = 10", "zzz = 10")
    assert "postgres.zzz: is not a known name here\n" in refused(environment_files)


def test_a_mapping_that_does_not_exist_is_told_with_the_shipped_one(tmp_path: Path) -> None:
    with pytest.raises(MappingError) as told:
        mapping.load("nexsu", tmp_path)
    assert told.value.what.endswith("; did you mean nexus?")
    assert told.value.next


def test_a_secret_in_the_file_is_refused_and_not_repeated(environment_files: Path) -> None:
    change(environment_files, '{ env = "NEXUS_SANDBOX_PG_PASSWORD" }', '"tell-nobody"')
    assert "this file must not hold a secret" in refused(environment_files)


def test_a_secret_that_is_nowhere_is_named(environment_files: Path) -> None:
    path = environment_files / ".env.sandbox-dev"
    path.write_text(path.read_text().replace("NEXUS_SANDBOX_S3_SECRET_KEY", "OTHER"))
    assert "NEXUS_SANDBOX_S3_SECRET_KEY is not set" in refused(environment_files)


def test_secrets_that_are_nowhere_are_one_problem(environment_files: Path) -> None:
    (environment_files / ".env.sandbox-dev").unlink()
    told = refused(environment_files)
    assert "1 problem\n" in told
    assert "are not set, and there is no .env.sandbox-dev: export them" in told
    assert "next:  nexus-reimport sandbox up writes it" in told


def test_a_file_of_secrets_that_others_can_read_is_refused(environment_files: Path) -> None:
    (environment_files / ".env.sandbox-dev").chmod(0o644)
    assert "1 problem\n" in refused(environment_files)
    assert f"chmod 600 {environment_files / '.env.sandbox-dev'}" in refused(environment_files)


def test_a_file_under_another_name_is_refused(environment_files: Path) -> None:
    shutil.copy(environment_files / "sandbox-dev.toml", environment_files / "prod.toml")
    shutil.copy(environment_files / ".env.sandbox-dev", environment_files / ".env.prod")
    assert 'name: is "sandbox-dev"' in refused(environment_files, "prod")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('host = "127.0.0.1"', 'host = "db.example"', "sslmode must be"),
        ('url = { env = "NEXUS_SANDBOX_FILEMAKER_URL" }', 'url = "http://fm.example"', "https://"),
        (
            'endpoint = { env = "NEXUS_SANDBOX_S3_ENDPOINT" }',
            'endpoint = "http://s3.example"',
            "https://",
        ),
    ],
)
def test_beyond_loopback_everything_is_encrypted(
    environment_files: Path, old: str, new: str, told: str
) -> None:
    change(environment_files, old, new)
    assert told in refused(environment_files)


def test_prod_names_the_environment_that_was_run_before(environment_files: Path) -> None:
    path = environment_files / "sandbox-prod.toml"
    path.write_text(path.read_text().replace('dev_environment = "sandbox-dev"\n', ""))
    assert "dev_environment" in refused(environment_files, "sandbox-prod")


def test_a_copy_of_devs_file_under_prods_name_is_no_dev(environment_files: Path) -> None:
    """As a dev, production would be executed without sign-off, and without a run of dev."""
    text = (environment_files / "sandbox-dev.toml").read_text()
    for name, is_prod in (
        ("prod", True),
        ("clinic-production", True),
        ("products", False),
        ("preprod", False),
    ):
        copied = text.replace('name = "sandbox-dev"', f'name = "{name}"')
        (environment_files / f"{name}.toml").write_text(copied)
        shutil.copy(environment_files / ".env.sandbox-dev", environment_files / f".env.{name}")
        if is_prod:
            assert 'kind is "dev", but the name says prod' in refused(environment_files, name)
        else:
            assert settings.load(name, environment_files).name == name


@pytest.mark.parametrize(
    ("old", "new", "outside"),
    [
        (
            'host = "127.0.0.1"',
            'host = "db.example"\nsslmode_waiver = "a tunnel"',
            "PostgreSQL on db.example",
        ),
        (
            'url = { env = "NEXUS_SANDBOX_FILEMAKER_URL" }',
            'url = "https://filemaker.example"',
            "FileMaker at https://filemaker.example",
        ),
        (
            'endpoint = { env = "NEXUS_SANDBOX_S3_ENDPOINT" }',
            'endpoint = "https://s3.example"',
            "S3 at https://s3.example",
        ),
        ('endpoint = { env = "NEXUS_SANDBOX_S3_ENDPOINT" }', "", "S3 at the provider"),
    ],
)
def test_only_the_made_up_clinic_is_a_sandbox(
    environment_files: Path, old: str, new: str, outside: str
) -> None:
    """A production whose file was made of the sandbox's would be executed without a signature."""
    change(environment_files, old, new)
    told = refused(environment_files)
    assert "sandbox = true is for the made-up clinic alone" in told
    assert f"and not {outside}: remove that line" in told
    change(environment_files, "sandbox = true", "sandbox = false")
    assert not settings.load("sandbox-dev", environment_files).sandbox


@pytest.mark.parametrize("path", ["x" * 256, "/".join(["y" * 100] * 40)], ids=["name", "path"])
def test_a_folder_whose_path_no_system_takes_is_told_as_that(
    environment_files: Path, path: str
) -> None:
    """Every command ended with an unforeseen error, which named no setting."""
    change(environment_files, '"../../runs"', f'"{path}"')
    assert "folders.runs: longer than the system takes" in refused(environment_files)


@pytest.mark.parametrize(
    ("runs", "private"),
    [("x", "x"), ("x", "x/private"), ("x/runs", "x"), ("x/../x", "./x/y/..")],
)
def test_records_and_private_files_lie_apart(
    environment_files: Path, runs: str, private: str
) -> None:
    """Records are archived, and private files are deleted some day."""
    change(environment_files, '"../../runs"', f'"{runs}"')
    change(environment_files, '"../../private"', f'"{private}"')
    assert "runs and private are one folder, or one lies in the other" in refused(environment_files)
    change(environment_files, f'private = "{private}"', 'private = "xy"')
    assert settings.load("sandbox-dev", environment_files).folders.private.name == "xy"


def test_no_record_is_archived_among_documents_and_images(environment_files: Path) -> None:
    path = environment_files / "sandbox-dev.toml"
    keys = """access_key = { env = "NEXUS_SANDBOX_S3_ACCESS_KEY" }
        secret_key = { env = "NEXUS_SANDBOX_S3_SECRET_KEY" }
        endpoint = { env = "NEXUS_SANDBOX_S3_ENDPOINT" }
        region = "us-east-1"
        days = 9
        """
    variable = '{ env = "NEXUS_SANDBOX_S3_ENDPOINT" }'
    text = path.read_text().replace(variable, '"http://localhost:9000/"')
    for bucket, endpoint, is_apart in (
        ("walk-nexus-dev", "http://localhost:9000", False),
        ("walk-nexus-dev", "http://127.0.0.1:9000", False),
        ("walk-nexus-dev", "http://localhost:9001", True),
        ("records", "http://localhost:9000", True),
    ):
        there = keys.replace(variable, f'"{endpoint}"')
        path.write_text(f'{text}\n[record.archive]\nbucket = "{bucket}"\n{there}')
        if is_apart:
            assert settings.load("sandbox-dev", environment_files).record.archive
        else:
            told = refused(environment_files)
            assert "record.archive.bucket is the bucket of documents and images" in told


def test_an_archive_has_its_own_settings_and_is_named_as_what_to_correct(
    environment_files: Path,
) -> None:
    path = environment_files / "sandbox-dev.toml"
    text = path.read_text()
    more = (
        '[record.archive]\nbucket = "records"\nregion = "us-east-1"\nprofile = "none"\ndays = 9\n'
    )
    path.write_text(text + more)
    place = settings.load("sandbox-dev", environment_files).record.archive
    assert place is not None
    with pytest.raises(StorageError, match=r"correct profile of \[record.archive\]"):
        storage.opened(place)
    for name, value in (("sample", "9"), ("prefixes", '["a/"]'), ("shared_with", '["prod"]')):
        path.write_text(f"{text}{more}{name} = {value}\n")
        assert f"record.archive.{name}: is not a known name here" in refused(environment_files)


def shared(environment_files: Path, name: str = "sandbox-dev") -> list[str]:
    own = settings.load(name, environment_files)
    return [str(one) for one in settings.shared.problems(own, environment_files)]


def test_a_bucket_that_two_environments_name_is_told_with_both(environment_files: Path) -> None:
    assert shared(environment_files) == shared(environment_files, "sandbox-prod") == []
    change(environment_files, "walk-nexus-dev", "walk-nexus-prod")
    (told,) = shared(environment_files)
    assert told.startswith(
        "sandbox-dev.toml and sandbox-prod.toml name the same bucket: walk-nexus-prod at http"
    )
    assert 'write shared_with = ["sandbox-prod"] into [s3] of sandbox-dev.toml' in told
    assert len(shared(environment_files, "sandbox-prod")) == 1, (
        "which of them is wrong is not known"
    )
    change(environment_files, "[s3]", '[s3]\nshared_with = ["sandbox-prod"]')
    assert shared(environment_files) == []


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("", "https://s3.ap-southeast-2.amazonaws.com", True),
        ("https://s3.example", "https://S3.example:443/", True),
        ("http://localhost:9000", "http://127.0.0.1:9000", True),
        ("http://localhost", "http://127.0.0.1:80/", True),
        ("https://s3.example", "https://s3.example:9000", False),
        ("", "https://s3.example", False),
    ],
)
def test_an_endpoint_is_the_same_however_it_is_spelt(
    environment_files: Path, one: str, other: str, is_same: bool
) -> None:
    for name, at in (("sandbox-dev", one), ("sandbox-prod", other)):
        path = environment_files / f"{name}.toml"
        text = path.read_text().replace('endpoint = { env = "NEXUS_SANDBOX_S3_ENDPOINT" }', "")
        text = re.sub('bucket = ".*"', f'bucket = "clinic"\nendpoint = "{at}"', text)
        path.write_text(text.replace("sandbox = true", "sandbox = false"))
    assert len(shared(environment_files)) == is_same


def test_no_record_is_archived_among_the_documents_of_another_environment(
    environment_files: Path,
) -> None:
    path = environment_files / "sandbox-dev.toml"
    more = "[record.archive]\nbucket = 'walk-nexus-prod'\nregion = 'us-east-1'\ndays = 9\n"
    for name in ("endpoint", "access_key", "secret_key"):
        more += f'{name} = {{ env = "NEXUS_SANDBOX_S3_{name.upper()}" }}\n'
    path.write_text(path.read_text() + more)
    for name in ("sandbox-dev", "sandbox-prod"):
        (told,) = shared(environment_files, name)
        assert "name one bucket for records and for documents and images: walk-nexus-prod" in told


def test_one_name_at_two_providers_is_two_buckets(environment_files: Path) -> None:
    change(environment_files, "walk-nexus-dev", "walk-nexus-prod")
    other = environment_files / ".env.sandbox-prod"
    other.write_text(re.sub("(S3_ENDPOINT=.*)", r"\g<1>9", other.read_text()))
    assert shared(environment_files) == []


def test_an_api_that_two_environments_name_is_told(environment_files: Path) -> None:
    for name, url in (("dev", "https://nexus.example/"), ("prod", "https://Nexus.example")):
        path = environment_files / f"sandbox-{name}.toml"
        password = 'user = "u"\npassword = { env = "NEXUS_SANDBOX_PG_PASSWORD" }'
        text = f'\n[application]\nurl = "{url}"\n{password}\n'
        path.write_text(path.read_text() + text)
    (told,) = shared(environment_files)
    assert "the same address of Nexus's API: https://nexus.example\n" in told


@pytest.mark.parametrize(("part", "other"), [("private", "runs"), ("runs", "private/deep")])
def test_no_environment_keeps_records_where_another_keeps_patients_data(
    environment_files: Path, part: str, other: str
) -> None:
    change(environment_files, f'{part} = "../../{part}"', f'{part} = "../../{other}"')
    if part == "private":
        change(environment_files, 'runs = "../../runs"', 'runs = "../../elsewhere"')
    else:
        change(environment_files, 'private = "../../private"', 'private = "../../elsewhere"')
    (told,) = shared(environment_files)
    assert told.startswith(
        "sandbox-dev.toml and sandbox-prod.toml name one folder for records and for patients' data"
    )


def test_an_exported_variable_that_overrides_the_file_of_secrets_is_known(
    environment_files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(settings.FOLDER_VARIABLE, str(environment_files))
    assert settings.overridden("sandbox-dev") == ()
    monkeypatch.setenv("NEXUS_SANDBOX_PG_PORT", "1")
    monkeypatch.setenv("NEXUS_SANDBOX_NOT_IN_THE_FILE", "1")
    assert settings.overridden("sandbox-dev") == ("NEXUS_SANDBOX_PG_PORT",)


def test_a_file_that_cannot_be_read_is_compared_with_none(environment_files: Path) -> None:
    """Its own mistakes are told to whoever uses it."""
    change(environment_files, "walk-nexus-dev", "walk-nexus-prod")
    (environment_files / "sandbox-prod.toml").write_text("[s3\n")
    (environment_files / "other.toml").write_text('s3 = "walk-nexus-prod"\n')
    assert shared(environment_files) == []


def test_a_file_that_is_no_toml_is_told(environment_files: Path) -> None:
    (environment_files / "sandbox-dev.toml").write_text("name = [")
    assert "is not valid TOML" in refused(environment_files)


def test_a_mark_at_the_beginning_is_read_as_what_it_is(environment_files: Path) -> None:
    """Notepad and PowerShell write one; the first name of .env was said to be not set."""
    for name in ("sandbox-dev.toml", ".env.sandbox-dev"):
        path, mark = environment_files / name, b"\xef\xbb\xbf"
        path.write_bytes(mark + path.read_bytes())
    assert settings.load("sandbox-dev", environment_files).postgres.port == 5999
    for name in ("sandbox-dev.toml", ".env.sandbox-dev"):
        path = environment_files / name
        path.write_bytes(path.read_bytes().removeprefix(mark).decode().encode("utf-16"))
    assert settings.load("sandbox-dev", environment_files).postgres.port == 5999


def test_a_file_in_another_encoding_is_told_by_line_and_nothing_of_it(
    environment_files: Path,
) -> None:
    path = environment_files / ".env.sandbox-dev"
    path.write_bytes(path.read_bytes().replace(b"tell-nobody", "tell-nobody-ä".encode("latin-1")))
    told = refused(environment_files)
    assert "1 problem\n" in told
    assert ".env.sandbox-dev, line 2: is not UTF-8, but probably windows-1252" in told
    path = environment_files / "sandbox-dev.toml"
    path.write_bytes(b"# \xe4\n" + path.read_bytes())
    assert "sandbox-dev.toml, line 1: is not UTF-8" in refused(environment_files)


def test_a_secret_that_stands_where_its_name_belongs_is_not_repeated(
    environment_files: Path,
) -> None:
    change(environment_files, '{ env = "NEXUS_SANDBOX_PG_PASSWORD" }', '{ env = "tell-nobody" }')
    told = refused(environment_files)
    assert "postgres.password: env must be the name of a variable" in told


LOGIN = "reader:tell-nobody@"


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        (
            'url = { env = "NEXUS_SANDBOX_FILEMAKER_URL" }',
            f'url = "https://{LOGIN}fm.example"',
            "filemaker.url",
        ),
        (
            'url = { env = "NEXUS_SANDBOX_FILEMAKER_URL" }',
            'url = "https://fm.example/?token=tell-nobody"',
            "filemaker.url",
        ),
        (
            'endpoint = { env = "NEXUS_SANDBOX_S3_ENDPOINT" }',
            'endpoint = "https://s3.example/b?X-Amz-Signature=tell-nobody"',
            "s3.endpoint",
        ),
        ('host = "127.0.0.1"', f'host = "postgres://{LOGIN}127.0.0.1"', "postgres.host"),
        ('host = "127.0.0.1"', 'host = "127.0.0.1 password=tell-nobody"', "postgres.host"),
        (
            'database = "nexus_dev"',
            f'database = "postgresql://{LOGIN}db/nexus"',
            "postgres.database",
        ),
        (
            'database = "nexus_dev"',
            'database = "dbname=nexus password=tell-nobody"',
            "postgres.database",
        ),
        ('name = "sandbox-dev"', f'name = "https://{LOGIN}x"', "name"),
        (
            'timezone = "Australia/Sydney"',
            'timezone = "Australia/Sydney"\nhooks = { enter = ["env", "PGPASSWORD=tell-nobody"],'
            ' leave = ["true"] }',
            "hooks.enter",
        ),
        (
            'timezone = "Australia/Sydney"',
            f'timezone = "Australia/Sydney"\nmapping = "https://{LOGIN}x/nexus.toml"',
            "mapping",
        ),
    ],
)
def test_a_login_in_an_address_a_name_or_an_argument_is_refused_and_not_repeated(
    environment_files: Path, old: str, new: str, place: str
) -> None:
    if place == "mapping":
        change(environment_files, 'mapping = "nexus"\n', "")
    change(environment_files, old, new)
    told = refused(environment_files)
    assert f"{place}: " in told
    assert "reader" not in told


@pytest.mark.parametrize("name", ["NEXUS_SANDBOX_FILEMAKER_URL", "NEXUS_SANDBOX_S3_ENDPOINT"])
def test_an_address_from_the_environment_may_hold_no_login_either(
    environment_files: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is no secret to the settings, and so it is recorded."""
    monkeypatch.setenv(name, f"https://{LOGIN}host.example")
    assert "recorded and shown" in refused(environment_files)


EXPORTS = """[filemaker.exports]
folder = "exports"
columns = { "Scans.tab" = ["ScanNo"] }
[filemaker.exports.files."Präsenz.csv"]
encoding = "macroman"
columns = ["a", "b"]
"""


def test_a_file_may_be_written_otherwise_than_all_others(environment_files: Path) -> None:
    path = environment_files / "sandbox-dev.toml"
    path.write_text(path.read_text() + unicodedata.normalize("NFD", EXPORTS))
    exports = settings.load("sandbox-dev", environment_files).filemaker.exports
    assert exports is not None
    own = exports.file(unicodedata.normalize("NFD", "Präsenz.csv"))
    assert (own.encoding, own.columns) == ("macroman", ("a", "b"))
    other = exports.file("Scans.tab")
    assert (other.encoding, other.columns) == ("utf-8", ("ScanNo",))


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('"macroman"', '"latin-1"', "encoding: must be 'utf-8'"),
        ('"Scans.tab"', '"Präsenz.csv"', "columns under `columns` and under `files`"),
        (
            "folder",
            f'files."{unicodedata.normalize("NFD", "Präsenz.csv")}".encoding = "utf-8"\nfolder',
            "differ only in how their accented letters are encoded",
        ),
    ],
)
def test_what_is_said_of_a_file_is_said_once_and_known(
    environment_files: Path, old: str, new: str, problem: str
) -> None:
    path = environment_files / "sandbox-dev.toml"
    path.write_text(path.read_text() + EXPORTS.replace(old, new, 1))
    assert problem in refused(environment_files)


@pytest.mark.parametrize("kind", ["dev", "prod"])
def test_the_templates_are_complete(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(ENVIRONMENTS / f"{kind}.toml.template", tmp_path / f"{kind}.toml")
    for name in ("PG_PASSWORD", "FILEMAKER_PASSWORD", "S3_ACCESS_KEY", "S3_SECRET_KEY"):
        monkeypatch.setenv(f"NEXUS_{kind.upper()}_{name}", "x")
    assert settings.load(kind, tmp_path).kind == kind


AUTHORITY = SUPPORT / "authority"


@pytest.mark.parametrize("part", ["filemaker", "s3"])
def test_the_file_of_an_authority_is_found_beside_the_environments_file(
    environment_files: Path, part: str
) -> None:
    shutil.copy(AUTHORITY / "ca.pem", environment_files / "clinic-ca.pem")
    change(environment_files, f"[{part}]\n", f'[{part}]\nca_file = "clinic-ca.pem"\n')
    found = settings.load("sandbox-dev", environment_files)
    named = found.filemaker.ca_file if part == "filemaker" else found.s3.ca_file
    assert named == (environment_files / "clinic-ca.pem").resolve()


def test_files_of_postgresql_are_seen_from_the_environments_file(environment_files: Path) -> None:
    """A page and a watch process run in other folders, and would not find them."""
    given = 'sslrootcert = "ca.pem"\nsslcert = "us.pem"\nsslkey = "us.key"\nbinaries = "pg/bin"\n'
    change(environment_files, "[postgres]\n", f"[postgres]\n{given}")
    server = (environment_files / "sandbox-dev.toml").read_text().partition("[postgres]")[2]
    server = server.partition("[filemaker]")[0]
    change(environment_files, "[folders]", f"[rehearsal.server]{server}[folders]")
    found = settings.load("sandbox-dev", environment_files)
    base = environment_files.resolve()
    for place in (found.postgres, found.rehearsal_server):
        seen = (place.sslrootcert, place.sslcert, place.sslkey, str(place.binaries))
        assert seen == tuple(str(base / name) for name in ("ca.pem", "us.pem", "us.key", "pg/bin"))
    for kept in ("", "system"):
        change(environment_files, 'sslrootcert = "ca.pem"', f'sslrootcert = "{kept}"')
        assert settings.load("sandbox-dev", environment_files).postgres.sslrootcert == kept
        change(environment_files, f'sslrootcert = "{kept}"', 'sslrootcert = "ca.pem"')


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "cannot be read: No such file"), ("no certificate", "holds no certificate (PEM)")],
)
def test_a_file_that_is_no_authoritys_is_refused_when_settings_are_loaded(
    environment_files: Path, content: str | None, said: str
) -> None:
    if content is not None:
        (environment_files / "clinic-ca.pem").write_text(content)
    change(environment_files, "[s3]\n", '[s3]\nca_file = "clinic-ca.pem"\n')
    told = refused(environment_files)
    assert f"s3.ca_file: the file of the certificate authority {said}" in told


def test_a_token_of_temporary_credentials_is_in_no_record(environment_files: Path) -> None:
    secret = '{ env = "NEXUS_SANDBOX_S3_SECRET_KEY" }'
    change(environment_files, "[s3]\n", f"[s3]\nsession_token = {secret}\n")
    found = settings.load("sandbox-dev", environment_files)
    assert found.s3.session_token is not None
    assert "session_token" not in found.public()["s3"]
