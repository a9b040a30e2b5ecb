"""The seam of a rescued answer: no text twice, none lost (R6)."""

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domain.delta import MORE, Delta, Dialect, ToolCallDelta, Usage
from domain.services.seam import EVIDENCE, LEAST_EXACT, LEAST_RESTART, WINDOW, Seam, UnjoinableError

END = Delta(finish_reason="stop", usage=Usage(1, 2), model="m")
SENTENCE = "The sky looks blue because of how sunlight meets the air."
words = st.lists(st.text("abcdefgh", min_size=1, max_size=6), min_size=2, max_size=40, unique=True).map(" ".join)


def joined(sent: str, pieces: list[str], *, exact: bool = False) -> str:
    """What comes after `sent` if the continuation comes in these pieces."""
    seam = Seam(sent, exact=exact, thoughts=False)
    deltas = [delta for piece in pieces for delta in seam.join([Delta(piece)])]
    deltas += seam.join([END])
    assert [delta.finish_reason for delta in deltas].count("stop") == 1
    assert [delta.usage for delta in deltas].count(END.usage) == 1
    return "".join(delta.text for delta in deltas)


def split(text: str, cuts: list[int]) -> list[str]:
    places = sorted({cut % (len(text) + 1) for cut in cuts} | {0, len(text)})
    return [text[start:end] for start, end in pairwise(places)]


@given(text=st.text(), place=st.integers(0), cuts=st.lists(st.integers(0)))
def test_any_exact_continuation_that_repeats_nothing_long_is_joined_as_it_is_r6(
    text: str, place: int, cuts: list[int]
) -> None:
    sent = "".join(character for character in text[: place % (len(text) + 1)] if not character.isspace())
    rest = "".join(f"<{number}>" for number in range(4)) + text
    assert joined(sent, split(rest, cuts), exact=True) == rest


@example(text="c aaa aab ab a b aa", place=3965, back=0, cuts=[])
@given(text=words, place=st.integers(0), back=st.integers(0, 200), cuts=st.lists(st.integers(0)))
def test_however_many_last_words_are_repeated_in_any_pieces_they_are_dropped_r6(
    text: str, place: int, back: int, cuts: list[int]
) -> None:
    starts = [0, *(index + 1 for index, character in enumerate(text) if character == " ")]
    at = starts[place % len(starts)] if place % 2 else 1 + place % (len(text) - 1)
    begin = max(start for start in starts if start <= max(0, at - back))  # a model begins again with a whole word
    sent, again = text[:at], text[begin:]
    if begin >= at:  # nothing is repeated: it goes on
        again = text[at:]
    assert sent + joined(sent, split(again, cuts)) == text


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize(("before", "again"), [("", "\n\n"), (" ", ""), ("\n", " "), ("", "")])
@pytest.mark.parametrize("length", [30, 2 * WINDOW + 3])
@pytest.mark.parametrize("cuts", [[], list(range(0, 3 * WINDOW, 7)), list(range(3 * WINDOW))])
def test_white_space_before_an_answer_that_begins_again_does_not_matter_r6(
    before: str, again: str, length: int, cuts: list[int], exact: bool
) -> None:
    """Models that think first begin with a blank line."""
    text = " ".join(f"word{number}" for number in range(WINDOW))[: 3 * WINDOW]
    sent = before + text[:length]
    assert sent + joined(sent, split(again + text, cuts), exact=exact) == before + text


def test_a_long_answer_that_begins_again_from_its_beginning_goes_on_where_it_was_r6() -> None:
    text = " ".join(f"word{number}" for number in range(3 * WINDOW))
    sent = text[: 2 * WINDOW + 3]
    assert sent + joined(sent, split(text, list(range(0, len(text), 7)))) == text
    assert sent + joined(sent, [text]) == text


@pytest.mark.parametrize(
    "pieces",
    [
        ["The sky looks blue because it is", " Monday."],
        ["\n\n", "The sky looks blue because it is", " Monday."],
        ["The sky looks blue because of"],
    ],
)
def test_another_answer_cannot_be_joined_r6(pieces: list[str]) -> None:
    assert len("The sky looks blue because") > EVIDENCE
    with pytest.raises(UnjoinableError):
        joined(SENTENCE, pieces)


