"""Values to plant in the redaction corpus: e-mail addresses, cards, and phones of real numbering plans."""

import random

from adapters.observability.redaction_cards import is_card_number

DIGITS = "0123456789"

# Country: country code, numbers in international form after the code, numbers in national form.
# '#' is any digit, 'N' is 2 to 9, '[1-5]' and '[45]' are one of those; '|' stands between forms.
# The prefixes are those in use.
PHONE_PLANS = {
    "GB": (
        "44",
        "20 7[0139]## ####|7[4578]## ######|121 [2347]## ####",
        "020 7[0139]## ####|07[4578]## ######|0121 [2347]## ####|(020) 7[0139]## ####",
    ),
    "FR": (
        "33",
        "1 4[0-9] ## ## ##|6 [1-8]# ## ## ##",
        "01 4[0-9] ## ## ##|06 [1-8]# ## ## ##|06.[1-8]#.##.##.##|01-4#-##-##-##",
    ),
    "DE": (
        "49",
        "30 [2-9]######|1512 [2-9]######|89 [2-9]#####",
        "030 [2-9]######|0151 [2-9]#######|030/[2-9]######|089-[2-9]#####|(0221) [2-9]######",
    ),
    "IT": ("39", "02 [2-9]### ####|347 ### ####", "02 [2-9]### ####|06 [4-9]### ####|347 ### ####|338 ### ####"),
    "ES": ("34", "91 [2-9]## ## ##|6[1-5]# ## ## ##", "9[1-3]# ## ## ##|6[1-5]# ## ## ##|6[1-5]# ### ###"),
    "NL": ("31", "20 [2-7]## ####|6 [1-5]#######", "020 [2-7]## ####|06-[1-5]#######|06 [1-5]#######|020-[2-7]######"),
    "CH": ("41", "44 [2-8]## ## ##|79 [2-8]## ## ##", "044 [2-8]## ## ##|079 [2-8]## ## ##|044.[2-8]##.##.##"),
    "SE": ("46", "8 [2-6]## ### ##|70 [2-7]## ## ##", "08-[2-6]## ### ##|070-[2-7]## ## ##"),
    "NO": ("47", "2[1-3] ## ## ##|41# ## ###", "2[1-3] ## ## ##|9[0-3]# ## ###"),
    "DK": ("45", "33 ## ## ##|2[0-3] ## ## ##", "33 ## ## ##|2[0-3] ## ## ##"),
    "FI": ("358", "40 [1-7]######|9 [2-7]#####", "040 [1-7]######|050 [2-5]######|09 [2-7]#####"),
    "PL": ("48", "22 [2-8]## ## ##|60# ### ###", "22 [2-8]## ## ##|60# ### ###"),
    "TR": ("90", "212 [2-6]## ## ##|532 [2-9]## ## ##", "(0212) [2-6]## ## ##|0532 [2-9]## ## ##"),
    "RU": ("7", "495 [1-7]##-##-##|916 ###-##-##", "8 (495) [1-7]##-##-##|8 (916) ###-##-##|8 916 ###-##-##"),
    "UA": ("380", "50 ### ####|67 ### ####", "050 ### ####|067 ### ## ##"),
    "IL": ("972", "2-[56]##-####|50-[2-9]##-####", "02-[56]##-####|050-[2-9]##-####"),
    "AE": ("971", "50 ### ####|4 [2-4]## ####", "050 ### ####|04 [2-4]## ####"),
    "EG": ("20", "10 0#######|2 [2-3]#######", "010 0#######|02 [2-3]#######"),
    "ZA": ("27", "11 [2-8]## ####|82 [2-9]## ####", "011 [2-8]## ####|082 [2-9]## ####"),
    "NG": ("234", "80[2358] ### ####", "080[2358] ### ####"),
    "KE": ("254", "72# ######|71# ######", "072# ######|071# ######"),
    "IN": (
        "91",
        "9[6-9]### #####|8[6-8]### #####|22 2### ####",
        "09[6-9]### #####|9[6-9]### #####|022 2### ####|022-2#######",
    ),
    "CN": ("86", "138 #### ####|10 6### ####", "138 #### ####|159-####-####|010 6### ####|010-6#######"),
    "HK": ("852", "2[5-8]## ####|9[1-7]## ####", "2[5-8]## ####|9[1-7]## ####"),
    "SG": ("65", "6[2-7]## ####|9[1-7]## ####", "6[2-7]## ####|9[1-7]## ####"),
    "JP": ("81", "3-[3-6]###-####|90-[1-9]###-####", "03-[3-6]###-####|090-[1-9]###-####|(03) [3-6]###-####"),
    "KR": ("82", "2-[3-7]##-####|10-[2-9]###-####", "02-[3-7]##-####|010-[2-9]###-####"),
    "AU": ("61", "2 [89]### ####|4[01]# ### ###", "(02) [89]### ####|04[01]# ### ###|02 [89]### ####"),
    "NZ": ("64", "9 [3-6]## ####|21 [2-9]## ####", "09 [3-6]## ####|021 [2-9]## ####"),
    "BR": ("55", "11 [2-5]###-####|11 9[6-9]###-####", "(11) [2-5]###-####|(11) 9[6-9]###-####|(21) 9[6-9]###-####"),
    "AR": ("54", "11 [4-6]###-####|9 11 [3-6]###-####", "011 [4-6]###-####|011 15-[3-6]###-####"),
    "MX": ("52", "55 [1-8]### ####|33 3### ####", "55 [1-8]### ####|33 3### ####"),
    "CL": ("56", "2 2[2-9]## ####|9 [5-9]### ####", "(2) 2[2-9]## ####|9 [5-9]### ####"),
    "IE": ("353", "1 [2468]## ####|87 [1-9]## ####", "01 [2468]## ####|087 [1-9]## ####"),
    "GR": ("30", "21 0[2-9]## ####|697 ### ####", "21 0[2-9]## ####|697 ### ####"),
    "PT": ("351", "21 [2-8]## ####|91[1-9] ### ###", "21 [2-8]## ####|91[1-9] ### ###"),
}
US_AREAS = (
    "201",
    "212",
    "213",
    "305",
    "312",
    "415",
    "503",
    "512",
    "617",
    "646",
    "702",
    "718",
    "808",
    "917",
    "416",
    "604",
)
US_FORMS = (
    "({0}) {1}-{2}",
    "{0}-{1}-{2}",
    "{0}.{1}.{2}",
    "{0} {1} {2}",
    "({0}){1}-{2}",
    "1-{0}-{1}-{2}",
    "1 ({0}) {1}-{2}",
    "{0} {1}-{2}",
)

