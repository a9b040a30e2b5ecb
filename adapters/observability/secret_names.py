"""Says which names (of fields, headers, parameters, variables) name a secret, and of what kind."""

import re

# Compared in lower case without separators: `x-api-key`, `X_API_KEY` and `xApiKey` are one name.
_SEPARATORS = re.compile(r"[^a-z0-9]+")
_SECRET = re.compile(
    r"""
      .{0,64}(?:authorization|apikey|accesskey|secretkey|privatekey|signingkey|encryptionkey|masterkey|accountkey
               |functionskey|passw(?:or)?d|passphrase|secret|cookie|credentials?|jwt|amzsignature|bearer)
      # not counts, and not the words of a model
    | .{0,64}(?<!per)(?<!output)(?<!input)(?<!prompt)(?<!first)(?<!last)(?<!next)(?<!bos)(?<!eos)(?<!pad)(?<!stop)token
    | .{0,64}(?:access|refresh|auth|session|bearer|api)tokens
    | pwd | auth | basicauth | secrets | passwords | cookies | apikeys
    """,
    re.VERBOSE,
)
_PHONE = re.compile(r"(?:.{0,32}(?:phone|mobile)|cell|fax|(?:home|work)?tel)(?:no|nr|number)?|msisdn")
_CARD = re.compile(r"(?:credit|debit|payment|bank)?card(?:no|nr|number)|cvv2?|cvc2?")
_LONGEST_NAME = 128


def kind_of_secret(name: str) -> str | None:
    """Give `key`, `phone` or `card` for a name whose value must not be shown, and None for any other."""
    plain = _SEPARATORS.sub("", name[:_LONGEST_NAME].lower())
    if _SECRET.fullmatch(plain):
        return "key"
    if _PHONE.fullmatch(plain):
        return "phone"
    return "card" if _CARD.fullmatch(plain) else None
