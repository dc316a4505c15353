"""The page's addresses: what is shown by GET, and what is done by POST, which leads back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.extension.handler import ExtensionHandlerJinjaMixin, ExtensionHandlerMixin
from tornado import web

from nexus_reimport import naming, runbook
from nexus_reimport.errors import SettingsError, StopError
from nexus_reimport.model import NewerDecision, Proposal
from nexus_reimport.model.approval import short
from nexus_reimport.page import commands, front, identity, signing, status, way_back, work
from nexus_reimport.page.confirmation import Confirmation
from nexus_reimport.page.desk import Desk
from nexus_reimport.page.error_page import OwnErrors
from nexus_reimport.page.front import Form, Front
from nexus_reimport.page.headers import StrictHeaders
from nexus_reimport.page.readings import Reading
from nexus_reimport.page.signing import Signing
from nexus_reimport.record import Run, statements
from nexus_reimport.settings import Settings
from nexus_reimport.text import one_line

PATH = "/settings/data-management"
FIRST_LOOK = 2.0  # seconds that a request waits for a reading that has just begun
NEXT_LOOK = 0.5  # the same where an older reading can be shown: else the page is shown twice


class PageHandler(
    OwnErrors, StrictHeaders, ExtensionHandlerMixin, ExtensionHandlerJinjaMixin, JupyterHandler
):
    """What all handlers of the page have: the desk, the user, the templates, pages for errors."""

    @property
    def desk(self) -> Desk:
        """What is kept between requests."""
        desk: Desk = self.extensionapp.desk  # type: ignore[attr-defined]
        return desk

    @property
    def asset(self) -> Callable[[str], str]:
        """Where a file of ours is served."""
        address_of: Callable[[str], str] = self.extensionapp.asset  # type: ignore[attr-defined]
        return address_of

    @property
    def front(self) -> str:
        """The page's own address."""
        address: str = self.extensionapp.address  # type: ignore[attr-defined]
        return address

    @property
    def user_name(self) -> str:
        """Who is signed in, by name; "" where nobody has said it."""
        return identity.name_of(self.current_user)

    def sent(self, *names: str, person: str) -> dict[str, str]:
        """A form's inputs; that of the ``person`` holds who is signed in, where it is known."""
        given = {name: self.get_body_argument(name, "") for name in names}
        return given | ({person: self.user_name} if self.user_name else {})

    def page(self, template: str, settings: Settings, **values: Any) -> str:
        """A page, or a part of one, with what all of them need."""
        env = self.settings[f"{self.name}_jinja2_env"]
        html: str = env.get_template(template).render(
            head=self.desk.head(settings, self.user_name),
            can_log_out=not identity.is_by_token(self),
            front=self.front,
            asset=self.asset,
            xsrf=self.xsrf_token.decode(),
            zone=settings.zone,
            shown_at=datetime.now(UTC),  # on paper nobody knows of which day it is
            **values,
        )
        return naming.breakable(html)

    async def show(self, form: Form | None = None) -> None:
        """Write the whole page; ``form`` is one that was refused."""
        it = await asyncio.to_thread(front.gather, self.desk, form)
        self.write(self.page("front.html", it.settings, it=it))

    async def read_anew(self, reading: Reading[Any], place: str, most: float = FIRST_LOOK) -> None:
        """Begin, wait ``most`` seconds, lead back."""
        reading.begin()
        await reading.soon(most)
        self.back(place)

    def back(self, place: str) -> None:
        """Lead the browser back to the page, at ``place``."""
        self.redirect(f"{self.front}#{place}", status=303)


# ---------------------------------------------------------------- the page


class Whole(PageHandler):
    """The page itself."""

    @web.authenticated
    async def get(self) -> None:
        """Everything, as it is now. A token in the address is taken out of it."""
        if self.get_query_argument("token", ""):
            self.redirect(self.front)
            return
        self.desk.begin_what_is_due(self.desk.settings)
        readings = (self.desk.status, self.desk.connections)
        waits = (one.soon(FIRST_LOOK if one.is_new else NEXT_LOOK) for one in readings)
        await asyncio.gather(*waits)  # one after the other, two slow servers held the page twice
        await self.show()


