"""What another client feels: `GET /livez` on a connection of its own, 50 times a second, until the input ends.

    python -m bench.attacks.probe PORT

It prints an empty line once it has had an answer. At the end it prints a list of delays in ms, of each request since
its moment was due (one that had to wait for the one before it has waited too), and -1 for each without a 200.
"""

import json
import select
import socket
import sys
import time

EVERY_SECONDS = 0.02
PATIENCE_SECONDS = 40.0
REQUEST = b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"


def ask(port: int) -> bool:
    """Whether it is answered with 200."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS) as connection:
            connection.sendall(REQUEST)
            return connection.recv(65_536).startswith(b"HTTP/1.1 200 ")
    except OSError:
        return False


def main() -> None:
    port = int(sys.argv[1])
    ask(port)
    print(flush=True)
    delays, due = [], time.monotonic()
    while not select.select([sys.stdin], [], [], max(0.0, due - time.monotonic()))[0]:
        served = ask(port)
        delays.append(round((time.monotonic() - due) * 1e3, 2) if served else -1)
        due += EVERY_SECONDS
    print(json.dumps(delays))


if __name__ == "__main__":
    main()
