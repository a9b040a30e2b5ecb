"""Finds keys and tokens in a text by the formats of their vendors."""

import re

from adapters.observability.redaction_key_formats import (
    AFTER_COLON,
    AFTER_SLASH,
    CAPITALS,
    DOTTED,
    HYPHENED,
    OTHERS,
    UNDERSCORED,
    Format,
)


def _compiled(formats: tuple[Format, ...]) -> tuple[tuple[str, re.Pattern[str]], ...]:
    return tuple((literal, re.compile(pattern)) for literal, pattern in formats)


# A cheap look for many formats at once: what stands around the separator that ends their prefixes, or their capitals.
# Most begin with a fixed character, for which a search is fast. Names of lower-case words, ids in hexadecimal digits,
# floats and moments, which fill the lines of a log, do not pass.
_MIXED = r"(?=[a-z_\-]{0,40}+[0-9A-Z+/])"
_LOOKS = tuple(
    (re.compile(look).search, _compiled(formats))
    for look, formats in (
        (rf"_(?:{_MIXED}[A-Za-z0-9_\-+/]{{16}}|mmk)", UNDERSCORED),
        (
            (
                rf"-(?:(?<=[g-zA-Z]-){_MIXED}[A-Za-z0-9_\-]{{12}}|(?:(?<=xox[a-z]-)|(?<=xapp-)|(?<=xkeysib-)|(?<=A3-)|(?<=p8e-))"
                r"|[0-9a-f]{8}-[0-9a-f]{8}(?![\w\-])|us[0-9])"
            ),
            HYPHENED,
        ),
        (
            (
                rf"\.(?:(?:(?<=[A-Za-z]\.)|(?<=ya29\.)){_MIXED}[A-Za-z0-9_\-]{{16}}"
                r"|(?:[A-Za-z0-9_\-]{6}\.)?[A-Za-z0-9_\-]{24}|slack)"
            ),
            DOTTED,
        ),
        (r":(?<=[0-9]:)(?:AA[A-Za-z0-9_\-]{30}|[0-9A-Fa-f]{32})", AFTER_COLON),
        (r"/(?:webhook|/0)", AFTER_SLASH),
        (
            (
                "A(?:KIA|SIA|BIA|CCA|BSK|Iza|T[A-Z]TT3|TBB|TTA|KCp|C[0-9A-Fa-f]{32})|SK[0-9A-Fa-f]{32}|LTAI"
                "|E(?:AA|ZAK|ZTK)|NRAL|GR134|PRIVATE|V(?<=cmV)md"
            ),
            CAPITALS,
        ),
    )
)
_OTHERS = _compiled(OTHERS)

# A JWT begins with a JSON object in base64. The whole run is taken, so a run without a dot is read once.
_JWT = re.compile(r"eyJ[A-Za-z0-9_\-]{10,16384}+(?P<rest>(?:\.[A-Za-z0-9_\-]{0,16384}+){1,4})?")


def known_key_spans(text: str) -> list[tuple[int, int]]:
    """Give the places of the keys whose vendor can be told from their form."""
    spans: list[tuple[int, int]] = []
    for may_hold, formats in _LOOKS:
        if may_hold(text) is not None:
            for literal, pattern in formats:
                if literal in text:
                    spans += (match.span() for match in pattern.finditer(text))
    for literal, pattern in _OTHERS:
        if literal in text:
            spans += (match.span() for match in pattern.finditer(text))
    if "eyJ" in text:
        spans += (match.span() for match in _JWT.finditer(text) if match["rest"] or match.end() == len(text))
    return spans