CARD_RANGES = (
    ("4", 16),
    ("4", 16),
    ("4", 19),
    ("4", 13),
    ("51", 16),
    ("55", 16),
    ("2221", 16),
    ("2720", 16),
    ("34", 15),
    ("37", 15),
    ("6011", 16),
    ("645", 16),
    ("65", 16),
    ("3528", 16),
    ("3589", 16),
    ("36", 14),
    ("300", 14),
    ("38", 14),
    ("62", 16),
    ("62", 19),
    ("5018", 16),
    ("6759", 18),
    ("2200", 16),
    ("6304", 19),
    ("9792", 16),
    ("6077", 16),
)
CARD_GROUPS = {
    13: ((13,), (4, 3, 3, 3)),
    14: ((14,), (4, 6, 4)),
    15: ((15,), (4, 6, 5)),
    16: ((16,), (4, 4, 4, 4)),
    18: ((18,), (4, 4, 4, 4, 2)),
    19: ((19,), (4, 4, 4, 4, 3), (6, 13)),
}

FIRST_NAMES = ("anna", "bogdan", "chloe", "dmitri", "elena", "farid", "grace", "hiro", "ines", "jamal", "kofi", "lucia")
LAST_NAMES = (
    "almeida",
    "brown",
    "castellanos",
    "dubois",
    "eriksson",
    "fujimoto",
    "garcia",
    "haddad",
    "ivanova",
    "jansen",
)
DOMAINS = (
    "gmail.com",
    "outlook.com",
    "yahoo.co.jp",
    "163.com",
    "proton.me",
    "mail.ru",
    "example.co.uk",
    "corp.example.org",
    "eng.eu-west.bigcompany.io",
    "university.edu.au",
    "startup.ai",
    "agency.photography",
    "x.co",
    "my-domain.dev",
    "xn--bcher-kva.example",
    "xn--e1afmkfd.xn--p1ai",
)
UNICODE_EMAILS = (
    "почта@пример.рф",
    "用户@例子.广告",
    "müller@bücher.example",
    "josé.garcía@correo.es",
    "उपयोगकर्ता@उदाहरण.भारत",
    "δοκιμή@παράδειγμα.ελ",
    "jørgen@blåbær.no",
)


