"""Keys of many more vendors to plant in the redaction corpus (its second version), in the formats of their vendors."""

import random
import string
from collections.abc import Callable

from tests.adapters.redaction_keys_planted import ALNUM, BASE32, DIGITS, HEX, URL_SAFE, some

BASE64 = ALNUM + "+/"
CAPITALS = string.ascii_uppercase + DIGITS
LOWER = string.ascii_lowercase + DIGITS
BECH32 = "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L"


def uuid_of(rng: random.Random) -> str:
    return "-".join(some(rng, HEX, size) for size in (8, 4, 4, 4, 12))


MORE_VENDOR_KEYS: dict[str, Callable[[random.Random], str]] = {
    # the twenty of BAD_INPUT's row 56, less the IBAN and the social security number
    "shopify": lambda r: f"{r.choice(('shpat', 'shpca', 'shppa', 'shpss'))}_{some(r, HEX, 32)}",
    "square": lambda r: f"{r.choice(('sq0atp-', 'sq0csp-', 'sq0idp-'))}{some(r, URL_SAFE, r.choice((22, 43)))}",
    "square-access": lambda r: f"EAAA{some(r, URL_SAFE, 60)}",
    "docker": lambda r: f"dckr_pat_{some(r, URL_SAFE, 27)}",
    "docker-organization": lambda r: f"dckr_oat_{some(r, URL_SAFE, 32)}",
    "digitalocean": lambda r: f"{r.choice(('dop', 'doo', 'dor'))}_v1_{some(r, HEX, 64)}",
    "twilio": lambda r: f"{r.choice(('SK', 'AC'))}{some(r, HEX, 32)}",
    "mailgun": lambda r: f"{r.choice(('key', 'pubkey'))}-{some(r, HEX, 32)}",
    "mailgun-new": lambda r: f"{some(r, HEX, 32)}-{some(r, HEX, 8)}-{some(r, HEX, 8)}",
    "databricks": lambda r: f"dapi{some(r, HEX, 32)}{r.choice(('', '-2'))}",
    "databricks-oauth": lambda r: f"dose{some(r, HEX, 32)}",
    "linear": lambda r: f"{r.choice(('lin_api', 'lin_wh'))}_{some(r, ALNUM, 40)}",
    "linear-oauth": lambda r: f"lin_oauth_{some(r, HEX, 64)}",
    "new-relic-user": lambda r: f"NRAK-{some(r, CAPITALS, 27)}",
    "new-relic-insert": lambda r: f"NRII-{some(r, URL_SAFE, 32)}",
    "new-relic-browser": lambda r: f"NRJS-{some(r, HEX, 19)}",
    "new-relic-license": lambda r: f"{some(r, HEX, 36)}NRAL",
    "atlassian": lambda r: f"ATATT3xFfGF0{some(r, URL_SAFE, 171)}={some(r, HEX, 8).upper()}",
    "atlassian-bitbucket": lambda r: f"ATCTT3xFfGN0{some(r, URL_SAFE, 171)}={some(r, HEX, 8).upper()}",
    "bitbucket-app": lambda r: f"ATBB{some(r, ALNUM, 24)}{some(r, HEX, 8).upper()}",
    "trello": lambda r: f"ATTA{some(r, HEX, 64)}{some(r, HEX, 8).upper()}",
    "figma": lambda r: f"figd_{some(r, URL_SAFE, 40)}",
    "notion": lambda r: f"ntn_{some(r, DIGITS, 11)}{some(r, ALNUM, 35)}",
    "notion-old": lambda r: f"secret_{some(r, ALNUM, 43)}",
    "asana": lambda r: f"{r.choice('12')}/1{some(r, DIGITS, 15)}:{some(r, HEX, 32)}",
    "asana-new": lambda r: f"2/1{some(r, DIGITS, 15)}/1{some(r, DIGITS, 15)}:{some(r, HEX, 32)}",
    "postman": lambda r: f"PMAK-{some(r, HEX, 24)}-{some(r, HEX, 34)}",
    "postman-collection": lambda r: f"PMAT-{some(r, CAPITALS, 26)}",
    "doppler": lambda r: f"dp.{r.choice(('pt', 'ct', 'sa', 'scim', 'audit'))}.{some(r, ALNUM, r.choice((40, 43)))}",
    "doppler-service": lambda r: f"dp.st.{r.choice(('prd', 'dev_personal', 'stg-2'))}.{some(r, ALNUM, 43)}",
    "planetscale": lambda r: f"pscale_{r.choice(('tkn', 'pw', 'oauth'))}_{some(r, URL_SAFE, 43)}",
    "supabase": lambda r: f"sbp_{some(r, HEX, 40)}",
    "supabase-secret": lambda r: f"sb_secret_{some(r, URL_SAFE, 22)}_{some(r, URL_SAFE, 8)}",
    "age": lambda r: f"AGE-SECRET-KEY-1{some(r, BECH32, 58)}",
    # what other scanners know too
    "google-ai-studio": lambda r: f"AQ.Ab8R{some(r, URL_SAFE, 48)}",
    "google-client-secret": lambda r: f"GOCSPX-{some(r, URL_SAFE, 28)}",
    "replicate": lambda r: f"r8_{some(r, ALNUM, 37)}",
    "fireworks": lambda r: f"fw_{some(r, ALNUM, 24)}",
    "gitlab-oauth": lambda r: f"gloas-{some(r, HEX, 64)}",
    "gitlab-deploy": lambda r: f"gldt-{some(r, URL_SAFE, 20)}",
    "gitlab-runner": lambda r: f"glrt-{some(r, URL_SAFE, 20)}",
    "gitlab-trigger": lambda r: f"glptt-{some(r, HEX, 40)}",
    "gitlab-feed": lambda r: f"glft-{some(r, URL_SAFE, 20)}",
    "gitlab-mail": lambda r: f"glimt-{some(r, URL_SAFE, 25)}",
    "gitlab-agent": lambda r: f"glagent-{some(r, URL_SAFE, 50)}",
    "gitlab-scim": lambda r: f"glsoat-{some(r, URL_SAFE, 20)}",
    "gitlab-feature-flags": lambda r: f"glffct-{some(r, URL_SAFE, 20)}",
    "gitlab-routable": lambda r: f"glpat-{some(r, URL_SAFE, 27)}.{some(r, LOWER, 9)}",
    "pypi": lambda r: f"pypi-AgEIcHlwaS5vcmc{some(r, URL_SAFE, 150)}",
    "rubygems": lambda r: f"rubygems_{some(r, HEX, 48)}",
    "vault": lambda r: f"{r.choice(('hvs', 'hvb'))}.{some(r, URL_SAFE, 95)}",
    "vault-old": lambda r: f"s.{some(r, ALNUM, 23)}{some(r, DIGITS, 1)}",
    "terraform": lambda r: f"{some(r, ALNUM, 14)}.atlasv1.{some(r, ALNUM, 67)}",
    "grafana": lambda r: f"glsa_{some(r, ALNUM, 32)}_{some(r, HEX, 8)}",
    "grafana-cloud": lambda r: f"glc_eyJ{some(r, ALNUM, 100)}=",
    "sentry-user": lambda r: f"sntryu_{some(r, HEX, 64)}",
    "sentry-organization": lambda r: f"sntrys_eyJpYXQiO{some(r, ALNUM, 120)}_{some(r, BASE64, 43)}",
    "cloudflare": lambda r: f"{r.choice(('cfut', 'cfat'))}_{some(r, ALNUM, 40)}{some(r, HEX, 8)}",
    "cloudflare-origin": lambda r: f"v1.0-{some(r, HEX, 24)}-{some(r, HEX, 146)}",
    "fly": lambda r: f"fm2_{some(r, BASE64, 160)}",
    "vercel": lambda r: f"{r.choice(('vcp', 'vck', 'vci'))}_{some(r, ALNUM, 56)}",
    "netlify": lambda r: f"{r.choice(('nfp', 'nfc'))}_{some(r, ALNUM, 36)}",
    "pulumi": lambda r: f"pul-{some(r, HEX, 40)}",
    "heroku": lambda r: f"HRKU-AA{some(r, URL_SAFE, 58)}",
    "airtable": lambda r: f"pat{some(r, ALNUM, 14)}.{some(r, HEX, 64)}",
    "dropbox": lambda r: f"sl.{some(r, URL_SAFE, 135)}",
    "discord-bot": lambda r: (
        f"{r.choice(('MTA', 'NzY', 'ODc'))}{some(r, ALNUM, 21)}.{some(r, URL_SAFE, 6)}.{some(r, URL_SAFE, 38)}"
    ),
    "telegram-bot": lambda r: f"{some(r, '123456789', 10)}:AA{some(r, URL_SAFE, 33)}",
    "hubspot": lambda r: f"pat-{r.choice(('na1', 'eu1'))}-{uuid_of(r)}",
    "tailscale": lambda r: f"tskey-auth-k{some(r, ALNUM, 16)}-{some(r, ALNUM, 32)}",
    "brevo": lambda r: f"xkeysib-{some(r, HEX, 64)}-{some(r, ALNUM, 16)}",
    "mailchimp": lambda r: f"{some(r, HEX, 32)}-us{r.randrange(1, 22)}",
    "resend": lambda r: f"re_{some(r, ALNUM, 8)}_{some(r, ALNUM, 24)}",
    "langsmith": lambda r: f"lsv2_pt_{some(r, HEX, 32)}_{some(r, HEX, 10)}",
    "pinecone": lambda r: f"pcsk_{some(r, ALNUM, 6)}_{some(r, ALNUM, 63)}",
    "together": lambda r: f"tgp_v1_{some(r, URL_SAFE, 43)}",
    "elevenlabs": lambda r: f"sk_{some(r, HEX, 48)}",
    "sourcegraph": lambda r: f"sgp_{some(r, HEX, 16)}_{some(r, HEX, 40)}",
    "azure-ad": lambda r: f"{some(r, ALNUM, 3)}8Q~{some(r, URL_SAFE, 34)}",
    "1password": lambda r: (
        f"A3-{some(r, CAPITALS, 6)}-{some(r, CAPITALS, 6)}-{'-'.join(some(r, CAPITALS, 5) for _ in range(4))}"
    ),
    "dynatrace": lambda r: f"dt0c01.{some(r, BASE32, 24)}.{some(r, BASE32, 64)}",
    "openshift": lambda r: f"sha256~{some(r, URL_SAFE, 43)}",
    "octopus": lambda r: f"API-{some(r, CAPITALS, 26)}",
    "facebook": lambda r: f"EAAC{some(r, ALNUM, 150)}",
    "easypost": lambda r: f"EZAK{some(r, ALNUM, 54)}",
    "posthog": lambda r: f"phx_{some(r, ALNUM, 43)}",
    "neon": lambda r: f"napi_{some(r, LOWER, 64)}",
    "prefect": lambda r: f"pnu_{some(r, ALNUM, 36)}",
    "maxmind": lambda r: f"{some(r, ALNUM, 6)}_{some(r, ALNUM, 29)}_mmk",
    "plaid": lambda r: f"access-production-{uuid_of(r)}",
    "circleci": lambda r: f"CCIPAT_{some(r, ALNUM, 22)}_{some(r, HEX, 40)}",
    "buildkite": lambda r: f"bkua_{some(r, HEX, 40)}",
}

