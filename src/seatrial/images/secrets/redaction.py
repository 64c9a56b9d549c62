"""Credentials: found in what a build is handed, and struck out of what it says."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import quote, quote_plus, unquote

from seatrial.errors import SeatrialError

STRUCK = "***"
SHORTEST = 4
"""Characters of a value that is struck out: what is shorter stands in too many other words."""
SHORTEST_SEARCHED = 8
"""Characters of a form that is searched for in an image by itself."""
UNMISTAKABLE = 16
"""Characters from which a value of one kind of characters is searched for by itself."""

USERINFO = re.compile(r"(?:://|^)([^/\s]*)@[^/\s@]")
"""Account and password of an address (RFC 3986); a proxy's may have no scheme."""
QUERY = re.compile(r"[?&]([\w.-]*)=([^&#\s]+)")
SECRET_PARAMETER = re.compile(r"token|key|secret|passw|sig|auth|cred", re.IGNORECASE)
PATH_PART = re.compile(r"(?<=[^/]/)[A-Za-z0-9]{16,}(?=/|$)")
"""A part of an address's path that may be a token: some package indexes know their clients by it. A host is none."""
PUBLIC_DIGEST = re.compile(r"[0-9a-f]{40}|[0-9a-f]{60}")
"""A commit (indexes of nightly builds), and a file's place on PyPI after two folders of two digits."""
CHANGES = re.compile(r"(?<=[a-z])(?=[A-Z0-9])|(?<=[A-Z])(?=[0-9])|(?<=[0-9])(?=[A-Za-z])")
"""Where one kind of character follows another; a capital before a small letter begins a word."""
FEWEST_CHANGES, LEAST_CHANGES = 4, 0.2
"""Of them, and for each character: names of folders (`PythonPackages2024`) have less, random text twice as many."""


@dataclass(frozen=True, kw_only=True)
class Credential:
    """A value that nobody may read who was not given it."""

    source: str
    """The build secret or proxy variable that holds it."""
    value: str = field(repr=False)
    user: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        """Take text that is no UTF-8 as it can be written."""
        for name in ("value", "user"):
            text = getattr(self, name).encode(errors="surrogateescape").decode(errors="replace")
            object.__setattr__(self, name, text)

    def forms(self) -> set[str]:
        """Return how it may be written: as it is, in an address, in JSON, in base64."""
        plain = {self.value, unquote(self.value)}
        escaped = {form for value in plain for form in (quote(value), quote(value, safe=""), quote_plus(value))}
        lower = {re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), form) for form in escaped}
        quoted = {json.dumps(value, ensure_ascii=ascii_only)[1:-1] for value in plain for ascii_only in (True, False)}
        return {form for form in plain | escaped | lower | quoted if len(form) >= SHORTEST} | self.encoded()

    def encoded(self) -> set[str]:
        """Return it in base64: by itself, after its user as HTTP's basic authentication has it, within other text."""
        found: set[str] = set()
        for value in {self.value, unquote(self.value)}:
            whole = (value, f"{unquote(self.user)}:{value}")
            for encode in (base64.b64encode, base64.urlsafe_b64encode):
                found |= {encode(text.encode()).decode().rstrip("=") for text in whole}
                found |= {
                    _within(value.encode(), offset, encode(bytes(offset) + value.encode())) for offset in (0, 1, 2)
                }
        return {form for form in found if len(form) >= SHORTEST_SEARCHED}

    def searched(self) -> set[bytes]:
        """Return what is searched for in an image: where the value could be any word, with what stands around it."""
        value = unquote(self.value)
        kinds = sum(any(map(kind, value)) for kind in (str.islower, str.isupper, str.isdigit, _is_sign))
        if len(value) >= UNMISTAKABLE or (len(value) >= SHORTEST_SEARCHED and kinds > 1):
            return {form.encode() for form in self.forms() if len(form) >= SHORTEST_SEARCHED}
        around = {f"{before}{self.value}{after}" for before, after in ((":", "@"), ("//", "@"), ("//", ":@"))}
        if len(value) >= SHORTEST_SEARCHED:
            around |= {f"password{space}{value}" for space in " \t\n"}
        return {form.encode() for form in around} | {
            base64.b64encode(f"{unquote(self.user)}:{value}".encode()).rstrip(b"=")
        }


def _is_sign(letter: str) -> bool:
    return not letter.isalnum()


def _within(value: bytes, offset: int, encoded: bytes) -> str:
    """Return the characters of base64 that a value alone decides, whatever stands before and after it."""
    whole, rest = divmod(offset + len(value), 3)
    return encoded[(0, 2, 3)[offset] : whole * 4 + rest].decode()


def in_addresses(texts: Iterable[str], source: str) -> Iterator[Credential]:
    """Yield the credentials that stand in texts as parts of addresses."""
    for word in (word for text in texts for word in text.split()):
        for found in USERINFO.finditer(word):
            user, _, password = found[1].partition(":")
            # An account alone may be a token; a short one of a proxy is a name.
            name_alone = source.upper().endswith("_PROXY") and len(user) < SHORTEST_SEARCHED
            if value := password or ("" if name_alone else user):
                yield Credential(source=source, value=value, user=user if password else "")
        named = (found[2] for found in QUERY.finditer(word) if SECRET_PARAMETER.search(found[1]))
        unnamed = filter(_is_token, PATH_PART.findall(word))
        yield from (Credential(source=source, value=value) for value in (*named, *unnamed))


def _is_token(part: str) -> bool:
    """Tell whether a part of a path looks random."""
    if part.isalpha() or part.isdigit() or PUBLIC_DIGEST.fullmatch(part):
        return False
    return len(CHANGES.findall(part)) >= max(FEWEST_CHANGES, LEAST_CHANGES * len(part))


def in_netrc(text: str) -> Iterator[Credential]:
    """Yield the passwords of a netrc; where it is malformed, its longer words.

    Source: the netrc file of the GNU inetutils manual.
    """
    words = iter(re.sub(r"(?ms)^[ \t]*macdef\b.*?(?:^[ \t]*$|\Z)|^[ \t]*#.*?$", "", text).split())
    user = ""
    for word in words:
        if word == "machine":
            next(words, "")
            user = ""
        elif word in {"login", "user"}:
            user = next(words, "").strip("\"'")
            if len(user) >= UNMISTAKABLE and user.isalnum():
                # A token in the account's place.
                yield Credential(source="netrc", value=user)
        elif word in {"password", "account", "passwd"}:
            if password := next(words, "").strip("\"'"):
                yield Credential(source="netrc", value=password, user=user)
        elif word != "default" and len(word) >= SHORTEST_SEARCHED:
            yield Credential(source="netrc", value=word)


class Redaction:
    """Strikes credentials out of text."""

    def __init__(self, credentials: Iterable[Credential] = ()) -> None:
        forms = {form for credential in credentials for form in credential.forms()}
        longest_first = sorted(forms, key=lambda form: (-len(form), form))
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if forms else None

    def strike(self, text: str) -> str:
        """Return text with `***` in the place of each credential."""
        return text if self._pattern is None else self._pattern.sub(STRUCK, text)

    @contextmanager
    def of_errors(self) -> Iterator[None]:
        """Strike credentials out of an error that passes."""
        try:
            yield
        except SeatrialError as error:
            for part in ("what", "where", "fix", "detail"):
                setattr(error, part, self.strike(getattr(error, part)))
            error.args = (error.what,)
            raise
