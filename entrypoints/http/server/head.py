"""The head of a request: from bytes to its parts, or to the refusal that it gets (BAD_INPUT 19-25, 47, 53)."""

import re
from typing import NamedTuple
from urllib.parse import unquote

from entrypoints.http.server.limits import ConnectionLimits

END = b"\r\n\r\n"
CHUNKED = -1
"""The length of a body that comes in chunks."""
_TOKEN, _TARGET = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]", rb"[^\x00-\x20\x7f-\xff]"
_VALUE = rb"[^\x00-\x08\x0a-\x1f\x7f]"
_REQUEST_LINE = re.compile(rb"(%b{1,32}) (%b+) HTTP/1\.([01])\r\n" % (_TOKEN, _TARGET))
_LINE_BEGUN = re.compile(rb"%b{1,32}( %b*( [HTP/1.0]{0,8}\r?)?)?" % (_TOKEN, _TARGET))
# Possessive, so that no header can make them look again and again at the same bytes.
_HEADERS = re.compile(rb"(?:%b++:[ \t]*+%b*+\r\n)*+\r\n" % (_TOKEN, _VALUE))
_HEADER = re.compile(rb"(%b++):[ \t]*+(%b*+)\r\n" % (_TOKEN, _VALUE))
_PATH = re.compile(rb"/[^#]*")
_HOST = re.compile(rb"([A-Za-z0-9._~-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?")
_LENGTH = re.compile(rb"[0-9]{1,18}")
_BARE_LF = re.compile(rb"(?<!\r)\n")
# Two of these would mean two things: to us, and to a proxy in front of us.
_ONCE = (b"host", b"authorization", b"x-api-key", b"content-length", b"transfer-encoding")


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
    headers, found = _parse_headers(data, line.end(), limits)
    if not _HOST.fullmatch(found.get(b"host", b"")):
        raise _bad("One valid Host header is required.")
    options = [option.strip() for option in found[b"connection"].lower().split(b",")] if b"connection" in found else ()
    if b"upgrade" in options and b"websocket" in found.get(b"upgrade", b"").lower():
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
        headers,
        _length(found, minor),
        minor == b"1" and b"close" not in options,
        b"expect" in found and minor == b"1" and found[b"expect"].lower() == b"100-continue",
    )


def _parse_headers(
    data: bytes, at: int, limits: ConnectionLimits
) -> tuple[list[tuple[bytes, bytes]], dict[bytes, bytes]]:
    """The headers behind the request line, in order and by name; several of a name are one, with commas. None that may
    stand once only stands twice."""
    if _HEADERS.fullmatch(data, at) is None:
        raise _bad("The headers are malformed.")
    headers = [(name.lower(), value) for name, value in _HEADER.findall(data, at)]
    if len(headers) > limits.headers:
        raise HttpRefusalError(431, "head_too_large", f"More than {limits.headers} headers.")
    if b" \r\n" in data or b"\t\r\n" in data:
        headers = [(name, value.rstrip(b" \t")) for name, value in headers]
    found = dict(headers)
    if len(found) < len(headers):
        names = [name for name, _ in headers]
        for name in _ONCE:
            if names.count(name) > 1:
                raise _bad(f"More than one {name.decode()} header.")
        found = {name: b",".join([value for one, value in headers if one == name]) for name in found}
    return headers, found


def _length(found: dict[bytes, bytes], minor: bytes) -> int:
    """What contradicts itself is refused: another server on the way may have seen another end of the body."""
    length, encoding = found.get(b"content-length"), found.get(b"transfer-encoding")
    if encoding is None:
        if length is None:
            return 0
        if not _LENGTH.fullmatch(length):
            raise _bad("The Content-Length is no number.")
        return int(length)
    if length is not None:
        raise _bad("A body has a Content-Length or a Transfer-Encoding, not both.")
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
