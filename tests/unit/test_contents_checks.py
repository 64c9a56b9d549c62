"""accounts/*, files/*, tools/*, secrets/files, config/workdir: what passes, what fails, what cannot be decided."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.unit.contents_cases import FAILING, held
from tests.unit.factories import accounts, configuration, contents, distribution, facts, file, probe, trail

from seatrial.checks import registry
from seatrial.checks.model import Status
from seatrial.checks.verdict import judge
from seatrial.facts import Accounts, ContentKind, FileEntry, FileKind, FoundPath, Group, Password, User
from seatrial.observe.files import MOST_ROWS, password, read_accounts
from seatrial.settings.model import DEBIAN_SETUID, Contract

if TYPE_CHECKING:
    from seatrial.checks.model import Result
    from seatrial.facts import Facts

CHECKS = {check.id: check for check in registry.CHECKS}


def judged(check: str, seen: Facts, **contract: Any) -> Result:
    return judge(CHECKS[check], seen, Contract(**contract))


def found(*rows: FoundPath, **more: Any) -> Facts:
    return facts(contents=contents(found=rows, **more))


@pytest.mark.parametrize(
    ("check", "says"),
    [
        ("accounts/no-empty-passwords", "app has an empty password"),
        ("accounts/unique-ids", "gid 10001 is that of app and web"),
        ("accounts/no-sparse-logs", "/var/log/lastlog has 584 MB"),
        ("files/setuid", "/usr/bin/find has mode 4755 and owner 0:0"),
        ("files/world-writable", "/app/state has mode 0777 and owner 0:0"),
        ("files/expected", "/app/tests is a test"),
        ("files/leftovers", "/app/.git (version control)"),
        ("files/package-lists", "/var/lib/apt/lists: 9 files, 19.0 MB"),
        ("files/installer-caches", "/root/.cache/uv: 900 files, 80.0 MB"),
        ("tools/build", "/usr/bin/gcc"),
        ("tools/remote-access", "/usr/bin/sudo"),
        ("secrets/files", "/root/.netrc (credentials)"),
        ("config/workdir", "WORKDIR /app: /app is not there"),
    ],
)
def test_a_fault_is_told_with_its_path_and_value(check: str, says: str) -> None:
    result = judged(check, FAILING[check])
    assert (result.status, result.actual) == (Status.FAIL, says)
    assert result.fix


WALKED = [text for text in FAILING if not text.startswith("accounts/") and text != "config/workdir"]


@pytest.mark.parametrize("check", [*WALKED, "accounts/no-sparse-logs"])
@pytest.mark.parametrize(
    ("partial", "says"),
    [
        ({"cut": ("it holds more than 200000 paths",)}, "not seen whole: it holds more than 200000 paths"),
        ({"paths": 0}, "no path of the image was seen"),
    ],
)
def test_what_was_not_seen_whole_is_no_pass(check: str, partial: dict[str, Any], says: str) -> None:
    result = judged(check, facts(contents=contents(**partial)))
    assert result.status is Status.ERROR
    assert says in result.actual
    # What was found all the same is a finding.
    assert judged(check, facts(contents=contents(found=FAILING[check].contents.found, **partial))).status is Status.FAIL  # type: ignore[union-attr]


# --- accounts ---------------------------------------------------------------------------------------------

PASSWD = "root:x:0:0:root:/root:/bin/bash\napp::10001:10001::/app:\n# a remark\n+nis\n\nold:$6$salt$hash:5:5:::\n"
SHADOW = "root:*:19000:0:99999:7:::\n"


def test_the_account_files_are_read() -> None:
    read = read_accounts(PASSWD, SHADOW, "root:x:0:\nstaff:x:nonsense:\n")
    assert read.users == (
        User(name="root", uid=0, password=Password.LOCKED),
        User(name="app", uid=10001, password=Password.EMPTY),
        User(name="old", uid=5, password=Password.SET),
    )
    assert read.groups == (Group(name="root", gid=0), Group(name="staff", gid=0))
    assert not read.cut


@pytest.mark.parametrize(
    ("field", "shadowed", "comes_to"),
    [
        ("", None, Password.EMPTY),
        ("x", "", Password.EMPTY),
        ("x", None, Password.LOCKED),
        ("x", "*", Password.LOCKED),
        ("x", "!", Password.LOCKED),
        ("x", "!!", Password.LOCKED),
        ("x", "!$6$salt$hash", Password.LOCKED),
        ("x", "$6$salt$hash", Password.SET),
        ("x", "x", Password.LOCKED),
        ("*", "$6$salt$hash", Password.LOCKED),
        ("kJ3Xq9mAaZ0bc", None, Password.SET),
    ],
)
def test_what_a_password_comes_to(field: str, shadowed: str | None, comes_to: Password) -> None:
    assert password(field, shadowed) is comes_to


def test_more_rows_than_are_kept_are_no_pass() -> None:
    rows = "".join(f"u{number}:x:{number}:0:::\n" for number in range(MOST_ROWS + 1))
    read = read_accounts(rows, "", "")
    assert (len(read.users), read.cut) == (MOST_ROWS, True)
    for check in ("accounts/no-empty-passwords", "accounts/unique-ids"):
        assert "more rows" in judged(check, facts(accounts=read)).actual


def test_a_password_that_is_set_is_known_to_whoever_made_the_image() -> None:
    result = judged("accounts/no-empty-passwords", facts(accounts=read_accounts(PASSWD, SHADOW, "")))
    assert result.actual == "app has an empty password; old has a password"
    assert "hash" not in str(result)


def test_an_image_without_accounts_has_nothing_to_judge() -> None:
    for check in ("accounts/no-empty-passwords", "accounts/unique-ids"):
        assert judged(check, facts(accounts=Accounts())).status is Status.SKIP


def test_a_second_root_and_a_name_twice_are_told() -> None:
    users = tuple(User(name=name, uid=0, password=Password.LOCKED) for name in ("root", "toor", "toor"))
    result = judged("accounts/unique-ids", facts(accounts=accounts(users=users)))
    assert result.actual == "uid 0 is that of root and toor and toor; /etc/passwd holds toor 2 times"


def test_a_small_login_record_passes() -> None:
    result = judged("accounts/no-sparse-logs", held(ContentKind.LOGIN_LOG, "/var/log/lastlog", size=292_292))
    assert (result.status, result.actual) == (Status.PASS, "/var/log/lastlog has 292 kB")


# --- files ------------------------------------------------------------------------------------------------


def test_the_bases_own_setuid_files_are_allowed_in_both_folders() -> None:
    rows = [
        FoundPath(kind=ContentKind.SETUID, path=path, mode=0o4755) for path in (*DEBIAN_SETUID, "/bin/su", "/bin/mount")
    ]
    result = judged("files/setuid", found(*rows))
    assert (result.status, result.actual) == (Status.PASS, "14000 paths checked; 15 setuid files, all allowed")
    strict = judged("files/setuid", found(*rows), setuid=("/bin/su",))
    assert strict.status is Status.FAIL
    assert not any("/su " in line for line in strict.evidence)


def test_a_file_with_capabilities_is_told_and_may_be_allowed() -> None:
    seen = held(ContentKind.SETUID, "/usr/bin/python3", mode=0o755, capabilities=("SETUID", "NET_RAW"))
    result = judged("files/setuid", seen)
    assert (result.status, result.actual) == (
        Status.FAIL,
        "/usr/bin/python3 has the file capabilities SETUID, NET_RAW",
    )
    assert "setcap -r /usr/bin/python3" in result.fix
    assert judged("files/setuid", seen, setuid=("/usr/bin/python3",)).status is Status.PASS


def test_an_allowed_setuid_file_passes() -> None:
    seen = held(ContentKind.SETUID, "/usr/bin/ping", mode=0o4755)
    assert judged("files/setuid", seen, setuid=("/usr/bin/ping",)).status is Status.PASS


def test_files_are_compared_in_both_directions() -> None:
    seen = facts(contents=contents(folders={"/app": (".venv", "src", "Makefile")}))
    result = judged("files/expected", seen, files={"/app/": (".venv", "src/", "config"), "/gone": ("x",)})
    assert result.actual == "/app/Makefile is not in the contract; /app/config is not there; /gone is not there"
    assert judged("files/expected", facts(), files={"/app": (".venv", "src")}).status is Status.PASS


def test_a_folder_that_was_not_reached_is_not_said_to_be_missing() -> None:
    seen = facts(contents=contents(cut=("/: it was read for 60 s",)))
    result = judged("files/expected", seen, files={"/srv/app": ("src",)})
    assert result.status is Status.ERROR


def test_without_files_in_the_contract_only_tests_are_looked_for() -> None:
    result = judged("files/expected", facts())
    assert result.status is Status.SKIP
    assert result.actual == "the contract names no `files`; no test is among the 14000 paths"


def test_the_tests_of_a_dependency_in_a_plain_folder_are_its_own() -> None:
    row = FoundPath(kind=ContentKind.TESTS, path="/deps/numpy/tests")
    mine = FoundPath(kind=ContentKind.TESTS, path="/app/tests")
    numpy = distribution("numpy")
    numpy = type(numpy)(name="numpy", version="2", location="/deps")
    seen = facts(contents=contents(found=(row, mine)), probe=probe(distributions=(numpy,)))
    assert judged("files/expected", seen).actual == "/app/tests is a test"


@pytest.mark.parametrize(
    ("environment", "status"),
    [
        ("/app/.venv", Status.PASS),
        ("/app/venv", Status.FAIL),
        ("/app/src/.venv", Status.FAIL),
        ("/app/tools", Status.PASS),
        ("/opt/pipx/venvs/black", Status.PASS),
    ],
)
def test_an_environment_beside_the_applications_own_is_a_leftover(environment: str, status: Status) -> None:
    assert judged("files/leftovers", held(ContentKind.ENVIRONMENT, f"{environment}/pyvenv.cfg")).status is status


def test_many_leftovers_are_counted() -> None:
    rows = [FoundPath(kind=ContentKind.LEFTOVER, path=f"/app/{number}~") for number in range(200)]
    result = judged("files/leftovers", found(*rows, counts={"leftover": 900}))
    assert result.actual.endswith("; and 895 more")
    assert len(result.evidence) == 200


def test_the_largest_cache_comes_first() -> None:
    rows = [
        FoundPath(kind=ContentKind.INSTALLER_CACHE, path=f"/{size}/.cache/pip", files=1, size=size)
        for size in (5, 9, 7)
    ]
    assert judged("files/installer-caches", found(*rows)).actual.startswith("/9/.cache/pip: 1 file")


# --- tools and secrets ------------------------------------------------------------------------------------


def test_what_the_contract_says_is_called_may_be_there() -> None:
    for check, kind, path in (
        ("tools/build", ContentKind.BUILD_TOOL, "/usr/bin/git"),
        ("tools/remote-access", ContentKind.REMOTE_ACCESS, "/usr/sbin/sshd"),
    ):
        assert judged(check, held(kind, path)).status is Status.FAIL
        assert judged(check, held(kind, path), executables=(path.rpartition("/")[2],)).status is Status.PASS


def test_headers_are_told_by_their_number_and_size() -> None:
    result = judged("tools/build", held(ContentKind.BUILD_TOOL, "/usr/include", files=700, size=4_200_000))
    assert result.actual == "/usr/include: 700 files, 4.2 MB"


def test_a_declared_file_is_no_secret() -> None:
    seen = held(ContentKind.SECRET, "/etc/ssl/demo.key", about="a private key")
    assert judged("secrets/files", seen).status is Status.FAIL
    assert judged("secrets/files", seen, declared_secrets=("/etc/ssl/demo.key",)).status is Status.PASS


def test_a_pass_says_what_it_did_not_look_at() -> None:
    assert "an earlier layer" in judged("secrets/files", facts()).actual


# --- config/workdir ---------------------------------------------------------------------------------------


def test_a_working_directory_has_to_be_absolute_and_a_folder() -> None:
    relative = judged("config/workdir", facts(configuration=configuration(working_directory="app")))
    assert (relative.status, relative.fix) == (Status.FAIL, "Write it absolute: `WORKDIR /app`.")
    plain = judged("config/workdir", facts(working_directory=trail("/app", entry=file(0o644))))
    assert plain.actual == "WORKDIR /app is a file"


def test_a_working_directory_behind_a_link_passes() -> None:
    folder = FileEntry(kind=FileKind.FOLDER, mode=0o755, uid=0, gid=0)
    result = judged("config/workdir", facts(working_directory=trail("/app", "/srv/app", entry=folder)))
    assert (result.status, result.actual) == (Status.PASS, "/app -> /srv/app")
