"""What is neither printed nor stored: keys that a server repeats, and passwords and tokens in addresses."""

import re
from base64 import b64encode
from collections.abc import Callable
from urllib.parse import quote

HIDDEN = "***"
PIECE = 8  # letters; so many of a secret in a row are hidden too, as where a server cut it
SHORTEST = 4  # letters of a secret; shorter ones are words such as "no"

_FOLDED = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")  # unlike `lower`, keeps the length

# in addresses: user and password, all of a query (a signature) and of a fragment that gives values
_USER = re.compile(r"(?<=://)[^/\s'\"@]+(?=@)")
_QUERY = re.compile(r"(?i)(\bhttps?://[^\s'\"?#]*(?:\?|#(?=[^\s'\"]*=)))[^\s'\"]+")

# in commands: what a header gives, variables that are set for them, and what stands behind options such as `-u`, also
# without a blank between
_HEADER = re.compile(
    r"(?i)(\b(?:authorization|cookie|[\w-]*(?:token|key|auth))\s*:\s*(?:(?:bearer|basic|digest|token)\s+)?)[^'\"\n]+"
)
_SCHEME = re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}")
_VARIABLE = re.compile(r"((?:^|(?<=[\s:;|&('\"]))[A-Za-z_]\w*=)(?:'[^']*'|\"[^\"]*\"|[^\s'\"|;&]+)")
_OPTION = re.compile(
    r"(?i)((?<=[\s'\"])--?[\w-]*(?:token|pass(?:word|wd|phrase)?|secret|key(?:[_-]?id)?|bearer|credentials?|cookie|user)"
    r"['\"]?(?:\s*[=:]\s*|\s+)|\b[\w-]*(?:token|password|passwd|secret|api[_-]?key)['\"]?(?:\s*[=:]\s*|\s+)"
    r"|(?<=\s)-[ub]\s*|\bsshpass\s+-p\s*)(['\"]?)[^\s'\"]+"
)


def masked(text: str) -> str:
    """A text without user, password and query of the addresses in it; of commands (`pipe:`) also without tokens.

    Example:
        >>> masked("https://me:secret@example.org/a.tar?signature=0123"), masked("pipe:curl -u me:secret ftp://h/a.tar")
        ('https://***@example.org/a.tar?***', 'pipe:curl -u *** ftp://h/a.tar')
    """
    text = _QUERY.sub(rf"\1{HIDDEN}", _USER.sub(HIDDEN, text))
    if "pipe:" not in text:
        return text
    text = _SCHEME.sub(rf"\1 {HIDDEN}", _HEADER.sub(rf"\1{HIDDEN}", text))
    return _VARIABLE.sub(rf"\1{HIDDEN}", _OPTION.sub(rf"\1\2{HIDDEN}", text))


def mask_of(*secrets: str) -> Callable[[str], str]:
    """A function that hides secrets in a text: whole or cut, as they are, encoded, or quoted as in URLs and JSON.

    Args:
        secrets: such as an API key; what is shorter than :data:`SHORTEST` is no secret.

    Example:
        >>> mask_of("sk-0123456789")("Bearer sk-0123456789; Bearer sk-01234567")
        'Bearer ***; Bearer ***'
    """
    forms = {form.translate(_FOLDED) for secret in secrets if len(secret) >= SHORTEST for form in _forms(secret)}
    pieces = {form[i : i + PIECE] for form in forms for i in range(max(len(form) - PIECE, 0) + 1)}
    sizes = {len(piece) for piece in pieces}

    def mask(text: str) -> str:
        folded = text.translate(_FOLDED)
        hidden = bytearray(len(text))
        for size in sizes:
            for start in range(len(text) - size + 1):
                if folded[start : start + size] in pieces:
                    hidden[start : start + size] = bytes([1]) * size

        if not any(hidden):
            return text
        letters = ("\0" if hide else letter for letter, hide in zip(text, hidden, strict=True))
        return re.sub("\0+", HIDDEN, "".join(letters))

    return mask


def _forms(secret: str) -> set[str]:
    """A secret as servers may write it."""
    data = secret.encode("utf-8", "surrogateescape")
    spelt_out = ("".join(f"\\u{ord(letter):04x}" for letter in secret), "".join(f"%{byte:02x}" for byte in data))
    forms = {secret, quote(secret, safe=""), data.hex(), *spelt_out}

    for shift in range(3):  # base64 of the secret behind other bytes, such as `user:`, without the letters they share
        first, last = -(-shift * 8 // 6), (shift + len(data)) * 8 // 6
        encoded = b64encode(bytes(shift) + data).decode()[first:last]
        if len(encoded) >= PIECE:
            forms |= {encoded, encoded.replace("+", "-").replace("/", "_")}
    return forms
