"""Finds social security numbers and the like in a text: by their form and check digits, or after a word that says so."""

import re
from collections.abc import Callable, Iterator

_HYPHEN = r"[\-\u2010\u2011\u2013]"
_BEFORE = r"(?<![A-Za-z0-9+\-])(?<![0-9]\.)"
_AFTER = r"(?![A-Za-z0-9]|[\-.][A-Za-z0-9])"
# United States: no area 000 or 666, no group 00, no serial 0000. Areas from 900 are of taxpayers (ITIN), of few groups.
_SSN = (
    rf"(?!000|666)(?:[0-8][0-9]{{2}}(?P<first>{_HYPHEN})(?!00)[0-9]{{2}}"
    rf"|9[0-9]{{2}}(?P<second>{_HYPHEN})(?:5[0-9]|6[0-5]|[78][0-9]|9[0-24-9])(?<!89))"
    r"(?:(?P=first)|(?P=second))(?!0000)[0-9]{4}"
)
_NINO = (
    r"(?!BG|GB|KN|NK|NT|TN|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z]"
    r"(?:[0-9]{6}|(?P<gap>[ \-])[0-9]{2}(?P=gap)[0-9]{2}(?P=gap)[0-9]{2}(?P=gap))[A-D]"
)
_NIR = r"[12](?P<gap>[ ]?)[0-9]{2}(?P=gap)(?:0[1-9]|1[0-2]|[2-9][0-9])(?:(?P=gap)[0-9]{2})(?:(?P=gap)[0-9]{3}){2}(?P=gap)[0-9]{2}"
_CPF = r"[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}"
_CODICE_FISCALE = r"(?i:[A-Z]{6}[0-9]{2}[ABCDEHLMPRST](?:[04][1-9]|[1256][0-9]|[37][01])[A-Z][0-9]{3}[A-Z])"
_AHV = r"756\.[0-9]{4}\.[0-9]{4}\.[0-9]{2}"


def _is_nir(digits: str) -> bool:
    return int(digits[-2:]) == 97 - int(digits[:-2]) % 97


def _is_cpf(digits: str) -> bool:
    def check(count: int) -> int:
        return sum(int(digit) * (count + 1 - place) for place, digit in enumerate(digits[:count])) * 10 % 11 % 10

    return check(9) == int(digits[9]) and check(10) == int(digits[10])


def _is_ahv(digits: str) -> bool:
    return (sum(map(int, digits[::2])) + 3 * sum(map(int, digits[1::2]))) % 10 == 0


# What the text's shape must hold, the form, and the check of its digits.
_FORMS: tuple[tuple[tuple[bytes, ...], re.Pattern[str], Callable[[str], bool] | None], ...] = tuple(
    (shapes, re.compile(f"{_BEFORE}{form}{_AFTER}"), check)
    for shapes, form, check in (
        ((b" 000 00 0000 ",), _SSN, None),
        ((b" aa000000a ", b" aa 00 00 00 a "), _NINO, None),  # United Kingdom
        ((b" 000000000000000 ", b" 0 00 00 00 000 000 00 "), _NIR, _is_nir),  # France
        ((b" 000 000 000 00 ",), _CPF, _is_cpf),  # Brazil
        ((b" aaaaaa00a00a000a ",), _CODICE_FISCALE, None),  # Italy
        ((b" 000 0000 0000 00 ",), _AHV, _is_ahv),  # Switzerland
    )
)
# After a word that says so, any number of six to fourteen digits. The digits of a moment do not count.
_MOMENT = b"0000 00 00a00 00 00"
_FEWEST_DIGITS = b"0" * 6
_WORDS = ("ssn", "social", "national", "nino", "tax", "itin", "aadhaar", "cpf", "pesel", "bsn", "personnummer", "cpr")
_LABELLED = re.compile(
    r"(?i:(?<![a-z])(?:ssn|social[ _-]?(?:security|insurance)|national[ _-]?(?:insurance|id(?:entity|entification)?)|nino"
    r"|tax(?:payer)?[ _-]?id|itin|aadhaar|cpf|pesel|bsn|personnummer|cpr)(?:[ _-]?(?:number|no|nr|num|id))?)"
    r"(?:\\{0,3}[\"'])?(?:[ ]?[:=#]{1,2}|[ ]is|(?=[ ]))[ ]{0,2}(?:\\{0,3}[\"'])?"
    r"(?P<number>[A-Za-z]{0,2}[0-9](?:[ .\-/\u2010\u2011\u2013]?[0-9]){5,13}[ ]?[A-Z]?)(?![A-Za-z0-9])"
)


def national_id_spans(text: str, shape: bytes) -> list[tuple[int, int]]:
    """Give the places of the numbers; `shape` is the text's."""
    spans: list[tuple[int, int]] = []
    for shapes, form, check in _FORMS:
        for known in shapes:
            if known in shape:
                spans += _of_form(text, form, check)
                break
    if _FEWEST_DIGITS in shape.replace(_MOMENT, b"").translate(None, b" "):
        spans += _labelled(text)
    return spans


def _of_form(text: str, form: re.Pattern[str], check: Callable[[str], bool] | None) -> Iterator[tuple[int, int]]:
    for match in form.finditer(text):
        if check is None or check("".join(filter(str.isdigit, match[0]))):
            yield match.span()


def _labelled(text: str) -> Iterator[tuple[int, int]]:
    lowered = text.lower()
    for word in _WORDS:
        if word in lowered:
            yield from (match.span("number") for match in _LABELLED.finditer(text))
            break
