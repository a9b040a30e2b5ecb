"""Keys of rarer vendors and rarer kinds to plant in the redaction corpus: with the others, each format is planted."""

import random
import string
from collections.abc import Callable

from tests.adapters.redaction_keys_planted import ALNUM, BASE32, DIGITS, HEX, URL_SAFE, some
from tests.adapters.redaction_vendors_planted import BASE64, BECH32, CAPITALS, LOWER, uuid_of


def teams_webhook(rng: random.Random) -> str:
    return f"{uuid_of(rng)}@{uuid_of(rng)}/IncomingWebhook/{some(rng, HEX, 32)}/{uuid_of(rng)}"


RARER_KEYS: dict[str, Callable[[random.Random], str]] = {
    "stripe-webhook": lambda r: f"whsec_{some(r, BASE64, 32)}",
    "stripe-other": lambda r: f"{r.choice('srp')}k_{r.choice(('live', 'test', 'prod'))}_{some(r, ALNUM, 24)}",
    "hugging-face-organization": lambda r: f"api_org_{some(r, string.ascii_letters, 34)}",
    "tavily-cerebras-nvidia": lambda r: f"{r.choice(('tvly', 'csk', 'nvapi'))}-{some(r, ALNUM, 32)}",
    "slack-configuration": lambda r: f"xoxe.xoxp-1-{some(r, ALNUM, 163)}",
    "gitlab-job": lambda r: f"glcbt-{some(r, LOWER, 2)}_{some(r, URL_SAFE, 20)}",
    "gitlab-runner-old": lambda r: f"GR1348941{some(r, URL_SAFE, 20)}",
    "aws-other": lambda r: f"{r.choice(('ABIA', 'ACCA'))}{some(r, BASE32, 16)}",
    "aws-bedrock": lambda r: f"ABSK{some(r, BASE64, 128)}=",
    "alibaba": lambda r: f"LTAI{some(r, ALNUM, 20)}",
    "clojars": lambda r: f"CLOJARS_{some(r, HEX, 60)}",
    "readme": lambda r: f"rdme_{some(r, LOWER, 70)}",
    "cloudflare-global": lambda r: f"cfk_{some(r, ALNUM, 48)}",
    "shippo": lambda r: f"shippo_{r.choice(('live', 'test'))}_{some(r, HEX, 40)}",
    "duffel": lambda r: f"duffel_{r.choice(('live', 'test'))}_{some(r, URL_SAFE, 43)}",
    "typeform": lambda r: f"tfp_{some(r, ALNUM, 44)}_{some(r, ALNUM, 14)}",
    "settlemint": lambda r: f"sm_{r.choice(('aat', 'pat', 'sat'))}_{some(r, ALNUM, 15)}{some(r, DIGITS, 1)}",
    "fly-old": lambda r: f"fo1_{some(r, URL_SAFE, 43)}",
    "fly-macaroon": lambda r: f"{r.choice(('fm1a', 'fm1r'))}_{some(r, BASE64, 120)}==",
    "1password-service": lambda r: f"ops_eyJ{some(r, BASE64, 260)}=",
    "vercel-other": lambda r: f"{r.choice(('vca', 'vcr'))}_{some(r, ALNUM, 56)}",
    "netlify-other": lambda r: f"{r.choice(('nfb', 'nfo', 'nfu'))}_{some(r, ALNUM, 36)}",
    "buildkite-other": lambda r: f"{r.choice(('bkat', 'bkct', 'bkaj'))}_{some(r, HEX, 40)}",
    "circleci-project": lambda r: f"CCIPRJ_{some(r, ALNUM, 22)}_{some(r, HEX, 40)}",
    "render-xata-jina": lambda r: f"{r.choice(('rnd', 'xau', 'jina'))}_{some(r, ALNUM, 32)}",
    "posthog-project": lambda r: f"phc_{some(r, ALNUM, 43)}",
    "age-lower": lambda r: f"age-secret-key-1{some(r, BECH32.lower(), 58)}",
    "age-hybrid": lambda r: f"AGE-SECRET-KEY-PQ-1{some(r, BECH32, 58)}",
    "age-plugin": lambda r: f"AGE-PLUGIN-YUBIKEY-1{some(r, BECH32, 20)}",
    "infracost": lambda r: f"ico-{some(r, ALNUM, 32)}",
    "adobe": lambda r: f"p8e-{some(r, LOWER, 32)}",
    "frameio": lambda r: f"fio-u-{some(r, URL_SAFE, 64)}",
    "scalingo": lambda r: f"tk-us-{some(r, URL_SAFE, 48)}",
    "contentful": lambda r: f"CFPAT-{some(r, URL_SAFE, 43)}",
    "defined-networking": lambda r: f"dnkey-{some(r, URL_SAFE, 26)}-{some(r, URL_SAFE, 52)}",
    "flutterwave": lambda r: f"FLWSECK_TEST-{some(r, HEX, 32)}-X",
    "vault-recovery": lambda r: f"hvr.{some(r, URL_SAFE, 95)}",
    "harness": lambda r: (
        f"{r.choice(('pat', 'sat'))}.{some(r, URL_SAFE, 22)}.{some(r, ALNUM, 24)}.{some(r, ALNUM, 20)}"
    ),
    "doppler-service-account": lambda r: f"dp.said.{some(r, ALNUM, 43)}",
    "easypost-test": lambda r: f"EZTK{some(r, ALNUM, 54)}",
    "jfrog": lambda r: f"AKCp{some(r, ALNUM, 69)}",
    "jfrog-reference": lambda r: f"cmVmd{some(r, ALNUM, 59)}",
    "google-other": lambda r: r.choice((f"1//0{some(r, URL_SAFE, 60)}", f"ya29.{some(r, URL_SAFE, 120)}")),
    "atlassian-other": lambda r: f"ATSTT3x{some(r, URL_SAFE, 180)}={some(r, CAPITALS, 8)}",
}
# The part of an address that is the secret.
RARER_PLACED_KEYS: dict[str, tuple[str, Callable[[random.Random], str]]] = {
    "discord-webhook": (
        "POST https://discord.com/api/webhooks/@ 404",
        lambda r: f"{some(r, '123456789', 18)}/{some(r, URL_SAFE, 68)}",
    ),
    "teams-webhook": ("POST https://example.webhook.office.com/webhookb2/@ 404", teams_webhook),
}
