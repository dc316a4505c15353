"""What each answer tells the browser: nothing but our own style and script, in no frame."""

from __future__ import annotations

from typing import Any

from tornado import web

POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self';"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


class StrictHeaders:
    """For a handler of ``jupyter_server``: strict headers, and no request forged by another site.

    With a proxy that adds the token every request counts as ``jupyter_server``'s "token
    authenticated", which it takes without a look at where it came from. Here a POST always needs
    the page's own token against forgery.
    """

    @property
    def content_security_policy(self) -> str:
        """Own files only; nothing inline."""
        return POLICY

    def set_default_headers(self) -> None:
        """The policy, and that nothing is kept by the browser or guessed at."""
        answer: Any = self
        super().set_default_headers()  # type: ignore[misc]
        answer.set_header("Content-Security-Policy", self.content_security_policy)
        for name, value in (
            ("Cache-Control", "no-store"),
            ("Referrer-Policy", "same-origin"),
            ("X-Content-Type-Options", "nosniff"),
            ("X-Frame-Options", "DENY"),
            ("Cross-Origin-Opener-Policy", "same-origin"),
            ("Cross-Origin-Resource-Policy", "same-origin"),
        ):
            answer.set_header(name, value)

    async def head(self, *parts: str) -> None:
        """As GET, without the body: so asks what watches whether the page is there."""
        handler: Any = self
        given = handler.get(*parts)
        if given is not None:
            await given

    def set_cors_headers(self) -> None:
        """No other site may read anything."""

    def check_xsrf_cookie(self) -> None:
        """A POST needs the token that this page has given, however it is authenticated."""
        request: Any = self
        if request.request.method not in ("GET", "HEAD", "OPTIONS"):
            web.RequestHandler.check_xsrf_cookie(request)
