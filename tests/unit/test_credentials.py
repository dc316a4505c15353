"""A login stands where it is kept, and nowhere else; no message repeats anything of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from nexus_reimport.settings import credentials

SECRET = "Tr0ub4dor"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "https://filemaker.example",
        "https://filemaker.example:8443/",
        "https://fm_2.example/sub/folder",
        "https://[2001:db8::1]:443",
        "http://127.0.0.1:16000",
        "http://localhost",
        "http://[::1]:9",
    ],
)
def test_an_address_is_a_host_and_a_path_at_most(url: str) -> None:
    assert credentials.address(url) == url.rstrip("/")


@pytest.mark.parametrize(
    "url",
    [
        f"https://reader:{SECRET}@filemaker.example",
        f"https://{SECRET}@filemaker.example",
        f"https://reader%3A{SECRET}%40filemaker.example",
        f"https://reader:{SECRET}\\@filemaker.example",
        f"https://reader:{SECRET}\u2100filemaker.example",  # the library's error would quote it
        f"https://filemaker.example:{SECRET}",
        f"https://filemaker.example/?token={SECRET}",
        f"https://filemaker.example?X-Amz-Signature={SECRET}",
        f"https://filemaker.example/#{SECRET}",
        f"https://filemaker.example/;token={SECRET}",
        f"https://filemaker.example/token={SECRET}",
        f"https://[{SECRET}",
        f"http://filemaker.example/{SECRET}",
        f"reader:{SECRET}@filemaker.example",
        f"ftp://127.0.0.1/{SECRET}",
        "https://",
        "https:///filemaker",
        "filemaker.example",
        "https://filemaker.example:99999",
    ],
)
def test_another_address_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ValueError, match=r"address|https://") as told:
        credentials.address(url)
    assert SECRET not in str(told.value)
    assert "reader" not in str(told.value)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "::1", "fe80::1%eth0", "db-1.clinic.example", "/var/run/postgresql"]
)
def test_a_host_is_one_host_or_a_folder(host: str) -> None:
    assert credentials.host(host) == host


def test_a_host_in_the_brackets_of_an_address_is_the_one_that_libpq_takes() -> None:
    assert credentials.host("[::1]") == "::1"
    assert credentials.host("/run/[a:b]") == "/run/[a:b]"


@pytest.mark.parametrize(
    "host",
    [
        f"postgres://nexus:{SECRET}@db.example",
        f"nexus:{SECRET}@db.example",
        f"db.example user=nexus password={SECRET}",
        f"db.example?password={SECRET}",
        f"/var/run/postgresql?password={SECRET}",
        f"db.example,{SECRET}",
        "db.example:5432 ",
        "[::1",
        "",
    ],
)
def test_a_host_that_holds_more_is_refused(host: str) -> None:
    with pytest.raises(ValueError, match="must be the name or address of one host") as told:
        credentials.host(host)
    assert SECRET not in str(told.value)


def test_a_name_that_a_driver_would_take_for_a_login_is_refused() -> None:
    for name in ("nexus", "Clinic #2 (old)", "DOMAIN\\reader", "reader@clinic.example", "Präsenz"):
        assert credentials.name(name) == name
    for name in (
        f"postgres://nexus:{SECRET}@db/nexus",
        f"dbname=nexus password={SECRET}",
        f"nexus:{SECRET}",
    ):
        with pytest.raises(ValueError, match="must be a name only") as told:
            credentials.name(name)
        assert SECRET not in str(told.value)


@pytest.mark.parametrize(
    "command",
    [
        ("/usr/bin/install", "-m", "644", "/a/maintenance.html", "/b/maintenance.html"),
        ("/usr/bin/rm", "-f", "/var/www/token.html"),
        ("/usr/bin/mkdir", "-p", "/var/www/secrets"),
        ("docker", "exec", "-u", "app:app", "nexus", "manage.py", "maintenance", "on"),
        ("curl", "--netrc-file", "/etc/nexus/netrc", "https://lb.example/drain?pool=a"),
        ("notify", "--token-file=/etc/nexus/token", "--compass=north"),
        (),
    ],
)
def test_an_argument_may_name_where_a_secret_lies(command: tuple[str, ...]) -> None:
    assert credentials.arguments(command) == command


@pytest.mark.parametrize(
    "command",
    [
        ("notify", f"--password={SECRET}"),
        ("notify", "--api-token", SECRET),
        ("notify", "--secret", SECRET),
        ("env", f"PGPASSWORD={SECRET}", "psql"),
        ("sshpass", "-p", SECRET, "ssh", "lb"),
        ("/usr/bin/curl", "-u", f"admin:{SECRET}", "https://lb.example"),
        ("curl", f"https://admin:{SECRET}@lb.example"),
        ("curl", f"https://lb.example/?access_token={SECRET}"),
        ("curl", "-H", f"Authorization: Bearer {SECRET}"),
        ("curl", "-H", f"X-Api-Key: {SECRET}"),
        ("aws", "configure", "AKIAABCDEFGHIJKLMNOP"),
    ],
)
def test_an_argument_that_looks_like_a_login_is_refused(command: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="recorded and shown") as told:
        credentials.arguments(command)
    assert SECRET not in str(told.value)


def read(folder: Path, content: str | bytes) -> tuple[dict[str, str], list[str]]:
    path = folder / ".env.dev"
    path.unlink(missing_ok=True)
    path.touch(0o600)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    values: dict[str, str] = {}
    problems = list(credentials.read(path, values))
    assert not any(SECRET in problem for problem in problems)
    return values, problems


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=x", "x"),
        ("export A=x", "x"),
        ("  A = x  ", "x"),
        ("A=x#y", "x#y"),
        ("A=p=q==", "p=q=="),
        ("A='x '", "x "),
        ('A=" x#y "', " x#y "),
        ('A="it\'s"', "it's"),
        ("A='say \"x\"'", 'say "x"'),
        ("A='x' # which", "x"),
        ('A="x # y"', "x # y"),
        ('A=x"', 'x"'),
        ("A=it's", "it's"),
        (r'A="a\nb$C"', r"a\nb$C"),
        ("A=pä\u2028ß\x85", "pä\u2028ß\x85"),
        ("A=", ""),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_value_is_taken_as_it_stands(line: str, value: str, end: str, tmp_path: Path) -> None:
    text = f"# how{end}{end}{line}{end}Z=last"
    assert read(tmp_path, text) == ({"A": value, "Z": "last"}, [])
    assert read(tmp_path, b"\xef\xbb\xbf" + text.encode()) == ({"A": value, "Z": "last"}, [])


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (f"A={SECRET} # x", "# may begin a comment"),
        (f"A= #{SECRET}", "# may begin a comment"),
        (f'A="{SECRET}', "begins with a quote that is not closed"),
        (f'A="x"{SECRET}"', "continues after its closing quote"),
        (f"A='x'#{SECRET}", "continues after its closing quote"),
        (f"{SECRET}", "is not NAME=value"),
        (f"1A={SECRET}", "is not NAME=value"),
        (f"A-B={SECRET}", "is not NAME=value"),
        (f"Ä={SECRET}", "is not NAME=value"),
        (f"={SECRET}", "is not NAME=value"),
        (f"Z={SECRET}", "Z is also set in line 1"),
    ],
)
def test_a_line_that_can_be_read_in_two_ways_is_told_by_number(
    line: str, problem: str, tmp_path: Path
) -> None:
    _, (told,) = read(tmp_path, f"Z=first\n{line}\n")
    assert told.startswith(".env.dev, line 2: ")
    assert problem in told


def test_a_file_that_cannot_be_read_is_one_problem(tmp_path: Path) -> None:
    values, (told,) = read(tmp_path, f"A=1\nB=pä{SECRET}".encode("latin-1"))
    assert values == {}
    assert told == (
        ".env.dev, line 2: is not UTF-8, but probably windows-1252; save the file as UTF-8"
    )
    _, (told,) = read(tmp_path, f"A=1\nB={SECRET}".encode("utf-16-le"))
    assert "probably utf-16" in told
    (tmp_path / ".env.dev").chmod(0o644)
    assert list(credentials.read(tmp_path / ".env.dev", {})) == [
        f".env.dev: other users can read it; run chmod 600 {tmp_path / '.env.dev'}"
    ]
    (tmp_path / ".env.x").mkdir()
    assert list(credentials.read(tmp_path / ".env.x", {})) == [".env.x: is not a file"]
    assert list(credentials.read(tmp_path / "nowhere", {})) == []
