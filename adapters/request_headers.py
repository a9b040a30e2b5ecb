"""Which headers a configuration may add to the requests to a provider."""

import re

FORBIDDEN = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers that say where a message goes and where it ends: the client's own."""
MAX_VALUE_LENGTH = 8192
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}")


def name_problem(name: str) -> str | None:
    """Why a header may not have this name (RFC 9110, section 5.1), or None."""
    if not _TOKEN.fullmatch(name):
        return "text that is no name of a header"
    return "a header that is Headgate's own to set" if name.lower() in FORBIDDEN else None


def value_problem(value: str) -> str | None:
    """Why a header may not have this value, or None. The value is not told: it may be a secret."""
    if not value or len(value) > MAX_VALUE_LENGTH or value != value.strip():
        return f"a value that is empty, longer than {MAX_VALUE_LENGTH} characters or has spaces around it"
    return None if value.isascii() and value.isprintable() else "a value that is not one line of plain ASCII"
