"""The head of a request: from bytes to its parts, or to the refusal that it gets (BAD_INPUT 19-25, 47, 53)."""

import re
from typing import NamedTuple
from urllib.parse import unquote

import httptools

from entrypoints.http.server.limits import ConnectionLimits

END = b"\r\n\r\n"
CHUNKED = -1
"""The length of a body that comes in chunks."""
_METHOD, _TARGET = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,32}", rb"[^\x00-\x20\x7f-\xff]"
_REQUEST_LINE = re.compile(rb"(%b) (%b+) HTTP/1\.([01])\r\n" % (_METHOD, _TARGET))
_LINE_BEGUN = re.compile(rb"%b( %b*( [HTP/1.0]{0,8}\r?)?)?" % (_METHOD, _TARGET))
_PATH = re.compile(rb"/[^#]*", re.DOTALL)
_HOST = re.compile(rb"([A-Za-z0-9._~-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?")
_BARE_LF = re.compile(rb"(?<!\r)\n")
# Those that the parser knows and a request may have. Any other is answered by the routes, which know what is allowed.
_PARSED = frozenset({b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH"})
# All that decide about the connection or the framing, or that may stand once only.
_SPECIAL = frozenset(
    {b"host", b"authorization", b"content-length", b"transfer-encoding", b"connection", b"upgrade", b"expect"}
)


class HttpRefusalError(Exception):
    """A request that goes no further than the server: its status, its stable code, what the client is told."""

    def __init__(self, status: int, code: str, text: str, headers: bytes = b"") -> None:
        super().__init__(text)
        self.status = status
        self.code = code
        self.text = text
        self.headers = headers
        """More header lines."""


class Head(NamedTuple):
    """What a head says. `length` is that of the body, or CHUNKED."""

    method: str
    path: str
    raw_path: bytes
    query: bytes
    version: str
    headers: list[tuple[bytes, bytes]]
    length: int
    keep_alive: bool
    expects_continue: bool


class _Headers:
    """Collects the headers that the parser finds."""

    __slots__ = ("all", "special")

    def __init__(self) -> None:
        self.all: list[tuple[bytes, bytes]] = []
        self.special: dict[bytes, bytes] = {}

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if value[-1:] in b" \t":
            value = value.rstrip(b" \t")
        self.all.append((name, value))
        if name in _SPECIAL:
            before = self.special.get(name)
            if before is not None and name in {b"host", b"authorization"}:
                raise HttpRefusalError(400, "bad_request", f"More than one {name.decode()} header.")
            self.special[name] = value if before is None else before + b"," + value


def parse_head(data: bytes, limits: ConnectionLimits) -> Head:
    """The head that `data` is, its empty line included. Raises `HttpRefusalError`."""
    line = _REQUEST_LINE.match(data)
    if line is None:
        raise _bad("The request line is malformed.")
    method, target, minor = line.groups()
    if len(target) > limits.target_bytes:
        raise target_too_long(limits)
    if method == b"CONNECT":
        allow = b"allow: GET, HEAD, POST, DELETE, OPTIONS\r\n"
        raise HttpRefusalError(405, "method_not_allowed", "This server is no proxy.", allow)
    if not (_PATH.fullmatch(target) or (target == b"*" and method == b"OPTIONS")):
        raise _bad("The request target must be a path.")
    headers = _Headers()
    _parse_headers(data if method in _PARSED else b"GET" + data[len(method) :], headers)
    if len(headers.all) > limits.headers:
        raise HttpRefusalError(431, "head_too_large", f"More than {limits.headers} headers.")
    special = headers.special
    if not _HOST.fullmatch(special.get(b"host", b"")):
        raise _bad("One valid Host header is required.")
    connection = special.get(b"connection")
    options = () if connection is None else [option.strip() for option in connection.lower().split(b",")]
    if b"upgrade" in options and b"websocket" in special.get(b"upgrade", b"").lower():
        # Any other upgrade that is offered may be ignored (RFC 9110, 7.8); a WebSocket's client would wait for it.
        text = "WebSockets are not served here; streams are Server-Sent Events."
        raise HttpRefusalError(426, "upgrade_required", text, b"upgrade: HTTP/1.1\r\n")
    raw_path, _, query = target.partition(b"?")
    path = raw_path.decode("ascii")
    return Head(
        method.decode("ascii"),
        unquote(path) if "%" in path else path,
        raw_path,
        query,
        "1.1" if minor == b"1" else "1.0",
        headers.all,
        _length(special, minor),
        minor == b"1" and b"close" not in options,
        b"expect" in special and minor == b"1" and special[b"expect"].lower() == b"100-continue",
    )


def _parse_headers(data: bytes, headers: _Headers) -> None:
    try:
        httptools.HttpRequestParser(headers).feed_data(data)
    except httptools.HttpParserUpgrade:
        return  # the head is whole; what it offers is looked at by the caller
    except httptools.HttpParserCallbackError as error:
        if isinstance(error.__context__, HttpRefusalError):
            raise error.__context__ from None
        raise
    except httptools.HttpParserError:
        raise _bad("The headers are malformed.") from None


def _length(special: dict[bytes, bytes], minor: bytes) -> int:
    """The parser has refused what contradicts itself: two lengths, a sign, a length beside an encoding."""
    encoding = special.get(b"transfer-encoding")
    if encoding is None:
        return int(special.get(b"content-length", b"0"))
    if minor == b"0" or encoding.lower() != b"chunked":
        raise _bad("The only transfer encoding is chunked, of HTTP/1.1.")
    return CHUNKED


def check_beginning(data: bytes, limits: ConnectionLimits) -> None:
    """Looks at the beginning of a head, as far as it has come: what can become no request is refused at once, and what
    is too large as soon as it is. Raises `HttpRefusalError`."""
    line_end = data.find(b"\r\n")
    line = data if line_end < 0 else data[:line_end]
    if len(line) > limits.target_bytes + 48:
        raise target_too_long(limits)
    if len(data) > limits.head_bytes:
        raise HttpRefusalError(431, "head_too_large", f"The headers are larger than {limits.head_bytes} bytes.")
    whole = line_end >= 0
    if not (_REQUEST_LINE.match(data) if whole else _LINE_BEGUN.fullmatch(line)) or _BARE_LF.search(data):
        raise _bad("The request line is malformed.")


def target_too_long(limits: ConnectionLimits) -> HttpRefusalError:
    """The refusal of a request whose target is too long."""
    return HttpRefusalError(414, "target_too_long", f"The request target is longer than {limits.target_bytes} bytes.")


def _bad(text: str) -> HttpRefusalError:
    return HttpRefusalError(400, "bad_request", text)
