import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import psycopg
import pytest
import requests

from nexus_reimport import CHECKOUT, application, mapping, record, settings
from nexus_reimport.cli import sandbox as commands
from nexus_reimport.errors import Busy, SandboxError, SandboxRefused
from nexus_reimport.nexus import rights
from nexus_reimport.settings import ApplicationAccess
from nexus_reimport.settings.values import FromEnvironment
from nexus_sandbox import process
from nexus_sandbox.postgres.server import Postgres
from nexus_sandbox.stack import lifecycle, state
from nexus_sandbox.stack.access import ROLE
from nexus_sandbox.stack.lifecycle import Stack
from support.bringing_up import Command
from support.commands import command as typed

SCALE = 0.02


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One state folder for all: what is made at the first ``up`` serves the later ones."""
    made = tmp_path_factory.mktemp("sandbox") / "state"
    yield made
    lifecycle.down(made, remove=True)


@pytest.fixture
def sandbox(folder: Path) -> Stack:
    """A running clinic, whatever the test before did to it."""
    return up(folder)


@pytest.fixture
def stopped(sandbox: Stack) -> Path:
    """The folder of a clinic that is kept and not running."""
    lifecycle.down(sandbox.folder)
    return sandbox.folder


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Path]:
    """A folder in which nothing was made yet, and of which nothing is left."""
    yield tmp_path / "state"
    lifecycle.down(tmp_path / "state", remove=True)


def up(folder: Path) -> Stack:
    return lifecycle.up(folder, scale=SCALE, environments=folder.parent / "environments")


def ask(dsn: str, question: str) -> list[tuple[object, ...]]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        return connection.execute(question).fetchall()


def living(folder: Path) -> dict[int, str]:
    """The processes that have anything to do with this state folder, by id."""
    postgres = Postgres.at(folder / "postgres")
    marks = [str(folder), *([str(postgres.home)] if postgres else [])]
    return {
        one.info["pid"]: text
        for one in psutil.process_iter(["pid", "cmdline", "cwd"])
        if one.info["pid"] != os.getpid()
        for text in [f"{one.info['cmdline']} {one.info['cwd']}"]
        if any(mark in text for mark in marks)
    }


def servers(folder: Path) -> set[int]:
    """Those of them that stay: PostgreSQL has some of its own that come and go."""
    return {pid for pid, text in living(folder).items() if "postgres: " not in text}


def gone(folder: Path) -> bool:
    return process.until(lambda: not living(folder), 60, pause=0.2)


def test_both_databases_belong_to_the_applications_role_and_nothing_to_ours(
    sandbox: Stack,
) -> None:
    for database in ("nexus_dev", "nexus_prod"):
        assert ask(
            sandbox.dsn(database),
            "SELECT current_user::text, rolsuper, rolcreatedb, rolcreaterole,"
            " (SELECT datdba::regrole::text FROM pg_database WHERE datname = current_database()),"
            " (SELECT string_agg(DISTINCT tableowner, ',') FROM pg_tables"
            "   WHERE schemaname = 'public')"
            " FROM pg_roles WHERE rolname = current_user",
        ) == [("nexus", False, False, False, "nexus", "nexus")]
        role = sandbox.postgres.dsn(database, ROLE)
        assert ask(
            role,
            "SELECT current_user::text, rolsuper, rolcreaterole, rolbypassrls FROM"
            " pg_roles WHERE rolname = current_user",
        ) == [("nexus_reimport", False, False, False)]
        assert ask(
            role,
            "SELECT relnamespace::regnamespace::text, count(*) > 0 FROM pg_class"
            " WHERE relowner = current_user::regrole AND relkind IN ('r', 'p', 'S')"
            " GROUP BY 1",
        ) == [("nexus_reimport", True)]
        with psycopg.connect(role, options="-c search_path=pg_catalog") as connection:
            lacking = [r for r in rights.read(connection, mapping.load("nexus")) if not r.held]
        assert lacking == []


def test_content_types_are_numbered_differently_in_dev_and_prod(sandbox: Stack) -> None:
    question = "SELECT id FROM django_content_type WHERE model = 'patient'"
    dev, prod = (ask(sandbox.dsn(name), question) for name in ("nexus_dev", "nexus_prod"))
    assert len(dev) == len(prod) == 1
    assert dev != prod


def test_identities_go_on_after_the_rows_that_were_loaded(sandbox: Stack) -> None:
    with psycopg.connect(sandbox.dsn("nexus_dev")) as connection:
        highest = connection.execute("SELECT max(id) FROM django_content_type").fetchone()
        made = connection.execute(
            "INSERT INTO django_content_type (app_label, model) VALUES ('a', 'b') RETURNING id"
        ).fetchone()
        connection.rollback()
    assert highest is not None
    assert made == (highest[0] + 1,)


def test_every_attachment_row_may_have_its_object_and_both_buckets_are_filled(
    sandbox: Stack,
) -> None:
    for environment in ("dev", "prod"):
        keys = set(sandbox.storage.keys(f"walk-nexus-{environment}"))
        rows = {
            key
            for (key,) in ask(
                sandbox.dsn(f"nexus_{environment}"),
                "SELECT s3_key FROM documents_document UNION SELECT s3_key FROM images_image",
            )
        }
        assert len(rows & keys) > 0.9 * len(rows) > 0


def test_filemaker_answers_with_its_password(sandbox: Stack) -> None:
    url = f"{sandbox.filemaker_url}/fmi/data/v1/databases/WalkClinic/sessions"
    right, wrong = (
        requests.post(url, json={}, auth=("nexus_reader", password), timeout=60)
        for password in (sandbox.filemaker_password, "wrong")
    )
    assert (right.status_code, wrong.status_code) == (200, 401)


def test_the_files_of_secrets_are_private_and_hold_what_settings_ask_for(sandbox: Stack) -> None:
    folder = sandbox.folder.parent / "environments"
    for name in (".env.sandbox-dev", ".env.sandbox-prod"):
        assert (folder / name).stat().st_mode & 0o777 == 0o600
        first, *lines = (folder / name).read_text().splitlines()
        assert first == f"# made-up clinic: {sandbox.folder}"
        held = dict(line.split("=", 1) for line in lines)
        assert held == sandbox.environment()
        assert held["NEXUS_SANDBOX_PG_PORT"] == str(sandbox.postgres_port)
        assert held["NEXUS_SANDBOX_S3_ENDPOINT"] == f"http://127.0.0.1:{sandbox.s3_port}"


def test_no_secret_is_printed_logged_or_in_a_command_line(sandbox: Stack) -> None:
    seen = [
        f"{sandbox} {sandbox!r} {lifecycle.status(sandbox.folder)}",
        *living(sandbox.folder).values(),
    ]
    logs = [*sandbox.folder.glob("*.log"), *sandbox.folder.glob("*/*.log")]
    seen += [log.read_text() for log in logs]
    secrets = [
        sandbox.filemaker_password,
        sandbox.storage.secret_key,
        *sandbox.postgres.passwords.values(),
    ]
    assert len(logs) == 4
    assert not [secret for secret in secrets for text in seen if secret in text]


def test_the_state_folder_is_closed_and_files_with_secrets_are_too(sandbox: Stack) -> None:
    assert sandbox.folder.stat().st_mode & 0o777 == 0o700
    for name in ("sandbox.json", "postgres/postgres.json", "s3/s3.json"):
        assert (sandbox.folder / name).stat().st_mode & 0o777 == 0o600


def test_up_on_a_running_clinic_gives_it_at_once(sandbox: Stack) -> None:
    before = servers(sandbox.folder)
    assert up(sandbox.folder) == sandbox
    assert servers(sandbox.folder) == before != set(), "nothing was started"


def test_status_tells_what_runs_where(sandbox: Stack) -> None:
    shown = lifecycle.status(sandbox.folder)
    assert (shown.made, shown.running, shown.scale) == (True, True, SCALE)
    assert [(server.name, server.port, server.listens) for server in shown.servers] == [
        ("PostgreSQL", sandbox.postgres_port, True),
        ("S3", sandbox.s3_port, True),
        ("FileMaker", sandbox.filemaker_port, True),
    ]


def test_reset_puts_back_rows_and_objects_though_somebody_is_connected(sandbox: Stack) -> None:
    counted = "SELECT count(*) FROM notes"
    before = ask(sandbox.dsn("nexus_prod"), counted)
    key = next(sandbox.storage.keys("walk-nexus-prod"))
    sandbox.storage.client().delete_object(Bucket="walk-nexus-prod", Key=key)
    with psycopg.connect(sandbox.dsn("nexus_prod")) as connection:
        connection.execute("DELETE FROM notes")
        connection.commit()
        lifecycle.reset(sandbox.folder)
    assert ask(sandbox.dsn("nexus_prod"), counted) == before != [(0,)]
    assert key in set(sandbox.storage.keys("walk-nexus-prod"))


@pytest.fixture
def environments(sandbox: Stack, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The environments that lead to the clinic, as the checkout ships them."""
    places = sandbox.folder.parent / "environments"
    for shipped in (CHECKOUT / "runbook" / "environments").glob("sandbox-*.toml"):
        (places / shipped.name).write_text(shipped.read_text().replace('"../../', '"../'))
    monkeypatch.setenv(settings.FOLDER_VARIABLE, str(places))
    return places


