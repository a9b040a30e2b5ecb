"""Stream ids prove themselves and their owner (S1, S6)."""

from hypothesis import given
from hypothesis import strategies as st

from domain.services.stream_ids import StreamIds, new_epoch

IDS = StreamIds(b"secret")


@given(st.text(), st.text())
def test_an_id_belongs_to_its_owner_alone_s6(owner: str, stranger: str) -> None:
    stream_id = IDS.create(owner)
    assert IDS.belongs(stream_id, owner)
    assert IDS.belongs(stream_id, stranger) == (owner == stranger)
    assert not StreamIds(b"other").belongs(stream_id, owner)


@given(st.one_of(st.text(), st.binary(min_size=18, max_size=18).map(lambda raw: "s_" + raw.hex()[:24])))
def test_anything_else_never_was_s6(text: str) -> None:
    assert not IDS.belongs(text, "acme")


def test_a_changed_id_never_was_s6() -> None:
    stream_id = IDS.create("acme")
    for place in range(2, len(stream_id)):
        other = "A" if stream_id[place] != "A" else "B"
        assert not IDS.belongs(stream_id[:place] + other + stream_id[place + 1 :], "acme")


def test_ids_and_epochs_are_never_the_same_s1() -> None:
    assert len({IDS.create("acme") for _ in range(10_000)}) == 10_000
    assert len({new_epoch() for _ in range(1000)}) > 990
    assert all(len(new_epoch()) == 8 for _ in range(10))


def test_a_fleet_s_secret_makes_ids_that_every_replica_knows_s6() -> None:
    one, other = StreamIds(b"one"), StreamIds(b"other")
    before = one.create("acme")
    one.adopt(b"fleet")
    other.adopt(b"fleet")
    other.adopt(b"fleet")
    assert other.belongs(one.create("acme"), "acme")
    assert one.belongs(before, "acme")
    assert not other.belongs(before, "acme")
