"""What a check has found is only told again where all that it has looked at is the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import pytest

from nexus_reimport.checks.memo import Memo


@dataclass(frozen=True, slots=True)
class Subject:
    number: int = 1
    unused: int = 1
    tables: Mapping[str, int] = field(default_factory=lambda: {"a": 1, "b": 2})

    @property
    def twice(self) -> int:
        return self.number * 2

    def of(self, name: str) -> Iterator[int]:
        yield self.tables[name]


asked: list[str] = []


@pytest.fixture(autouse=True)
def _nothing_asked() -> None:
    asked.clear()


def one_table(subject: Subject) -> int:
    asked.append("one table")
    return sum(subject.of("a")) + subject.twice


def all_tables(subject: Subject) -> int:
    asked.append("all tables")
    return sum(subject.tables.values())


def of_missing(subject: Subject) -> int:
    asked.append("missing")
    return subject.tables.get("c", 0)


def test_a_check_is_not_asked_again_about_the_same() -> None:
    memo = Memo()
    assert [memo.of(one_table, Subject()) for _ in range(3)] == [3, 3, 3]
    assert asked == ["one table"]


@pytest.mark.parametrize(
    "changed", [Subject(number=5), Subject(tables={"a": 7, "b": 2})], ids=["field", "entry"]
)
def test_it_is_asked_again_where_a_part_is_another_that_it_has_looked_at(changed: Subject) -> None:
    memo = Memo()
    memo.of(one_table, Subject())
    assert memo.of(one_table, changed) == one_table(changed)
    assert asked == ["one table"] * 3


def test_what_it_has_not_looked_at_does_not_count() -> None:
    memo = Memo()
    memo.of(one_table, Subject())
    memo.of(one_table, replace(Subject(), unused=9, tables={"a": 1, "b": 9}))
    assert asked == ["one table"]


@pytest.mark.parametrize("tables", [{"a": 1}, {"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 3}])
def test_an_entry_that_came_or_went_counts(tables: dict[str, int]) -> None:
    memo = Memo()
    memo.of(all_tables, Subject())
    assert memo.of(all_tables, Subject(tables=tables)) == sum(tables.values())


def test_an_entry_that_was_asked_for_and_not_there_counts() -> None:
    memo = Memo()
    assert memo.of(of_missing, Subject()) == 0
    assert memo.of(of_missing, Subject(tables={"c": 3})) == 3


def test_a_check_that_fails_is_asked_each_time() -> None:
    memo = Memo()
    for _ in range(2):
        with pytest.raises(KeyError):
            memo.of(lambda subject: subject.tables["c"], Subject())
