"""HTML as a test looks at it: its tags in their order, each with its attributes and its words."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

_ALONE = {"meta", "img", "br", "wbr", "hr", "link", "input"}


@dataclass
class Tag:
    """One element."""

    name: str
    attributes: dict[str, str]
    inside: list[str]  # names of the elements around it
    words: str = ""
    holds: list[str] = field(default_factory=list)  # names of the elements right below it


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[Tag] = []
        self._open: list[Tag] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = Tag(tag, {k: v or "" for k, v in attrs}, [t.name for t in self._open])
        self.tags.append(found)
        if self._open:
            self._open[-1].holds.append(tag)
        if tag not in _ALONE:
            self._open.append(found)

    def handle_endtag(self, tag: str) -> None:
        closed = self._open.pop()
        assert closed.name == tag, f"<{closed.name}> is closed by </{tag}>"

    def handle_data(self, data: str) -> None:
        for tag in self._open:
            tag.words += data


def tags(html: str, *names: str) -> list[Tag]:
    """The elements of ``html``; only those called ``names``, if any are given."""
    reader = _Reader()
    reader.feed(html)
    assert not reader._open, f"<{reader._open[-1].name}> is never closed" if reader._open else ""
    return [tag for tag in reader.tags if not names or tag.name in names]


def heading_levels(html: str) -> list[int]:
    """The levels of its headings, in their order."""
    return [int(t.name[1]) for t in tags(html, *(f"h{n}" for n in range(1, 7)))]


def jumps(levels: list[int]) -> list[tuple[int, int]]:
    """Headings that go down by more than one level, each with the level before."""
    return [(a, b) for a, b in zip([0, *levels], levels, strict=False) if b > a + 1]
