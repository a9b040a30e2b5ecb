"""The formats of keys and tokens, vendor by vendor: for each a fixed text that it holds, and a pattern."""

import re

Format = tuple[str, str]

# What a token is made of. The bound is that of the longest text that is scanned, so that no token leaves a tail.
_REST = r"[A-Za-z0-9_\-]{%d,16384}+"
_ALNUM = r"[A-Za-z0-9]{%d,16384}+"
_HEX = r"[0-9A-Fa-f]{%d,16384}+"
_BASE64 = r"[A-Za-z0-9+/_\-]{%d,16384}+={0,2}"
_DOTTED = r"(?:[A-Za-z0-9_\-=]|\.(?=[A-Za-z0-9_\-])){%d,16384}+"  # a dot at the end is the sentence's
_UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
# Words joined by hyphens or underscores are a name; a digit or a capital makes a token.
_MIXED = r"(?=[a-z_\-]{0,64}+[0-9A-Z])"
_DIGIT = r"(?=[A-Za-z_\-]{0,64}+[0-9])"
_END = "(?![A-Za-z0-9])"


def _format(literal: str, rest: str) -> Format:
    return literal, f"{re.escape(literal)}(?:{rest})"


def _beginning(literal: str) -> str:
    """Give a condition that `literal`, which ends here, begins a word, as `sk-` does not in "task-" or "disk-".

    A word may begin after an escape or a terminal's colour without its first character; `View` undoes the others.
    """
    escapes = (r"\\[bf]", r"\[[0-9]m", r"\[[0-9]{2}m")
    text = re.escape(literal)
    return f"(?:(?<![A-Za-z0-9]{text})|{'|'.join(f'(?<={escape}{text})' for escape in escapes)})"


_AT_WORD = _beginning("")


def _word(literal: str, rest: str) -> Format:
    # The literal first: for that a search is fast.
    return literal, f"{re.escape(literal)}{_beginning(literal)}(?:{rest})"


