"""What garbage costs in memory: a service in a process of its own, in front of bombs."""

import asyncio
import json
from collections import Counter
from pathlib import Path

import httpx
import pytest

from tests.faults.harness import ENVIRON
from tests.service import process

MIB = 1 << 20
BOUND = 32 * MIB
AT_ONCE = 4
PATIENT = {"STREAM_FIRST_EVENT_TIMEOUT_LAST": "20"}
"""It is not the time that bounds the memory."""


def memory(pid: int, field: str) -> int:
    """`VmRSS`, or `VmHWM` for the most since it was set back; bytes."""
    rows = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(rows[field].split()[0]) * 1024


async def ask(client: httpx.AsyncClient, model: str, number: int) -> tuple[int, str]:
    body = {"model": f"openai/{model}", "messages": [{"role": "user", "content": str(number)}]}
    answer = await client.post("/v1/chat/completions", json=body)
    return answer.status_code, answer.json().get("error", {}).get("code", "")


@pytest.mark.parametrize("kind", ["gzip-bomb", "huge-line", "html"])
async def test_garbage_takes_no_memory(upstream: str, tmp_path: Path, kind: str) -> None:
    """Fault 34: at most 32 MiB more at any time, with several at once, and 502 for each."""
    environ = {**ENVIRON, "OPENAI_BASE_URL": upstream, "OPENAI_API_KEY": "sk-x", "LOG_LEVEL": "error", **PATIENT}
    with (tmp_path / "log").open("w") as log, process(environ, log) as (service, url):
        async with httpx.AsyncClient(base_url=url, timeout=60) as client:
            for number in range(10):
                assert await ask(client, "ok", number) == (200, "")
            before = memory(service.pid, "VmRSS")
            Path(f"/proc/{service.pid}/clear_refs").write_text("5")  # sets VmHWM back
            asked = await asyncio.gather(*(ask(client, f"memory--{kind}", number) for number in range(AT_ONCE)))
            most = memory(service.pid, "VmHWM")
            stats = (await client.get(upstream.removesuffix("/v1") + "/_stats")).json()["models"][f"memory--{kind}"]
    assert most - before < BOUND, f"{(most - before) / MIB:.1f} MiB"
    assert Counter(asked) == {(502, "provider_bad_response"): AT_ONCE}
    assert stats["requests"] == 3 * AT_ONCE, json.dumps(stats)[:500]
