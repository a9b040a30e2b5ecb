"""Finds secrets in a text by what stands before them: a name, a header's scheme, a URL's parameter or user."""

import base64
import binascii
import re
from collections.abc import Iterator

from adapters.observability.secret_names import kind_of_secret

_DONE = r"(?!\[REDACTED)"

# https://user:password@host
_USER = re.compile(rf"://[^\s/@:\"'?#\[]{{0,256}}+:{_DONE}(?P<value>[^\s/\"'?#]{{1,256}})@")
# ?key=..., and the same within another parameter or within JSON that escapes `&`
_PARAMETER = re.compile(r"(?:[?&]|%3[Ff]|%26|\\u0026|&amp;)(?P<name>[A-Za-z0-9_.\-]{1,64}+)(?:=|%3[Dd])")
_PARAMETER_VALUE = re.compile(rf"{_DONE}(?:(?!%26)[^\s&#\"'<>\\]){{1,16384}}+")
_SECRET_PARAMETERS = frozenset({"key", "sig", "signature"})
# A header as a pair: (b'authorization', b'Bearer ...')
_PAIR = re.compile(r"\(b?(?P<first>[\"'])(?P<name>[\w\-]{1,64}+)(?P=first),[ ]?b?(?=[\"'])")
_PAIR_VALUE = re.compile(rf"(?P<quote>[\"']){_DONE}(?P<value>(?:(?!(?P=quote))(?:\\.|[^\r\n])){{1,16384}}+)")
_BEARER = re.compile(rf"(?i:bearer)(?:[ +]|%20){{1,4}}+{_DONE}(?P<value>[A-Za-z0-9._~+/=\-]{{8,16384}}+)")
_BASIC = re.compile(rf"(?i:basic)(?:[ +]|%20){{1,4}}+{_DONE}(?P<value>[A-Za-z0-9+/_\-]{{6,16384}}+={{0,2}})")
_OPAQUE = re.compile(r"[^0-9]*[0-9]|(?=[^A-Z]*[A-Z]).{20}", re.DOTALL)
# Headers of several parts, without quotes: the whole line
_HEADER_LINE = re.compile(
    rf"(?i:cookie:|authorization:[ ]{{0,4}}(?:digest|aws4-hmac-sha256)\b)[ ]{{0,4}}+{_DONE}"
    r"(?P<quote>)?(?P<value>[^\r\n\"'\\]{1,16384}+)"
)

# The end of a name and a separator, in lower case. A fixed text first: for that a search is fast.
_ENDS = tuple(
    (end, re.compile(rf"{end}(?:\\{{0,3}}[\"'])?[ ]{{0,2}}(?:=>|%3[ad]|[:=])[ ]{{0,4}}+"))
    for end in (
        "key", "token", "secret", "password", "passwd", "passphrase", "pwd", "authorization", "cookie", "credential",
        "credentials",
    )
)  # fmt: skip
_NAME_BACKWARDS = re.compile(r"[A-Za-z0-9_\-]{0,64}+")
_LONGEST_NAME = 64
_BEFORE_KEY = ("api ", "access ", "secret ", "private ", "account ")
# The end of a value without quotes: a comma or a bracket belongs to it unless the value ends there.
_BARE = r"(?:[^\s\"'&<>,;)\]}\\]|[,;)\]}](?![\s\"'&,;)\]}]|\Z|[A-Za-z_]\w{0,30}[=:])){1,16384}+"
_VALUE = re.compile(
    rf"""
    (?:b?(?P<quote>\\{{0,3}}["']))?+
    (?i:(?:bearer|basic|token|apikey|key|bot|digest|aws4-hmac-sha256|negotiate|ntlm|dpop|oauth|flyv1)
      (?:[ +]|%20){{1,4}}+)?+
    {_DONE}
    (?P<value>(?(quote)(?:(?!(?P=quote))(?:\\.|[^\r\n])){{1,16384}}+|{_BARE}))
    """,
    re.VERBOSE,
)
_NOT_SECRET = frozenset({"none", "null", "nil", "true", "false", "undefined"})
# "token" and "secret" are words of prose and of models too: after them a value must look like a secret.
_LOOSE = ("token", "secret", "credential", "credentials")
_SURE = re.compile(
    r"(?:access|refresh|auth|session|csrf|bearer|security|client|(?:^|[_\-])(?:id|api|bot))[_\-]?(?:token|secret)$"
)
_SHORTEST_LOOSE = 6
_CAPITALS = re.compile(r"[A-Z]+")