# Secrets without a form of their own: a bare UUID or hexadecimal digits, which only a name gives away.
MORE_LABELLED_KEYS: dict[str, tuple[str, Callable[[random.Random], str]]] = {
    "heroku-old": ("HEROKU_API_KEY=@ heroku ps", uuid_of),
    "postman-environment": ('{"postman_api_key": "@", "workspace": "w"}', uuid_of),
    "twilio-token": ("twilio_auth_token: @", lambda r: some(r, HEX, 32)),
    "asana-client": ("asana client_secret=@ failed", lambda r: some(r, HEX, 32)),
    "new-relic-old-license": ("NEW_RELIC_LICENSE_KEY=@", lambda r: some(r, HEX, 40)),
    "supabase-service": ("SUPABASE_SERVICE_ROLE_KEY=@", lambda r: some(r, URL_SAFE, 60)),
    "linear-webhook": ("linear webhook signing_secret: @", lambda r: some(r, HEX, 32)),
    "datadog": ("> DD-API-KEY: @", lambda r: some(r, HEX, 32)),
    "snyk": ("SNYK_TOKEN=@ snyk test", uuid_of),
    "algolia": ("x-algolia-api-key: @", lambda r: some(r, HEX, 32)),
    "netlify-old": ("NETLIFY_AUTH_TOKEN=@", lambda r: some(r, URL_SAFE, 43)),
    "fly-header": ("Authorization: FlyV1 @", lambda r: f"fm2_{some(r, BASE64, 160)}"),
}
