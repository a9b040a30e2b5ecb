"""Says which names (of fields, headers, parameters, variables) name a secret, and of what kind."""

import re

# Compared in lower case without separators: `x-api-key`, `X_API_KEY` and `xApiKey` are one name.
_SEPARATORS = re.compile(r"[^a-z0-9]+")
_LONGEST_NAME = 4_096
"""What is longer is not looked at: it costs time, and nobody misses its value."""
_SECRET_ENDS = (
    "authorization", "apikey", "accesskey", "secretkey", "privatekey", "signingkey", "encryptionkey", "masterkey",
    "accountkey", "functionskey", "password", "passwd", "passphrase", "secret", "cookie", "credential", "credentials",
    "jwt", "amzsignature", "bearer", "token", "accesstokens", "refreshtokens", "authtokens", "sessiontokens",
    "bearertokens", "apitokens", "licensekey", "servicerolekey", "ingestkey", "insertkey", "integrationkey", "authkey",
)  # fmt: skip
_SECRET_NAMES = frozenset({"pwd", "auth", "basicauth", "secrets", "passwords", "cookies", "apikeys"})
# Measures of a model's speed and price, and the words of a model.
_NOT_SECRET_ENDS = (
    "pertoken", "outputtoken", "inputtoken", "prompttoken", "firsttoken", "lasttoken", "nexttoken", "bostoken",
    "eostoken", "padtoken", "stoptoken",
)  # fmt: skip
_NUMBER_ENDS = ("number", "no", "nr")
_PHONE_ENDS = ("phone", "mobile")
_PHONE_NAMES = frozenset({"tel", "cell", "fax", "hometel", "worktel", "msisdn"})
_ID_ENDS = (
    "ssn", "socialsecurity", "socialinsurance", "nationalinsurance", "nationalid", "taxid", "taxpayerid", "itin",
    "aadhaar", "codicefiscale", "personnummer",
)  # fmt: skip
_ID_NAMES = frozenset({"nino", "cpf", "pesel", "bsn", "cpr", "dni", "nif", "nir"})
_CARD_NAMES = frozenset({"cvv", "cvv2", "cvc", "cvc2"})


def kind_of_secret(name: str) -> str | None:
    """Give the kind of what such a name must not show: `key`, `phone`, `card`, `iban` or `id`; None for another name.

    An `id` is a national one, such as a social security number.
    """
    if len(name) > _LONGEST_NAME:
        return "key"
    plain = _SEPARATORS.sub("", name.lower())
    if plain in _SECRET_NAMES or plain.endswith(_SECRET_ENDS):
        return None if plain.endswith(_NOT_SECRET_ENDS) else "key"
    bare = next((plain.removesuffix(end) for end in _NUMBER_ENDS if plain.endswith(end)), plain)
    if bare in _PHONE_NAMES or bare.endswith(_PHONE_ENDS):
        return "phone"
    if bare in _ID_NAMES or bare.endswith(_ID_ENDS):
        return "id"
    if bare.endswith("iban"):
        return "iban"
    return "card" if plain in _CARD_NAMES or (bare != plain and bare.endswith("card")) else None
