"""What one thread hides from the environment, another one reads nevertheless, and never half."""

from __future__ import annotations

import os
import threading

import pytest

from nexus_reimport import environ


def test_a_variable_that_is_hidden_is_read_and_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGTZ", "Australia/Sydney")
    monkeypatch.setenv("PGUSER", "me")
    with environ.hidden("PG", {"PGUSER"}):
        with environ.hidden("PG", {"PGUSER"}):
            assert "PGTZ" not in os.environ
        assert "PGTZ" not in os.environ, "the outer block lasts"
        assert os.environ["PGUSER"] == "me"
        assert environ.variables()["PGTZ"] == "Australia/Sydney"
    assert os.environ["PGTZ"] == "Australia/Sydney"


def test_all_are_read_while_other_threads_hide_some(monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(300):
        monkeypatch.setenv(f"PG_OF_A_TEST_{n}", "value")
    ended = threading.Event()

    def hide() -> None:
        while not ended.is_set():
            with environ.hidden("PG_OF_A_TEST_", ()):
                pass

    threads = [threading.Thread(target=hide) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        counts = {sum(n.startswith("PG_OF_A") for n in environ.variables()) for _ in range(300)}
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    assert counts == {300}


def test_what_is_changed_for_a_while_is_as_before_afterwards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SET_BEFORE", "old")
    monkeypatch.setenv("TAKEN_AWAY", "here")
    monkeypatch.delenv("NOT_SET", raising=False)
    asked = ("SET_BEFORE", "NOT_SET", "TAKEN_AWAY", "NEVER_THERE")

    def broken() -> None:
        with environ.changed({"SET_BEFORE": "new", "NOT_SET": "x"}, ("TAKEN_AWAY", "NEVER_THERE")):
            assert environ.some(asked) == {"SET_BEFORE": "new", "NOT_SET": "x"}
            raise KeyError

    with pytest.raises(KeyError):
        broken()
    assert environ.some(asked) == {"SET_BEFORE": "old", "TAKEN_AWAY": "here"}
    refused = environ.changed({"NOT_SET": "x", "SET_BEFORE": "\0"}, ("TAKEN_AWAY",))
    with pytest.raises(ValueError, match="null"), refused:
        pass
    assert environ.some(asked) == {"SET_BEFORE": "old", "TAKEN_AWAY": "here"}
