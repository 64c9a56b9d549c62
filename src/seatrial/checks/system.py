"""system/*: the time zone, the encoding, and which certificate authorities TLS trusts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatrial.checks.declaration import check
from seatrial.checks.model import Outcome, UndecidedError, failed, passed

if TYPE_CHECKING:
    from seatrial.facts.probe import Locale, SelfTest


@check(
    "system/utc-utf8",
    title="Runs in UTC and UTF-8",
    why="Logs in another time zone cannot be compared with others, and another encoding breaks on the first accent.",
    source="docker-library, official-images tests: utc; PEP 538, PEP 540",
    example="ENV TZ=Europe/Berlin LC_ALL=en_US.ISO-8859-1",
    fixed="ENV LANG=C.UTF-8",
)
def utc_utf8(locale: Locale) -> Outcome:
    """Judge what the interpreter makes of TZ, /etc/localtime and the locale variables."""
    wrong, fixes = [], []
    if not locale.utc:
        wrong.append(f"its time zone is {locale.zone}")
        fixes.append("remove TZ and /etc/localtime: the application converts what it shows")
    others = {
        what: encoding
        for what, encoding in (
            ("file names", locale.filesystem),
            ("files", locale.preferred),
            ("output", locale.output),
        )
        if encoding.lower().replace("-", "").replace("_", "") != "utf8"
    }
    if others:
        wrong.append("; ".join(f"the encoding of {what} is {encoding}" for what, encoding in others.items()))
        fixes.append("`ENV LANG=C.UTF-8`, and no LC_ALL, PYTHONIOENCODING or PYTHONUTF8=0 beside it")
    expected = "UTC, and UTF-8 for file names, files and output"
    if wrong:
        fix = "; ".join(fixes)
        return failed("; ".join(wrong), expected=expected, fix=f"{fix[0].upper()}{fix[1:]}.")
    return passed(f"{locale.zone}, {locale.preferred}", expected=expected)


@check(
    "system/trust-store",
    title="Holds a TLS trust store",
    why="Without certificate authorities every call to another service fails, and only when it is first made.",
    source="docker-library, official-images tests: python-pip-requests-ssl; SSL_CTX_set_default_verify_paths(3)",
    example="FROM debian:stable-slim\nRUN apt-get install -y --no-install-recomfixes python3",
    fixed="FROM debian:stable-slim\nRUN apt-get install -y --no-install-recomfixes python3 ca-certificates",
)
def trust_store(selftest: SelfTest) -> Outcome:
    """Judge what a default TLS context finds; certifi's bundle serves those clients that bring it.

    Clients such as requests and httpx read certifi's bundle and no other, so that an image with it is usable. The
    pass says then that urllib, aiohttp and database drivers, which ask the system's store, find none.
    """
    if selftest.trust is None:
        raise UndecidedError(
            f"the interpreter did not get that far: at {selftest.at}, {selftest.ended or 'it stopped'}"
        )
    seen = selftest.trust
    expected = "a default TLS context finds at least one certificate authority"
    if seen.lost:
        return failed(
            "; ".join(f"{path}, which is not there" for path in seen.lost),
            expected=expected,
            fix="Remove it from ENV: what only a build needs is exported in the RUN that needs it.",
        )
    if seen.error:
        raise UndecidedError(f"ssl cannot be used: {seen.error}; python/stdlib-complete tells more")
    if seen.certificates:
        return passed(f"{seen.certificates} authorities in {seen.file} or {seen.folder}", expected=expected)
    if seen.certifi:
        return passed(
            f"the system has no store; {seen.certifi} serves requests and httpx, and nothing else", expected=expected
        )
    where = " or ".join(path for path in (seen.file, seen.folder) if path)
    return failed(
        f"no certificate authority in {where}",
        expected=expected,
        fix="Install them in the final stage: `RUN apt-get install -y --no-install-recomfixes ca-certificates`.",
    )
