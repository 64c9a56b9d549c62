"""accounts/*: the image's own account files."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from seatrial.checks.model import Check, Level, Outcome, UndecidedError, failed, passed, skipped
from seatrial.checks.seen import contents_of, kept, refuse_partial
from seatrial.facts.data import ContentKind, Missing, Password
from seatrial.sizes import show_size

if TYPE_CHECKING:
    from collections.abc import Iterable

    from seatrial.facts.data import Accounts, Facts
    from seatrial.settings.model import Contract

LARGEST_LOG = 10_000_000
"""Bytes: at lastlog's 292 an account number, the number 34,000."""


def accounts_of(facts: Facts) -> Accounts:
    """Return the image's accounts.

    Raises:
        UndecidedError: nobody read them, or there are more than were kept.

    """
    if isinstance(facts.accounts, Missing):
        raise UndecidedError(facts.accounts.reason, facts.accounts.detail)
    return facts.accounts


def no_empty_passwords(facts: Facts, _: Contract) -> Outcome:
    """Judge each account by the password fields of its rows."""
    accounts = accounts_of(facts)
    if not accounts.users:
        return skipped("the image has no /etc/passwd, or no account in it")
    open_ = [f"{one.name} has an empty password" for one in accounts.users if one.password is Password.EMPTY]
    known = [f"{one.name} has a password" for one in accounts.users if one.password is Password.SET]
    expected = "no account has an empty password or one that is set"
    if open_ or known:
        names = ", ".join(one.name for one in accounts.users if one.password is not Password.LOCKED)
        return failed(
            "; ".join((open_ + known)[:5]),
            expected=expected,
            fix=f"Lock it in the Dockerfile (`RUN passwd --lock NAME`; here: {names[:200]}).",
            evidence=tuple(open_ + known),
        )
    _refuse_cut(accounts)
    return passed(f"{len(accounts.users)} accounts looked at, all locked", expected=expected)


def unique_ids(facts: Facts, _: Contract) -> Outcome:
    """Look for a number or a name that two rows share."""
    accounts = accounts_of(facts)
    if not accounts.users and not accounts.groups:
        return skipped("the image has neither /etc/passwd nor /etc/group")
    shared = [
        *_shared("uid", ((one.uid, one.name) for one in accounts.users)),
        *_shared("gid", ((one.gid, one.name) for one in accounts.groups)),
        *_repeated("/etc/passwd", (one.name for one in accounts.users)),
        *_repeated("/etc/group", (one.name for one in accounts.groups)),
    ]
    expected = "each user and each group has a number and a name of its own"
    if shared:
        return failed(
            "; ".join(shared[:5]),
            expected=expected,
            fix="Give the account that the Dockerfile makes a number of its own (`RUN useradd --uid 10001 …`).",
            evidence=tuple(shared),
        )
    _refuse_cut(accounts)
    return passed(f"{len(accounts.users)} users and {len(accounts.groups)} groups looked at", expected=expected)


def _shared(what: str, rows: Iterable[tuple[int, str]]) -> list[str]:
    names: defaultdict[int, list[str]] = defaultdict(list)
    for number, name in rows:
        names[number].append(name)
    return [f"{what} {number} is that of {' and '.join(who[:5])}" for number, who in names.items() if len(set(who)) > 1]


def _repeated(file: str, names: Iterable[str]) -> list[str]:
    rows: defaultdict[str, int] = defaultdict(int)
    for name in names:
        rows[name] += 1
    return [f"{file} holds {name} {count} times" for name, count in rows.items() if count > 1]


def _refuse_cut(accounts: Accounts) -> None:
    if accounts.cut:
        raise UndecidedError(f"the account files have more rows than the {len(accounts.users)} that were looked at")


def no_sparse_logs(facts: Facts, _: Contract) -> Outcome:
    """Judge the login records by their size: they have a place for each account number, used or not."""
    contents = contents_of(facts)
    logs = kept(contents, ContentKind.LOGIN_LOG)
    large = [one for one in logs if one.size > LARGEST_LOG]
    expected = f"no lastlog or faillog of more than {show_size(LARGEST_LOG)}"
    if large:
        return failed(
            "; ".join(f"{one.path} has {show_size(one.size)}" for one in large),
            expected=expected,
            fix="Make the account with `useradd --no-log-init`, or give it a smaller number.",
        )
    refuse_partial(contents)
    sizes = "; ".join(f"{one.path} has {show_size(one.size)}" for one in logs)
    return passed(sizes or "there is no login record", expected=expected)


CHECKS = (
    Check(
        id="accounts/no-empty-passwords",
        title="No account has a password",
        why="Whoever runs code in the container becomes an account whose password is empty or known.",
        source="docker-library's tests, no-hard-coded-passwords; dockle CIS-DI-0009; CVE-2019-5021",
        example="RUN useradd app && passwd --delete app",
        mend="RUN useradd app",
        level=Level.QUICK,
        function=no_empty_passwords,
    ),
    Check(
        id="accounts/unique-ids",
        title="No two accounts share a number",
        why="Two names of one number are one account to the kernel: each may do what the other may.",
        source="dockle DKL-LI-0002",
        example="RUN useradd --uid 1000 --non-unique app",
        mend="RUN useradd --uid 10001 app",
        level=Level.QUICK,
        function=unique_ids,
    ),
    Check(
        id="accounts/no-sparse-logs",
        title="Its login records are small",
        why="The engine packs the holes of a sparse file as zeros: an account of a high number adds gigabytes.",
        source="Docker's build best practices, USER: `--no-log-init`",
        example="RUN useradd --uid 4000000 app",
        mend="RUN useradd --uid 4000000 --no-log-init app",
        level=Level.QUICK,
        function=no_sparse_logs,
    ),
)
