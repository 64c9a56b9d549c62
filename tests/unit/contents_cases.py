"""Facts that fail each check of accounts and contents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.unit.factories import accounts, contents, facts, trail

from seatrial.facts import ContentKind, FoundPath, Group, Password, User

if TYPE_CHECKING:
    from seatrial.facts import Facts


def held(kind: ContentKind, path: str, **more: Any) -> Facts:
    return facts(contents=contents(found=(FoundPath(kind=kind, path=path, **more),), counts={kind: 1}))


FAILING: dict[str, Facts] = {
    "accounts/no-empty-passwords": facts(
        accounts=accounts(users=(User(name="app", uid=10001, password=Password.EMPTY),))
    ),
    "accounts/unique-ids": facts(
        accounts=accounts(groups=(Group(name="app", gid=10001), Group(name="web", gid=10001)))
    ),
    "accounts/no-sparse-logs": held(ContentKind.LOGIN_LOG, "/var/log/lastlog", size=584_000_000),
    "files/setuid": held(ContentKind.SETUID, "/usr/bin/find", mode=0o4755),
    "files/world-writable": held(ContentKind.WORLD_WRITABLE, "/app/state", mode=0o777),
    "files/expected": held(ContentKind.TESTS, "/app/tests"),
    "files/leftovers": held(ContentKind.LEFTOVER, "/app/.git", about="version control"),
    "files/package-lists": held(ContentKind.PACKAGE_LISTS, "/var/lib/apt/lists", files=9, size=19_000_000),
    "files/installer-caches": held(ContentKind.INSTALLER_CACHE, "/root/.cache/uv", files=900, size=80_000_000),
    "tools/build": held(ContentKind.BUILD_TOOL, "/usr/bin/gcc"),
    "tools/remote-access": held(ContentKind.REMOTE_ACCESS, "/usr/bin/sudo"),
    "secrets/files": held(ContentKind.SECRET, "/root/.netrc", about="credentials"),
    "config/workdir": facts(working_directory=trail("/app", missing="/app")),
}
