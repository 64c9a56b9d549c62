"""What of the host's credentials a build gets, says, and may leave in its image."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import random
import string
import sys
import tarfile
import tomllib
import tracemalloc
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from tests.unit.test_secrets import host, write

from seatrial.dockerfile import parse, secret_mounts
from seatrial.errors import BuildError
from seatrial.images.failure import BuildEnvironment, explain
from seatrial.images.plan import plan_build
from seatrial.images.progress import LONGEST_LINE, Progress, StepOutput
from seatrial.images.secrets.credentials import find_secrets, withheld
from seatrial.images.secrets.leaks import Leak, leaked, path_in_layer, search
from seatrial.images.secrets.redaction import Credential, Redaction, in_addresses, in_netrc
from seatrial.observe.layers import compression
from seatrial.settings.read import read_project
from seatrial.trust import Trust

if TYPE_CHECKING:
    from collections.abc import Callable

    from seatrial.host import Host
    from seatrial.images.plan import BuildPlan

PASSWORD = "s3cret/Pa+ss wörd"
NETRC = f"machine index.test login me password {PASSWORD.replace(' ', '_')}\n"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


def rich_host(home: Path) -> Host:
    """Return a host with a bundle, and credentials everywhere."""
    write(home / ".netrc", NETRC)
    environment = {
        "SSL_CERT_FILE": write(home / "ca.pem", "x"),
        "PIP_INDEX_URL": "https://me:pip-t0ken@index.test/simple",
        "UV_DEFAULT_INDEX": "https://uv-t0ken@index.test/simple",
        "HTTPS_PROXY": "http://me:proxy-t0ken@proxy.test:3128",
        "NO_PROXY": "localhost",
    }
    return host(home, **environment)


@pytest.mark.parametrize(
    ("named", "trust", "names"),
    [
        ((), Trust.PROJECT, ("ca-bundle", "NO_PROXY")),
        (("netrc",), Trust.PROJECT, ("ca-bundle", "netrc", "NO_PROXY")),
        (("pip-config", "uv-config"), Trust.HOST, ("ca-bundle", "pip-config", "uv-config", "NO_PROXY")),
        (("proxy",), Trust.PROJECT, ("ca-bundle", "HTTPS_PROXY", "NO_PROXY")),
        (("netrc", "pip-config", "uv-config", "proxy"), Trust.NONE, ("ca-bundle", "NO_PROXY")),
    ],
)
def test_a_build_gets_the_credentials_that_it_names(
    home: Path, named: tuple[str, ...], trust: Trust, names: tuple[str, ...]
) -> None:
    given = find_secrets(rich_host(home)).given(named, trust)
    assert given.names == names
    words = json.dumps([given.arguments(), given.environment()])
    assert ("pip-t0ken" in words, "uv-t0ken" in words) == ("pip-config" in names, "uv-config" in names)
    assert "proxy-t0ken" not in words
    assert {credential.source for credential in given.credentials} == {
        name for name in names if name not in {"ca-bundle", "NO_PROXY"}
    }


def test_what_holds_no_credential_needs_no_name(home: Path) -> None:
    made = host(
        home, PIP_INDEX_URL="https://mirror.test/simple", PIP_TIMEOUT="9", UV_DEFAULT_INDEX="https://mirror.test/simple",
        HTTPS_PROXY="http://proxy.test:3128",
    )  # fmt: skip
    found = find_secrets(made)
    assert found.given((), Trust.PROJECT) == found
    assert found.credentials == ()
    assert found.given((), Trust.NONE).names == ("HTTPS_PROXY",)


@pytest.mark.parametrize(
    ("address", "value"),
    [
        ("https://me:tok@host/simple", "tok"),
        ("https://tok@host/simple", "tok"),
        ("https://tok:@host/simple", "tok"),
        ("me:tok@proxy:3128", "tok"),
        ("http://me:p%40ss@host", "p%40ss"),
        ("https://host/simple?auth_token=abcd1234", "abcd1234"),
        ("https://host/a1B2c3D4e5F6g7H8/org/simple/", "a1B2c3D4e5F6g7H8"),
        (
            "https://packages.test/priv/4f1c09ab77d2e1b3905c6aa8d4f0e2b1c3d5a7f9081b2c4d/simple",
            f"{'4f1c09ab77d2e1b3905c6aa8'}{'d4f0e2b1c3d5a7f9081b2c4d'}",
        ),
        ("https://host/simple?my-api-key=abcd1234&page=2", "abcd1234"),
    ],
)
def test_an_address_gives_away_its_credential(address: str, value: str) -> None:
    assert [found.value for found in in_addresses([f"index-url = {address}"], "pip-config")] == [value]


@pytest.mark.parametrize(
    "address",
    [
        "https://host/simple",
        "https://host/@scope/x",
        "git+https://host/repository.git",
        # Names of hosts and folders, and digests, are as long as a token.
        "https://pypimirror01internal/simple",
        "http://proxy01corporatenetwork",
        "https://host/repository/PythonPackages2024/simple",
        "https://host/debianbookworm12python311/simple",
        "https://host/api/pypi/team42internalwheels/simple/",
        f"https://wheels.test/{hashlib.sha256(b'a commit').hexdigest()[:40]}/vllm/",
        f"https://files.test/packages/ab/cd/{hashlib.sha256(b'a file').hexdigest()[4:]}/shop-1.0-py3-none-any.whl",
        "https://host/simple?page=abcd1234",
    ],
)
def test_an_address_without_a_credential_gives_none(address: str) -> None:
    assert list(in_addresses([address], "pip-config")) == []


@pytest.mark.parametrize("letters", ["abcdef", string.ascii_lowercase, string.ascii_letters])
@pytest.mark.parametrize("length", [20, 32, 48])
def test_random_parts_of_a_path_are_taken_for_tokens(letters: str, length: int) -> None:
    chosen = random.Random(length)  # noqa: S311 - a fixed seed
    tokens = ["".join(chosen.choices(letters + string.digits, k=length)) for _ in range(500)]
    found = [token for token in tokens if any(in_addresses([f"https://host/{token}/simple"], "pip-config"))]
    assert len(found) > 460


def test_a_netrc_gives_its_passwords() -> None:
    text = (
        "# password nothere\nmachine a login me password one1\nmachine b\n  login me\n  account acc1\n"
        "  password two2\nmacdef init\ncd /nothing\nmachine no password no3\n\ndefault login x password three3\n"
    )
    assert [found.value for found in in_netrc(text)] == ["one1", "acc1", "two2", "three3"]
    assert [found.value for found in in_netrc("machine a login ghp0123456789abcdef password x-oauth-basic")] == [
        "ghp0123456789abcdef",
        "x-oauth-basic",
    ]
    assert [found.value for found in in_netrc("not-a-netrc-at-all")] == ["not-a-netrc-at-all"]


def test_a_credential_is_struck_out_in_every_form() -> None:
    strike = Redaction([Credential(source="netrc", value=PASSWORD, user="me")]).strike
    basic = base64.b64encode(f"me:{PASSWORD}".encode()).decode()
    forms = [
        PASSWORD,
        quote(PASSWORD),
        quote(PASSWORD, safe=""),
        quote(PASSWORD).replace("%2B", "%2b").replace("C3%B6", "c3%b6"),
        basic,
    ]
    forms += [base64.b64encode(f"{'x' * before}{PASSWORD}\n".encode()).decode() for before in range(3)]
    for form in forms:
        shown = strike(f"<{form}>")
        assert "***" in shown
        assert PASSWORD not in shown
        assert form[4:-8] not in shown
    assert strike("all of this stays") == "all of this stays"
    assert "x" in Redaction([Credential(source="netrc", value="x")]).strike("x")
    assert PASSWORD not in repr(Credential(source="netrc", value=PASSWORD))


def report(*, data: bytes = b"", error: str = "", name: str = "[2/2] RUN x") -> str:
    vertex = {"digest": "1", "name": name, "started": "2026-01-01T00:00:00Z", "error": error}
    logs = [{"vertex": "1", "stream": 1, "data": base64.b64encode(data).decode()}] if data else []
    return json.dumps({"vertexes": [vertex], "logs": logs})


def test_a_build_never_prints_a_credential_that_it_was_handed() -> None:
    redaction = Redaction([Credential(source="netrc", value="hunter2-hunter2", user="me")])
    progress = Progress(parse("FROM a\nRUN x\n"), redaction)
    events = [
        *progress.feed(report(data=b"the password is hunter2-")),
        *progress.feed(report(data=b"hunter2\nhun\x1b[1mter2-hunter2\n")),
        *progress.feed(report(data=b"x" * (LONGEST_LINE - 8) + b" hunter2-hunter2 " + b"y" * (LONGEST_LINE - 8))),
        *progress.feed("ERROR: failed: https://me:hunter2-hunter2@index.test\n"),
        *progress.feed(report(name="[2/2] RUN curl -u me:hunter2-hunter2", error="hunter2-hunter2 is wrong")),
    ]
    shown = [event.lines for event in events if isinstance(event, StepOutput)]
    assert shown == [("the password is ***", "***")]
    environment = BuildEnvironment(
        dockerfile="Dockerfile", engine="x", data_folder=str, answers=lambda: True, syntax_left_out=None
    )
    error = explain(progress, environment)
    assert "***" in error.what
    for text in (*progress.text, *(str(step) for step in progress.steps), str(error), error.detail):
        assert "hunter" not in text


def test_an_error_that_passes_loses_the_credential() -> None:
    redaction = Redaction([Credential(source="netrc", value="hunter2-hunter2")])
    with pytest.raises(BuildError) as raised, redaction.of_errors():
        raise BuildError(
            "a hunter2-hunter2", where="b hunter2-hunter2", fix="c hunter2-hunter2", detail="hunter2-hunter2"
        )
    assert "hunter" not in f"{raised.value}{raised.value.args}{raised.value.detail}"


# Mounts that are not named.


def project_of(folder: Path, dockerfile: str, *, more: str = "") -> BuildPlan:
    write(folder / "project" / "Dockerfile", dockerfile)
    write(folder / "project" / "pyproject.toml", f"[tool.seatrial.apps.one]\n{more}")
    return plan_build(read_project(folder / "project"), "one")


def said(home: Path, dockerfile: str, *, more: str = "", trust: Trust = Trust.PROJECT) -> list[str]:
    plan = project_of(home, dockerfile, more=more)
    found = find_secrets(rich_host(home))
    mounts = secret_mounts(parse(dockerfile), {})
    return withheld(found, found.given(plan.secrets, trust), mounts, plan, trust=trust, settings="pyproject.toml")


MOUNTING = "FROM a\nRUN true\nRUN --mount=type=cache,target=/x --mount=type=secret,id=netrc{} true\n"


def test_a_mount_that_is_not_named_is_said_with_its_line(home: Path) -> None:
    table = "in [tool.seatrial.apps.one] of pyproject.toml."
    mounting, proxy = said(home, MOUNTING.format(""))
    assert mounting.startswith("Dockerfile:3: this RUN mounts the secret 'netrc', which its settings do not name. ")
    assert mounting.endswith(f'Write `build-secrets = ["netrc"]` {table}')
    assert proxy.startswith("HTTPS_PROXY: the address holds a password, and the build does not get it. ")
    assert proxy.endswith(f'Write `build-secrets = ["proxy"]` {table}')
    assert said(home, MOUNTING.format(""), more='build-secrets = ["netrc", "proxy"]') == []
    # A stage that the image does not need is not built.
    other = "FROM a AS unused\nRUN --mount=type=secret,id=netrc true\nFROM a\n"
    assert said(home, other, more='build-secrets = ["proxy"]') == []


def test_a_required_mount_that_is_not_named_ends_the_build_before_it_starts(home: Path) -> None:
    for form in (",required", ",required=true"):
        with pytest.raises(BuildError, match=r"requires the secret 'netrc', which its settings do not name") as raised:
            said(home, MOUNTING.format(form))
        assert raised.value.where == "Dockerfile:3"
        assert 'build-secrets = ["netrc"]' in raised.value.fix
    with pytest.raises(BuildError, match="which a project that is not trusted does not get"):
        said(home, MOUNTING.format(",required"), more='build-secrets = ["netrc"]', trust=Trust.NONE)
    # One of the project's own is BuildKit's to judge.
    assert said(home, MOUNTING.replace("netrc", "own").format(",required"), more='build-secrets = ["proxy"]') == []


def test_an_untrusted_project_is_told_in_one_line_what_it_does_not_get(home: Path) -> None:
    assert said(home, MOUNTING.format(""), more='build-secrets = ["netrc"]', trust=Trust.NONE) == [
        "The project is not trusted: its build gets the CA bundle, not netrc, HTTPS_PROXY."
    ]


def test_proxies_of_the_docker_cli_are_kept_from_a_build_that_does_not_name_them(home: Path) -> None:
    config = {"proxies": {"default": {"httpsProxy": "http://me:cli-t0ken@proxy.test:1", "noProxy": "localhost"}}}
    write(home / ".docker" / "config.json", json.dumps(config))
    found = find_secrets(host(home))
    assert found.given((), Trust.PROJECT).arguments() == [
        "--build-arg", "HTTPS_PROXY=", "--build-arg", "https_proxy=",
    ]  # fmt: skip
    named = found.given(("proxy",), Trust.PROJECT)
    assert named.arguments() == []
    assert {credential.value for credential in named.credentials} == {"cli-t0ken"}
    for text in ("[]", "{", '{"proxies": 1}', '{"proxies": {"default": 1}}'):
        write(home / ".docker" / "config.json", text)
        assert find_secrets(host(home)).arguments() == []


def test_a_password_that_both_the_environment_and_the_docker_cli_have_reaches_no_build(home: Path) -> None:
    address = "http://me:cli-t0ken@proxy.test:1"
    write(home / ".docker" / "config.json", json.dumps({"proxies": {"default": {"httpsProxy": address}}}))
    found = find_secrets(host(home, HTTPS_PROXY=address, https_proxy=address))
    assert found.given((), Trust.NONE).arguments() == ["--build-arg", "HTTPS_PROXY=", "--build-arg", "https_proxy="]


# What an image holds.


def packed(files: dict[str, bytes]) -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return sink.getvalue()


def saved(layers: dict[str, bytes], *, config: object = None) -> list[bytes]:
    """Return a saved image as it comes from the engine: in chunks."""
    data = packed({"config.json": json.dumps(config or {}).encode(), **layers})
    return [data[at : at + 70_001] for at in range(0, len(data), 70_001)]


def found_in(chunks: list[bytes], *credentials: Credential) -> tuple[str, str] | None:
    forms = {form: (credential.source,) for credential in credentials for form in credential.searched()}
    found = search(iter(chunks), forms, say=pytest.fail)
    if found is None:
        return None
    leak, form = found
    return leak.secrets[0], path_in_layer(iter(chunks), leak.member, form) if leak.is_layer else leak.member


TOKEN = Credential(source="netrc", value="a9-Token-of-mine", user="me")
ZSTD = import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")
NOISE = bytes(range(256)) * 9000


@pytest.mark.parametrize(
    "pack",
    [
        bytes,
        gzip.compress,
        lambda data: gzip.compress(data[:5000]) + gzip.compress(data[5000:]),
        ZSTD.compress,
        lambda data: ZSTD.compress(data[:5000]) + ZSTD.compress(data[5000:]),
    ],
)
@pytest.mark.parametrize(
    "content",
    [
        b"password a9-Token-of-mine\n",
        base64.b64encode(b"me:a9-Token-of-mine"),
        base64.b64encode(b"x" + b"a9-Token-of-mine" + b"\n"),
        # Across the border of two blocks.
        b"x" * (compression.BLOCK - 1024 - 8) + b"a9-Token-of-mine",
        b"x" * (2 * compression.BLOCK - 8) + b"a9-Token-of-mine" + NOISE,
    ],
)
def test_a_credential_in_a_layer_is_found_with_its_file(pack: Callable[[bytes], bytes], content: bytes) -> None:
    layers = {
        "1/layer.tar": pack(packed({"etc/x": NOISE})),
        "2/layer.tar": pack(packed({"a": b"", "etc/kept": content})),
    }
    assert found_in(saved(layers), TOKEN) == ("netrc", "etc/kept")
    # What a later layer removes lies in the earlier one.
    assert found_in(saved({**layers, "3/layer.tar": packed({"etc/.wh.kept": b""})}), TOKEN) == ("netrc", "etc/kept")
    assert found_in(saved({"1/layer.tar": pack(packed({"etc/x": NOISE}))}), TOKEN) is None


def test_a_credential_in_the_history_and_in_a_name_is_found() -> None:
    config = {"history": [{"created_by": 'ENV TOKEN="a9-Token-of-mine"'}]}
    assert found_in(saved({}, config=config), TOKEN) == ("netrc", "config.json")
    named = {"1/layer.tar": packed({"srv/a9-Token-of-mine": b""})}
    assert found_in(saved(named), TOKEN) == ("netrc", "srv/a9-Token-of-mine")


def test_a_simple_password_is_found_where_it_is_one_and_nowhere_else() -> None:
    simple = Credential(source="netrc", value="password", user="me")
    layers = {"1/layer.tar": packed({"usr/lib/getpass.py": b"def password(): the password is secret"})}
    assert found_in(saved(layers), simple) is None
    for content in (NETRC.encode(), b"https://me:password@index.test", b"machine a login me password password\n"):
        found = found_in(saved({"1/layer.tar": packed({"root/.netrc": content})}), simple)
        assert (found is not None) is (b"password password" in content or b":password@" in content)


def test_a_layer_that_is_far_larger_than_packed_is_searched_a_piece_at_a_time() -> None:
    layer = ZSTD.compress(packed({"zeros": bytes(200 * compression.BLOCK)}))
    assert len(layer) < compression.BLOCK
    tracemalloc.start()
    try:
        assert found_in(saved({"1/layer.tar": layer}), TOKEN) is None
        assert tracemalloc.get_traced_memory()[1] < 40 * compression.BLOCK
    finally:
        tracemalloc.stop()


def test_a_layer_that_cannot_be_unpacked_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compression, "zstd", lambda: None)
    told: list[str] = []
    chunks = saved({"1/layer.tar": b"\x28\xb5\x2f\xfd" + b"x" * 600})
    assert search(iter(chunks), {b"abc": ("netrc",)}, say=told.append) is None
    assert told == [
        "1/layer.tar of the image is packed with zstd and was not searched for secrets: install 'seatrial[zstd]'."
    ]
    # A damaged one ends; so does one that unpacks to much more than it is.
    assert found_in(saved({"1/layer.tar": gzip.compress(b"x" * 9_000_000)[:4000]}), TOKEN) is None


def test_a_search_has_a_deadline() -> None:
    ticks = iter(range(0, 10**9, 1000))
    with pytest.raises(BuildError, match="took longer than 1800 s"):
        search(
            iter(saved({"1/layer.tar": packed({"a": NOISE})})),
            {b"abc": ("netrc",)},
            say=pytest.fail,
            clock=lambda: next(ticks),
        )


def test_a_leak_is_told_with_the_secret_the_file_and_the_line(home: Path) -> None:
    dockerfile = MOUNTING.format("") + "RUN --mount=type=secret,id=netrc true\n"
    plan = project_of(home, dockerfile)
    leak = Leak(secrets=("pip-config", "netrc"), member="1/layer.tar", is_layer=True, path="root/.netrc")
    mounts = secret_mounts(parse(dockerfile), {})
    error = leaked(leak, plan, mounts, ["RUN --mount=type=secret,id=netrc true # buildkit", "COPY x"])
    assert (error.where, error.exit_code) == ("Dockerfile:3", 1)
    assert error.what == (
        "the image holds the secret 'netrc', in /root/.netrc; it was not tagged. Mounted in line 3, 4."
    )
    assert error.detail == "RUN --mount=type=secret,id=netrc true # buildkit"
    told = leaked(Leak(secrets=("uv-config", "HTTPS_PROXY"), member="config.json", is_layer=False), plan, mounts, [])
    assert (told.where, "its configuration or history" in told.what) == ("Dockerfile", True)


# Outside of the project's folder.


@pytest.mark.parametrize("kind", ["parent", "absolute", "dockerfile", "linked Context", "linked dockerfile"])
def test_what_lies_outside_of_the_project_is_refused_or_announced(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "project"
    write(tmp_path / "Dockerfile", "FROM a\n")
    write(folder / "Dockerfile", "FROM a\n")
    table = {
        "parent": 'context = ".."',
        "absolute": f'context = "{tmp_path}"',
        "dockerfile": 'dockerfile = "../Dockerfile"',
        "linked Context": 'context = "linked"',
        "linked dockerfile": 'dockerfile = "linked.Dockerfile"',
    }[kind]
    (folder / "linked").symlink_to(tmp_path)
    (folder / "linked.Dockerfile").symlink_to(tmp_path / "Dockerfile")
    write(folder / "pyproject.toml", f"[tool.seatrial.apps.one]\n{table}\n")
    project = read_project(folder)
    with pytest.raises(BuildError, match="outside of the project's folder, and the project is not trusted") as raised:
        plan_build(project, "one", trust=Trust.NONE)
    assert raised.value.where == "pyproject.toml:1"
    assert plan_build(project, "one").outside


def test_a_link_within_the_project_is_no_way_out(tmp_path: Path) -> None:
    write(tmp_path / "docker" / "Dockerfile", "FROM a\n")
    (tmp_path / "Dockerfile").symlink_to("docker/Dockerfile")
    write(tmp_path / "pyproject.toml", "[tool.seatrial.apps.one]\n")
    assert plan_build(read_project(tmp_path), "one", trust=Trust.NONE).outside == ()


def test_the_projects_own_builds_name_what_they_mount() -> None:
    file = Path(__file__).parents[2] / "pyproject.toml"
    apps = tomllib.loads(file.read_text(encoding="utf-8"))["tool"]["seatrial"]["apps"]
    for app in apps.values():
        text = (file.parent / app["dockerfile"]).read_text(encoding="utf-8")
        mounted = [mount.id for mount in secret_mounts(parse(text), {})]
        assert mounted == ["ca-bundle", *app["build-secrets"]]
