"""What only the keys in a file promise: whose they are, who may write, and what is said when it does not work."""

import asyncio
import stat
from pathlib import Path

import pytest

from adapters.key_file import FileApiKeys
from domain.errors import ConfigurationError
from ports.keys import ApiKey

KEY = ApiKey("acme", "a" * 64, "acme", "default", 1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


async def test_only_the_owner_may_read_it_whatever_it_was_before_p2(path: Path) -> None:
    path.write_text("{}")
    path.chmod(0o644)
    await FileApiKeys(path).put(KEY)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_a_file_that_nobody_changed_is_not_read_again(path: Path) -> None:
    keys = FileApiKeys(path)
    await keys.put(KEY)
    first = await keys.list()
    assert await keys.list() is first


async def test_an_edit_by_hand_counts_and_a_file_that_is_gone_has_no_keys(path: Path) -> None:
    keys = FileApiKeys(path)
    await keys.put(KEY)
    assert await keys.list() == (KEY,)
    path.write_text(f'{{"b": {{"sha256": "{"b" * 64}", "tenant": "t", "tier": "gold", "note": 1}}}}')
    assert await keys.list() == (ApiKey("b", "b" * 64, "t", "gold"),)
    path.unlink()
    assert await keys.list() == ()


DEEP = b'{"a": {"note": ' + b"[" * 100_000 + b"]" * 100_000 + b"}}"


@pytest.mark.parametrize(
    "text",
    [b"", b"[]", b'{"a": 1}', b'{"a": {"sha256": "x", "tenant": "t", "tier": "t"}}', b"\xff", b'{"a": {}}', DEEP],
    ids=lambda text: repr(text[:20]),
)
async def test_what_no_command_wrote_is_an_error_and_stays_as_it_is(path: Path, text: bytes) -> None:
    path.write_bytes(text)
    keys = FileApiKeys(path)
    for use in (keys.list, lambda: keys.put(KEY), lambda: keys.remove("a")):
        with pytest.raises(
            ConfigurationError, match=r"^HEADGATE_KEYS_FILE: got .*keys\.json, which `headgate keys` did"
        ):
            await use()
    assert path.read_bytes() == text
    assert [one.name for one in path.parent.iterdir()] == ["keys.json"]


async def test_what_cannot_be_read_or_written_is_an_error_of_ours(tmp_path: Path) -> None:
    keys = FileApiKeys(tmp_path)  # a folder
    with pytest.raises(ConfigurationError, match="cannot be read: Is a directory"):
        await keys.list()
    with pytest.raises(ConfigurationError, match="cannot be written: Is a directory"):
        await keys.put(KEY)
    keys = FileApiKeys(tmp_path / "none" / "keys.json")
    assert await keys.list() == ()
    with pytest.raises(ConfigurationError, match="cannot be written: No such file or directory"):
        await keys.put(KEY)
    assert not (tmp_path.parent / f"{tmp_path.name}.lock").exists()


async def test_of_two_commands_at_once_one_is_told_to_try_again(path: Path) -> None:
    lock = path.with_name("keys.json.lock")
    lock.touch()
    with pytest.raises(ConfigurationError, match="another command is at work"):
        await FileApiKeys(path).put(KEY)
    assert lock.exists()
    lock.unlink()
    outcomes = await asyncio.gather(
        *(FileApiKeys(path).put(ApiKey(str(n), f"{n:064x}", "t")) for n in range(20)), return_exceptions=True
    )
    stored = {key.name for key in await FileApiKeys(path).list()}
    assert stored == {str(n) for n, outcome in enumerate(outcomes) if outcome is True}
    assert {type(outcome) for outcome in outcomes} <= {bool, ConfigurationError}


async def test_a_link_stays_a_link(path: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    path.symlink_to(tmp_path / "data" / "real.json")
    await FileApiKeys(path).put(KEY)
    assert path.is_symlink()
    assert [one.name for one in (tmp_path / "data").iterdir()] == ["real.json"]
