"""Why no encrypted connection came about, cause by cause, and what to do about each."""

from __future__ import annotations

import re

_RENEW = "renew the certificate on the server"
_NAME = "use a server name that is in the certificate"
_UNKNOWN = "is signed by an authority that this machine does not know"
_CAUSES = (  # OpenSSL's text, in the order in which it is looked for
    ("certificate has expired", "has expired", _RENEW),
    ("certificate is not yet valid", "is not valid yet", "check the clocks of both machines"),
    ("Hostname mismatch", "is for a different name than the address", _NAME),
    ("doesn't match", "is for a different name than the address", _NAME),
    ("IP address mismatch", "is for a name, but the address is a number", _NAME),
    # This text holds the next one, and has another cause: it has to come first.
    ("self-signed certificate in certificate chain", _UNKNOWN, ""),
    ("self-signed certificate", "is self-signed", ""),
    ("unable to get local issuer", _UNKNOWN, ""),
    ("certificate revoked", "was revoked", _RENEW),
    (
        "unsuitable certificate purpose",
        "is not a server certificate",
        "install a server certificate there",
    ),
    ("CA signature digest algorithm too weak", "has a signature that is too weak", _RENEW),
    ("key too", "has a key that is too weak", _RENEW),
)
_CUT = ("UNEXPECTED_EOF", "EOF occurred")
_CHECK_SERVER = (
    "check the server's own settings of TLS (versions, ciphers, certificates, the names that it"
    " answers to), and its log"
)
_NO_TLS = (  # OpenSSL's own names for what is no certificate's fault
    (
        ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"),
        "{} does not use TLS at this address",
        "check the port: the address must be the encrypted one",
    ),
    (
        _CUT,
        "the connection to {} broke off before it was encrypted",
        "check the port (it must be the encrypted one), the network and the server; then run again",
    ),
    (
        ("PROTOCOL_VERSION", "UNSUPPORTED_PROTOCOL", "VERSION_TOO_LOW"),
        "{}'s server offers only versions of TLS that are too old",
        "have TLS 1.2 or 1.3 switched on there",
    ),
    (
        ("CERTIFICATE_REQUIRED",),
        "{}'s server wants a certificate of its clients, and this program has none",
        "have it ask for none at this address: account and password are what it gets",
    ),
)
# All that OpenSSL says of a certificate has the first of these in it; the second is urllib3's own.
_OF_CERTIFICATES = ("CERTIFICATE_VERIFY_FAILED", "doesn't match")
_REASON = re.compile(r"\[SSL: ([A-Z0-9_]{1,60})\]")


def broke_off(library: str) -> bool:
    """Whether the connection ended before it was encrypted, which another try may change."""
    return any(word in library for word in _CUT)


def unencrypted(library: str, server: str, section: str) -> tuple[str, str]:
    """What is wrong, in our words, and what to do; ``library`` is the library's message.

    ``section`` is the part of the environment's file that the setting ``ca_file`` goes into.
    """
    if any(word in library for word in _OF_CERTIFICATES):
        return _distrusted(library.casefold(), server, section)
    for words, what, todo in _NO_TLS:
        if any(word in library for word in words):
            return what.format(server), todo
    reason = _REASON.search(library)
    named = f" ({reason[1]})" if reason else ""
    return f"no encrypted connection (TLS) to {server} could be agreed on{named}", _CHECK_SERVER


def _distrusted(message: str, server: str, section: str) -> tuple[str, str]:
    what, todo = next(
        ((what, todo) for words, what, todo in _CAUSES if words.casefold() in message),
        ("is not trusted", ""),
    )
    return (
        f"the certificate of {server}'s server {what}",
        todo
        or f"set ca_file under {section} to the PEM file of the authority that signed it, or of"
        " the certificate itself if it is self-signed",
    )
