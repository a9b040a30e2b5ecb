"""Keys to plant in the redaction corpus, in the formats of their vendors, and where only a name gives them away."""

import base64
import json
import random
import string
from collections.abc import Callable

ALNUM = string.ascii_letters + string.digits
URL_SAFE = ALNUM + "-_"
DIGITS = string.digits
HEX = "0123456789abcdef"
BASE32 = string.ascii_uppercase + "234567"


def some(rng: random.Random, alphabet: str, length: int) -> str:
    return "".join(rng.choice(alphabet) for _ in range(length))


def jwt(rng: random.Random) -> str:
    header = {"alg": rng.choice(("RS256", "HS256", "ES256")), "typ": "JWT", "kid": some(rng, HEX, 8)}
    claims = {"sub": some(rng, DIGITS, 10), "iat": rng.randrange(1_700_000_000, 1_800_000_000), "aud": "headgate"}
    parts = (base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in (header, claims))
    return ".".join((*parts, some(rng, URL_SAFE, rng.choice((43, 86, 342)))))


def private_key(rng: random.Random) -> str:
    kind = rng.choice(("RSA ", "EC ", "", "OPENSSH "))
    body = "\\n".join(some(rng, ALNUM + "+/", 64) for _ in range(3))
    return f"-----BEGIN {kind}PRIVATE KEY-----\\n{body}\\n-----END {kind}PRIVATE KEY-----"


def basic(rng: random.Random) -> str:
    user = f"user{rng.randrange(99)}:{some(rng, ALNUM, 12)}"
    return base64.b64encode(user.encode()).decode()


# A vendor's kind of key, and how one is made.
VENDOR_KEYS: dict[str, Callable[[random.Random], str]] = {
    "openai": lambda r: f"sk-{some(r, ALNUM, 20)}T3BlbkFJ{some(r, ALNUM, 20)}",
    "openai-project": lambda r: f"sk-proj-{some(r, URL_SAFE, 74)}T3BlbkFJ{some(r, URL_SAFE, 74)}",
    "openai-service-account": lambda r: f"sk-svcacct-{some(r, URL_SAFE, 58)}T3BlbkFJ{some(r, URL_SAFE, 58)}",
    "openai-admin": lambda r: f"sk-admin-{some(r, URL_SAFE, 58)}T3BlbkFJ{some(r, URL_SAFE, 58)}",
    "anthropic": lambda r: f"sk-ant-api03-{some(r, URL_SAFE, 93)}AA",
    "anthropic-admin": lambda r: f"sk-ant-admin01-{some(r, URL_SAFE, 93)}AA",
    "openrouter": lambda r: f"sk-or-v1-{some(r, HEX, 64)}",
    "deepseek": lambda r: f"sk-{some(r, HEX, 32)}",
    "google-api": lambda r: f"AIza{some(r, URL_SAFE, 35)}",
    "google-oauth": lambda r: f"ya29.{some(r, URL_SAFE, 120)}",
    "google-refresh": lambda r: f"1//0{some(r, URL_SAFE, 60)}",
    "aws-id": lambda r: f"AKIA{some(r, BASE32, 16)}",
    "aws-temporary-id": lambda r: f"ASIA{some(r, BASE32, 16)}",
    "github-classic": lambda r: f"{r.choice(('ghp', 'gho', 'ghu', 'ghs', 'ghr'))}_{some(r, ALNUM, 36)}",
    "github-fine": lambda r: f"github_pat_{some(r, ALNUM, 22)}_{some(r, ALNUM, 59)}",
    "slack-bot": lambda r: f"xoxb-{some(r, DIGITS, 12)}-{some(r, DIGITS, 13)}-{some(r, ALNUM, 24)}",
    "slack-user": lambda r: (
        f"xoxp-{some(r, DIGITS, 12)}-{some(r, DIGITS, 12)}-{some(r, DIGITS, 13)}-{some(r, HEX, 32)}"
    ),
    "slack-app": lambda r: f"xapp-1-A{some(r, BASE32, 10)}-{some(r, DIGITS, 13)}-{some(r, HEX, 64)}",
    "stripe": lambda r: f"{r.choice(('sk', 'rk'))}_{r.choice(('live', 'test'))}_{some(r, ALNUM, 24)}",
    "hugging-face": lambda r: f"hf_{some(r, string.ascii_letters, 34)}",
    "headgate": lambda r: f"hg_{some(r, URL_SAFE, 43)}",
    "groq": lambda r: f"gsk_{some(r, ALNUM, 52)}",
    "xai": lambda r: f"xai-{some(r, ALNUM, 80)}",
    "perplexity": lambda r: f"pplx-{some(r, ALNUM, 48)}",
    "gitlab": lambda r: f"glpat-{some(r, URL_SAFE, 20)}",
    "npm": lambda r: f"npm_{some(r, ALNUM, 36)}",
    "sendgrid": lambda r: f"SG.{some(r, URL_SAFE, 22)}.{some(r, URL_SAFE, 43)}",
    "jwt": jwt,
    "private-key": private_key,
}


