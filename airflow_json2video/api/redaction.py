"""Finding a secret in a text, however it is written there. No I/O.

A service, a proxy or a library may repeat a key in a header, in JSON, in an address, or in the ``repr`` of any of
these, each character in its own way. So a secret is searched for character by character.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from html.entities import codepoint2name
from urllib.parse import quote, quote_plus

__all__ = ["encoded_forms", "secret_pattern"]

_SHORT = 8
_BACKSLASHES = r"\\{1,4}"
"""JSON or a ``repr``, and one of these in the other."""


@lru_cache(maxsize=32)
def secret_pattern(secret: str) -> re.Pattern[str]:
    """Return the pattern that finds *secret*, each character as it is, escaped, encoded or decoded wrongly.

    A secret as short as a word is found only where it stands alone and in its own case: "API Key" in the service's
    words decides what a refusal means.
    """
    spelled = "".join(_character(c) for c in secret)
    if len(secret) >= _SHORT:
        return re.compile(spelled, re.IGNORECASE)
    return re.compile(rf"(?<![A-Za-z0-9]){spelled}(?![A-Za-z0-9])")


def encoded_forms(secret: str) -> list[str]:
    """Return the usual spellings of a whole secret, for a masker that knows only plain texts."""
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
    ways = [re.escape(c), rf"(?i:{''.join(f'%{byte:02x}' for byte in utf_8)})"]
    ways.append(rf"(?i:{''.join(f'{_BACKSLASHES}x{byte:02x}' for byte in utf_8)})")
    ways.append(rf"(?i:{_BACKSLASHES}(?:u{code:04x}|x{code:02x}))")
    ways.append(rf"(?i:&#0{{0,4}}{code};|&#x0{{0,4}}{code:x};)")
    if code in codepoint2name:
        ways.append(f"&{codepoint2name[code]};")
    if c == "\\":
        ways.append(_BACKSLASHES)
    elif c in "\"'/":
        ways.append(_BACKSLASHES + re.escape(c))
    elif c == " ":
        ways.append(r"\+")
    if not c.isascii():
        ways.append(f"(?i:%{code:02x})")
        # What is left of it after a decoder that did not know its encoding.
        ways += [
            re.escape(utf_8.decode("latin-1")),
            re.escape(utf_8.decode("cp1252", "replace")),
            "\ufffd{1,2}",
            r"\?{1,2}",
        ]
        ways.append("".join(chr(0xDC00 + byte) for byte in utf_8))
        ways.append(chr(0xDC00 + code))
    # The longer way first: one backslash of two would leave the other.
    return f"(?:{'|'.join(sorted(dict.fromkeys(ways), key=len, reverse=True))})"
