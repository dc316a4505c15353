"""Why a server's certificate is not trusted, cause by cause, and what to do about each."""

from __future__ import annotations

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
_UNENCRYPTED = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "UNEXPECTED_EOF")


def distrusted(library: str, server: str, section: str) -> tuple[str, str]:
    """What is wrong, in our words, and what to do; ``library`` is the library's message.

    ``section`` is the part of the environment's file that the setting ``ca_file`` goes into.
    """
    if any(word in library for word in _UNENCRYPTED):
        return (
            f"{server} does not use TLS at this address",
            "check the port: the address must be the encrypted one",
        )
    message = library.casefold()
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
