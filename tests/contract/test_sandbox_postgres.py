import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from nexus_reimport import CHECKOUT
from nexus_reimport.errors import SandboxError
from nexus_sandbox import process
from nexus_sandbox.postgres.server import Postgres, PostgresServer, binaries


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    started = PostgresServer.start(tmp_path_factory.mktemp("postgres"), durable=False)
    started.create_role("nexus")
    yield started
    started.remove()


def ask(dsn: str, question: str) -> list[tuple[object, ...]]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        return connection.execute(question).fetchall()


def test_it_listens_on_loopback_alone(server: PostgresServer) -> None:
    sockets = psutil.Process(server.pid).net_connections("all")
    listening = {s.laddr for s in sockets if s.status == psutil.CONN_LISTEN or s.type == 0}
    assert listening == {("127.0.0.1", server.port)}


def test_it_wants_the_password(server: PostgresServer) -> None:
    wrong = server.dsn().replace(server.access.passwords["postgres"], "guess")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(wrong)
    hba = "SELECT DISTINCT auth_method FROM pg_hba_file_rules"
    assert ask(server.dsn(), hba) == [("scram-sha-256",)]


def test_a_role_may_log_in_and_nothing_more(server: PostgresServer) -> None:
    rights = ask(
        server.dsn("postgres", "nexus"),
        "SELECT rolcanlogin, rolcreatedb, rolsuper, rolcreaterole, rolreplication, rolbypassrls,"
        " (SELECT count(*) FROM pg_auth_members WHERE member = pg_roles.oid)"
        " FROM pg_roles WHERE rolname = current_user",
    )
    assert rights == [(True, False, False, False, False, False, 0)]


def test_it_speaks_utf8_and_utc_in_a_locale_that_needs_no_installation(
    server: PostgresServer,
) -> None:
    shown = ask(
        server.dsn(), "SELECT current_setting('server_encoding'), current_setting('timezone')"
    )
    assert shown == [("UTF8", "UTC")]


def test_a_database_is_a_copy_of_its_template_and_goes_though_somebody_is_connected(
    server: PostgresServer,
) -> None:
    server.create_database("original", owner="nexus")
    with psycopg.connect(server.dsn("original", "nexus")) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS n")
    server.create_database("copy", template="original", owner="nexus")
    with psycopg.connect(server.dsn("copy", "nexus")) as connection:
        assert connection.execute("SELECT n FROM kept").fetchall() == [(7,)]
        server.drop_database("copy")
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT n FROM kept")
    assert ask(server.dsn(), "SELECT 1 FROM pg_database WHERE datname = 'copy'") == []


def test_its_binaries_are_those_of_the_server(server: PostgresServer) -> None:
    said = process.run([binaries() / "pg_dump", "--version"]).stdout
    major = ask(server.dsn(), "SELECT current_setting('server_version_num')::int / 10000")[0][0]
    assert f"(PostgreSQL) {major}." in said
    assert all((binaries() / name).exists() for name in ("psql", "pg_dump", "pg_restore"))


def test_printing_it_shows_no_password(server: PostgresServer) -> None:
    shown = f"{server} {server!r} {server.access} {server.access!r}"
    assert not [word for word in server.access.passwords.values() if word in shown]


def test_its_passwords_are_in_no_command_line_and_in_a_private_file(
    server: PostgresServer,
) -> None:
    assert (server.folder / "postgres.json").stat().st_mode & 0o777 == 0o600
    commands = "\n".join(" ".join(one.info["cmdline"] or ()) for one in every_process())
    assert not [word for word in server.access.passwords.values() if word in commands]


def test_as_root_it_runs_as_nobody_and_only_that_user_may_read_the_data(
    server: PostgresServer,
) -> None:
    expected = process.NOBODY if os.geteuid() == 0 else os.geteuid()
    assert psutil.Process(server.pid).uids().effective == expected
    held = server.access.data.stat()
    assert (held.st_uid, held.st_mode & 0o777) == (expected, 0o700)


