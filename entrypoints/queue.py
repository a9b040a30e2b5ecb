"""`headgate queue`: what waits in the fleet, what failed for good, and another try for it."""

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

from adapters.settings_problems import did_you_mean, shown
from container import Container
from domain.errors import ConfigurationError, QueueError, QueueFullError
from entrypoints.columns import columns, printable


def add_queue_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds `queue` and what it takes."""
    actions = commands.add_parser("queue", help="look at the fleet's queue and its dead letters").add_subparsers(
        dest="action", required=True
    )
    actions.add_parser("list", help="show who waits, caller by caller")
    actions.add_parser("dead", help="show the requests that failed for good before they had any output")
    replay = actions.add_parser("replay", help="put dead letters into the queue again, as new streams")
    replay.add_argument("stream", nargs="*", help="their stream ids, as `headgate queue dead` shows them")
    replay.add_argument("--all", action="store_true", help="all that there are")


async def run_queue(options: argparse.Namespace, container: Container) -> int:
    """Runs one of the commands. 0 if it is done, 1 if a part of it could not be. Raises `ConfigurationError`."""
    fleet = container.fleet()
    if fleet is None:
        raise ConfigurationError("REDIS_URL: not set; the queue of a single process is in its memory")
    await fleet.start()
    try:
        if options.action == "list":
            sys.stdout.write(await _waiting(container))
        elif options.action == "dead":
            sys.stdout.write(await _dead(container))
        else:
            return await _replay(container, options.stream, everything=options.all)
    except QueueError as error:
        sys.stderr.write(f"REDIS_URL: Redis does not serve ({error.details.get('word', error.code)})\n")
        return 1
    finally:
        await fleet.aclose()
    return 0


async def _waiting(container: Container) -> str:
    rows = [("STREAM", "TENANT", "AHEAD", "COST", "TAKEN", "WAITS AT MOST")]
    for one in await container.queue().list():
        numbers = (str(one.ahead), str(one.cost), str(one.deliveries), f"{max(0.0, one.wait):.0f} s")
        rows.append((one.stream_id, printable(one.tenant), *numbers))
    return columns(rows)


async def _dead(container: Container) -> str:
    rows = [("STREAM", "TENANT", "MODEL", "REASON", "BEGUN", "AT")]
    for letter in await container.dead_letters().list():
        at = datetime.fromtimestamp(letter.buried_at, UTC).strftime("%Y-%m-%d %H:%M:%S")
        info = letter.job.info
        rows.append(
            (
                info.stream_id,
                printable(letter.job.tenant),
                printable(info.model),
                letter.reason,
                str(letter.deliveries),
                at,
            )
        )
    return columns(rows)


async def _replay(container: Container, streams: Sequence[str], *, everything: bool) -> int:
    known = [letter.job.stream_id for letter in await container.dead_letters().list()]
    chosen = known if everything else streams
    if not chosen and not everything:
        raise ConfigurationError(
            "queue replay: got no stream id; takes those that `headgate queue dead` shows, or --all"
        )
    for stream in chosen:
        if stream not in known:
            raise ConfigurationError(
                f"queue replay: got {shown(stream)}, no dead letter; {did_you_mean(stream, known)}"
            )
    for stream in chosen:
        try:
            info = await container.replay().replay(stream)
        except QueueFullError as error:
            sys.stderr.write(f"{stream}: {error.message}\n")
            return 1
        if info is not None:  # else another operator was quicker
            sys.stdout.write(f"{stream} is now {info.stream_id}\n")
    return 0
