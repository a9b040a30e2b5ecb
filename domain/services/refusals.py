"""A limiter's refusal as the details of an error, which are scalars, and back."""

from collections.abc import Mapping

from domain.errors import Scalar
from domain.model import Quota, Verdict


def refusal_details(verdict: Verdict) -> dict[str, Scalar]:
    """When the call passes, if ever, and how both limits stand: `requests_remaining`, `tokens_reset` ..."""
    details: dict[str, Scalar] = {"retry_after": verdict.retry_after}
    for name, quota in (("requests", verdict.requests), ("tokens", verdict.tokens)):
        if quota is not None:
            for field, value in zip(Quota._fields, quota, strict=True):
                details[f"{name}_{field}"] = value
    return details


def refusal(details: Mapping[str, Scalar]) -> Verdict:
    """The verdict that `refusal_details` were made of."""
    retry_after = details.get("retry_after")
    whole = retry_after if isinstance(retry_after, int) else None
    requests, tokens = _quota("requests", details), _quota("tokens", details)
    return Verdict(admitted=False, requests=requests, tokens=tokens, retry_after=whole)


def _quota(name: str, details: Mapping[str, Scalar]) -> Quota | None:
    match [details.get(f"{name}_{field}") for field in Quota._fields]:
        case [int(limit), int(window), int(remaining), float() | int() as reset]:
            return Quota(limit, window, remaining, reset)
        case _:
            return None
