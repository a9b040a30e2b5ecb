"""Tool calls told apart: by index where a provider keeps to the rule, else by id, by name, and by what is whole."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from uuid import uuid4


@dataclass(slots=True)
class _Call:
    index: int
    """Its place among the calls, as it goes out."""
    id: str = ""
    name: str = ""
    begun: bool = False
    """It has gone out, with an id: of what there is before, clients would keep the empty one."""
    ours: bool = False
    """The id is ours: the provider had none when the arguments came."""
    pieces: list[str] = field(default_factory=list)
    """Its arguments so far."""

    @property
    def whole(self) -> bool:
        """Whether its arguments are a whole object: what follows belongs to another call."""
        try:
            return isinstance(json.loads("".join(self.pieces)), dict)
        except (ValueError, RecursionError):
            return False


class Fragment(NamedTuple):
    """What a fragment says of its call."""

    place: int | None
    id: str | None
    name: str | None
    said: str | None


class ToolCalls:
    """The calls of one choice.

    The rule: a new index, which is the next, comes with an id and a name; later fragments have that index and neither.
    Where a provider breaks it, a new id is a new call, also at an index that is taken; a fragment without an id
    belongs to its index's last call, or to the last one; and an empty id or name never takes the place of a real one.
    """

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        self._at: dict[int, _Call] = {}

    @property
    def any(self) -> bool:
        """Whether there was one."""
        return bool(self._calls)

    @property
    def held(self) -> bool:
        """Whether one of them is held back."""
        return any(not call.begun and call.name for call in self._calls)

    def obey(self, fragments: list[Fragment]) -> bool:
        """Whether all these keep to the rule: then they are noted, else nothing is."""
        new: dict[int, tuple[str, str]] = {}
        for index, identity, name, _ in fragments:
            known = None if index is None else self._at.get(index)
            if known is not None or index in new:
                if identity or name or (known is not None and not (known.begun and known.index == index)):
                    return False
            elif index is None or index != len(self._calls) + len(new) or not identity or not name:
                return False
            else:
                new[index] = identity, name
        ids = [identity for identity, _ in new.values()]
        if len(set(ids)) < len(ids) or any(call.id in ids for call in self._calls):
            return False
        for index, (identity, name) in new.items():
            self._add(index, identity, name, begun=True)
        for index, _, _, said in fragments:
            if index is not None and said:
                self._at[index].pieces.append(said)
        return True

    def mended(self, fragments: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The same as the rule wants them. What has neither an id nor arguments yet is held back."""
        mended = []
        touched: list[_Call] = []
        for fragment in fragments:
            kind, text = ("custom", "input") if isinstance(fragment.get("custom"), dict) else ("function", "arguments")
            function = fragment.get(kind)
            function = function if isinstance(function, dict) else {}
            identity, name, said = (
                value if isinstance(value, str) else ""
                for value in (fragment.get("id"), function.get("name"), function.get(text))
            )
            call = self._which(Fragment(fragment.get("index"), identity, name, said), touched)
            touched.append(call)
            call.pieces.append(said)
            rest = {key: value for key, value in fragment.items() if key not in {"index", "id", kind}}
            if call.begun:
                function = {key: value for key, value in function.items() if key != "name" or value != call.name}
                rest |= {kind: function} if function else {}
                mended.append({"index": call.index, **rest})
                continue
            call.id, call.name = call.id or identity, call.name or name
            if (call.id and call.name) or said:
                mended.append(self._begin(call, rest, kind, {**function, text: "".join(call.pieces)}))
        return mended

    def rest(self) -> list[dict[str, Any]]:
        """At the end of the answer: the calls that are held back and have a name, as they are."""
        held = [call for call in self._calls if not call.begun and call.name]
        return [self._begin(call, {}, "function", {"arguments": "".join(call.pieces)}) for call in held]

    @staticmethod
    def _begin(call: _Call, rest: Mapping[str, Any], kind: str, function: Mapping[str, Any]) -> dict[str, Any]:
        call.begun = True
        if not call.id:
            call.id, call.ours = f"call_{uuid4().hex}", True
        named = {"name": call.name, **{key: value for key, value in function.items() if key != "name"}}
        return {"index": call.index, "id": call.id, **rest, "type": rest.get("type") or kind, kind: named}

    def _which(self, fragment: Fragment, touched: list[_Call]) -> _Call:
        """The call that a fragment belongs to."""
        index, identity, name, said = fragment
        there = self._at.get(index) if index is not None else None
        last = there or (self._calls[-1] if self._calls else None)
        if identity:
            same = next((call for call in self._calls if call.id == identity and not call.ours), None)
            again = index is not None and there is None and name and said and same is not None and same.whole
            if same is not None and not again:
                return same
            late = last is not None and (not last.id or last.ours) and (there is not None or index is None)
            if last is not None and late and not self._another(last, name, touched, index):
                return last
            return self._add(index, identity, "", begun=False)
        if last is None or (name and there is None and index is not None):
            return self._add(index, "", "", begun=False)
        if self._another(last, name, touched, index):
            return self._add(index, "", "", begun=False)
        if index is not None:
            self._at[index] = last
        return last

    @staticmethod
    def _another(last: _Call, name: str | None, touched: list[_Call], index: int | None) -> bool:
        """Whether a name, without an id that says so, begins another call than the last one."""
        if not name or not last.name:
            return False
        if last.id and not last.ours and index is not None:  # a name that is said again, or in pieces
            return False
        return name != last.name or last in touched or last.whole

    def _add(self, index: int | None, identity: str, name: str, *, begun: bool) -> _Call:
        call = _Call(len(self._calls), identity, name, begun)
        self._calls.append(call)
        self._at[call.index if index is None else index] = call
        return call
