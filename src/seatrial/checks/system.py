"""system/*: the time zone, the encoding, and whom TLS trusts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatrial.checks.model import Check, Level, Outcome, UndecidedError, failed, had, passed, probe_of

if TYPE_CHECKING:
    from seatrial.facts import Facts
    from seatrial.settings.model import Contract


def utc_utf8(facts: Facts, _: Contract) -> Outcome:
    """Judge what the interpreter makes of TZ, /etc/localtime and the locale variables."""
    probe = probe_of(facts)
    seen = had(probe.locale, probe, "locale")
    wrong, mends = [], []
    if not seen.utc:
        wrong.append(f"its time zone is {seen.zone}")
        mends.append("take out TZ and /etc/localtime: the application converts what it shows")
    others = {
        what: encoding
        for what, encoding in (
            ("file names", seen.filesystem),
            ("files", seen.preferred),
            ("output", seen.output),
        )
        if encoding.lower().replace("-", "").replace("_", "") != "utf8"
    }
    if others:
        wrong.append("; ".join(f"the encoding of {what} is {encoding}" for what, encoding in others.items()))
        mends.append("`ENV LANG=C.UTF-8`, and no LC_ALL, PYTHONIOENCODING or PYTHONUTF8=0 beside it")
    expected = "UTC, and UTF-8 for file names, files and output"
    if wrong:
        fix = "; ".join(mends)
        return failed("; ".join(wrong), expected=expected, fix=f"{fix[0].upper()}{fix[1:]}.")
    return passed(f"{seen.zone}, {seen.preferred}", expected=expected)


def trust_store(facts: Facts, _: Contract) -> Outcome:
    """Judge what a default TLS context finds; certifi's bundle serves those clients that bring it.

    Clients such as requests and httpx read certifi's bundle and no other, so that an image with it is usable. The
    pass says then that urllib, aiohttp and database drivers, which ask the system's store, find none.
    """
    probe = probe_of(facts)
    tried = had(probe.selftest, probe, "selftest")
    if tried.trust is None:
        raise UndecidedError(f"the interpreter did not get that far: at {tried.at}, {tried.ended or 'it stopped'}")
    seen = tried.trust
    expected = "a default TLS context finds at least one certificate authority"
    if seen.lost:
        return failed(
            "; ".join(f"{one}, which is not there" for one in seen.lost),
            expected=expected,
            fix="Take it out of ENV: what only a build needs is exported in the RUN that needs it.",
        )
    if seen.error:
        raise UndecidedError(f"ssl cannot be used: {seen.error}; python/stdlib-complete tells more")
    if seen.certificates:
        return passed(f"{seen.certificates} authorities in {seen.file} or {seen.folder}", expected=expected)
    if seen.certifi:
        return passed(
            f"the system has no store; {seen.certifi} serves requests and httpx, and nothing else", expected=expected
        )
    where = " or ".join(one for one in (seen.file, seen.folder) if one)
    return failed(
        f"no certificate authority in {where}",
        expected=expected,
        fix="Install them in the final stage: `RUN apt-get install -y --no-install-recommends ca-certificates`.",
    )


CHECKS = (
    Check(
        id="system/utc-utf8",
        title="Runs in UTC and UTF-8",
        why="Logs of another time zone cannot be laid beside others, and another encoding breaks on the first accent.",
        source="docker-library, official-images tests: utc; PEP 538, PEP 540",
        example="ENV TZ=Europe/Berlin LC_ALL=en_US.ISO-8859-1",
        mend="ENV LANG=C.UTF-8",
        level=Level.QUICK,
        function=utc_utf8,
    ),
    Check(
        id="system/trust-store",
        title="Holds a TLS trust store",
        why="Without certificate authorities every call to another service fails, and only when it is first made.",
        source="docker-library, official-images tests: python-pip-requests-ssl; SSL_CTX_set_default_verify_paths(3)",
        example="FROM debian:stable-slim\nRUN apt-get install -y --no-install-recommends python3",
        mend="FROM debian:stable-slim\nRUN apt-get install -y --no-install-recommends python3 ca-certificates",
        level=Level.QUICK,
        function=trust_store,
    ),
)
