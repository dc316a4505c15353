"""Where a run stands, as a cell shows it: its banner at once, its summary at the end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nexus_reimport.record import Run
from nexus_reimport.record.notebooks import first_screen as screens
from nexus_reimport.record.notebooks import rendering
from nexus_reimport.show.page import bundle

if TYPE_CHECKING:
    import pandas


def banner(run: Run) -> Screen:
    """Environment, database, run and verdict: shown as soon as a run is open."""
    return Screen(screens.read(run.folder), whole=False)


def first_screen(run: Run) -> Screen:
    """The whole screen: GO or NO-GO and why, what changes, what needs a person."""
    return Screen(screens.read(run.folder), whole=True)


@dataclass(frozen=True, slots=True, repr=False)
class Screen:
    """The first screen of a page, as a cell displays it."""

    screen: screens.FirstScreen
    whole: bool

    def _repr_html_(self) -> str:
        return rendering.STYLE + self.screen.as_html(whole=self.whole)

    def _repr_mimebundle_(
        self, include: object = None, exclude: object = None
    ) -> tuple[dict[str, str], dict[str, object]]:
        """What a cell displays, marked as this package's own for the run that is open."""
        return bundle(self)

    def __repr__(self) -> str:
        return self.screen.as_text(whole=self.whole)

    @property
    def frame(self) -> pandas.DataFrame:
        """Its lines as a pandas data frame: one row per line."""
        import pandas  # slow to load, and most commands never need it

        lines = [(line.name, line.text) for line in self.screen.lines]
        return pandas.DataFrame(lines, columns=["what", "says"])
