"""A limiter's refusal as the details of an error, which are scalars, and back."""

from collections.abc import Mapping

from domain.errors import Scalar
from domain.model import Quota, Verdict

REQUESTS = tuple(f"requests_{field}" for field in Quota._fields)
TOKENS = tuple(f"tokens_{field}" for field in Quota._fields)


def refusal_details(verdict: Verdict) -> dict[str, Scalar]:
    """When the call passes, if ever, and how both limits stand: `requests_remaining`, `tokens_reset` ..."""
    details: dict[str, Scalar] = {"retry_after": verdict.retry_after}
    if verdict.requests is not None:
        details.update(zip(REQUESTS, verdict.requests, strict=True))
    if verdict.tokens is not None:
        details.update(zip(TOKENS, verdict.tokens, strict=True))
    return details


def refusal(details: Mapping[str, Scalar]) -> Verdict:
    """The verdict that `refusal_details` were made of."""
    retry_after = details.get("retry_after")
    whole = retry_after if isinstance(retry_after, int) else None
    requests, tokens = _quota(REQUESTS, details), _quota(TOKENS, details)
    return Verdict(admitted=False, requests=requests, tokens=tokens, retry_after=whole)


def _quota(names: tuple[str, ...], details: Mapping[str, Scalar]) -> Quota | None:
    match list(map(details.get, names)):
        case [int(limit), int(window), int(remaining), float() | int() as reset]:
            return Quota(limit, window, remaining, reset)
        case _:
            return None
