"""`headgate ask`: one prompt through a running service, streamed to the terminal."""

import http.client
import json
import sys
from collections.abc import Iterator
from urllib.parse import urlsplit

TIMEOUT_SECONDS = 60.0
"""Of silence: the service sends a comment every 15 seconds."""


def ask(prompt: str, *, url: str, model: str | None, key: str | None) -> int:
    """Prints the answer as it comes. 0 if it was complete; 1 if not, with the reason on standard error."""
    address = urlsplit(url)
    kind = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
    connection = kind(address.hostname or "127.0.0.1", address.port, timeout=TIMEOUT_SECONDS)
    body = {"prompt": prompt} | ({} if model is None else {"model": model})
    headers = {"Content-Type": "application/json"} | ({} if key is None else {"Authorization": f"Bearer {key}"})
    try:
        connection.request("POST", f"{address.path.rstrip('/')}/v1/streams", json.dumps(body), headers)
        response = connection.getresponse()
        if response.status != http.client.OK:
            return _fail(json.loads(response.read()).get("detail", f"status {response.status}"))
        return _print_events(_events(response))
    except (OSError, http.client.HTTPException, ValueError) as error:
        return _fail(f"no answer from {url}: {type(error).__name__}")
    finally:
        connection.close()


def _events(response: http.client.HTTPResponse) -> Iterator[tuple[str, dict[str, object]]]:
    """Name and data of each event. The service writes one line each, so this needs no more of the standard."""
    name = ""
    for raw in response:
        field, _, value = raw.decode("utf-8").rstrip("\n").partition(": ")
        if field == "event":
            name = value
        elif field == "data":
            yield name, json.loads(value)


def _print_events(events: Iterator[tuple[str, dict[str, object]]]) -> int:
    for name, data in events:
        if name == "delta":
            sys.stdout.write(str(data["text"]))
            sys.stdout.flush()
        elif name == "complete":
            sys.stdout.write("\n")
            return 0
        elif name in {"error", "cancelled"}:
            return _fail(str(data.get("message") or data.get("reason")))
    return _fail("the answer was cut off")


def _fail(reason: str) -> int:
    sys.stderr.write(f"\nheadgate ask: {reason}\n")
    return 1