def labelled_spans(text: str) -> list[tuple[int, int]]:
    """Give the places of the secrets that a name, a scheme or their place in a URL gives away."""
    spans: list[tuple[int, int]] = []
    if "://" in text:
        spans += (match.span("value") for match in _USER.finditer(text))
    if "?" in text or "&" in text or "%" in text or "u0026" in text:
        spans += _parameters(text)
    if "(" in text and ("('" in text or "(b'" in text or '("' in text):
        spans += _pairs(text)
    lowered = text.lower()
    if "bearer" in lowered:  # not of prose such as "bearer authentication"
        spans += (match.span("value") for match in _BEARER.finditer(text) if _OPAQUE.match(match["value"]))
    if "basic" in lowered:
        spans += (match.span("value") for match in _BASIC.finditer(text) if _is_user_and_password(match["value"]))
    if len(lowered) != len(text):  # a few letters of other scripts grow in lower case; places must agree
        lowered = _CAPITALS.sub(lambda capitals: capitals[0].lower(), text)
    for end, name in _ENDS:
        if end in lowered:
            spans += _values_after(text, lowered, name)
    return spans


def _parameters(text: str) -> Iterator[tuple[int, int]]:
    end = 0
    for found in _PARAMETER.finditer(text):
        name = found["name"].lower()
        if found.end() < end or not (name in _SECRET_PARAMETERS or kind_of_secret(name) == "key"):
            continue
        if value := _PARAMETER_VALUE.match(text, found.end()):
            end = value.end()
            yield value.span()


def _pairs(text: str) -> Iterator[tuple[int, int]]:
    end = 0
    for found in _PAIR.finditer(text):
        if found.end() < end or kind_of_secret(found["name"]) != "key":
            continue
        if value := _PAIR_VALUE.match(text, found.end()):
            end = value.end()
            yield value.span("value")


def _values_after(text: str, lowered: str, name: re.Pattern[str]) -> Iterator[tuple[int, int]]:
    """Give the places of the values that stand after a name with such an end."""
    position = 0
    while found := name.search(lowered, position):
        position = found.end()
        whole_name = _whole_name(lowered, found)
        if kind_of_secret(whole_name) != "key":
            continue
        line = _HEADER_LINE.match(text, found.start())
        value = line or _VALUE.match(text, found.end())
        if value is None:
            continue
        is_secret = _is_secret(whole_name, value["value"], sure=line is not None)
        if is_secret:
            yield value.span("value")
        if is_secret or value["quote"] is None:  # a quoted text that is none may hold another name
            position = value.end()


def _whole_name(lowered: str, found: re.Match[str]) -> str:
    """Give the name with what stands before its end: `x-api-key` of `key`; `api key` is one too."""
    start = found.start()
    before = _NAME_BACKWARDS.match(lowered[max(0, start - _LONGEST_NAME) : start][::-1])
    name = (before[0][::-1] if before else "") + found[0].rstrip(" :=>\"'\\")
    return f"api{name}" if name == "key" and lowered.endswith(_BEFORE_KEY, 0, start) else name


def _is_secret(name: str, value: str, *, sure: bool) -> bool:
    if value.lower() in _NOT_SECRET or not value.strip("*x.… "):
        return False
    if sure or not name.endswith(_LOOSE) or _SURE.search(name) is not None:
        return name != "pwd" or value[0] not in "/~."  # that is a working directory
    return len(value) >= _SHORTEST_LOOSE and " " not in value and _OPAQUE.match(value) is not None


def _is_user_and_password(token: str) -> bool:
    """Tell credentials, which are `user:password` in base64, from prose such as "basic configuration"."""
    token = token.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        decoded = base64.b64decode(token + "=" * (-len(token) % 4)).decode()
    except (binascii.Error, UnicodeDecodeError):
        return False
    return ":" in decoded and decoded.isprintable()
