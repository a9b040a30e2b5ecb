"""How the targets stand: the state of each breaker, and the operator's hand on it."""

from collections.abc import Collection, Sequence

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

from domain.errors import ModelNotFoundError, RequestValidationError
from domain.model import Caller, JsonObject
from domain.services.breaker_state import Phase
from domain.services.circuit_breaker import BreakerReport, CircuitBreakers
from entrypoints.http.client_address import is_loopback
from entrypoints.http.context import RequestContexts, read_body
from entrypoints.wire import json_text
from entrypoints.wire.json_body import decode_object

MAX_TARGET_LENGTH = 200
_BY_HAND = "/v1/providers/{provider}/{model:path}/breaker"


class Operators:
    """Who may open and close breakers by hand: these tenants; where there are no keys, who asks from this machine."""

    def __init__(self, tenants: Collection[str]) -> None:
        self._tenants = tenants

    def check(self, caller: Caller) -> None:
        """Raises the `HTTPException` of a path that does not exist if it is somebody else: no oracle."""
        if caller.tenant not in self._tenants and not _is_local(caller.tenant):
            raise HTTPException(404)


def providers_router(
    breakers: CircuitBreakers,
    contexts: RequestContexts,
    operators: Operators,
    providers: Collection[str],
    targets: Sequence[str],
) -> APIRouter:
    """The routes. `targets` are those of the configured routes; others are shown while they are not closed."""
    router = APIRouter(tags=["Providers"])

    @router.head("/v1/providers", include_in_schema=False)
    @router.get("/v1/providers", summary="All targets and their breakers")
    async def states(request: Request) -> Response:
        contexts.caller(request)
        return _answer(breakers.reports(targets))

    @router.post(_BY_HAND, summary="Open or close the breaker of a target by hand")
    async def by_hand(request: Request, provider: str, model: str) -> Response:
        operators.check(contexts.caller(request))
        if provider not in providers or len(model) > MAX_TARGET_LENGTH:
            raise ModelNotFoundError("No such provider.", details={"param": "provider"})
        asked = decode_object(await read_body(request)).get("state")
        target = f"{provider}/{model}"
        if asked == Phase.OPEN:
            await breakers.open(target)
        elif asked == Phase.CLOSED:
            await breakers.close(target)
        else:
            raise RequestValidationError.at("state", "`state` takes open or closed.")
        return _answer([row for row in breakers.reports([target]) if row.target == target])

    return router


def _answer(reports: Sequence[BreakerReport]) -> Response:
    return Response(json_text.dumps({"targets": [_row(report) for report in reports]}), media_type="application/json")


def _row(report: BreakerReport) -> JsonObject:
    return {
        "target": report.target,
        "state": report.phase,
        "reason": report.reason,
        "failures": report.failures,
        "since": None if report.since is None else round(report.since, 3),
        "next_probe_at": None if report.next_probe_at is None else round(report.next_probe_at, 3),
    }


def _is_local(tenant: str) -> bool:
    """Whether it is an anonymous caller on this machine: without keys an address is a tenant."""
    return tenant.startswith("ip:") and is_loopback(tenant.removeprefix("ip:"))