def email(rng: random.Random) -> str:
    first, last, domain = rng.choice(FIRST_NAMES), rng.choice(LAST_NAMES), rng.choice(DOMAINS)
    number = rng.randrange(10, 9_999)
    forms = (
        f"{first}.{last}@{domain}",
        f"{first}{number}@{domain}",
        f"{first[0]}{last}@{domain}",
        f"{first}_{last}@{domain}",
        f"{first}+{rng.choice(('news', 'spam', 'openai', 'x1'))}@{domain}",
        f"{first}.{last}.{number}@{domain}",
        f"{first}-{last}@{domain}",
        f"{first.upper()}.{last.title()}@{domain.upper()}",
        f"{number}{first}@{domain}",
        f"o'{last}@{domain}",
        f"{first}{number}@mail.{domain}",
        f'"{first} {last}"@{domain}',
        f"{number}@{domain}",
        f"{first}@[10.1.{number % 250}.7]",
        f"bounce+{first}={rng.choice(DOMAINS)}@{domain}",
        rng.choice(UNICODE_EMAILS),
    )
    return rng.choice(forms)


def card(rng: random.Random) -> str:
    prefix, length = rng.choice(CARD_RANGES)
    body = prefix + "".join(rng.choice(DIGITS) for _ in range(length - len(prefix) - 1))
    number = next(body + last for last in DIGITS if is_luhn(body + last))
    assert is_card_number(number), number
    separator = rng.choice((" ", "-"))
    pieces, at = [], 0
    for size in rng.choice(CARD_GROUPS[length]):
        pieces.append(number[at : at + size])
        at += size
    return separator.join(pieces)


def is_luhn(number: str) -> bool:
    total = 0
    for place, digit in enumerate(reversed(number)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def filled(template: str, rng: random.Random) -> str:
    """A number of a plan: '#', 'N' and '[1-5]' become digits."""
    found = []
    rest = iter(template)
    for mark in rest:
        if mark == "[":
            choices = "".join(iter(lambda: next(rest), "]"))
            if choices[1:2] == "-":
                choices = "".join(str(digit) for digit in range(int(choices[0]), int(choices[2]) + 1))
            found.append(rng.choice(choices))
        else:
            found.append({"#": rng.choice(DIGITS), "N": rng.choice(DIGITS[2:])}.get(mark, mark))
    return "".join(found)


def international_phone(rng: random.Random) -> str:
    country = rng.choice((*PHONE_PLANS, "US", "US"))
    if country == "US":
        area, exchange, line = us_parts(rng)
        american = (
            f"+1 {area} {exchange} {line}",
            f"+1-{area}-{exchange}-{line}",
            f"+1{area}{exchange}{line}",
            f"+1 ({area}) {exchange}-{line}",
            f"+1.{area}{exchange}{line}",
        )
        return rng.choice(american)
    code, templates, _ = PHONE_PLANS[country]
    number = filled(rng.choice(templates.split("|")), rng)
    compact = number.replace(" ", "").replace("-", "")
    area, _, rest = number.partition(" ") if " " in number else number.partition("-")
    forms = (
        f"+{code} {number}",
        f"+{code}{compact}",
        f"+{code}-{number.replace(' ', '-')}",
        f"+{code} {compact}",
        f"00{code} {number}",
        f"+{code} ({area}) {rest}",
        f"+{code}.{number.replace(' ', '.')}",
        f"+{code}{compact}",
        f"(+{code}) {number}",
        f"+{code}\u00a0{number.replace(' ', chr(0xA0))}",
    )
    return rng.choice(forms)


def us_parts(rng: random.Random) -> tuple[str, str, str]:
    exchange = filled("N##", rng)
    while exchange.endswith("11"):
        exchange = filled("N##", rng)
    return rng.choice(US_AREAS), exchange, filled("####", rng)


def us_phone(rng: random.Random) -> str:
    return rng.choice(US_FORMS).format(*us_parts(rng))


def national_phone(rng: random.Random) -> str:
    _, _, templates = PHONE_PLANS[rng.choice(tuple(PHONE_PLANS))]
    return filled(rng.choice(templates.split("|")), rng)
