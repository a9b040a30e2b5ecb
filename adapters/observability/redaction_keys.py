"""Finds keys and tokens in a text by the formats of their vendors."""

import re

# What a token is made of. The bound is that of the longest text that is scanned, so that no token leaves a tail.
_REST = r"[A-Za-z0-9_\-]{%d,16384}+"
_REST_WITH_DOTS = r"(?:[A-Za-z0-9_\-]|\.(?=[A-Za-z0-9_\-])){16,16384}+"  # a dot at the end is the sentence's
# A short prefix counts at the beginning of a word alone: not in "task-" or "disk-". A word may begin after a line
# break written as an escape, after a percent-encoded character, or after a terminal's colour.
_WORD = (
    r"(?:(?<![A-Za-z0-9])|(?<=\\[nrtbf])|(?<=%[0-9A-Fa-f]{2})|(?<=\\x[0-9a-f]{2})|(?<=\\u[0-9a-f]{4})"
    r"|(?<=\[[0-9]m)|(?<=\[[0-9]{2}m))"
)
# Words joined by hyphens are a name; a digit or a capital makes a token.
_MIXED = r"(?=[a-z_\-]{0,64}+[0-9A-Z])"

# Each row: one of the literals must be in the text for the pattern to be tried.
_ROWS: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        ("PRIVATE KEY",),
        (
            r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----(?s:.){0,16384}?"
            r"(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|\Z)"
        ),
    ),
    # OpenAI, Anthropic, OpenRouter, Langfuse, DeepSeek and others
    (("sk-",), rf"sk-(?:proj|svcacct|admin|ant|or|lf)-{_REST % 12}|{_WORD}sk-{_MIXED}{_REST % 16}"),
    # Google: API keys, OAuth access and refresh tokens, OAuth client secrets
    (("AIza",), rf"AIza{_REST % 28}"),
    (("ya29.",), rf"ya29\.{_REST_WITH_DOTS}"),
    (("1//0", "GOCSPX-", "AQ.A"), rf"1//0{_REST % 20}|GOCSPX-{_REST % 16}|{_WORD}AQ\.A{_REST % 20}"),
    # AWS: ids of access keys; Bedrock's API keys
    (
        ("AKIA", "ASIA", "ABSK"),
        r"(?<![A-Z0-9])(?:AKIA|ASIA)[A-Z0-9]{16,128}+|ABSK[A-Za-z0-9+/=]{40,16384}+",
    ),
    (("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"), rf"(?:gh[pousr]|github_pat)_{_REST_WITH_DOTS}"),
    (
        ("xox", "xapp-", "hooks.slack"),
        (
            rf"xox[a-z](?:\.xox[a-z])?-{_REST % 8}|xapp-{_REST % 8}"
            r"|(?<=hooks\.slack\.com/)(?:services|workflows|triggers)/[A-Za-z0-9_/%\-]{8,512}+"
        ),
    ),
    # Stripe
    (
        ("k_live_", "k_test_", "whsec_"),
        r"[srp]k_(?:live|test)_[A-Za-z0-9_]{8,512}+|whsec_[A-Za-z0-9+/=_\-]{16,512}+",
    ),
    # Hugging Face, Headgate, Groq, Replicate, Fireworks
    (("hf_", "hg_", "gsk_", "r8_", "fw_"), rf"{_WORD}(?:hf|hg|gsk|r8|fw)_{_MIXED}{_REST % 16}"),
    (("xai-", "pplx-", "tvly-", "csk-", "nvapi-"), rf"{_WORD}(?:xai|pplx|tvly|csk|nvapi)-{_MIXED}{_REST % 16}"),
    (("glpat-", "npm_", "pypi-", "hvs."), rf"{_WORD}(?:glpat-|npm_|pypi-|hvs\.){_MIXED}{_REST % 16}"),
    # SendGrid, Telegram, Discord's webhooks
    (("SG.",), rf"{_WORD}SG\.{_REST % 16}\.{_REST % 16}"),
    ((":AA", "/webhooks/"), rf"[0-9]{{8,10}}:AA{_REST % 30}|(?<=/webhooks/)[0-9]{{16,20}}/{_REST % 30}"),
)
_FORMATS = tuple((literals, re.compile(pattern)) for literals, pattern in _ROWS)
# A cheap look for all of them. Many prefixes end in `_`, with a run of letters and digits after it.
_AFTER_UNDERSCORE = re.compile("_[A-Za-z0-9]{16}")
_BEFORE_ANYTHING = ("hg_", "whsec_")
_LITERALS = tuple(
    literal for literals, _ in _ROWS for literal in literals if literal[-1] != "_" or literal in _BEFORE_ANYTHING
)

# A JWT begins with a JSON object in base64. The whole run is taken, so a run without a dot is read once.
_JWT = re.compile(r"eyJ[A-Za-z0-9_\-]{10,16384}+(?P<rest>(?:\.[A-Za-z0-9_\-]{0,16384}+){1,4})?")


def known_key_spans(text: str) -> list[tuple[int, int]]:
    """Give the places of the keys whose vendor can be told from their form."""
    spans: list[tuple[int, int]] = []
    if _may_hold_any(text):
        for literals, pattern in _FORMATS:
            for literal in literals:  # see _may_hold_any
                if literal in text:
                    spans += (match.span() for match in pattern.finditer(text))
                    break
    if "eyJ" in text:
        spans += (match.span() for match in _JWT.finditer(text) if match["rest"] or match.end() == len(text))
    return spans


def _may_hold_any(text: str) -> bool:
    if _AFTER_UNDERSCORE.search(text) is not None:
        return True
    for literal in _LITERALS:  # noqa: SIM110 - a loop costs half of what `any` does, on each line of the log
        if literal in text:
            return True
    return False
