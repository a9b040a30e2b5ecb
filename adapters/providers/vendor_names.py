"""Ids of calls and names of tools that OpenAI's dialect allows and another vendor refuses: mapped on the way out, and
back on the way in. Two never become one."""

import re
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2s
from typing import Any

from domain.model import Json, Message

MAX_ID = 64
KEPT, MARK = 40, 8
"""Characters of a name that does not fit which are kept, and of the mark behind them: 54 in all."""
_ODD = re.compile(r"[^A-Za-z0-9_-]")
_DIGEST = 12  # bytes


class ToolIds:
    """The ids of the calls of one conversation, in its order. What fits, and is not said twice, goes as it is.

    Of calls with the same id, or with an empty one, the results are taken in the order of the calls.
    """

    def __init__(self) -> None:
        self._open: dict[str, deque[str]] = {}  # calls without a result
        self._last: dict[str, str] = {}
        self._given: dict[str, str] = {}

    @property
    def given(self) -> Mapping[str, str]:
        """The callers' ids by those that went out for them."""
        return {sent: given for sent, given in self._given.items() if given and given != sent}

    def call(self, given: str) -> str:
        """The id that a call goes out with."""
        sent, number = given, 0
        while not sent or len(sent) > MAX_ID or _ODD.search(sent) or sent in self._given:
            sent = f"call_{_digest(f'{number}:{given}')}"
            number += 1
        self._given[sent], self._last[given] = given, sent
        self._open.setdefault(given, deque()).append(sent)
        return sent

    def result(self, given: str) -> str:
        """The id that a result goes out with: that of the first call of this id that has none yet, else of the last."""
        if given not in self._last:
            self.call(given)
        calls = self._open[given]
        return calls.popleft() if calls else self._last[given]


class ToolNames:
    """The names of the tools of one request as a vendor takes them, who says so by a `pattern`: those that fit it as
    they are, the others with what does not fit replaced, and a mark of their own."""

    def __init__(self, names: Iterable[str], pattern: re.Pattern[str]) -> None:
        self._fits = pattern.fullmatch
        self._sent: dict[str, str] = {}
        self._taken: set[str] = set()
        for name in sorted(dict.fromkeys(names), key=lambda name: self._fits(name) is None):  # those that fit first
            self.sent(name)

    @property
    def given(self) -> Mapping[str, str]:
        """The callers' names by those that went out for them."""
        return {sent: name for name, sent in self._sent.items() if name != sent}

    def sent(self, name: str) -> str:
        """What a name goes out as."""
        if name not in self._sent:
            sent, number = name, 0
            while self._fits(sent) is None or sent in self._taken:
                sent = f"tool_{_ODD.sub('_', name)[:KEPT]}_{_digest(f'{number}:{name}')[:MARK]}"
                number += 1
            self._sent[name] = sent
            self._taken.add(sent)
        return self._sent[name]


def tool_names(tools: Json, messages: Sequence[Message], pattern: re.Pattern[str]) -> ToolNames:
    """Those of the functions that are offered, and of the calls that were made."""
    offered = [tool for tool in tools if isinstance(tool, dict)] if isinstance(tools, list) else []
    made: list[Any] = []
    for message in messages:
        calls = message.extra.get("tool_calls")
        made += [call for call in calls if isinstance(call, dict)] if isinstance(calls, list) else []
    functions = [one.get("function") for one in (*offered, *made)]
    names = [function.get("name") for function in functions if isinstance(function, dict)]
    return ToolNames((name for name in names if isinstance(name, str)), pattern)


def _digest(text: str) -> str:
    return blake2s(text.encode("utf-8", "surrogatepass"), digest_size=_DIGEST).hexdigest()
