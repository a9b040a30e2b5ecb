"""What the Redis client raises: the adapters of the ports translate it, each once, into the errors of their family.

RedisClientError
    RedisUnavailableError           Redis cannot be reached, or does not serve
        RedisTimeoutError           no reply within the command's deadline
        RedisAuthenticationError    the credentials are wrong: a matter for the operator
        RedisUnsupportedError       it is a Redis Cluster, or a sentinel: a matter for the operator
    RedisOverloadedError            too much waits here already, or no connection is free: nothing was sent
    RedisRefusedError               Redis is well and answered this command with an error
"""

from redis import exceptions as vendor

VENDOR_ERRORS = (vendor.RedisError, OSError, RuntimeError)
"""What redis-py raises where Redis is the cause. uvloop says RuntimeError where the peer closed a moment ago."""
NOT_SERVING = frozenset({"BUSY", "MASTERDOWN"})
"""Replies to any command of a Redis that serves nobody now; that it loads is an error of the connection in redis-py."""


class RedisClientError(Exception):
    """A command has no result. `word` is the code word of the cause: Redis's own (`OOM`, `LOADING`, …) or ours.

    `maybe_executed` says that the command was sent and its fate is not known: a write may have happened, or may happen
    yet. The text of the vendor's error is left out: Redis quotes arguments in it, and they hold prompts and answers.
    """

    def __init__(self, word: str, *, maybe_executed: bool = False) -> None:
        super().__init__(word)
        self.word = word
        self.maybe_executed = maybe_executed

    def for_command(self, *, maybe_executed: bool) -> "RedisClientError":
        """The same error for one of the commands that it hit: each waiter gets an exception of its own."""
        return type(self)(self.word, maybe_executed=maybe_executed)


class RedisUnavailableError(RedisClientError):
    """Redis cannot be reached, or does not serve (it loads, it has no room for clients, the client is closed)."""


class RedisTimeoutError(RedisUnavailableError):
    """No reply came within the deadline."""


class RedisAuthenticationError(RedisUnavailableError):
    """Redis does not accept the credentials, or they permit too little.

    The settings at fault: `REDIS_URL`, or `REDIS_PASSWORD`.
    """


class RedisUnsupportedError(RedisUnavailableError):
    """What answers is no standalone Redis; `word` says what it is: `CLUSTER` or `SENTINEL`. At fault: `REDIS_URL`."""


class RedisOverloadedError(RedisClientError):
    """A bound of the client is reached. Nothing was sent."""


class RedisRefusedError(RedisClientError):
    """The reply to the command was an error. Nothing was done, unless a script failed midway."""


def translated(error: Exception) -> RedisClientError:
    """The client's error for what redis-py or asyncio raised: by type, and for errors of Redis by their code word."""
    if isinstance(error, RedisClientError):  # what connecting by way of the sentinels raises
        return error
    if isinstance(error, vendor.AuthenticationError | vendor.AuthorizationError):
        return RedisAuthenticationError(code_word(error) or "AUTHENTICATION")
    if isinstance(error, vendor.ResponseError):
        word = code_word(error) or "ERR"
        return RedisUnavailableError(word) if word in NOT_SERVING else RedisRefusedError(word)
    if isinstance(error, vendor.TimeoutError | TimeoutError):
        return RedisTimeoutError("TIMEOUT")
    if isinstance(error, vendor.ConnectionError):
        return RedisUnavailableError(code_word(error) or "CONNECTION")
    return RedisUnavailableError("CONNECTION" if isinstance(error, OSError | RuntimeError) else "PROTOCOL")


def not_serving(refusal: RedisRefusedError) -> RedisUnavailableError:
    """What it means if Redis refuses something that connecting or the health check needs."""
    return (RedisAuthenticationError if refusal.word == "NOPERM" else RedisUnavailableError)(refusal.word)


def code_word(error: vendor.RedisError) -> str | None:
    """The upper-case word that begins an error of Redis; None for an error that redis-py made up itself.

    redis-py cuts it off the errors that it has a class for; those of its other errors still begin with it.
    """
    if error.status_code:
        return str(error.status_code)
    word = str(error).partition(" ")[0]
    return word if isinstance(error, vendor.ResponseError) and word.isalnum() and word.isupper() else None