def test_an_own_folder_of_environments_gets_those_of_the_clinic(
    sandbox: Stack,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It got their secrets alone: the command ended well, and nothing could be started."""
    own = tmp_path / "mine" / "environments"
    monkeypatch.setenv(settings.FOLDER_VARIABLE, str(own))
    asked = ["sandbox", "up", "--folder", str(sandbox.folder)]
    code, out, _ = typed(capsys, *asked)
    assert (code, out.count("written: ")) == (0, 2)
    assert {one.name for one in settings.every()} == {"sandbox-dev", "sandbox-prod"}
    assert settings.load("sandbox-dev").folders.runs == tmp_path / "mine" / "runs"
    changed = own / "sandbox-dev.toml"
    changed.write_text(changed.read_text() + "# mine\n")
    assert typed(capsys, *asked)[0] == 0
    assert changed.read_text().endswith("# mine\n")


@pytest.mark.usefixtures("environments")
@pytest.mark.parametrize("action", [["reset"], ["down"], ["down", "--remove"]])
def test_the_databases_are_not_taken_from_a_run_at_work_unless_that_is_forced(
    sandbox: Stack, action: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Both did it without a word, and the run failed at its next statement."""
    before, asked = servers(sandbox.folder), ["sandbox", *action, "--folder", str(sandbox.folder)]
    prod = settings.load("sandbox-prod")
    with record.at_work(prod):
        code, _, told = typed(capsys, *asked)
        assert (code, servers(sandbox.folder)) == (1, before)
        assert told.splitlines()[0].endswith("is in use: a command of sandbox-prod")
        command, *more = action
        words = ["nexus-reimport sandbox", command, "--folder", str(sandbox.folder), *more]
        assert f"{' '.join(words)} --force" in told
    run = record.create(settings.load("sandbox-dev"))
    with run.at_work():  # stepped through in JupyterLab: no command is at work
        code, _, told = typed(capsys, *asked)
        assert code == 1
        assert f"run {run.id} of sandbox-dev (pid {os.getpid()})" in told
        assert typed(capsys, *asked, "--force")[0] == 0
    shutil.rmtree(run.folder)
    up(sandbox.folder)
    assert typed(capsys, *asked)[0] == 0


def adopted(sandbox: Stack) -> list[list[tuple[object, ...]]]:
    question = "SELECT environment, database_name FROM nexus_reimport.deployment"
    places = [sandbox.postgres.dsn(f"nexus_{kind}", ROLE) for kind in ("dev", "prod")]
    return [ask(place, question) for place in places]


def test_each_database_is_its_environments_own_also_after_a_reset(sandbox: Stack) -> None:
    own = [[(f"sandbox-{kind}", f"nexus_{kind}")] for kind in ("dev", "prod")]
    assert adopted(sandbox) == own
    with sandbox.postgres.connect("nexus_dev", ROLE) as connection:
        connection.execute("DELETE FROM nexus_reimport.deployment")
    lifecycle.reset(sandbox.folder)
    assert adopted(sandbox) == own


def test_a_clinic_that_was_kept_from_before_it_was_adopted_is_made_again(sandbox: Stack) -> None:
    for kind in ("dev", "prod"):
        with sandbox.postgres.connect(f"nexus_{kind}", ROLE) as connection:
            connection.execute("DROP SCHEMA nexus_reimport CASCADE")
    lifecycle.down(sandbox.folder)
    held = state.SavedState.at(sandbox.folder)
    assert held is not None
    replace(held, recipe="of another version").remember(sandbox.folder)
    said: list[str] = []
    environments = sandbox.folder.parent / "environments"
    new = lifecycle.up(sandbox.folder, scale=SCALE, environments=environments, progress=said.append)
    assert adopted(new) == [[("sandbox-dev", "nexus_dev")], [("sandbox-prod", "nexus_prod")]]
    assert said[:2] == [
        "another version of this package made the clinic in this folder: it is deleted, with its"
        " databases and the runs in them, and made again",
        "records of those runs stay; nexus-reimport record restored ENVIRONMENT --why TEXT"
        " acknowledges that the databases do not know them any more",
    ]


def test_another_size_than_the_kept_one_is_refused(sandbox: Stack) -> None:
    with pytest.raises(SandboxError) as refusal:
        lifecycle.up(sandbox.folder, scale=0.5, environments=sandbox.folder.parent / "environments")
    assert str(refusal.value) == (
        "the existing clinic has scale 0.02 and seed 20251109, not scale 0.5 and seed 20251109\n"
        f"  where: folder={sandbox.folder}\n"
        "  state: nothing was changed\n"
        "  next:  use scale 0.02 and seed 20251109, or remove the clinic first:"
        " nexus-reimport sandbox down --remove"
    )


def test_where_nothing_is_kept_status_says_so_down_does_nothing_and_reset_refuses(
    tmp_path: Path,
) -> None:
    assert not lifecycle.status(tmp_path / "none").made
    lifecycle.down(tmp_path / "none")
    assert not (tmp_path / "none").exists()
    with pytest.raises(SandboxError, match="not running") as told:
        lifecycle.reset(tmp_path / "none")
    assert told.value.exit_code == 2, "nothing has failed: a person must start it"


def test_a_second_up_keeps_ports_passwords_and_data_and_is_quick(sandbox: Stack) -> None:
    ask(sandbox.dsn("nexus_dev"), "DELETE FROM notes RETURNING id")
    lifecycle.down(sandbox.folder)
    assert gone(sandbox.folder)
    before = time.monotonic()
    assert up(sandbox.folder) == sandbox
    assert time.monotonic() - before < 120
    assert ask(sandbox.dsn("nexus_dev"), "SELECT count(*) FROM notes") == [(0,)]


def test_a_with_block_stops_what_it_started_and_nothing_else(stopped: Path) -> None:
    with lifecycle.running(stopped, scale=SCALE, environments=stopped.parent) as outer:
        with lifecycle.running(stopped, scale=SCALE, environments=stopped.parent) as inner:
            assert inner == outer
        assert lifecycle.status(stopped).running
    assert gone(stopped)


@pytest.mark.parametrize("moment", ["generating", "starting"])
def test_nothing_runs_on_when_the_first_up_is_killed(empty: Path, moment: str) -> None:
    with command(empty, "stay", 60) as running:
        wait_for(running, moment)
        if moment == "starting":
            assert process.until((empty / "s3").exists, 300)
        running.kill()
    assert gone(empty)
    assert not lifecycle.status(empty).made


def test_what_was_half_made_or_lost_is_made_again(empty: Path) -> None:
    with command(empty, "stay", 60) as running:
        wait_for(running, "filling")
        running.kill()
    again = up(empty)
    assert ask(again.dsn("nexus_prod"), "SELECT count(*) > 0 FROM patients") == [(True,)]
    lifecycle.down(empty)
    shutil.rmtree(again.postgres.home)  # as a cleaner of temporary files does
    anew = up(empty)
    assert ask(anew.dsn("nexus_prod"), "SELECT count(*) > 0 FROM patients") == [(True,)]


def test_of_two_commands_at_once_one_starts_it_and_both_have_it(stopped: Path) -> None:
    with command(stopped, "stay", 3) as one, command(stopped, "stay", 3) as other:
        wait_for(one, "up")
        wait_for(other, "up")
    assert gone(stopped)


def test_nothing_runs_on_when_a_command_that_is_up_is_killed(stopped: Path) -> None:
    with command(stopped, "stay", 60) as running:
        wait_for(running, "up")
        running.kill()
    assert gone(stopped)
    assert lifecycle.status(stopped).made


def test_nothing_runs_on_when_the_supervisor_is_killed(stopped: Path) -> None:
    with command(stopped, "detach", 0) as running:
        wait_for(running, "up")
    os.kill(state.supervisor(stopped), signal.SIGKILL)
    assert gone(stopped)
    assert not lifecycle.status(stopped).running
    again = up(stopped)
    assert ask(again.dsn("nexus_prod"), "SELECT count(*) > 0 FROM patients") == [(True,)]


def test_a_detached_clinic_lives_on_until_down(stopped: Path) -> None:
    with command(stopped, "detach", 0) as running:
        wait_for(running, "up")
    assert running.returncode == 0
    time.sleep(1)
    assert lifecycle.status(stopped).running
    lifecycle.down(stopped)
    assert gone(stopped)


def test_a_clinic_that_was_not_detached_ends_with_the_command(stopped: Path) -> None:
    with command(stopped, "stay", 0) as running:
        wait_for(running, "up")
    assert running.returncode == 0
    assert gone(stopped)


def test_when_one_server_dies_the_others_end_and_status_says_so(sandbox: Stack) -> None:
    os.kill(int((sandbox.folder / "filemaker.pid").read_text()), signal.SIGKILL)
    assert gone(sandbox.folder)
    assert not lifecycle.status(sandbox.folder).running
    assert not [server for server in lifecycle.status(sandbox.folder).servers if server.listens]


def test_the_folder_of_another_user_is_left_alone(tmp_path: Path) -> None:
    theirs = tmp_path if os.geteuid() == 0 else Path("/")
    if theirs == tmp_path:
        os.chown(theirs, process.NOBODY, process.NOBODY)
    for touch in (up, lifecycle.status, lifecycle.reset, lifecycle.down):
        with pytest.raises(SandboxError, match="belongs to another user"):
            touch(theirs)


USES = """
import sys
from pathlib import Path
from nexus_sandbox.stack import lifecycle
folder = Path(sys.argv[1])
with lifecycle.running(folder, scale=%s, environments=folder.parent / "environments"):
    print("up", flush=True)
    sys.stdin.readline()
"""


@contextmanager
def user(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A command that is at work with the clinic, as a demo is, until it gets a line."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    arguments = [sys.executable, "-c", USES % SCALE, str(folder)]
    with subprocess.Popen(arguments, text=True, cwd=CHECKOUT, **pipes) as running:
        try:
            wait_for(running, "up")
            yield running
        finally:
            if running.poll() is None:
                running.communicate("\n", timeout=120)


def test_of_two_users_the_first_to_end_leaves_the_servers_to_the_other(stopped: Path) -> None:
    with user(stopped) as one, user(stopped) as other:
        one.communicate("\n", timeout=120)
        assert one.returncode == 0
        assert lifecycle.status(stopped).running
        sandbox = Stack.at(stopped)
        assert ask(sandbox.dsn("nexus_dev"), "SELECT 1") == [(1,)]
        for touch in (lifecycle.down, lifecycle.reset):
            with pytest.raises(Busy, match="another command is at work"):
                touch(stopped)
        other.communicate("\n", timeout=120)
    assert gone(stopped)


def test_what_a_person_has_started_beside_a_user_runs_on(stopped: Path) -> None:
    with user(stopped), command(stopped, "detach", 0) as started:
        wait_for(started, "up")
    assert lifecycle.status(stopped).running
    with user(stopped):
        pass
    assert lifecycle.status(stopped).running
    lifecycle.down(stopped)
    assert gone(stopped)


def test_a_second_clinic_does_not_take_the_environments_of_a_running_one(
    sandbox: Stack, tmp_path: Path
) -> None:
    other, environments = tmp_path / "other", sandbox.folder.parent / "environments"
    with pytest.raises(SandboxRefused, match="of another folder is running") as told:
        lifecycle.up(other, scale=SCALE, environments=environments)
    assert f"sandbox down --folder {sandbox.folder}" in told.value.next
    with pytest.raises(SandboxRefused) as shown, commands._of(other):
        raise told.value
    assert shown.value.next.count("--folder") == 1, "the other clinic's, and not this one's too"
    assert not other.exists()


def test_a_mistyped_folder_is_left_as_it_is(tmp_path: Path) -> None:
    papers = tmp_path / "papers"
    papers.mkdir(mode=0o755)
    (papers / "letter.txt").write_text("kept")
    for wrong, what in (
        (papers, "holds other files"),
        (tmp_path / "no" / "x", "there is no folder"),
    ):
        with pytest.raises(SandboxRefused, match=what) as told:
            lifecycle.up(wrong, scale=SCALE)
        assert (told.value.state, told.value.exit_code) == ("nothing was changed", 2)
    assert papers.stat().st_mode & 0o777 == 0o755
    assert [path.name for path in papers.iterdir()] == ["letter.txt"]


@contextmanager
def command(folder: Path, mode: str, seconds: float) -> Iterator[Command]:
    """An ``up`` in a process of its own, ended at the latest with the block."""
    running = Command(folder, SCALE, mode, seconds)
    try:
        yield running
        running.wait(60)
    finally:
        running.kill()


def wait_for(running: subprocess.Popen[str] | Command, beginning: str) -> None:
    assert running.stdout is not None
    for line in running.stdout:
        if line.startswith(beginning):
            return
    pytest.fail(f"the command ended before it said {beginning}")


def test_nexus_api_is_served_for_each_database_where_an_environment_names_it(folder: Path) -> None:
    environments = folder.parent / "environments"
    up(folder)
    assert "NEXUS_SANDBOX_API_URL" not in (environments / ".env.sandbox-dev").read_text()
    (environments / "sandbox-dev.toml").write_text(
        '[application]\nurl = { env = "NEXUS_SANDBOX_API_URL" }\n'
    )
    stack = up(folder)
    _, *lines = (environments / ".env.sandbox-prod").read_text().splitlines()
    secrets = dict(line.split("=", 1) for line in lines)
    access = ApplicationAccess.model_validate(
        {
            "url": secrets["NEXUS_SANDBOX_API_URL"],
            "user": "verifier",
            "password": FromEnvironment(secrets["NEXUS_SANDBOX_API_PASSWORD"]),
        }
    )
    with application.opened(access) as api:
        shown = sum(1 for _ in api.every("/api/patients/"))
    assert ask(stack.dsn("nexus_prod"), "SELECT count(*) FROM patients") == [(shown,)]
    assert [s.name for s in lifecycle.status(folder).servers if s.listens][3:] == [
        "API of dev",
        "API of prod",
    ]
    (environments / "sandbox-dev.toml").unlink()
    up(folder)
    assert "NEXUS_SANDBOX_API_URL" not in (environments / ".env.sandbox-dev").read_text()
