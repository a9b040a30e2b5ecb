"""Finds social security numbers and their like in a text: by form and check digits, or after a word that names one."""

import re
from collections.abc import Callable, Iterable

_HYPHEN = r"[\-\u2010\u2011\u2013]"
_BEFORE = r"(?<![A-Za-z0-9+\-])(?<![0-9]\.)"
_AFTER = r"(?![A-Za-z0-9]|[\-.][A-Za-z0-9])"
# United States: no area 000 or 666, no group 00, no serial 0000. Areas from 900 are of taxpayers (ITIN), of few groups.
_SSN = (
    rf"(?!000|666)(?:[0-8][0-9]{{2}}(?P<first>{_HYPHEN})(?!00)[0-9]{{2}}"
    rf"|9[0-9]{{2}}(?P<second>{_HYPHEN})(?:5[0-9]|6[0-5]|[78][0-9]|9[0-24-9])(?<!89))"
    r"(?:(?P=first)|(?P=second))(?!0000)[0-9]{4}"
)
# United Kingdom: the prefixes in use.
_NINO = (
    r"(?!BG|GB|KN|NK|NT|TN|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z]"
    r"(?:[0-9]{6}|(?P<gap>[ \-])[0-9]{2}(?P=gap)[0-9]{2}(?P=gap)[0-9]{2}(?P=gap))[A-D]"
)
# France, with the month of birth; some months are fictitious.
_NIR = (
    r"[12](?P<gap>[ ]?)[0-9]{2}(?P=gap)(?:0[1-9]|1[0-2]|[2-9][0-9])(?P=gap)[0-9]{2}"
    r"(?:(?P=gap)[0-9]{3}){2}(?P=gap)[0-9]{2}"
)
# Brazil
_CPF = r"[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}"
# Italy, with the day of birth, plus 40 for women.
_CODICE_FISCALE = r"(?i:[A-Z]{6}[0-9]{2}[ABCDEHLMPRST](?:[04][1-9]|[1256][0-9]|[37][01])[A-Z][0-9]{3}[A-Z])"
# Switzerland
_AHV = r"756\.[0-9]{4}\.[0-9]{4}\.[0-9]{2}"


def _is_nir(digits: str) -> bool:
    return int(digits[-2:]) == 97 - int(digits[:-2]) % 97


def _is_cpf(digits: str) -> bool:
    def check(count: int) -> int:
        return sum(int(digit) * (count + 1 - place) for place, digit in enumerate(digits[:count])) * 10 % 11 % 10

    return check(9) == int(digits[9]) and check(10) == int(digits[10])


def _is_ahv(digits: str) -> bool:
    return (sum(map(int, digits[::2])) + 3 * sum(map(int, digits[1::2]))) % 10 == 0


_Form = tuple[re.Pattern[bytes], re.Pattern[str], Callable[[str], bool]]


def _form(shape: bytes, form: str, check: Callable[[str], bool]) -> _Form:
    return re.compile(shape), re.compile(f"{_BEFORE}{form}{_AFTER}"), check


# What the text's shape must hold, the form, and the check of its digits. A fixed text first: for that a search is fast.
_OF_LETTERS = (
    _form(b"aa00(?:a00a000a |00(?<= aa0000)00a )", f"(?:{_NINO}|{_CODICE_FISCALE})", bool),
    _form(b" aa 00 00 00 a ", _NINO, bool),
)
_OF_DIGITS = (
    _form(b" 000 00 0000 ", _SSN, bool),
    _form(b" 0{15} ", _NIR, _is_nir),
    _form(b" 0 00 00 00 000 000 00 ", _NIR, _is_nir),
    _form(b" 000 000 000 00 ", _CPF, _is_cpf),
    _form(b" 000 0000 0000 00 ", _AHV, _is_ahv),
)
_ANY_OF_DIGITS = re.compile(b" 0(?:00 (?:00 0000|000 000 00|0000 0000 00)| 00 00 00 000 000 00|0{14}) ")
# After a word that names one, any number of seven to fourteen digits.
_WORDS = ("ssn", "social", "national", "nino", "tax", "itin", "aadhaar", "cpf", "pesel", "bsn", "personnummer", "cpr")
_LABELLED = re.compile(
    r"(?i:(?<![a-z])(?:ssn|social[ _-]?(?:security|insurance)|national[ _-]?(?:insurance|id(?:entity|entification)?)"
    r"|nino|tax(?:payer)?[ _-]?id|itin|aadhaar|cpf|pesel|bsn|personnummer|cpr)(?:[ _-]?(?:number|no|nr|num|id))?)"
    r"(?:\\{0,3}[\"'])?(?:[ ]?[:=#]{1,2}|[ ]is|[\-_]|(?=[ 0-9]))[ ]{0,2}(?:\\{0,3}[\"'])?"
    r"(?P<number>[A-Za-z]{0,2}[0-9](?:[ .\-/\u2010\u2011\u2013]?[0-9]){6,13}[ ]?[A-Z]?)(?![A-Za-z0-9])"
)


def lettered_id_spans(text: str, shape: bytes) -> list[tuple[int, int]]:
    """Give the places of the numbers with letters in them; `shape` is the text's."""
    return _of_forms(_OF_LETTERS, text, shape)


def numeric_id_spans(text: str, shape: bytes) -> list[tuple[int, int]]:
    """Give the places of the numbers of digits, and of any number that a word names; `shape` is the text's."""
    spans = _of_forms(_OF_DIGITS, text, shape) if _ANY_OF_DIGITS.search(shape) is not None else []
    lowered = text.lower()
    for word in _WORDS:
        if word in lowered:
            spans += (match.span("number") for match in _LABELLED.finditer(text))
            break
    return spans


def _of_forms(forms: Iterable[_Form], text: str, shape: bytes) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    for known, form, check in forms:
        if known.search(shape) is not None:
            spans += (found.span() for found in form.finditer(text) if check("".join(filter(str.isdigit, found[0]))))
    return spans
