"""Who is signed in: by token or password as ``jupyter_server`` has them, by name behind a proxy.

A proxy that lets only Nexus's own users through adds the token to each request, and may add the
name of the user. What lets a request in is the token alone; the name is who confirms and signs.
"""

from __future__ import annotations

import re
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from typing import Any

from jupyter_server.auth.decorator import allow_unauthenticated
from jupyter_server.auth.identity import PasswordIdentityProvider, User
from jupyter_server.auth.login import LoginFormHandler
from tornado import web
from traitlets import Type, default

from nexus_reimport.page.error_page import OwnErrors
from nexus_reimport.page.headers import StrictHeaders

ANONYMOUS = "anonymous"
_MADE_UP = re.compile(r"[0-9a-f]{32}|" + ANONYMOUS)  # names by which nobody is known
USER_HEADER = "X-Remote-User"
LONGEST_NAME = 80
SESSION_DAYS = 0.5  # a login lasts for one shift


def name_of(user: Any) -> str:
    """The name of who is signed in; "" where nobody has told it."""
    is_made_up = _MADE_UP.fullmatch(str(getattr(user, "username", "")))
    return "" if is_made_up else str(getattr(user, "name", ""))


def is_by_token(handler: web.RequestHandler) -> bool:
    """Whether the request came with the token, as a proxy adds it to each: no login to end."""
    return bool(getattr(handler, "_token_authenticated", False))  # as jupyter_server marks it


def _decoded(header: str) -> str:
    """A name as its bearer writes it, whichever way a header brings letters beyond Latin-1.

    Django encodes them as e-mail does (RFC 2047); others send them as UTF-8, which tornado reads
    as Latin-1.
    """
    try:
        return str(make_header(decode_header(header.encode("latin-1").decode())))
    except (UnicodeError, LookupError, HeaderParseError):
        return header


class Identity(PasswordIdentityProvider):
    """jupyter_server's own, with a login that ends, its own page, and the proxy's user."""

    @default("cookie_options")
    def _cookie_options(self) -> dict[str, Any]:
        return {"expires_days": SESSION_DAYS, "samesite": "Lax"}

    @default("get_secure_cookie_kwargs")
    def _how_old(self) -> dict[str, Any]:
        return {"max_age_days": SESSION_DAYS}

    @default("allow_password_change")
    def _never(self) -> bool:
        return False

    login_handler_class = Type(default_value=__name__ + ".Login", klass=web.RequestHandler)

    async def _get_user(self, handler: web.RequestHandler) -> User | None:
        """As jupyter_server finds the user; with the token, by the name that came with it."""
        user = await super()._get_user(handler)
        given = _decoded(handler.request.headers.get(USER_HEADER, ""))
        name = "".join(c for c in given if c.isprintable()).strip()[:LONGEST_NAME]
        if user is not None and name and is_by_token(handler):
            return User(username=name)
        return user

    def generate_anonymous_user(self, handler: web.RequestHandler) -> User:
        """Nobody by name: jupyter_server would make one up."""
        return User(username=ANONYMOUS)

    def user_for_token(self, token: str) -> User:
        """As above, for the form of the login."""
        return User(username=ANONYMOUS)


class Login(OwnErrors, StrictHeaders, LoginFormHandler):
    """The login, on a page of ours."""

    def _render(self, message: dict[str, str] | None = None) -> None:
        page = self.settings["data_management"]
        self.write(
            page.jinja2_env.get_template("login.html").render(
                head=page.desk.head(page.desk.settings, ""),
                next=self.get_argument("next", default=self.base_url),
                error=(message or {}).get("error", ""),
                xsrf=self.xsrf_token.decode(),
                asset=page.asset,
                login=self.request.path,
            )
        )

    @allow_unauthenticated
    def get(self) -> None:
        """The form."""
        super().get()  # type: ignore[no-untyped-call]

    @allow_unauthenticated
    async def head(self, *parts: str) -> None:
        """The headers of the form."""
        await super().head(*parts)

    @allow_unauthenticated
    def post(self) -> None:
        """A token or a password."""
        super().post()  # type: ignore[no-untyped-call]
