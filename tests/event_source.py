"""A client of its own for Server-Sent Events: the standard's algorithm, written down plainly, for what Headgate sends.

It shares nothing with the parser in `adapters.providers`: a test that reads with it would see the same mistake twice.
"""

import re
from dataclasses import dataclass, field

_LINE_END = re.compile("\r\n|\n|\r")


@dataclass(frozen=True)
class ClientEvent:
    """What an EventSource dispatches."""

    event: str
    data: str
    id: str


@dataclass
class EventSourceClient:
    """Takes the whole body so far; keeps what an EventSource keeps: the last event id and the reconnection time."""

    events: list[ClientEvent] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    last_event_id: str = ""
    retry: int | None = None

    def read(self, body: bytes) -> list[ClientEvent]:
        """Dispatches every block that is ended by a blank line; an unfinished last block is discarded."""
        text = body.decode("utf-8").removeprefix("\ufeff")
        lines = _LINE_END.split(text)[:-1]
        name, data, data_seen = "", "", False
        for line in lines:
            if line == "":
                if data_seen:
                    self.events.append(ClientEvent(name or "message", data.removesuffix("\n"), self.last_event_id))
                name, data, data_seen = "", "", False
                continue
            if line.startswith(":"):
                self.comments.append(line[1:].strip())
                continue
            key, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if key == "event":
                name = value
            elif key == "data":
                data, data_seen = data + value + "\n", True
            elif key == "id" and "\0" not in value:
                self.last_event_id = value
            elif key == "retry" and value.isascii() and value.isdigit():
                self.retry = int(value)
        return self.events


def parse(body: bytes) -> list[ClientEvent]:
    """The events in a whole body."""
    return EventSourceClient().read(body)
