"""An environment's template, filled in; and secrets, written as they are read."""

from __future__ import annotations

import itertools
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_reimport import CHECKOUT, settings
from nexus_reimport.cli.init import Draft, _write
from nexus_reimport.errors import SettingsError
from nexus_reimport.settings import credentials, template
from support.running import killed_after

TEMPLATES = sorted((CHECKOUT / "runbook" / "environments").glob("*.template"))


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_answers_stand_where_the_template_has_its_examples(path: Path) -> None:
    text = template.filled(
        path.read_text(encoding="utf-8"),
        "night-1",
        {
            ("name",): "night-1",
            ("postgres", "host"): 'a "host"',
            ("postgres", "port"): 5433,
            ("postgres", "sslrootcert"): None,
            ("s3", "endpoint"): "https://s3.example",
            ("filemaker", "ca_file"): "ca.pem",
        },
    )
    found = tomllib.loads(text)
    assert found["name"] == "night-1"
    assert (found["postgres"]["host"], found["postgres"]["port"]) == ('a "host"', 5433)
    assert "sslrootcert" not in found["postgres"]
    assert found["postgres"]["password"] == {"env": "NEXUS_NIGHT_1_PG_PASSWORD"}
    assert found["s3"]["endpoint"] == "https://s3.example"
    assert found["filemaker"]["ca_file"] == "ca.pem"
    assert "# owns no table of the application" in text, "comments stay"


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_a_section_that_is_a_comment_becomes_one_where_an_answer_belongs_there(path: Path) -> None:
    text = template.filled(
        path.read_text(encoding="utf-8"),
        "dev",
        {
            ("filemaker", "channel"): "exports",
            **{("filemaker", key): None for key in ("url", "user", "password", "channels")},
            ("filemaker", "exports", "folder"): "/exports",
            ("filemaker", "exports", "dates"): "m/d/y",
        },
    )
    place = tomllib.loads(text)["filemaker"]
    assert place.pop("exports") == {"folder": "/exports", "dates": "m/d/y"}
    assert place.keys() == {"channel", "database", "page", "workers"}


def test_after_a_kill_both_files_are_written_and_no_secret_is_left_beside_them(
    tmp_path: Path,
) -> None:
    """Each kill left a half-written file with typed passwords, under a name of its own."""
    draft = Draft("dev", {("name",): "dev", ("kind",): "dev"}, {"NEXUS_DEV_PG_PASSWORD": "typed"})
    left = 0
    for after in itertools.count():
        killed = killed_after(after, lambda: _write(draft, tmp_path / "dev.toml"))
        left += bool([*tmp_path.glob(".env.dev.*.new")])
        if not killed:
            break
    assert left
    assert {path.name for path in tmp_path.iterdir()} == {"dev.toml", ".env.dev"}
    assert "typed" in (tmp_path / ".env.dev").read_text()


def test_of_two_files_one_of_which_a_kill_has_replaced_the_next_start_tells(
    tmp_path: Path,
) -> None:
    """New passwords stood beside the old file, and went to the server that it names."""

    def draft(host: str) -> Draft:
        values = {("name",): "dev", ("kind",): "dev", ("postgres", "host"): host}
        return Draft("dev", values, {"NEXUS_DEV_PG_PASSWORD": host})

    def told() -> str:
        with pytest.raises(SettingsError) as stopped:
            settings.load("dev", tmp_path)
        return str(stopped.value)

    path, hidden = tmp_path / "dev.toml", tmp_path / ".env.dev"
    halves = 0
    for after in itertools.count():
        _write(draft("old"), path)
        assert "did not end" not in told()
        if not killed_after(after, lambda: _write(draft("new"), path)):
            break
        is_new = 'host = "new"' in path.read_text(), "new" in hidden.read_text()
        halves += len({*is_new}) == 2
        assert len({*is_new}) == 1 or "one may be new, and the other old" in told(), after
    assert halves
    assert {path.name for path in tmp_path.iterdir()} == {"dev.toml", ".env.dev"}


def test_a_hash_in_a_value_is_no_comment() -> None:
    assert template.filled('a = "x # y"  # why\n', "dev", {("a",): "z"}) == 'a = "z"      # why\n'


@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Zl", "Zp", "Cs"))))
def test_a_secret_is_read_as_it_was_written_or_refused(value: str) -> None:
    try:
        text = template.secrets({"NAME": value})
    except ValueError:
        return
    read: dict[str, str] = {}
    assert list(credentials._assignments(text.removesuffix("\n"), read)) == []
    assert read == {"NAME": value}
