"""Find a secret in a text, in any encoding. No I/O.

A service, a proxy or a library may repeat a key in a header, in JSON, in a URL, or in the ``repr`` of any of these, and
encode each character differently. So the pattern has the alternatives of every character.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from html.entities import codepoint2name
from urllib.parse import quote, quote_plus

__all__ = ["encoded_forms", "secret_pattern"]

_MIN_UNIQUE_LENGTH = 8
_BACKSLASHES = r"\\{1,4}"
"""As in JSON, in a ``repr``, and in one of these within the other."""


@lru_cache(maxsize=32)
def secret_pattern(secret: str) -> re.Pattern[str]:
    """Return the pattern that finds *secret*, with each character verbatim, escaped, encoded or wrongly decoded.

    A short secret is found only as a word of its own and in its own case: the words "API Key" in the service's message
    decide what a refusal means.
    """
    pattern = "".join(_character(c) for c in secret)
    if len(secret) >= _MIN_UNIQUE_LENGTH:
        return re.compile(pattern, re.IGNORECASE)
    return re.compile(rf"(?<![A-Za-z0-9]){pattern}(?![A-Za-z0-9])")


def encoded_forms(secret: str) -> list[str]:
    """Return the usual encodings of a secret, for a masker that accepts only plain texts."""
    found = [
        secret,
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        repr(secret)[1:-1],
        ascii(secret)[1:-1],
        repr(secret.encode())[2:-1],
        quote(secret, safe=""),
        quote(secret),
        quote_plus(secret),
        secret.encode().decode("latin-1"),
    ]
    return list(dict.fromkeys(found))


def _character(c: str) -> str:
    code, utf_8 = ord(c), c.encode()
    forms = [re.escape(c), rf"(?i:{''.join(f'%{byte:02x}' for byte in utf_8)})"]
    forms.append(rf"(?i:{''.join(f'{_BACKSLASHES}x{byte:02x}' for byte in utf_8)})")
    forms.append(rf"(?i:{_BACKSLASHES}(?:u{code:04x}|x{code:02x}))")
    forms.append(rf"(?i:&#0{{0,4}}{code};|&#x0{{0,4}}{code:x};)")
    if code in codepoint2name:
        forms.append(f"&{codepoint2name[code]};")
    if c == "\\":
        forms.append(_BACKSLASHES)
    elif c in "\"'/":
        forms.append(_BACKSLASHES + re.escape(c))
    elif c == " ":
        forms.append(r"\+")
    if not c.isascii():
        forms.append(f"(?i:%{code:02x})")
        # The result of a decoder that assumed another encoding.
        forms += [
            re.escape(utf_8.decode("latin-1")),
            re.escape(utf_8.decode("cp1252", "replace")),
            "\ufffd{1,2}",
            r"\?{1,2}",
        ]
        forms.append("".join(chr(0xDC00 + byte) for byte in utf_8))
        forms.append(chr(0xDC00 + code))
    # The longest alternative first: matching one backslash of two would leave the other.
    return f"(?:{'|'.join(sorted(dict.fromkeys(forms), key=len, reverse=True))})"
