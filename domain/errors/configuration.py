"""Configuration that cannot work: found before the port opens."""

from domain.errors.root import SSEBaseError


class ConfigurationError(SSEBaseError):
    """A setting is wrong; the message is one line that names it, what it got and what it takes."""

    code = "configuration_error"
