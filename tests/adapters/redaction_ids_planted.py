"""Bank accounts and national numbers to plant in the redaction corpus: valid lengths, ranges and check digits."""

import random
import re
import string
from collections.abc import Callable

from tests.adapters.redaction_keys_planted import DIGITS, some

# The national part of the IBAN by country, as SWIFT's registry has it: n digits, a capitals, c either.
BBAN = {
    "AD": "8n12c", "AE": "19n", "AL": "8n16c", "AT": "16n", "AZ": "4a20c", "BA": "16n", "BE": "12n", "BG": "4a6n8c",
    "BH": "4a14c", "BR": "23n1a1c", "BY": "4c4n16c", "CH": "5n12c", "CR": "18n", "CY": "8n16c", "CZ": "20n",
    "DE": "18n", "DK": "14n", "DO": "4c20n", "EE": "16n", "EG": "25n", "ES": "20n", "FI": "14n", "FO": "14n",
    "FR": "10n11c2n", "GB": "4a14n", "GE": "2a16n", "GI": "4a15c", "GL": "14n", "GR": "7n16c", "GT": "4c20c",
    "HR": "17n", "HU": "24n", "IE": "4a14n", "IL": "19n", "IQ": "4a15n", "IS": "22n", "IT": "1a10n12c", "JO": "4a4n18c",
    "KW": "4a22c", "KZ": "3n13c", "LB": "4n20c", "LC": "4a24c", "LI": "5n12c", "LT": "16n", "LU": "3n13c",
    "LV": "4a13c", "MC": "10n11c2n", "MD": "2c18c", "ME": "18n", "MK": "3n10c2n", "MR": "23n", "MT": "4a5n18c",
    "MU": "4a19n3a", "NL": "4a10n", "NO": "11n", "PK": "4a16c", "PL": "24n", "PS": "4a21c", "PT": "21n", "QA": "4a21c",
    "RO": "4a16c", "RS": "18n", "SA": "2n18c", "SC": "4a20n3a", "SE": "20n", "SI": "15n", "SK": "20n",
    "SM": "1a10n12c", "ST": "21n", "SV": "4a20n", "TL": "19n", "TN": "20n", "TR": "6n16c", "UA": "6n19c", "VA": "18n",
    "VG": "4a16n", "XK": "16n",
}  # fmt: skip
ALPHABETS = {"n": DIGITS, "a": string.ascii_uppercase, "c": DIGITS + string.ascii_uppercase}


def iban_remainder(number: str) -> int:
    """Give what is left of the division by 97 (ISO 7064): 1 for a valid number."""
    return int("".join(str(int(character, 36)) for character in number[4:] + number[:4])) % 97


def compact_iban(rng: random.Random) -> str:
    country = rng.choice(sorted(BBAN))
    pieces = re.findall(r"([0-9]+)([nac])", BBAN[country])
    account = "".join(some(rng, ALPHABETS[kind], int(size)) for size, kind in pieces)
    return f"{country}{98 - iban_remainder(f'{country}00{account}'):02}{account}"


def in_fours(number: str, gap: str) -> str:
    return gap.join(number[at : at + 4] for at in range(0, len(number), 4))


def iban(rng: random.Random) -> str:
    number = compact_iban(rng)
    number = number.lower() if rng.random() < 0.2 else number
    return rng.choice((number, number, in_fours(number, " "), in_fours(number, " "), in_fours(number, "-")))


def ssn(rng: random.Random) -> str:
    area = rng.choice([number for number in range(1, 900) if number != 666])
    return f"{area:03}-{rng.randrange(1, 100):02}-{rng.randrange(1, 10_000):04}"


def itin(rng: random.Random) -> str:
    group = rng.choice([*range(50, 66), *range(70, 89), 90, 91, 92, *range(94, 100)])
    return f"9{rng.randrange(100):02}-{group}-{rng.randrange(1, 10_000):04}"


def nino(rng: random.Random) -> str:
    prefix = rng.choice(("AA", "AB", "CE", "HR", "JC", "LK", "NM", "PX", "TW", "YZ"))
    number = prefix + some(rng, DIGITS, 6) + rng.choice("ABCD")
    return rng.choice((number, " ".join(number[at : at + 2] for at in range(0, 9, 2))))


def nir(rng: random.Random) -> str:
    number = f"{rng.choice('12')}{rng.randrange(100):02}{rng.randrange(1, 13):02}{rng.randrange(1, 96):02}"
    number += f"{rng.randrange(1, 990):03}{rng.randrange(1, 1000):03}"
    number += f"{97 - int(number) % 97:02}"
    sizes = (1, 2, 2, 2, 3, 3, 2)
    places = [sum(sizes[:at]) for at in range(len(sizes))]
    return rng.choice((number, " ".join(number[at : at + size] for at, size in zip(places, sizes, strict=True))))


def cpf(rng: random.Random) -> str:
    digits = [rng.randrange(10) for _ in range(9)]
    for count in (9, 10):
        rest = sum(digit * (count + 1 - place) for place, digit in enumerate(digits)) * 10 % 11
        digits.append(rest % 10)
    number = "".join(map(str, digits))
    return f"{number[:3]}.{number[3:6]}.{number[6:9]}-{number[9:]}"


def codice_fiscale(rng: random.Random) -> str:
    letters = string.ascii_uppercase
    day = rng.randrange(1, 29) + rng.choice((0, 40))
    born = f"{rng.randrange(100):02}{rng.choice('ABCDEHLMPRST')}{day:02}"
    return f"{some(rng, letters, 6)}{born}{some(rng, letters, 1)}{some(rng, DIGITS, 3)}{some(rng, letters, 1)}"


def ahv(rng: random.Random) -> str:
    number = f"756{some(rng, DIGITS, 9)}"
    check = -sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(number)) % 10
    return f"756.{number[3:7]}.{number[7:11]}.{number[11]}{check}"


NATIONAL_IDS: dict[str, Callable[[random.Random], str]] = {
    "us ssn": ssn,
    "us itin": itin,
    "gb nino": nino,
    "fr nir": nir,
    "br cpf": cpf,
    "it codice fiscale": codice_fiscale,
    "ch ahv": ahv,
}
# Those that only a word before them gives away.
LABELLED_IDS: dict[str, tuple[str, Callable[[random.Random], str]]] = {
    "ssn digits": ("user record ssn=@ status=ok", lambda r: ssn(r).replace("-", "")),
    "ssn spaces": ("SSN: @, born 1970", lambda r: ssn(r).replace("-", " ")),
    "ssn json": ('{"name": "x", "social_security_number": "@"}', lambda r: ssn(r).replace("-", "")),
    "sin ca": ("social insurance number @ rejected", lambda r: f"{some(r, '1234567', 3)} {some(r, DIGITS, 3)} 123"),
    "aadhaar": ("aadhaar: @", lambda r: f"{some(r, '23456789', 4)} {some(r, DIGITS, 4)} {some(r, DIGITS, 4)}"),
    "pesel": ("PESEL=@;", lambda r: some(r, DIGITS, 11)),
    "nino lower": ("national insurance number is @ today", lambda r: nino(r).replace(" ", "").upper()),
}