# What stands around a secret that has no form of its own, and how the secret is made. `@` marks its place.
LABELLED_KEYS: dict[str, tuple[str, Callable[[random.Random], str]]] = {
    "bearer": ("Authorization: Bearer @", lambda r: some(r, ALNUM, 32)),
    "bearer-json": ('{"headers": {"authorization": "Bearer @", "accept": "*/*"}}', lambda r: some(r, HEX, 40)),
    "bearer-prose": ("upstream refused: invalid bearer @ for target openai", lambda r: some(r, ALNUM, 40)),
    "basic": ("> proxy-authorization: Basic @", basic),
    "x-api-key": ("> x-api-key: @", lambda r: some(r, ALNUM, 32)),
    "asgi-header": ("headers=[(b'host', b'x'), (b'x-api-key', b'@')]", lambda r: some(r, HEX, 32)),
    "azure-header": ("{'api-key': '@', 'user-agent': 'headgate/0.1'}", lambda r: some(r, HEX, 32)),
    "aws-secret-env": ("AWS_SECRET_ACCESS_KEY=@", lambda r: some(r, ALNUM + "/+", 40)),
    "aws-secret-ini": ("aws_secret_access_key = @", lambda r: some(r, ALNUM + "/+", 40)),
    "aws-secret-json": ('{"AccessKeyId": "x", "SecretAccessKey": "@"}', lambda r: some(r, ALNUM + "/+", 40)),
    "env": ("MISTRAL_API_KEY=@ uvicorn app:app", lambda r: some(r, ALNUM, 32)),
    "url-key": (
        "GET https://generativelanguage.googleapis.com/v1/models?key=@&alt=sse",
        lambda r: some(r, URL_SAFE, 39),
    ),
    "url-api-key": ("GET https://api.example.com/v1/search?q=tea&api_key=@", lambda r: some(r, HEX, 32)),
    "url-token": ("wss://stream.example.com/live?token=@&v=2", lambda r: some(r, ALNUM, 24)),
    "url-signature": ("PUT https://b.s3.amazonaws.com/k?X-Amz-Signature=@&x-id=Put", lambda r: some(r, HEX, 64)),
    "url-password": ("connecting to postgres://app:@@db.internal:5432/app", lambda r: some(r, ALNUM, 16)),
    "redis-password": ("redis://default:@@10.0.0.7:6379/0 timed out", lambda r: some(r, ALNUM + "!$*", 20)),
    "slack-webhook": (
        "POST https://hooks.slack.com/@ 404",
        lambda r: f"services/T{some(r, BASE32, 10)}/B{some(r, BASE32, 10)}/{some(r, ALNUM, 24)}",
    ),
    "json-escaped": ('body="{\\"model\\":\\"x\\",\\"api_key\\":\\"@\\"}"', lambda r: some(r, ALNUM, 32)),
    "password": ("login failed user=anna password=@ attempts=3", lambda r: some(r, ALNUM + "!#%", 14)),
    "password-json": (
        '{"user": "anna", "password": "@", "mfa": false}',
        lambda r: some(r, ALNUM + " !#%;,", 14).strip() + "x",
    ),
    "client-secret": ("grant_type=client_credentials&client_id=web&client_secret=@", lambda r: some(r, URL_SAFE, 32)),
    "refresh-token": ('{"token_type": "x", "refresh_token": "@"}', lambda r: some(r, URL_SAFE, 40)),
    "cookie": ("< set-cookie: session=@; Path=/; HttpOnly", lambda r: some(r, URL_SAFE, 32)),
    "repr": ("Credentials(user='anna', password='@', region='eu')", lambda r: some(r, ALNUM, 16)),
}
