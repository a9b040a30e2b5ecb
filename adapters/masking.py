"""Masks what is ours in a provider's words: keys, addresses, accounts.

Known values are found as they are; besides them, whatever has the form of a key, an account or an IP address.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_address
from urllib.parse import quote, urlsplit

from adapters.proxy_address import ProxyAddress
from adapters.settings_rows import ProviderRow

MASK = "****"
LONGEST_FORM = 512
"""Characters; no form below is longer."""
SHORTEST_SECRET = 4
"""Characters; a shorter one is part of too many words."""
SHORTEST_PLAIN = 8
"""Characters; a shorter one is masked where it is a word of its own."""

_ADDRESSES = frozenset({"base_url", "proxy", "api_key_header", "done"})
"""Options that are no secrets as they are, or are taken apart."""

_FORMS = re.compile(
    r"\b(?:sk|pk|rk)[-_][A-Za-z0-9_*.-]{8,200}"
    r"|\b(?:xai-|gsk_|hf_|AIza|AKIA|ghp_)[A-Za-z0-9_*-]{8,200}"
    r"|\b(?:org|proj|acct)[-_](?=[A-Za-z]{0,100}[0-9A-Z])[A-Za-z0-9]{6,100}"
    r"|\b(?:projects/|project_number:|project[ _]number )[0-9]{6,20}"
    r"|\barn:aws[a-z-]{0,20}:[^\s\"'`,]{1,200}"
    r"|\b(?i:Bearer|Basic)\s(?=[A-Za-z._~+/-]{0,200}[0-9=])[A-Za-z0-9._~+/=*-]{8,500}"
    r"|(?<=://)[^\s/@]{1,200}(?=@)"
)
_ADDRESS = re.compile(r"(?<![0-9A-Za-z.:])(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:.]{1,41})")


class Masking:
    """Masks `secrets` and the `hosts` of configured addresses. `repr` shows neither."""

    def __init__(self, secrets: Iterable[str] = (), hosts: Iterable[str] = ()) -> None:
        known = {form for one in secrets if len(one) >= SHORTEST_SECRET for form in (one, quote(one, safe=""))}
        self._plain = sorted((one for one in known if len(one) >= SHORTEST_PLAIN), key=len, reverse=True)
        patterns = [_word(one) for one in known if len(one) < SHORTEST_PLAIN]
        patterns += [_host(one) for one in sorted(set(hosts), key=len, reverse=True)]
        self._patterns = [re.compile(pattern, re.IGNORECASE) for pattern in patterns]
        self.longest = max(map(len, known), default=0)
        """Characters of the longest secret."""

    def mask(self, text: str) -> str:
        """The text with MASK in place of what is ours."""
        for secret in self._plain:
            text = text.replace(secret, MASK)
        for pattern in self._patterns:
            text = pattern.sub(MASK, text)
        return _ADDRESS.sub(_masked_address, _FORMS.sub(MASK, text))


NO_MASKING = Masking()
"""For adapters that are made without a configuration: forms are masked, and nothing else is known."""


def masking_of(rows: Iterable[ProviderRow]) -> Masking:
    """What masks the keys, headers, parameters and proxies of all providers, and the hosts of their addresses."""
    secrets: list[str] = []
    hosts: list[str] = []
    for row in rows:
        secrets += _texts({name: value for name, value in row.options.items() if name not in _ADDRESSES})
        if row.base_url is not None:
            hosts.append(urlsplit(row.base_url).hostname or "")
        if row.proxy is not None:
            proxy = ProxyAddress.parse(row.proxy.get_secret_value())
            secrets += proxy.secrets
            hosts.append(proxy.host)
    return Masking(secrets, filter(None, hosts))


def _texts(value: object) -> Iterator[str]:
    """All texts in an option: those of other adapters may be secrets, too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)


def _word(text: str) -> str:
    return rf"(?<![A-Za-z0-9]){re.escape(text)}(?![A-Za-z0-9])"


def _host(host: str) -> str:
    """A name with a dot is masked wherever it stands, and its port. One without may be a common word, as `vllm` or
    `proxy` are: it is masked where it is told as a host."""
    name = re.escape(host)
    if "." in host:
        return rf"(?<![A-Za-z0-9.-]){name}(?![A-Za-z0-9-])(?::[0-9]{{1,5}})?"
    told = rf"(?:(?<=//)|(?<=@)|(?<=host=')|(?<=host=\")){name}(?![A-Za-z0-9.-])(?::[0-9]{{1,5}})?"
    return rf"{told}|(?<![A-Za-z0-9.-]){name}:[0-9]{{1,5}}(?![0-9])"


def _masked_address(match: re.Match[str]) -> str:
    """An IP address, with a dot of the sentence behind it or without."""
    text = match[0].rstrip(".:")
    try:
        ip_address(text)
    except ValueError:
        return match[0]
    return MASK + match[0][len(text) :]