@pytest.mark.parametrize(
    ("sent", "continuation", "expected"),
    [
        ("The quick bro", "brown fox", "The quick brown fox"),
        ("The quick brown", "brown fox", "The quick brown fox"),
        ("The quick brown", " fox", "The quick brown fox"),
        ("The very quick brown", "\n\nvery quick brown fox", "The very quick brown fox"),
        ("half an", " answer", "half an answer"),
        ("half an", " an answer", "half an answer"),
        ("The quick brow", " brown fox", "The quick brown fox"),
        ("The quick brown", "\n\nfox", "The quick brown\n\nfox"),
        ("I like a", "\n\napple", "I like a\n\napple"),
        ("I like ba", "nanas", "I like bananas"),
        ("f(g(x", "))", "f(g(x))"),
        ("f(g(x)", ")", "f(g(x))"),
        ("one\n", "\ntwo", "one\n\ntwo"),
        ("to", "o much", "too much"),
        ("ten aab ", "ab is short", "ten aab ab is short"),
        ("天空是蓝色的", "蓝色的，因为", "天空是蓝色的，因为"),
        ("abc", "", "abc"),
        ("", "abc", "abc"),
    ],
)
def test_seams_of_a_model_that_was_asked_to_go_on_r6(sent: str, continuation: str, expected: str) -> None:
    assert sent + joined(sent, [continuation] if continuation else []) == expected
    assert sent + joined(sent, list(continuation)) == expected


@pytest.mark.parametrize(
    ("sent", "continuation", "expected"),
    [
        ("ha ha", " ha ha!", "ha ha ha ha!"),
        ("one\n", "\ntwo", "one\ntwo"),  # it was given the text without the white space at its end
        ("one \n", " \ntwo", "one \ntwo"),
        ("one ", "two", "one two"),
        (SENTENCE, SENTENCE[-LEAST_EXACT:] + " And so", SENTENCE + " And so"),
        ("The sky is", "The sky is blue.", "The sky is blue."),  # it ignored that it had begun
        ("The sky is ", "The sky is blue.", "The sky is blue."),
        ("The sky is", " blue. The sky is", "The sky is blue. The sky is"),
        ("Paris", "Paris.", "Paris."),
        ("今天天气", "今天天气很好", "今天天气很好"),
        ("haha", "haha!", "hahahaha!"),  # what was sent repeats itself, so it goes on to
        ("哈哈哈哈", "哈哈哈哈", "哈哈哈哈哈哈哈哈"),
        ("So ", "So it", "So So it"),  # too short to tell
        ("10101", "10101", "1010110101"),
    ],
)
def test_seams_of_a_model_that_was_given_its_own_beginning_r6(sent: str, continuation: str, expected: str) -> None:
    assert sent + joined(sent, [continuation], exact=True) == expected


@given(text=words, place=st.integers(0), cuts=st.lists(st.integers(0)))
def test_a_model_that_ignores_its_own_beginning_says_nothing_twice_r6(text: str, place: int, cuts: list[int]) -> None:
    """However short the beginning: of different words, from the fourth character on."""
    sent = text[: LEAST_RESTART + place % len(text)]
    if len(sent) >= LEAST_RESTART and len(set(sent)) > len(sent) // 2:
        assert sent + joined(sent, split(text, cuts), exact=True) == text


@given(piece=st.text("abcdefgh", min_size=1, max_size=4), count=st.integers(2, 9), cuts=st.lists(st.integers(0)))
def test_a_beginning_that_repeats_itself_goes_on_to_r6(piece: str, count: int, cuts: list[int]) -> None:
    sent = (piece * count)[: LEAST_EXACT - 1]
    if len(sent) % len(piece) == 0 and len(sent) > len(piece):
        rest = piece * count
        assert joined(sent, split(rest, cuts), exact=True) == rest


def units(text: str) -> bytes:
    return text.encode("utf-16-le", "surrogatepass")


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("rest", ["\U0001f600!", "\ude00!"])
def test_a_character_that_was_cut_in_two_is_made_whole_r6(rest: str, exact: bool) -> None:
    sent = "so \ud83d"
    assert units(sent + joined(sent, [rest], exact=exact)) == units("so \U0001f600!")
    with pytest.raises(UnjoinableError):
        joined(sent, ["no"], exact=exact)


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("again", ["", "so it is \u00e9 "])
def test_a_rescuer_that_cuts_the_character_in_two_as_well_makes_it_whole_r6(again: str, exact: bool) -> None:
    """It has the same tokens: the halves come in two events of its own."""
    sent = "so it is \u00e9 \ud83d"
    whole = units("so it is \u00e9 \U0001f600!")
    assert units(sent + joined(sent, [*again, "\ud83d", "\ude00", "!"], exact=exact)) == whole
    assert units(sent + joined(sent, [*again, "\U0001f600", "!"], exact=exact)) == whole
    assert units("\ud83d" + joined("\ud83d", ["", "\ud83d", "\ude00"], exact=exact)) == units("\U0001f600")


