"""Bodies of legal size that cost more to read than to send (BAD_INPUT 48)."""

from bench.attacks.clients import MB

_BEGIN = b'{"model":"demo/instant","messages":[{"role":"user","content":"hi"}]'


def _listed(name: bytes, item: bytes, count: int, last: bytes | None = None) -> bytes:
    return b'%b,"%b":[%b%b]}' % (_BEGIN, name, (item + b",") * (count - 1), last or item)


def shapes() -> dict[str, bytes]:
    """By what is in them."""
    parts = b",".join([b'{"type":"text","text":"a"}'] * 400_000)
    fields = b",".join(b'"f%d":{"type":"string"}' % number for number in range(500_000))
    deep = b"[" * 8 * MB + b"]" * 8 * MB
    return {
        "4,000,000 empty lists": _listed(b"x", b"[]", 4_000_000),
        "1,700,000 empty objects in objects": _listed(b"x", b'{"a":{}}', 1_700_000),
        "400,000 content parts": b'{"model":"demo/instant","messages":[{"role":"user","content":[%b]}]}' % parts,
        "400,000 messages": b'{"model":"demo/instant","messages":[%b]}'
        % b",".join([b'{"role":"user","content":"a"}'] * 400_000),
        "a tool schema of 500,000 fields": b'%b,"tools":[{"type":"function","function":{"name":"f","parameters":'
        b'{"type":"object","properties":{%b}}}}]}' % (_BEGIN, fields),
        "1e999 behind 4,000,000 numbers": _listed(b"x", b"1", 4_000_000, b"1e999"),
        "a surrogate after 15 MB": b'{"model":"demo/instant","messages":[{"role":"user","content":"%b\\ud800"}]}'
        % (b"a" * 15 * MB),
        "8,000,000 levels": b'%b,"x":%b}' % (_BEGIN, deep),
        "15 MB of escapes": b'{"model":"demo/instant","messages":[{"role":"user","content":"%b"}]}'
        % (b"\\u00e9" * 2_500_000),
        "15.9 MB of legal text": b'{"model":"demo/instant","messages":[{"role":"user","content":"%b"}]}'
        % (b"a" * (15_900_000)),
    }
