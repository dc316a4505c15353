"""Files that only their owner may read, that a crash leaves whole, and the locks on them."""

from __future__ import annotations

import hashlib
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nexus_reimport.files import private

OLD, NEW = b"old " * 50_000, b"new " * 50_000


@pytest.fixture(params=[0o000, 0o022, 0o077], ids=oct, autouse=True)
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def python(text: str, *arguments: object) -> subprocess.Popen[str]:
    """A process of its own, which has printed its first line."""
    head = "import sys, time\nfrom pathlib import Path\nfrom nexus_reimport.files import private\n"
    command = [sys.executable, "-c", head + text, *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    return process


def test_whatever_the_umask_only_the_owner_can_read(tmp_path: Path) -> None:
    assert mode(private.make_folder(tmp_path / "folder")) == 0o700
    assert mode(private.new_folder(tmp_path / "new")) == 0o700
    with private.create(tmp_path / "created") as file:
        assert mode(tmp_path / "created") == 0o600
        file.write(b"x")
    with private.append(tmp_path / "added to") as file:
        file.write(b"x")
    private.write_new(tmp_path / "written", b"x")
    private.replace(tmp_path / "replaced", b"x")
    with private.lock(tmp_path / "locked"):
        pass
    for name in ("created", "added to", "written", "replaced", "locked"):
        assert mode(tmp_path / name) == 0o600, name


def test_a_file_that_others_could_read_is_closed_when_it_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(OLD)
    path.chmod(0o644)
    private.replace(path, NEW)
    assert (mode(path), path.read_bytes()) == (0o600, NEW)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_folder_that_is_there_is_closed_only_where_that_is_asked_for(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    folder.chmod(0o755)
    assert mode(private.make_folder(folder)) == 0o755
    assert mode(private.close_folder(folder)) == 0o700


def test_a_new_file_or_folder_is_never_one_that_is_there(tmp_path: Path) -> None:
    path = tmp_path / "file"
    private.write_new(path, OLD)
    with pytest.raises(FileExistsError):
        private.create(path)
    with pytest.raises(FileExistsError):
        private.write_new(path, NEW)
    with pytest.raises(FileExistsError):
        private.new_folder(tmp_path)
    assert path.read_bytes() == OLD


def test_what_two_add_stands_in_the_order_in_which_it_was_synced(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with private.append(path) as one, private.append(path) as other:
        for file, line in ((one, b"1\n"), (other, b"2\n"), (one, b"3\n")):
            file.write(line)
            private.sync(file)
        assert path.read_bytes() == b"1\n2\n3\n"


def test_a_process_that_is_killed_while_it_replaces_leaves_the_old_or_the_new(
    tmp_path: Path,
) -> None:
    path = tmp_path / "file"
    private.replace(path, OLD)
    loop = """
path, texts = Path(sys.argv[1]), (b"old " * 50_000, b"new " * 50_000)
print("at work", flush=True)
while True:
    for text in texts:
        private.replace(path, text)
"""
    for pause in (0.01, 0.02, 0.03, 0.05, 0.08):
        process = python(loop, path)
        time.sleep(pause)
        process.kill()
        process.communicate()
        assert path.read_bytes() in (OLD, NEW)
        assert mode(path) == 0o600


def test_one_that_is_killed_between_writing_and_renaming_leaves_the_old(tmp_path: Path) -> None:
    path = tmp_path / "file"
    private.replace(path, OLD)
    cut = """
import os
def killed(self, target): os.kill(os.getpid(), 9)
Path.replace = killed
print("at work", flush=True)
private.replace(Path(sys.argv[1]), b"new " * 50_000)
"""
    process = python(cut, path)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert path.read_bytes() == OLD
    (draft,) = set(tmp_path.iterdir()) - {path}
    assert (mode(draft), draft.read_bytes()) == (0o600, NEW)
    private.replace(path, NEW)
    assert path.read_bytes() == NEW


def test_where_the_disk_refuses_the_old_file_stays_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file"
    private.replace(path, OLD)
    refused = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    private.replace(Path(sys.argv[1]), b"new " * 50_000)
except OSError as error:
    print(error.strerror, flush=True)
"""
    process = python(refused, path)
    process.communicate()
    assert process.returncode == 0
    assert path.read_bytes() == OLD
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_what_is_removed_need_not_have_been_there(tmp_path: Path) -> None:
    private.replace(tmp_path / "file", NEW)
    private.remove(tmp_path / "file")
    private.remove(tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


def test_of_two_who_lock_a_file_one_gets_it_and_a_kill_lets_go(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "lock"
    hold = """
with private.lock(Path(sys.argv[1])) as held:
    print(held is not None, flush=True)
    time.sleep(600)
"""
    process = python(hold, path)
    assert private.is_locked(path)
    with private.lock(path) as ours:
        assert ours is None
    assert private.is_locked(path), "who did not get it does not let go of it"
    process.kill()
    process.communicate()
    assert not private.is_locked(path)
    with private.lock(path) as ours:
        assert ours is not None
        assert private.is_locked(path)
        with private.lock(path) as second:
            assert second is None
    assert not private.is_locked(path)


def test_who_only_asks_for_a_moment_whether_a_lock_is_held_keeps_nobody_from_it(
    tmp_path: Path,
) -> None:
    path, asked, ended = tmp_path / "lock", threading.Event(), threading.Event()
    path.touch()

    def ask() -> None:
        while not ended.is_set():
            private.is_locked(path)
            asked.set()

    asker = threading.Thread(target=ask)
    try:
        asker.start()
        assert asked.wait(60)
        for _ in range(50):
            with private.lock(path) as ours:
                assert ours is not None
    finally:
        ended.set()
        asker.join()


def test_a_file_that_is_not_there_is_not_locked(tmp_path: Path) -> None:
    assert not private.is_locked(tmp_path / "lock")
    assert list(tmp_path.iterdir()) == []


def test_what_a_holder_writes_is_read_by_who_does_not_hold_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.write_text("of the one before")
    with private.lock(path) as held:
        assert held is not None
        held.truncate(0)
        held.write(b"token")
        held.flush()
        assert path.read_bytes() == b"token"


def test_a_command_and_what_it_starts_leave_no_core_dump(tmp_path: Path) -> None:
    dying = """
import resource, subprocess
from nexus_reimport.cli import main
_, hard = resource.getrlimit(resource.RLIMIT_CORE)
resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
try:
    main(["--help"])
except SystemExit:
    subprocess.run([sys.executable, "-c", "import os; os.abort()"], cwd=sys.argv[1], check=False)
print(resource.getrlimit(resource.RLIMIT_CORE)[0], list(Path(sys.argv[1]).iterdir()), flush=True)
"""
    told, _ = python(dying, tmp_path).communicate()
    assert told.splitlines()[-1] == "0 []"


def test_the_digest_of_a_file_is_that_of_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(NEW)
    assert private.sha256_of(path) == private.sha256(NEW) == hashlib.sha256(NEW).hexdigest()