class ReadAgain(PageHandler):
    """T1, read again."""

    @web.authenticated
    async def post(self) -> None:
        """Read it."""
        await self.read_anew(self.desk.status, "status")


class TestAgain(PageHandler):
    """T2, asked again."""

    @web.authenticated
    async def post(self) -> None:
        """Ask."""
        await self.read_anew(self.desk.connections, "connections")


# ---------------------------------------------------------------- what starts a command


class Starts(PageHandler):
    """A handler that starts a command."""

    async def start(self, action: str, arguments: Sequence[str], name: str = "") -> None:
        """Start it, as a process of its own; ``name`` is what was typed by whoever starts it.

        Raises:
            Busy: another one is at work.
        """
        settings = self.desk.settings
        await asyncio.to_thread(commands.start, settings, action, arguments, self.user_name or name)

    async def refuse_second(self) -> None:
        """That nothing is at work: first, since all else that is looked at is of another time.

        Raises:
            Busy: something is. Nothing was started.
        """
        await asyncio.to_thread(commands.refuse_second, self.desk.settings)

    def confirmation(self) -> Confirmation:
        """The form as it was sent; whoever is signed in by name is who confirms it."""
        return Confirmation.of(self.sent("name", "reason", "phrase", "digest", person="name"))

    async def another(self, given: Confirmation, waiting: Run) -> dict[str, str]:
        """That the one who approves is not the one who began the dry run, where two are needed."""
        book = await asyncio.to_thread(runbook.reopen, waiting.environment, waiting.id)
        gates = await asyncio.to_thread(book.second_person, given.name)
        refused = [gate.refusal.what for gate in gates if gate.refusal]
        return {"name": refused[0]} if refused else {}

    async def unfit(self, given: Confirmation) -> dict[str, str]:
        """Field -> why its words cannot stand in a record, by what the newest run has read."""
        words = (given.name, given.reason)
        try:
            await asyncio.to_thread(statements.refuse_unfit, self.desk.settings, *words)
        except SettingsError as error:
            return {"reason": error.what}
        return {}


class DryRun(Starts):
    """T3: a preflight."""

    @web.authenticated
    async def post(self) -> None:
        """Start it, unless another one waits than the page showed: that would be given up."""
        await self.refuse_second()
        await asyncio.to_thread(self._refuse_unseen, self.get_body_argument("waiting", None))
        name = self.user_name or one_line(self.get_body_argument("name", ""))
        who = [f"--who={name}"] if name else []
        await self.start("dry-run", ["run", self.desk.environment, *who], name)
        self.back("dry-run")

    def _refuse_unseen(self, seen: str | None) -> None:
        waiting = status.waiting(self.desk.settings)
        if seen is not None and waiting is not None and waiting.id != seen:
            raise StopError(
                f"run {waiting.id} waits for its approval, which your page did not show",
                state="nothing was started",
                next="look at what it says; another dry run would replace it",
            )


def _nothing_started(it: Front) -> str:
    """The state after a refusal; whoever sends a form again learns what became of the first."""
    return f"nothing was started by this; as it stands: {it.now.text}"


class Execute(Starts):
    """T4: the full reimport of the dry run that waits."""

    @web.authenticated
    async def post(self) -> None:
        """Start it, if every gate is open and the person has said who, why and what."""
        await self.refuse_second()
        it: Front = await asyncio.to_thread(front.gather, self.desk)
        if it.waiting is None or not it.gates.are_open:
            first = it.gates.closed[0]
            raise StopError(
                f"the full reimport is closed: {first.why or first.claim}",
                state=_nothing_started(it),
                next=first.next or "look at the gates",
            )
        given, digest = self.confirmation(), it.waiting.load(Proposal).digest
        word = self.desk.head(it.settings, "").word
        problems = given.problems(word, it.patients_after, short(digest))
        problems = problems or await self.unfit(given) or await self.another(given, it.waiting)
        if problems:
            self.set_status(422)
            await self.show(Form(given, problems))
            return
        words = [f"--approve={digest}", f"--who={given.name}", f"--reason={given.reason}"]
        await self.start("execute", ["run", self.desk.environment, *words], given.name)
        self.back("work")


