"""Finds payment card numbers in a text: an issuer's prefix and lengths, the Luhn check, a shape that is printed."""

import re
from collections.abc import Sequence

_SEPARATOR = r"[ \-+\u00a0\u2011\u2013]"
# A text without its separators, all digits alike: without thirteen in a row there is no card, and most lines stop here.
_SHAPE = bytes.maketrans(b"123456789", b"000000000")
_BETWEEN = b" -+?"  # a separator that is not ASCII comes as `?`
_FEWEST_DIGITS = b"0" * 13
_CHUNK = re.compile(rf"[0-9]++(?:{_SEPARATOR}[0-9]++)*+")
_GROUP = re.compile(r"[0-9]++")
_SEPARATORS = re.compile(_SEPARATOR)

_ISSUERS = re.compile(
    r"""
      4(?:[0-9]{12}|[0-9]{15}|[0-9]{18})                                            # Visa, and Elo within it
    | (?:5[1-5][0-9]{2}|222[1-9]|22[3-9][0-9]|2[3-6][0-9]{2}|27[01][0-9]|2720)[0-9]{12}   # Mastercard
    | 3[47][0-9]{13}                                                                # American Express
    | (?:30[0-5]|36[0-9]|38[0-9]|39[0-9])[0-9]{11}(?:[0-9]{2})?                     # Diners Club
    | (?:6011|64[4-9][0-9]|65[0-9]{2})[0-9]{12}(?:[0-9]{3})?                        # Discover
    | 35(?:2[89]|[3-8][0-9])[0-9]{12,15}                                            # JCB
    | 62[0-9]{14,17}                                                                # UnionPay
    | (?:50(?:18|20|38)|5[678][0-9]{2}|6304|6759|676[1-3])[0-9]{9,15}               # Maestro
    | 220[0-4][0-9]{12,15}                                                          # Mir
    | (?:60[0-9]{2}|8[12][0-9]{2}|508[0-9]|9792|636[23]|506[01])[0-9]{12}(?:[0-9]{2,3})?  # RuPay, Troy, Elo, Verve
    """,
    re.VERBOSE,
)
# A digit is worth twice itself, less nine, at every second place from the right.
_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_HEX_AND_HYPHEN = "0123456789abcdefABCDEF-"
_REACH = 64
_SHORTEST, _LONGEST = 13, 19
_PRINTED_GROUP = 4
_MOST_GROUPS = 6
_FIRST_GROUPS = frozenset({_PRINTED_GROUP, 6, 8, *range(_SHORTEST, _LONGEST + 1)})
_PRINTED = ([4, 6, 5], [4, 6, 4], [4, 3, 3, 3])
_HEX_ID_LENGTHS = frozenset({16, 24, 32, 40, 64})
_FIRST_DIGITS = "2345689"


def is_card_number(digits: str) -> bool:
    """Say whether the digits are of an issuer's range and length and pass the Luhn check."""
    if not _SHORTEST <= len(digits) <= _LONGEST or _ISSUERS.fullmatch(digits) is None:
        return False
    backwards = digits[::-1]
    return (sum(map(int, backwards[::2])) + sum(_DOUBLED[int(digit)] for digit in backwards[1::2])) % 10 == 0


def card_spans(text: str) -> list[tuple[int, int]]:
    """Give the places of the card numbers."""
    spans: list[tuple[int, int]] = []
    if _FEWEST_DIGITS not in text.encode("ascii", "replace").translate(_SHAPE, _BETWEEN):
        return spans
    for chunk in _CHUNK.finditer(text):
        if chunk.end() - chunk.start() >= _SHORTEST:
            spans += _cards_in(text, chunk.start(), chunk.end())
    return spans


def _cards_in(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """Give the places of the cards in one run of digits and separators."""
    chunk = text[start:end]
    groups = [group.span() for group in _GROUP.finditer(chunk)]
    found: list[tuple[int, int]] = []
    first = 0
    while first < len(groups):
        last = _card_from(chunk, groups, first) if chunk[groups[first][0]] in _FIRST_DIGITS else None
        if last is None or _is_part_of_another(text, start + groups[first][0], start + groups[last][1]):
            first += 1
            continue
        found.append((start + groups[first][0], start + groups[last][1]))
        first = last + 1
    return found


def _card_from(chunk: str, groups: Sequence[tuple[int, int]], first: int) -> int | None:
    """Give the last group of the longest card that begins with the group `first`."""
    if first > 0 and groups[first][1] - groups[first][0] not in _FIRST_GROUPS:
        return None  # not printed so, and not alone: see `whole`
    best: int | None = None
    digits = ""
    sizes: list[int] = []
    for last in range(first, len(groups)):
        start, end = groups[last]
        if len(digits) + end - start > _LONGEST:
            break
        digits += chunk[start:end]
        sizes.append(end - start)
        if len(digits) < _SHORTEST:
            continue
        # Alone, with one kind of separator, a card may come in other groups too; two digits each are a row of counts.
        whole = len(sizes) == len(groups) and len(set(_SEPARATORS.findall(chunk))) == 1
        whole = whole and (len(sizes) <= _MOST_GROUPS or max(sizes) == 1)
        if (whole or _is_printed(sizes)) and is_card_number(digits):
            best = last
    return best


def _is_printed(sizes: Sequence[int]) -> bool:
    """Say whether cards are printed in such groups: one piece, fours, 4-6-5, 4-6-4, or two with 6 or 8 first."""
    if len(sizes) == 1 or sizes in _PRINTED:
        return True
    if sizes[0] != _PRINTED_GROUP:
        return len(sizes) == 2 and sizes[0] in (6, 8)
    return all(size == _PRINTED_GROUP for size in sizes[:-1]) and sizes[-1] <= _PRINTED_GROUP


def _is_part_of_another(text: str, start: int, end: int) -> bool:
    """Say whether the digits are a piece of a float, of a UUID or of a hexadecimal id such as a trace id."""
    if text[max(0, start - 1) : start] == "." and text[max(0, start - 2) : start - 1].isdigit():
        return True
    left, right = start, end
    while left > 0 and start - left < _REACH and text[left - 1] in _HEX_AND_HYPHEN:
        left -= 1
    while right < len(text) and right - end < _REACH and text[right] in _HEX_AND_HYPHEN:
        right += 1
    if text[max(0, left - 1) : left].isalnum() or text[right : right + 1].isalnum():
        return False
    if any(uuid.start() < end and start < uuid.end() for uuid in _UUID.finditer(text, left, right)):
        return True
    left = max(left, text.rfind("-", left, start) + 1)
    right = text.find("-", end, right) if "-" in text[end:right] else right
    pieces = text[left:right].split("-")
    return any(len(piece) in _HEX_ID_LENGTHS and piece.isalnum() and not piece.isdigit() for piece in pieces)
