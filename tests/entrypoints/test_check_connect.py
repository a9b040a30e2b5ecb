"""`headgate check --connect`: what each provider says of its models, in seconds."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from adapters.settings import get_settings
from container import Container
from entrypoints.check import CONNECT_SECONDS, connect
from tests.scripted_upstream import Reply, said, upstream
from tests.service import until

LISTED = Reply(body=json.dumps({"data": [{"id": "gpt-4o"}]}).encode())


async def lines_of(tmp_path: Path, text: str, seconds: float = CONNECT_SECONDS) -> tuple[list[str], bool]:
    config = tmp_path / "headgate.toml"
    config.write_text(text)
    settings = get_settings({"HEADGATE_CONFIG": str(config)})
    return await connect(settings, Container(settings=settings).llm_providers(), seconds)


async def test_what_is_listed_and_what_of_the_routes_is_not(tmp_path: Path) -> None:
    async with upstream(LISTED) as one:
        text = f'[providers.a]\nkind = "openai"\nbase_url = "{one.url}"\n[routes]\nfast = ["a/gpt-4o", "a/gpt-9"]'
        assert await lines_of(tmp_path, text) == (
            ["provider a: ok, 1 model", "route fast: a does not list gpt-9"],
            True,
        )
    assert [(asked.method, asked.body) for asked in one.asked] == [("GET", b"")]


@pytest.mark.parametrize(
    ("reply", "line"),
    [
        (said(401, message="planted"), "provider a: 401: the key is refused"),
        (said(403), "provider a: 403: the key may not do this"),
        (
            said(404, message="planted"),
            "provider a: 404: there is no list of models at this address; base_url ends where /models begins",
        ),
        (said(500, message="planted"), "provider a: 500: The provider failed."),
        (Reply(body=b"<html>"), "provider a: The provider's list of models is not JSON."),
    ],
)
async def test_a_provider_that_does_not_list_fails_in_one_line(tmp_path: Path, reply: Reply, line: str) -> None:
    async with upstream(reply) as one:
        assert await lines_of(tmp_path, f'[providers.a]\nkind = "openai"\nbase_url = "{one.url}"') == ([line], False)


@pytest.mark.parametrize(
    ("row", "line"),
    [
        ('base_url = "http://127.0.0.1:9/v1"', "cannot connect: the connection is refused"),
        ('base_url = "http://no-such-host.invalid/v1"', "cannot connect: there is no host of this name"),
        (
            'base_url = "https://llm.example/v1"\nproxy = "http://127.0.0.1:PORT"',
            "cannot connect: the proxy answers 407",
        ),
    ],
)
async def test_why_there_is_no_connection(tmp_path: Path, row: str, line: str) -> None:
    async with upstream(said(407)) as one:
        row = row.replace("PORT", str(one.port))
        assert await lines_of(tmp_path, f'[providers.a]\nkind = "openai"\n{row}') == ([f"provider a: {line}"], False)


async def test_all_are_asked_at_once_and_none_for_long(tmp_path: Path) -> None:
    async with upstream(LISTED) as one:
        one.gate = asyncio.Event()
        rows = [f'[providers.p{number}]\nkind = "openai"\nbase_url = "{one.url}"' for number in range(8)]
        asking = asyncio.create_task(lines_of(tmp_path, "\n".join(rows), seconds=2.0))
        await until(lambda: len(one.asked) == 8)
        lines, answered = await asking
    assert lines == [f"provider p{number}: no answer within 2 s" for number in range(8)]
    assert not answered


@pytest.mark.parametrize(("url", "status"), [(None, 0), ("http://127.0.0.1:9/v1", 1)])
def test_the_exit_status_says_whether_all_answered(tmp_path: Path, url: str | None, status: int) -> None:
    config = tmp_path / "headgate.toml"
    more = (
        ""
        if url is None
        else f'[providers.a]\nkind = "openai"\nbase_url = "{url}"\napi_key = "planted"\nverify = false\n'
    )
    config.write_text(f'[providers.demo]\nkind = "demo"\n{more}')
    command = [sys.executable, "-m", "entrypoints", "check", "--connect"]
    done = subprocess.run(
        command, env={"HEADGATE_CONFIG": str(config)}, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (status, "")
    assert "  provider demo: ok, " in done.stdout
    assert ("warning: providers.a.verify is false" in done.stdout) is (url is not None)
    assert "planted" not in done.stdout