@given(
    st.lists(st.text("abc\u0301\U0001f600\U0001f680", min_size=1, max_size=6), min_size=8, max_size=20, unique=True),
    st.integers(0),
    st.lists(st.integers(0), max_size=20),
    st.booleans(),
)
def test_wherever_characters_are_cut_what_comes_again_is_dropped_r6(
    words: list[str], place: int, cuts: list[int], exact: bool
) -> None:
    """In the answer, and in a rescuer that begins again: the halves of a pair are compared as the character is."""
    text = " ".join(words)
    length = len(units(text)) // 2
    sent, _ = pieces_of(text, [2 * LEAST_EXACT + place % (length - 2 * LEAST_EXACT)]) if length > 40 else (text[:0], "")
    if sent:
        assert units(sent + joined(sent, pieces_of(text, cuts), exact=exact)) == units(text)


def pieces_of(text: str, cuts: list[int]) -> list[str]:
    """Cut between any two units of UTF-16."""
    whole = units(text)
    places = sorted({2 * (cut % (len(whole) // 2 + 1)) for cut in cuts} | {0, len(whole)})
    return [whole[start:end].decode("utf-16-le", "surrogatepass") for start, end in pairwise(places)]


def test_halves_that_came_in_two_events_are_one_character_r6() -> None:
    sent = SENTENCE + "\ud83d" + "\ude00"
    assert joined(sent, [SENTENCE + "\U0001f600 and"]) == " and"


def test_roles_and_second_thoughts_are_dropped_and_other_bytes_are_kept_r6() -> None:
    seam = Seam("abc", exact=True, thoughts=False)
    raw = b'{"x":1}'
    role = Delta("", raw, Dialect.OPENAI, role="assistant")
    thought = Delta("", raw, Dialect.OPENAI, reasoning="hm")
    both = Delta(" d", raw, Dialect.OPENAI, role="assistant", reasoning="hm")
    usage = Delta("", raw, Dialect.OPENAI, usage=Usage(1, 2))
    plain = Delta(" e", raw, Dialect.OPENAI)
    signed = Delta(extra=b"{}")
    assert seam.join([role, thought, both, plain, signed, usage]) == [Delta(" d"), plain, usage]


def test_what_no_field_holds_is_kept_with_its_role_r6() -> None:
    image = Delta("", b'{"x":1}', Dialect.OPENAI, role="assistant", extra=MORE)
    assert Seam("abc", exact=True, thoughts=False).join([image, Delta(" d"), Delta(finish_reason="stop")])[0] == image


def test_thoughts_are_kept_if_nothing_was_sent_but_a_role_r6() -> None:
    seam = Seam("", exact=False, thoughts=True)
    thought = Delta(reasoning="hm", role="assistant", raw=b"{}", dialect=Dialect.OPENAI)
    signed = Delta(role="assistant", extra=b"{}")
    assert seam.join([Delta(role="assistant"), thought, signed]) == [Delta(reasoning="hm"), Delta(extra=b"{}")]


def test_a_delta_that_is_cut_loses_its_bytes_and_nothing_else_r6() -> None:
    seam = Seam("one two", exact=False, thoughts=False)
    call = ToolCallDelta(0, "id", "name")
    assert seam.join([Delta("two", b"{}", Dialect.OPENAI)]) == []
    cut, tool = seam.join([Delta(" three", b"{}", Dialect.OPENAI), Delta(tool_calls=(call,))])
    assert (cut, tool) == (Delta(" three", b"{}", Dialect.OPENAI), Delta(tool_calls=(call,)))
    seam = Seam("one two", exact=False, thoughts=False)
    assert seam.join([Delta("two th", b"{}", Dialect.OPENAI)]) == [Delta(" th")]


def test_what_was_held_back_and_is_no_repetition_is_left_as_it_is_r6() -> None:
    seam = Seam("x two two", exact=False, thoughts=False)
    assert seam.join([Delta("two")]) == []  # it may be the one or the other
    rest = Delta(" five", b"{}", Dialect.OPENAI)
    assert seam.join([rest]) == [rest]