class Finish(Starts):
    """Goes on with a run that is committed and unverified, or in doubt."""

    @web.authenticated
    async def post(self) -> None:
        """Start it."""
        last = work.latest(self.desk.settings)
        # It is not open any more: the command would look for another one.
        named = [f"--run={last.id}"] if last and last.seal_was_cut else []
        await self.start("finish", ["finish", self.desk.environment, *named])
        self.back("work")


class Cancel(PageHandler):
    """Ends the command that is at work, as Ctrl-C does."""

    @web.authenticated
    async def post(self) -> None:
        """Until COMMIT."""

        seen = self.get_body_argument("command", "")

        def cancel() -> None:
            settings = self.desk.settings
            at_work = work.now(settings)
            commands.cancel(settings, at_work.run if at_work else None, self.user_name, seen)

        await asyncio.to_thread(cancel)
        self.back("dry-run")


class Seen(PageHandler):
    """Takes away what tells that a command was refused: somebody has read it."""

    @web.authenticated
    async def post(self) -> None:
        """Note it."""
        log = self.get_body_argument("log", "")
        await asyncio.to_thread(commands.mark_seen, self.desk.settings, log, self.user_name)
        self.back("dry-run")


# ---------------------------------------------------------------- the sign-off


class Sign(PageHandler):
    """A line of the sign-off: signed, or its signature taken back."""

    @web.authenticated
    async def post(self) -> None:
        """Write it, lead back; or show the form again with what is wrong."""
        given = Signing.of(self.sent("line", "who", "text", "do", "seen", person="who"))
        problems = await asyncio.to_thread(signing.sign, self.desk.settings, given)
        if problems:
            self.set_status(422)
            await self.show(Form(problems=problems, signing=given, prefix="sign-"))
            return
        self.back(signing.PLACE)


# ---------------------------------------------------------------- the way back


class Look(PageHandler):
    """What taking the last run back would do."""

    @web.authenticated
    async def post(self) -> None:
        """Look."""
        chosen = self.get_body_argument("newer", "")
        if chosen not in list(NewerDecision):
            raise web.HTTPError(400)
        self.desk.newer = NewerDecision(chosen)
        await self.read_anew(self.desk.look, "way-back", 3 * FIRST_LOOK)


class RollBack(Starts):
    """The rollback of the last run, as it was looked at."""

    @web.authenticated
    async def post(self) -> None:
        """Start it, if the person has said who, why and what."""
        await self.refuse_second()
        look = self.desk.look.value
        if look is None or look.is_undecided:
            it: Front = await asyncio.to_thread(front.gather, self.desk)
            raise StopError(
                "nobody has looked, or decided about newer rows",
                state=_nothing_started(it),
                next="look first, then choose",
            )
        given, word = self.confirmation(), self.desk.head(self.desk.settings, "").word
        if problems := given.problems(word, look.patients, look.digest) or await self.unfit(given):
            self.set_status(422)
            of_inputs = {f"back-{name}": why for name, why in problems.items()}
            await self.show(Form(given, of_inputs, prefix="back-"))
            return
        environment = self.desk.environment
        words = way_back.arguments(look, environment, given.name, given.reason)
        await self.start("rollback", words, given.name)
        self.desk.forget_look()
        self.back("work")


# ---------------------------------------------------------------- the rest


class LogOut(PageHandler):
    """Ends the login."""

    async def post(self) -> None:
        """Lead to a new one."""
        self.identity_provider.clear_login_cookie(self)
        self.redirect(self.get_login_url(), status=303)


class Nothing(PageHandler):
    """An address below the page's own that leads nowhere."""

    @web.authenticated
    async def get(self) -> None:
        """There is no such page."""
        raise web.HTTPError(404)


ROUTES: list[tuple[str, type[JupyterHandler]]] = [
    (PATH + "/?", Whole),
    (PATH + "/read-again", ReadAgain),
    (PATH + "/test-again", TestAgain),
    (PATH + "/dry-run", DryRun),
    (PATH + "/execute", Execute),
    (PATH + "/finish", Finish),
    (PATH + "/sign", Sign),
    (PATH + "/cancel", Cancel),
    (PATH + "/seen", Seen),
    (PATH + "/look", Look),
    (PATH + "/roll-back", RollBack),
    (PATH + "/log-out", LogOut),
]
NOTHING = (PATH + "/(?!static/).*", Nothing)
