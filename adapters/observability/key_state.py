"""The log lines about API keys: one for each thing that is wrong, never one for each request."""

from collections.abc import Mapping

from adapters.observability.logging import get_logger
from domain.errors import Scalar


def log_key_warning(message: str, fields: Mapping[str, Scalar]) -> None:
    """Says what is wrong with the stored keys; the fields name keys and tiers, never a key or a hash."""
    get_logger("headgate.keys").warning(message, **fields)
