"""identity/* and accounts/*: who the image runs as, and its account files."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable

from seatrial.checks.declaration import check
from seatrial.checks.files import of_kind, refuse_partial
from seatrial.checks.model import Cause, Expect, Outcome, Severity, UndecidedError, present, shorten, skipped
from seatrial.facts import Accounts, Configuration, ContentKind, Contents, Password, Probe, ResolvedCommand, Unavailable
from seatrial.settings.model import Contract
from seatrial.text import show_size

LARGEST_LOG = 10_000_000
"""Bytes. lastlog holds 292 for each account number: the number 34,000 makes it this large."""


@check(
    "identity/non-root",
    title="Runs as a user that is not root",
    severity=Severity.WARNING,
    why="A process that is root in the container is root on the host's kernel when it breaks out.",
    source="CIS Docker Benchmark 4.1; OWASP Docker cheat sheet, rule 2",
    example='FROM python:3.13-slim\nCMD ["python", "main.py"]',
    fixed='FROM python:3.13-slim\nRUN useradd --uid 10001 app\nUSER 10001:10001\nCMD ["python", "main.py"]',
)
def non_root(probe: Probe | Unavailable, command: ResolvedCommand, configuration: Configuration) -> Outcome:
    """Judge by the engine's configuration and the image's account files: the probe could be deceived."""
    user = configuration.user
    uid = command.account.uid
    shown = f"USER {user or '(none)'}"
    expect = Expect("a user that is not uid 0")
    if uid is None:
        return expect.failed(
            f"{shown} names no account of the image",
            fix=f"Make the account in the final stage (`RUN useradd --uid 1000 {user}`), or name one by its number.",
            severity=Severity.ERROR,  # No engine starts it.
        )
    # The probe's answer can be forged, but nothing forges it to be root: either source is enough.
    if uid == 0 or (not isinstance(probe, Unavailable) and probe.identity.uid == 0):
        return expect.failed(
            f"{shown} is uid 0",
            fix="Add `USER 1000:1000` (or your application's account) as the Dockerfile's last USER.",
        )
    return expect.passed(f"{shown} is uid {uid}")


@check(
    "identity/expected-user",
    title="Runs as the contract's user",
    severity=Severity.ERROR,
    follows=("identity/non-root",),
    why="Volumes, secrets and cluster policies are set up for one account; another one cannot read them.",
    source="Docker's build best practices, USER: an explicit UID and GID",
    example='# contract: user = "app"\nUSER nobody',
    fixed='# contract: user = "app"\nRUN useradd --uid 10001 app\nUSER app',
)
def expected_user(by_files: Probe | Unavailable, contract: Contract) -> Outcome:
    asked = {"user": contract.user, "uid": contract.uid, "gid": contract.gid}
    wanted = {what: value for what, value in asked.items() if value is not None}
    if not wanted:
        return skipped("the contract names no user; set `user`, `uid` or `gid`")
    seen = present(by_files).identity
    found = {"user": seen.name, "uid": seen.uid, "gid": seen.gid}
    differences = [
        f"{'whoami' if what == 'user' else what} is {found[what]!r}, not {value!r}"
        for what, value in wanted.items()
        if value != found[what]
    ]
    expect = Expect(" ".join(f"{what} {value}" for what, value in wanted.items()))
    actual = f"{seen.name or '(no account)'}, uid {seen.uid}, gid {seen.gid}"
    if differences:
        return expect.failed(
            actual,
            fix="Change the Dockerfile's last USER, or the account that its RUN makes, or the contract.",
            evidence=tuple(differences),
            items=differences,
        )
    return expect.passed(actual)


@check(
    "identity/numeric-user",
    title="Names its user by number",
    severity=Severity.NOTE,
    follows=(Cause(check="identity/non-root", says="names no account"), "identity/expected-user"),
    why="An orchestrator that must not run root cannot tell what a name means, and refuses to start the image.",
    source="Kubernetes, runAsNonRoot: it verifies a numeric USER only; hadolint DL3066",
    example="USER app",
    fixed="USER 10001:10001",
)
def numeric_user(command: ResolvedCommand | Unavailable, configuration: Configuration) -> Outcome:
    user = configuration.user
    expect = Expect("a USER that begins with a number")
    if re.fullmatch(r"[0-9]+", user.partition(":")[0]):
        return expect.passed(f"USER {user}")
    account = present(command).account
    if account.uid == 0:
        return skipped(f"USER {user or '(none)'} is root; identity/non-root decides")
    number = f"{account.uid}:{account.gids[0]}" if account.uid is not None and account.gids else "10001:10001"
    return expect.failed(
        f"USER {user} is a name, which only the image's own /etc/passwd explains",
        fix=f"Write `USER {number}` as the Dockerfile's last USER.",
    )


@check(
    "accounts/no-empty-passwords",
    title="No account has a password",
    severity=Severity.WARNING,
    why="Any code in the container can become an account whose password is empty or known.",
    source="docker-library's tests, no-hard-coded-passwords; dockle CIS-DI-0009; CVE-2019-5021",
    example="RUN useradd app && passwd --delete app",
    fixed="RUN useradd app",
)
def no_empty_passwords(accounts: Accounts) -> Outcome:
    users = accounts.users
    if not users:
        return skipped("the image has no /etc/passwd, or no account in it")
    kinds = {Password.EMPTY: "an empty password", Password.SET: "a password"}
    found = [f"{user.name} has {what}" for kind, what in kinds.items() for user in users if user.password is kind]
    expect = Expect("no account has an empty password or one that is set")
    if found:
        names = ", ".join(user.name for user in users if user.password in kinds)
        return expect.failed(
            shorten(found, 5),
            fix=f"Lock it in the Dockerfile (`RUN passwd --lock NAME`; here: {names[:200]}).",
            evidence=tuple(found),
        )
    _refuse_partial(accounts)
    return expect.passed(f"{len(users)} accounts checked, all locked")


@check(
    "accounts/unique-ids",
    title="No two accounts share a number",
    severity=Severity.NOTE,
    why="Two names with the same number are one account to the kernel: each may do what the other may.",
    source="dockle DKL-LI-0002",
    example="RUN useradd --uid 1000 --non-unique app",
    fixed="RUN useradd --uid 10001 app",
)
def unique_ids(accounts: Accounts) -> Outcome:
    if not accounts.users and not accounts.groups:
        return skipped("the image has neither /etc/passwd nor /etc/group")
    shared = [
        *_shared("uid", ((user.uid, user.name) for user in accounts.users)),
        *_shared("gid", ((group.gid, group.name) for group in accounts.groups)),
        *_repeated("/etc/passwd", (user.name for user in accounts.users)),
        *_repeated("/etc/group", (group.name for group in accounts.groups)),
    ]
    expect = Expect("each user and each group has its own number and name")
    if shared:
        return expect.failed(
            shorten(shared, 5),
            fix="Give the account that the Dockerfile makes its own number (`RUN useradd --uid 10001 …`).",
            evidence=tuple(shared),
            # A second name of root is one that nobody looks at.
            severity=Severity.WARNING if any(line.startswith("uid 0 ") for line in shared) else None,
        )
    _refuse_partial(accounts)
    return expect.passed(f"{len(accounts.users)} users and {len(accounts.groups)} groups checked")


def _shared(what: str, rows: Iterable[tuple[int, str]]) -> list[str]:
    names: defaultdict[int, list[str]] = defaultdict(list)
    for number, name in rows:
        names[number].append(name)
    return [f"{what} {number} is that of {' and '.join(who[:5])}" for number, who in names.items() if len(set(who)) > 1]


def _repeated(file: str, names: Iterable[str]) -> list[str]:
    return [f"{file} holds {name} {count} times" for name, count in Counter(names).items() if count > 1]


def _refuse_partial(accounts: Accounts) -> None:
    if accounts.cut:
        raise UndecidedError(f"the account files have more rows than the {len(accounts.users)} that were checked")


@check(
    "accounts/no-sparse-logs",
    title="Its login records are small",
    severity=Severity.WARNING,
    why="The engine packs the holes of a sparse file as zeros: an account of a high number adds gigabytes.",
    source="Docker's build best practices, USER: `--no-log-init`",
    example="RUN useradd --uid 4000000 app",
    fixed="RUN useradd --uid 4000000 --no-log-init app",
)
def no_sparse_logs(contents: Contents) -> Outcome:
    """Judge the login records by their size: they have a place for each account number, used or not."""
    logs = of_kind(contents, ContentKind.LOGIN_LOG)
    large = [log for log in logs if log.size > LARGEST_LOG]
    expect = Expect(f"no lastlog or faillog of more than {show_size(LARGEST_LOG)}")
    if large:
        return expect.failed(
            [f"{log.path} has {show_size(log.size)}" for log in large],
            fix="Make the account with `useradd --no-log-init`, or give it a smaller number.",
        )
    refuse_partial(contents)
    sizes = "; ".join(f"{log.path} has {show_size(log.size)}" for log in logs)
    return expect.passed(sizes or "there is no login record")
