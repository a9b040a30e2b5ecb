"""What every request carries beside its body: thread id, caller, cache directives, grace."""

import re
import secrets
from collections.abc import Sequence

from starlette.requests import Request

from domain import stages
from domain.delta import Dialect
from domain.errors import InvalidHeaderError, MissingApiKeyError
from domain.model import CallContext, Caller
from domain.services.callers import Callers
from domain.services.execution_tracker import ExecutionTracker
from entrypoints.http.client_address import Network, client_address, is_loopback, neighbourhood

HEADERS = "headgate.headers"
"""Where a request's scope has what `headers_of` made of it."""
LOCAL = "local"
"""Who connects through a Unix socket."""
_THREAD = "headgate.thread"  # not in `request.state`, which costs 2 us of each request
_THREAD_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
_GRACE = re.compile(r"[0-9]{1,6}(\.[0-9]{1,3})?")


class RequestContexts:
    """Reads a `CallContext` off a request. `proxies` are those whose `X-Forwarded-For` counts. Without keys, who
    connects from another machine is served only if `anonymous_anywhere`, however the server was started."""

    def __init__(
        self,
        callers: Callers,
        tracker: ExecutionTracker,
        *,
        max_grace: float,
        proxies: Sequence[Network] = (),
        anonymous_anywhere: bool = False,
    ) -> None:
        self._callers = callers
        self._tracker = tracker
        self._max_grace = max_grace
        self._proxies = proxies
        self._anonymous_anywhere = anonymous_anywhere

    def caller(self, request: Request) -> Caller:
        """Who asks. Raises an `AuthenticationError`."""
        headers = headers_of(request)
        scheme, _, token = headers.get("authorization", "").partition(" ")
        bearer = scheme.lower() == "bearer"
        presented = token.strip() if bearer else headers.get("x-api-key") or headers.get("api-key")  # Azure's clients
        peer = request.client.host if request.client else LOCAL
        if self._callers.open and not (self._anonymous_anywhere or peer == LOCAL or is_loopback(peer)):
            raise MissingApiKeyError("This service has no API keys yet, and serves its own machine only.")
        return self._callers.identify(presented, neighbourhood(self._address(request, peer)))

    def _address(self, request: Request, peer: str) -> str:
        if not self._proxies:
            return peer
        lines = [value.decode("latin-1") for name, value in request.scope["headers"] if name == b"x-forwarded-for"]
        return client_address(peer, lines, self._proxies)

    def call(self, request: Request, door: Dialect, default_grace: float) -> CallContext:
        """How this call wants to be served. Raises an `AuthenticationError` or `InvalidHeaderError`."""
        caller = self.caller(request)
        directives = {part.strip().lower() for part in headers_of(request).get("cache-control", "").split(",")}
        return CallContext(
            self._own_thread(request, caller),
            caller,
            door,
            lookup="no-cache" not in directives,
            store="no-store" not in directives,
            grace=self._grace(request, default_grace),
        )

    def _own_thread(self, request: Request, caller: Caller) -> str:
        """The thread id, replaced if it is another caller's; tracked if the request asks for that."""
        own = thread_id(request)
        if headers_of(request).get("x-execution-tracking") == "force":
            self._tracker.force(own)
        if not self._tracker.claim(own, caller.tenant):
            own = request.scope[_THREAD] = _new_thread_id()
            stages.THREAD_ID.set(own)
        return own

    def _grace(self, request: Request, default: float) -> float:
        text = headers_of(request).get("x-stream-grace")
        if text is None:
            return min(default, self._max_grace)
        if not _GRACE.fullmatch(text):
            raise InvalidHeaderError("X-Stream-Grace takes a number of seconds.", details={"param": "X-Stream-Grace"})
        return min(float(text), self._max_grace)


def headers_of(request: Request) -> dict[str, str]:
    """All headers by lower-case name, made once for each request: Starlette's own walks the list at each question."""
    known: dict[str, str] | None = request.scope.get(HEADERS)
    if known is None:
        known = {name.decode("latin-1"): value.decode("latin-1") for name, value in request.scope["headers"]}
        request.scope[HEADERS] = known
    return known


def thread_id(request: Request) -> str:
    """The caller's thread id, or a new one where it has none that may stand in a log line; one for each request."""
    known: str | None = request.scope.get(_THREAD)
    if known is None:
        given = headers_of(request).get("x-thread-id", "")
        known = given if _THREAD_ID.fullmatch(given) else _new_thread_id()
        request.scope[_THREAD] = known
        stages.THREAD_ID.set(known)
    return known


def _new_thread_id() -> str:
    return f"t_{secrets.token_hex(12)}"
