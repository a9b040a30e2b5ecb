"""Harmless lines that come near to a bank account, a national number or a vendor's key: the second corpus's own."""

import base64
import random

from tests.adapters.redaction_harmless import WORDS, Maker
from tests.adapters.redaction_ids_planted import compact_iban, iban_remainder, in_fours
from tests.adapters.redaction_keys_planted import ALNUM, DIGITS, HEX, URL_SAFE, some


def not_an_iban(rng: random.Random) -> str:
    number = compact_iban(rng)
    wrong = f"{number[:2]}{(int(number[2:4]) + rng.randrange(1, 96)) % 97:02}{number[4:]}"
    wrong = wrong if iban_remainder(wrong) != 1 else f"{wrong}0"
    short = number[:-1]
    return rng.choice(
        (
            f"ref {wrong} booked",
            f"ref {in_fours(wrong, ' ')} booked",
            f"ref {short}",
            f"ref {number}X1",
            f"shard {number.lower()[:4]} of {some(rng, HEX, 12)}",
        )
    )


def not_an_ssn(rng: random.Random) -> str:
    def digits(count: int) -> str:
        return some(rng, DIGITS, count)

    return rng.choice(
        (
            f"part {rng.choice(('000', '666'))}-{digits(2)}-{digits(4)}",
            f"part 123-00-{digits(4)}",
            f"part 123-45-0000 of {digits(2)}",
            f"part 9{digits(2)}-0{digits(1)}-{digits(4)}",
            f"PN-{digits(3)}-{digits(2)}-{digits(4)}",
            f"sku A{digits(3)}-{digits(2)}-{digits(4)}",
            f"sku {digits(3)}-{digits(2)}-{digits(5)}",
            f"batch {digits(4)}-{digits(2)}-{digits(4)}",
            f"job 2026-01-15-{digits(3)}-{digits(2)}-{digits(4)}",
            f"cas {digits(3)}-{digits(2)}-{digits(1)}",
            f"on {rng.randrange(1, 29):02}-{rng.randrange(1, 13):02}-2024",
            f"ssn_count={digits(3)} tax_rate=0.{digits(4)}",
            f"national id check took {digits(3)} ms",
        )
    )


def not_a_national_id(rng: random.Random) -> str:
    def digits(count: int) -> str:
        return some(rng, DIGITS, count)

    return rng.choice(
        (
            f"flight BA{digits(6)}",
            f"model GB{digits(6)}A",
            f"host 111.222.333-4{digits(1)}",
            f"build {digits(2)}.{digits(4)}.{digits(4)}.{digits(2)}",
            f"event 3{digits(14)}",
            f"name ABCDEF{digits(2)}Z{digits(2)}A{digits(3)}B",
        )
    )


PREFIXES = (
    "shpat_", "shopify_", "sq0_", "dckr_pat_", "dop_v1_", "lin_api_", "figd_", "ntn_", "secret_", "pscale_tkn_", "sbp_",
    "sb_secret_", "glsa_", "sntrys_", "rubygems_", "npm_", "pnu_", "cfut_", "fm2_", "vcp_", "nfp_", "lsv2_pt_", "re_",
    "sk_", "hf_", "phc_", "napi_", "dapi_", "rnd_", "key-", "pul-", "pat-", "tskey-", "glpat-", "access-", "nrak-",
    "pmak-", "age-secret-key-", "xkeysib-", "dp.pt.", "dp.st.", "hvs.", "s.", "pat.", "sl.", "ops_", "atatt_", "eaaa_",
)  # fmt: skip


def beginning_like_a_key(rng: random.Random) -> str:
    prefix = rng.choice(PREFIXES)
    words = rng.sample(WORDS, rng.randrange(2, 5))
    joined = {"-": "-", ".": "."}.get(prefix[-1], "_").join(words)
    return rng.choice(
        (
            f"{prefix}{joined}",
            f"metric {prefix}{joined}_seconds = {rng.random():.3f}",
            f"{prefix}{words[0]}={rng.randrange(999)}",
            f"keys begin with {prefix} and go on",
            f"{prefix}… hidden",
            f"set {prefix.upper()}{joined.upper()}",
        )
    )


def near_a_key(rng: random.Random) -> str:
    return rng.choice(
        (
            f"SKU{some(rng, DIGITS, 12)}",
            f"ACCEPTED{some(rng, DIGITS, 3)}",
            f"ac{some(rng, HEX, 30)}",
            f"1/2/3:{some(rng, HEX, 8)}",
            f"sha256:{some(rng, HEX, 64)}",
            f"{some(rng, HEX, 8)}-{some(rng, HEX, 8)}",
            f"path s.{rng.choice(WORDS)}.{rng.choice(WORDS)}",
            f"API-{rng.choice(WORDS).upper()}-{rng.randrange(999)}",
            f"key-{some(rng, HEX, 8)}",
            f"dapi-{rng.choice(WORDS)}-{some(rng, HEX, 5)}",
            f"EAAA-{rng.randrange(9999)}",
            f"region us{rng.randrange(9)}-{some(rng, HEX, 12)}",
            f"arn:aws:iam::{some(rng, DIGITS, 12)}:role/{rng.choice(WORDS)}",
            f"v1.0-{some(rng, HEX, 8)}",
            f"1/{some(rng, DIGITS, 12)} done",
        )
    )


def own_id(rng: random.Random) -> str:
    return rng.choice(
        (
            f"thread t_{some(rng, HEX, 24)} open",
            f'{{"stream_id": "s_{some(rng, URL_SAFE, 24)}"}}',
            f'{{"id": "chatcmpl-{some(rng, ALNUM, 29)}", "object": "chat.completion.chunk"}}',
            f"id=chatcmpl-t_{some(rng, HEX, 24)}",
            f"msg_01{some(rng, ALNUM, 22)}",
            f"toolu_01{some(rng, ALNUM, 22)}",
            f"call_{some(rng, ALNUM, 24)}",
            f"resp_{some(rng, HEX, 48)}",
            f"request-id: req_{some(rng, HEX, 32)}",
            f"system_fingerprint: fp_{some(rng, HEX, 10)}",
            f"gen-{rng.randrange(10**9, 2 * 10**9)}-{some(rng, ALNUM, 20)}",
        )
    )


def image(rng: random.Random) -> str:
    kind, head = rng.choice((("png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"), ("jpeg", b"\xff\xd8\xff\xe0\0\x10JFIF\0")))
    data = base64.b64encode(head + rng.randbytes(rng.randrange(60, 1_200))).decode()
    return f'{{"type": "image_url", "url": "data:image/{kind};base64,{data}"}}'


def git(rng: random.Random) -> str:
    sha = some(rng, HEX, 40)
    return rng.choice(
        (f"commit {sha}", f"{sha[:7]} Merge", f"index {sha[:10]}..{some(rng, HEX, 10)} 100644", f"@{sha}")
    )


LOOKALIKES: dict[str, Maker] = {
    "not an iban": not_an_iban,
    "not an ssn": not_an_ssn,
    "not a national id": not_a_national_id,
    "beginning like a key": beginning_like_a_key,
    "near a key": near_a_key,
}
STRICT_LOOKALIKES: dict[str, Maker] = {"own id": own_id, "base64 image": image, "git": git}
