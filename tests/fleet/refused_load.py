"""One caller who does not stop asking: a process of its own, so that its work is not in anybody's measure.

python -m tests.fleet.refused_load URL A_SECOND SECONDS ADDRESS     # prints its answers by status, as JSON
"""

import asyncio
import json
import sys
import time
from collections import Counter
from urllib.parse import urlsplit

CONNECTIONS = 20
BODY = json.dumps({"model": "openai/ok", "prompt": "hi"}).encode()


async def flood(url: str, a_second: float, seconds: float, caller: str) -> Counter[str]:
    """Asks at that rate over kept connections, as far as the other side keeps up."""
    address, seen, start = urlsplit(url), Counter[str](), time.monotonic()
    head = f"POST /v1/streams HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: {caller}\r\n"
    request = (
        f"{head}Prefer: respond-async\r\nContent-Type: application/json\r\nContent-Length: {len(BODY)}\r\n\r\n".encode()
        + BODY
    )

    async def connection(number: int) -> None:
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        turn = number
        while (due := start + turn / a_second) < start + seconds:
            await asyncio.sleep(due - time.monotonic())
            writer.write(request)
            answer = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            await reader.readexactly(int(answer.partition("content-length: ")[2].partition("\r\n")[0]))
            seen[answer.split(" ")[1]] += 1
            turn += CONNECTIONS
        writer.close()

    await asyncio.gather(*(connection(number) for number in range(CONNECTIONS)))
    return seen


if __name__ == "__main__":
    url, a_second, seconds, caller = sys.argv[1:]
    print(json.dumps(asyncio.run(flood(url, float(a_second), float(seconds), caller))))  # noqa: T201
