"""`headgate keys`: what it prints, what it stores, what it refuses."""

import re
from argparse import Namespace
from hashlib import sha256
from pathlib import Path

import pytest

from adapters.memory.keys import MemoryApiKeys
from adapters.memory.manual_clock import ManualClock
from adapters.observability.redaction_text import redact_text
from adapters.settings import Settings, get_settings
from container import Container
from domain.errors import ConfigurationError
from entrypoints.cli import _check_keys, _parser
from entrypoints.keys import run_keys
from ports.keys import ApiKey

FILE = f"""
[tiers.premium]
requests_per_minute = 1
tokens_per_minute = 1
max_concurrent_streams = 1
[keys.fixed]
sha256 = "{"ab" * 32}"
tier = "premium"
tenant = "big"
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    config = tmp_path / "headgate.toml"
    config.write_text(FILE)
    return get_settings({"HEADGATE_CONFIG": str(config), "HEADGATE_KEYS_FILE": str(tmp_path / "keys.json")})


async def run(settings: Settings, keys: MemoryApiKeys, *arguments: str) -> None:
    options = _parser().parse_args(["keys", *arguments])
    assert await run_keys(options, settings, keys, ManualClock()) == 0


async def test_a_premium_key_takes_no_file(tmp_path: Path) -> None:
    """As docs/keys.md has it, on an empty machine."""
    keys = MemoryApiKeys()
    settings = get_settings({"HEADGATE_KEYS_FILE": str(tmp_path / "keys.json")})
    await run(settings, keys, "create", "--name", "acme", "--tier", "premium")
    (key,) = await keys.list()
    assert key.tier == "premium"


async def test_a_key_is_printed_once_and_its_hash_is_stored_p2(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = MemoryApiKeys()
    await run(settings, keys, "create", "--name", "acme", "--tier", "premium")
    await run(settings, keys, "create", "--name", "acme-2", "--tenant", "acme")
    printed, said = capsys.readouterr()
    first, second = printed.splitlines()
    assert re.fullmatch(r"hg_[A-Za-z0-9_-]{43}", first)
    now = int(ManualClock().time())
    assert await keys.list() == (
        ApiKey("acme", sha256(first.encode()).hexdigest(), "acme", "premium", now),
        ApiKey("acme-2", sha256(second.encode()).hexdigest(), "acme", "default", now),
    )
    assert first not in said
    assert f"{settings.access.keys_path}" in said
    assert first not in redact_text(f"the key {first} in a line")


async def test_the_list_has_no_key_and_the_beginning_of_its_hash_p2(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = MemoryApiKeys()
    await keys.put(ApiKey("acme", "0123456789abcdef" * 4, "acme\x1b[2J", "premium", 86_400))
    await keys.put(ApiKey("old", "f" * 64, "old", "gone"))
    await run(settings, keys, "list")
    assert capsys.readouterr().out.splitlines() == [
        "NAME   TENANT         TIER     CREATED           SHA256",
        "fixed  big            premium  headgate.toml     abababab",
        "acme   'acme\\x1b[2J'  premium  1970-01-02 00:00  01234567",
        "old    old            gone     unknown           ffffffff",
    ]


async def test_a_revoked_key_is_gone(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    keys = MemoryApiKeys()
    await keys.put(ApiKey("acme", "a" * 64, "acme"))
    await run(settings, keys, "revoke", "--name", "acme")
    assert await keys.list() == ()
    assert "acme: revoked" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["create", "--name", "a b"], "--name: got 'a b'; takes letters, digits"),
        (["create", "--name", "a", "--tenant", ""], "--tenant: got ''; takes letters"),
        (["create", "--name", "a", "--tenant", "ip:10.0.0.1"], "--tenant: got 'ip:10.0.0.1'; takes"),
        (["create", "--name", "a", "--tier", "premum"], "--tier: got 'premum', a tier that does not exist; did you"),
        (["create", "--name", "fixed"], r"--name: got fixed, which is \[keys.fixed\] in headgate.toml"),
        (["create", "--name", "acme"], "--name: got acme, which there is already"),
        (["revoke", "--name", "fixed"], r"which is \[keys.fixed\] in headgate.toml; remove it there and restart"),
        (["revoke", "--name", "acm"], "--name: got 'acm', a key that does not exist; did you mean acme"),
        (["revoke", "--name", "hg_" + "x" * 43], "--name: got text of 46 characters"),
    ],
)
async def test_what_cannot_be_is_told_in_one_line(settings: Settings, arguments: list[str], line: str) -> None:
    keys = MemoryApiKeys()
    await keys.put(ApiKey("acme", "a" * 64, "acme"))
    with pytest.raises(ConfigurationError, match=line) as caught:
        await run(settings, keys, *arguments)
    assert "\n" not in caught.value.message
    assert len(await keys.list()) == 1


async def test_open_to_the_network_needs_a_key_or_the_word(tmp_path: Path) -> None:
    """Stored keys count; and what was bound to the network never opens."""
    settings = get_settings({"HEADGATE_KEYS_FILE": str(tmp_path / "keys.json")})
    network = Namespace(host="0.0.0.0", allow_anonymous=False)
    with pytest.raises(ConfigurationError, match=r"^--host: got 0\.0\.0\.0, and there are no API keys"):
        await _check_keys(Container(settings=settings), network)
    for options in (Namespace(host="0.0.0.0", allow_anonymous=True), Namespace(host="::1", allow_anonymous=False)):
        free = Container(settings=settings)
        await _check_keys(free, options)
        assert free.callers().open
    told = Container(settings=get_settings({"HEADGATE_ALLOW_ANONYMOUS": "true"}))
    await _check_keys(told, network)
    assert told.callers().open
    kept = Container(settings=settings)
    await kept.api_keys().put(ApiKey("acme", "a" * 64, "acme"))
    await _check_keys(kept, network)
    assert not kept.callers().open
