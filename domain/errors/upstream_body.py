"""What a provider's error body says about the request that it refused (R9)."""

from typing import NamedTuple


class UpstreamErrorBody(NamedTuple):
    """For the callers who sent this very request, and nobody else: it may repeat their prompt (P1).

    Never logged, recorded, traced or cached: `repr` shows the status alone. The adapter that read it has masked the
    keys and addresses of ours and bounded the whole.
    """

    status: int
    """The HTTP status: 400, 404, 413 or 422."""
    message: str | None = None
    """None: the body said nothing."""
    type: str | None = None
    code: str | None = None
    param: str | None = None
    extra: bytes = b""
    """A JSON object with further members of the error, `innererror` among them; empty: none."""

    def __repr__(self) -> str:
        return f"UpstreamErrorBody(status={self.status})"