def test_data_stays_after_stop_and_goes_with_remove(tmp_path: Path) -> None:
    with PostgresServer.start(tmp_path / "pg", durable=False) as first:
        first.create_role("nexus")
        first.create_database("kept", owner="nexus")
    second = PostgresServer.start(tmp_path / "pg", durable=False)
    assert second.port == first.port
    assert ask(second.dsn("kept", "nexus"), "SELECT 1") == [(1,)]
    second.remove()
    assert not (tmp_path / "pg").exists()
    assert not second.access.home.exists()


def test_a_port_that_somebody_else_took_is_replaced(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        taken = stranger.getsockname()[1]
        server = PostgresServer.start(tmp_path / "pg", port=taken, durable=False)
    assert server.port != taken
    server.remove()


def test_a_demo_is_durable_unless_told_otherwise(tmp_path: Path) -> None:
    server = PostgresServer.start(tmp_path / "pg", tuned={"work_mem": "17MB"})
    shown = ask(server.dsn(), "SELECT current_setting('fsync'), current_setting('work_mem')")
    server.remove()
    assert shown == [("on", "17MB")]


def test_an_initialisation_that_was_cut_off_is_done_again(tmp_path: Path) -> None:
    first = PostgresServer.start(tmp_path / "pg", durable=False)
    first.stop()
    first.access.data.rename(first.access.home / "draft")
    second = PostgresServer.start(tmp_path / "pg", durable=False)
    assert ask(second.dsn(), "SELECT 1") == [(1,)]
    assert not (first.access.home / "draft").exists()
    second.remove()


def test_data_whose_folder_was_deleted_goes_with_the_next_start(tmp_path: Path) -> None:
    lost = PostgresServer.start(tmp_path / "lost", durable=False)
    lost.stop()
    shutil.rmtree(tmp_path / "lost")
    PostgresServer.start(tmp_path / "other", durable=False).remove()
    assert not lost.access.home.exists()


def test_a_stale_lock_with_the_number_of_a_living_stranger_harms_nobody(tmp_path: Path) -> None:
    first = PostgresServer.start(tmp_path / "pg", durable=False)
    process.stop(first._server, polite=signal.SIGKILL)
    lock = first.access.data / "postmaster.pid"
    _, rest = lock.read_text().split("\n", 1)
    lock.write_text(f"{os.getpid()}\n{rest}")
    second = PostgresServer.start(tmp_path / "pg", durable=False)
    assert ask(second.dsn(), "SELECT 1") == [(1,)]
    second.remove()


def test_a_server_that_outlived_its_starter_is_ended_by_the_next_start(tmp_path: Path) -> None:
    first = PostgresServer.start(tmp_path / "pg", durable=False)
    second = PostgresServer.start(tmp_path / "pg", durable=False)
    assert first.exited()
    assert ask(second.dsn(), "SELECT 1") == [(1,)]
    second.remove()


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match="did not start") as failure:
        PostgresServer.start(tmp_path / "pg", durable=False, tuned={"no_such_setting": "1"})
    assert "no_such_setting" in failure.value.next
    PostgresServer.start(tmp_path / "pg", durable=False).remove()


def test_it_ends_with_a_starter_that_was_killed(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path\n"
        "from nexus_sandbox.postgres.server import PostgresServer\n"
        "print(PostgresServer.start(Path(sys.argv[1]), durable=False).pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, tmp_path / "pg"], stdout=subprocess.PIPE, cwd=CHECKOUT
    ) as starter:
        assert starter.stdout is not None
        pid = int(starter.stdout.readline())
        home = Postgres.at(tmp_path / "pg").home  # type: ignore[union-attr]
        starter.kill()
    assert process.until(lambda: not psutil.pid_exists(pid) and not living_in(home), 10)
    PostgresServer.start(tmp_path / "pg", durable=False).remove()


def every_process() -> Iterator[psutil.Process]:
    return psutil.process_iter(["cmdline", "cwd"])


def living_in(home: Path) -> list[psutil.Process]:
    return [one for one in every_process() if str(home) in (one.info["cwd"] or "")]
