"""Routes of faults by chance, many clients at once, some of whom leave: each of the others has the whole answer or one
clear error, and in the end nothing is held (R1-R8)."""

import asyncio
import json
import random
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.event_source import parse
from tests.faults.harness import ENVIRON, WHOLE, Bench, Got, take
from tests.service import running, until

FAULTS = [
    "cut-40", "cut-50", "no-finish", "stall-20", "silent", "error-midway", "error-first", "gives-up", "broken-json",
    "gzip", "html", "redirect", "wrong-type", "400", "401", "404", "429", "429-bare", "429-long", "429-bad-date", "500",
    "503", "429-once", "500-once", "reset", "reset-once", "flapping", "heals", "flaps", "refused", "refuse-prefill",
    "repeats", "restarts", "no-done", "no-done-cut", "no-done-open",
]  # fmt: skip
OF_THE_REQUEST = {"400", "refused", "refuse-prefill"}
"""What may be said of the request itself; with any other fault before it, `ok` has the last word."""
ROUTES, REQUESTS, AT_ONCE = 60, 250, 25


def route(number: int, rng: random.Random) -> list[str]:
    """Up to two that fail in some way, and mostly one that does not; some take the beginning of an answer."""
    kinds = [rng.choice(FAULTS) for _ in range(rng.randint(1, 2))] + ["ok"] * (rng.random() < 0.7)
    families = [rng.choice(["claude-3", "unknown"]) for _ in kinds]
    pairs = enumerate(zip(families, kinds, strict=True))
    return [f"openai/{family}-mix-{number}-{place}--{kind}" for place, (family, kind) in pairs]


def check(response: httpx.Response, kinds: list[str], *, plain: bool) -> None:
    """Whole, or an error that says what happened; and whole where anybody is well."""
    got = Got(response.status_code, response.headers)
    if got.status != 200:
        got.error = response.json()["error"]
    elif plain:
        (choice,) = response.json()["choices"]
        assert (choice["message"]["content"], choice["finish_reason"]) == (WHOLE, "stop")
        return
    else:
        for event in parse(response.content):
            take(got, event.data)
    if got.error is None:
        assert got.whole, got
        return
    assert WHOLE.startswith(got.text)
    assert (got.done, got.finishes) == (False, [])
    assert got.error["code"] != "internal_error"
    assert "ok" not in kinds or (
        got.error["code"] in {"context_length_exceeded", "content_filter"} and OF_THE_REQUEST & {*kinds}
    ), got


@pytest.mark.parametrize("seed", [1, 3])
async def test_any_mix_of_faults_gives_a_whole_answer_or_one_clear_error(
    upstream: str, tmp_path: Path, seed: int
) -> None:
    rng = random.Random(seed)
    routes = {f"mix-{seed}-{number}": route(number + 1000 * seed, rng) for number in range(ROUTES)}
    rows = "".join(f'"{name}" = {json.dumps(targets)}\n' for name, targets in routes.items())
    config = tmp_path / "headgate.toml"
    config.write_text(f"[routes]\n{rows}")
    environ = {
        **ENVIRON,
        "OPENAI_BASE_URL": upstream,
        "OPENAI_API_KEY": "sk-upstream",
        "HEADGATE_CONFIG": str(config),
        "CACHE_ENABLED": "false",
        "RATE_LIMIT_ENABLED": "false",
        "STREAM_MAX_CONCURRENT_PER_CALLER": "1000",
        "CB_FAILURE_THRESHOLD": "2",
        "CB_RECOVERY_TIMEOUT": "0.3",
        "LOG_LEVEL": "error",
    }
    async with running(environ) as service:
        room = asyncio.Semaphore(AT_ONCE)

        async def ask(number: int) -> None:
            name, plain = rng.choice(list(routes)), rng.random() < 0.3
            patience = rng.uniform(0, 1) if rng.random() < 0.2 else None
            body: dict[str, Any] = {"model": name, "messages": [{"role": "user", "content": f"hi {number}"}]}
            if not plain:
                body |= {"stream": True, "stream_options": {"include_usage": True}}
            async with room:
                try:
                    async with asyncio.timeout(patience):
                        response = await service.client.post("/v1/chat/completions", json=body)
                except TimeoutError:
                    return
            kinds = [target.rpartition("--")[2] for target in routes[name]]
            check(response, kinds, plain=plain)

        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            for number in range(REQUESTS):
                group.create_task(ask(number))
        container = service.container
        await until(lambda: len(container.generations()) == 0)
        assert not container.breakers()._calls
        for target in [target for targets in routes.values() for target in targets]:
            await Bench(service, upstream).closed(target.partition("/")[2])