# Formats whose `_`, `-` or `.` sixteen characters of a token follow; of them a digit or a capital is among the first.
UNDERSCORED: tuple[Format, ...] = (
    # GitHub; Stripe; Hugging Face, Headgate, Groq, Replicate, Fireworks, npm
    *(_format(prefix, _DOTTED % 16) for prefix in ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_")),
    *(_format(f"{of}k_{mode}_", "[A-Za-z0-9_]{8,512}+") for of in "srp" for mode in ("live", "test", "prod")),
    *(_word(prefix, _MIXED + _REST % 16) for prefix in ("hf_", "hg_", "gsk_", "r8_", "fw_", "npm_")),
    _word("api_org_", "[A-Za-z]{34}" + _END),
    # Shopify, Docker, DigitalOcean, Linear, Figma, Notion, PlanetScale, Supabase
    _format("shp", rf"[a-z]{{2,3}}_{_HEX % 32}"),
    _format("dckr_", rf"[po]at_{_MIXED}{_REST % 24}"),
    *(_format(prefix, _HEX % 64) for prefix in ("dop_v1_", "doo_v1_", "dor_v1_")),
    _format("lin_", rf"(?:api|oauth|wh)_{_ALNUM % 32}"),
    _word("fig", rf"[a-z]{{1,3}}_{_MIXED}{_REST % 36}"),
    _format("ntn_", _ALNUM % 40),
    _word("secret_", "[A-Za-z0-9]{43}" + _END),
    _format("pscale_", rf"[a-z]{{2,10}}_{_MIXED}{_DOTTED % 32}"),
    _format("sbp_", rf"(?:v0_|oauth_)?{_HEX % 40}"),
    _format("sb_", rf"(?:secret|publishable)_{_MIXED}{_REST % 22}"),
    # Grafana, Sentry, RubyGems, Prefect, ReadMe, Cloudflare, Sourcegraph, Shippo, Duffel, Typeform, SettleMint
    _format("glsa_", "[A-Za-z0-9]{32}_[0-9A-Fa-f]{8}"),
    _format("glc_", _MIXED + _BASE64 % 32),
    _format("sntry", rf"[a-z]_{_BASE64 % 40}"),
    *(_format(prefix, _HEX % 40) for prefix in ("rubygems_", "CLOJARS_")),
    *(_word(prefix, _ALNUM % 36) for prefix in ("pnu_", "rdme_", "cfut_", "cfat_", "cfk_")),
    _format("sgp_", rf"(?:[0-9a-f]{{16}}_|local_)?{_HEX % 40}"),
    _format("shippo_", rf"(?:live|test)_{_HEX % 40}"),
    _format("duffel_", rf"(?:live|test)_{_MIXED}{_REST % 40}"),
    _word("tfp_", _MIXED + _DOTTED % 40),
    _word("sm_", rf"[aps]at_{_MIXED}{_ALNUM % 16}"),
    # Fly.io, 1Password; Vercel, Netlify, LangSmith, Pinecone, Together, ElevenLabs, Resend
    _word("fo1_", _MIXED + _REST % 40),
    *(_word(prefix, _BASE64 % 80) for prefix in ("fm1a_", "fm1r_", "fm2_", "ops_eyJ")),
    *(_word(f"vc{kind}_", _MIXED + _ALNUM % 24) for kind in "aikpr"),
    *(_word(f"nf{kind}_", _MIXED + _ALNUM % 36) for kind in "bcopu"),
    _format("lsv2_", rf"[a-z]{{2}}_[0-9a-f]{{32}}_{_HEX % 8}"),
    *(_word(prefix, _MIXED + _REST % 40) for prefix in ("pcsk_", "tgp_v1_")),
    _word("sk_", _HEX % 48),
    _word("re_", "[A-Za-z0-9]{8}_[A-Za-z0-9]{24}" + _END),
    # Buildkite, CircleCI, Render, Xata, PostHog, Jina, Neon
    *(_word(prefix, _HEX % 40) for prefix in ("bkua_", "bkat_", "bkct_", "bkaj_")),
    *(_format(prefix, rf"[A-Za-z0-9]{{18,30}}_{_HEX % 40}") for prefix in ("CCIPAT_", "CCIPRJ_")),
    *(_word(prefix, _MIXED + _ALNUM % 28) for prefix in ("rnd_", "xau_", "phc_", "phx_", "jina_", "napi_")),
    # Webhooks' secrets; MaxMind
    _format("whsec_", r"[A-Za-z0-9+/=_\-]{16,512}+"),
    ("_mmk", _AT_WORD + "[A-Za-z0-9]{6}_[A-Za-z0-9]{29}_mmk" + _END),
)
HYPHENED: tuple[Format, ...] = (
    # OpenAI, Anthropic, OpenRouter, Langfuse, DeepSeek and others; xAI, Perplexity, Tavily, Cerebras, NVIDIA; PyPI
    _format("sk-", rf"(?:proj|svcacct|admin|ant|or|lf)-{_REST % 12}|{_beginning('sk-')}{_MIXED}{_REST % 16}"),
    *(_word(prefix, _MIXED + _REST % 16) for prefix in ("xai-", "pplx-", "tvly-", "csk-", "nvapi-", "pypi-")),
    # Google's OAuth clients; Slack; 1Password; Adobe
    _format("GOCSPX-", _REST % 16),
    _format("xox", rf"[a-z](?:\.xox[a-z])?-{_REST % 8}"),
    _format("xapp-", _REST % 8),
    _word("A3-", "[A-Z0-9]{6}-(?:[A-Z0-9]{11}|[A-Z0-9]{6}-[A-Z0-9]{5})(?:-[A-Z0-9]{5}){3}" + _END),
    _word("p8e-", "[A-Za-z0-9]{32}" + _END),
    # GitLab: people, applications, deployments, runners, triggers, jobs, feeds, mail, agents, feature flags, SCIM
    *(
        _word(f"gl{kind}-", _MIXED + _DOTTED % 16)
        for kind in ("pat", "oas", "dt", "rt", "ptt", "cbt", "ft", "imt", "agent", "ffct", "soat")
    ),
    # age: people, after quantum computers, plugins
    _format("AGE-SECRET-KEY-", r"(?:PQ-)?1[A-Z0-9]{50,16384}+"),
    _format("age-secret-key-", r"(?:pq-)?1[a-z0-9]{50,16384}+"),
    _format("AGE-PLUGIN-", r"[A-Z0-9\-]{1,40}1[A-Z0-9]{6,16384}+"),
    # Square, Mailgun, New Relic, Postman, Pulumi, Heroku, HubSpot, Tailscale, Infracost, Octopus Deploy
    _word("sq0", rf"[a-z]{{3}}-{_MIXED}{_REST % 20}"),
    _word("key-", _HEX % 32),
    _format("pubkey-", _HEX % 32),
    _word("NR", rf"[A-Z]{{2}}-(?:{_DIGIT}{_REST % 16}|[A-Z]{{27}})"),
    *(_format(prefix, _DIGIT + _REST % 20) for prefix in ("PMAK-", "PMAT-", "HRKU-")),
    _word("pul-", _HEX % 40),
    _word("pat-", rf"[a-z]{{2}}[0-9]-{_UUID}"),
    _word("tskey-", rf"[a-z]{{3,10}}-{_MIXED}{_REST % 16}"),
    _word("ico-", _MIXED + _ALNUM % 32),
    _word("API-", rf"{_DIGIT}[A-Z0-9]{{25,34}}+{_END}"),
    # Frame.io, Scalingo, Contentful, Defined Networking, Brevo, Plaid, Flutterwave
    *(_word(prefix, _MIXED + _REST % 40) for prefix in ("fio-u-", "tk-us-", "CFPAT-", "dnkey-", "xkeysib-")),
    _word("access-", rf"(?:sandbox|development|production)-{_UUID}"),
    _format("FLWSECK", rf"(?:_TEST)?-{_DIGIT}{_REST % 12}"),
    # Mailgun without a prefix, Mailchimp
    ("-", rf"{_AT_WORD}[0-9a-f]{{32}}-(?:[0-9a-f]{{8}}-[0-9a-f]{{8}}|us[0-9]{{1,2}})(?![\w\-])"),
)
DOTTED: tuple[Format, ...] = (
    # Google: OAuth's access tokens, AI Studio; Slack's webhooks; Cloudflare's origins
    _format("ya29.", _DOTTED % 16),
    _word("AQ.A", _REST % 20),
    ("hooks.slack", r"(?<=hooks\.slack\.com/)(?:services|workflows|triggers)/[A-Za-z0-9_/%\-]{8,512}+"),
    _word("v1.0-", rf"[0-9a-f]{{24}}-{_HEX % 140}"),
    # Vault, SendGrid, Doppler, Dropbox, Harness, Dynatrace, Terraform, Airtable
    *(_word(prefix, _MIXED + _REST % 16) for prefix in ("hvs.", "hvb.", "hvr.")),
    _word("s.", r"(?=[A-Za-z]{0,24}[0-9])[A-Za-z0-9]{24}(?![\w(]|\.\w)"),
    _word("SG.", rf"{_REST % 16}\.{_REST % 16}"),
    _word("dp.", rf"(?:pt|st|ct|sa|said|scim|audit)\.(?:[a-z0-9_\-]{{2,40}}\.)?{_ALNUM % 40}"),
    _word("sl.", _MIXED + _DOTTED % 60),
    *(_word(prefix, r"[\w\-]{22}\.[A-Za-z0-9]{24}\.[A-Za-z0-9]{20}" + _END) for prefix in ("pat.", "sat.")),
    _word("dt0", rf"[a-z][0-9]{{2}}\.[A-Z0-9]{{24}}\.{_ALNUM % 64}"),
    (".atlasv1.", rf"{_AT_WORD}[A-Za-z0-9]{{14}}\.atlasv1\.{_BASE64 % 60}"),
    _word("pat", rf"[A-Za-z0-9]{{14}}\.{_HEX % 64}"),
    # Discord's bots: the first part is a number in base64
    (".", rf"{_AT_WORD}[MNO][A-Za-z0-9_\-]{{23,27}}\.[A-Za-z0-9_\-]{{6}}\.{_REST % 27}"),
)
# Behind a number and a colon: Telegram, Asana.
AFTER_COLON: tuple[Format, ...] = (
    (":AA", rf"[0-9]{{8,10}}:AA{_REST % 30}"),
    ("/", rf"{_AT_WORD}(?<!\.)[0-2]/[0-9]{{12,20}}(?:/[0-9]{{12,20}})?:{_HEX % 32}"),
)
# The webhooks of Discord and of Teams; Google's refresh tokens
AFTER_SLASH: tuple[Format, ...] = (
    ("/webhooks/", rf"(?<=/webhooks/)[0-9]{{16,20}}/{_REST % 30}"),
    ("/webhookb2/", r"(?<=/webhookb2/)[A-Za-z0-9@/\-]{40,512}+"),
    _format("1//0", _REST % 20),
)
CAPITALS: tuple[Format, ...] = (
    (
        "PRIVATE KEY",
        (
            r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----(?s:.){0,16384}?"
            r"(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|\Z)"
        ),
    ),
    # Google's API keys; AWS: ids of access keys, Bedrock; Alibaba
    _format("AIza", _REST % 28),
    *(_format(prefix, rf"(?<![A-Z0-9]{prefix})[A-Z0-9]{{16,128}}+") for prefix in ("AKIA", "ASIA", "ABIA", "ACCA")),
    _format("ABSK", r"[A-Za-z0-9+/=]{40,16384}+"),
    _word("LTAI", "[A-Za-z0-9]{20}" + _END),
    # Twilio; Square and Facebook; New Relic's licences; Atlassian, Bitbucket, Trello
    *(_word(prefix, "[0-9A-Fa-f]{32}" + _END) for prefix in ("SK", "AC")),
    ("EAA", rf"EAA{_beginning('EAA')}(?<![+_\-]EAA)(?:A{_DIGIT}{_REST % 22}|[B-Z]{_ALNUM % 80})(?![+/=])"),
    ("NRAL", _AT_WORD + "[A-Za-z0-9]{30,36}NRAL" + _END),
    _format("AT", r"[A-Z]TT3x[A-Za-z0-9_\-=]{20,16384}+"),
    _word("ATBB", rf"{_MIXED}[A-Za-z0-9_\-=]{{24,16384}}+"),
    _word("ATTA", _HEX % 60),
    # EasyPost; JFrog; GitLab's runners of old
    *(_word(prefix, "[A-Za-z0-9]{54}" + _END) for prefix in ("EZAK", "EZTK")),
    _word("AKCp", "[A-Za-z0-9]{69}" + _END),
    _word("cmVmd", "[A-Za-z0-9]{59}" + _END),
    _format("GR1348941", _REST % 20),
)
# All others: the text itself is rare. Databricks; Azure AD; OpenShift.
OTHERS: tuple[Format, ...] = (
    *(_word(prefix, "[0-9a-f]{32}(?:-[0-9])?" + _END) for prefix in ("dapi", "dose")),
    ("~", rf"{_AT_WORD}(?<![_~.\-])[A-Za-z0-9_~.]{{3}}[0-9]Q~[A-Za-z0-9_~.\-]{{31,34}}(?![A-Za-z0-9_~\-])"),
    ("~", rf"sha256~{_REST % 40}"),
)
