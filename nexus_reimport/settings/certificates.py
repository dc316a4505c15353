"""Why a server's certificate is not trusted, told apart, and what to do about each."""

from __future__ import annotations

_CAUSES = (  # what OpenSSL says, in the order in which it is looked for
    ("certificate has expired", "has expired", "have it renewed"),
    ("certificate is not yet valid", "is not valid yet", "look at the clocks of both machines"),
    (
        "Hostname mismatch",
        "is of another name than the address",
        "name the server by the name that is in its certificate",
    ),
    (
        "doesn't match",
        "is of another name than the address",
        "name the server by the name that is in its certificate",
    ),
    (
        "IP address mismatch",
        "is of a name, and the address is a number",
        "name the server by the name that is in its certificate",
    ),
    (
        "self-signed certificate in certificate chain",
        "is signed by an authority that this machine does not know",
        "",
    ),
    ("self-signed certificate", "is signed by nobody but itself", ""),
    (
        "unable to get local issuer",
        "is signed by an authority that this machine does not know",
        "",
    ),
    ("certificate revoked", "was revoked", "have it renewed"),
    ("unsuitable certificate purpose", "is not one for a server", "have the right one installed"),
    ("CA signature digest algorithm too weak", "is signed too weakly", "have it renewed"),
    ("key too", "has a key that is too weak", "have it renewed"),
)
_UNENCRYPTED = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "UNEXPECTED_EOF")


def distrusted(library: str, server: str, section: str) -> tuple[str, str]:
    """What is wrong in words of ours, and what to do; ``library`` is what the library said.

    ``section`` is where the setting ``ca_file`` goes in the environment's file.
    """
    if any(word in library for word in _UNENCRYPTED):
        return (
            f"{server} does not speak TLS at this address",
            "check the port: the address has to be the encrypted one",
        )
    told = library.casefold()
    what, todo = next(
        ((what, todo) for words, what, todo in _CAUSES if words.casefold() in told),
        ("is not to be trusted", ""),
    )
    return (
        f"the certificate of {server}'s server {what}",
        todo
        or f"write ca_file under {section}: the file (PEM) of the authority that signed it, or of"
        " the certificate itself where it signed itself",
    )
