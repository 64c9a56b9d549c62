"""What the words of a command and a health check tell: variables that no shell reads, addresses, sourced files."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.factories import Tree, boot, configuration, facts, inside, start

from seatrial.checks import registry
from seatrial.checks.model import Status
from seatrial.checks.verdict import judge
from seatrial.facts import Account, Health, HealthAnswer, HealthCheck, Listener, VolumeFolder
from seatrial.observe.command.resolve import resolve_command
from seatrial.observe.running.sandbox import boot_config, tmpfs_options
from seatrial.settings.model import Contract

ANY = "0.0.0.0"  # noqa: S104 - read, not bound
CHECKS = {check.id: check for check in registry.CHECKS}


def health_check(*test: str) -> HealthCheck:
    return HealthCheck(test=test, interval=30, timeout=5, start_period=0, retries=3)


# --- variables ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("image", "said"),
    [
        ({"command": ("shop", "--port", "$PORT")}, "CMD is a list with the word `$PORT`: no shell reads it"),
        ({"command": ("shop", "--bind=0.0.0.0:${PORT:-80}")}, "`--bind=0.0.0.0:${PORT:-80}`"),
        ({"entrypoint": ("shop", "$APP_MODULE"), "command": ()}, "ENTRYPOINT is a list"),
        ({"health_check": health_check("CMD", "curl", "http://localhost:$PORT/")}, "HEALTHCHECK is a list"),
    ],
)
def test_a_variable_in_a_list_stays_as_it_is(image: dict[str, Any], said: str) -> None:
    result = judge(CHECKS["process/variables-expand"], facts(configuration=configuration(**image)), Contract())
    assert result.status is Status.FAIL
    assert said in result.actual


@pytest.mark.parametrize(
    "image",
    [
        {"command": ("sh", "-c", "exec shop --port $PORT")},
        {"command": ("shop", "--price", "5$", "--match", "^a$", "--name", "$lower")},
        {"command": ("python", "-c", "print('$HOME and more')")},
        {"health_check": health_check("CMD-SHELL", "curl http://localhost:$PORT/")},
    ],
)
def test_what_a_shell_reads_or_is_no_variable_is_none(image: dict[str, Any]) -> None:
    result = judge(CHECKS["process/variables-expand"], facts(configuration=configuration(**image)), Contract())
    assert result.status is Status.PASS


def test_an_entrypoint_script_may_expand_them() -> None:
    seen = facts(configuration=configuration(command=("shop", "$PORT")), command=start(expands=True))
    assert judge(CHECKS["process/variables-expand"], seen, Contract()).status is Status.PASS


# --- the health check's addresses -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("test", "addresses"),
    [
        (("CMD", "wget", "http://localhost:8000/health"), [("localhost", 8000)]),
        (("CMD-SHELL", "curl -f http://127.0.0.1/ || exit 1"), [("127.0.0.1", 80)]),
        (("CMD", "curl", "https://[::1]:8443/x"), [("::1", 8443)]),
        (("CMD", "nc", "-z", "localhost:5000"), [("localhost", 5000)]),
        (("CMD", "python", "-c", "import urllib.request as u; u.urlopen('http://localhost:80/')"), [("localhost", 80)]),
        (("CMD", "python", "/app/health.py", "12:30", "http://shop:99999/"), [("12", 30)]),
        (("NONE",), []),
    ],
)
def test_the_addresses_that_a_health_check_names(test: tuple[str, ...], addresses: list[tuple[str, int]]) -> None:
    image = configuration(health_check=health_check(*test))
    assert [(asked.host, asked.port) for asked in image.health_addresses] == addresses


@pytest.mark.parametrize(
    ("url", "resolved", "listens", "said"),
    [
        ("localhost:8000", ("::1", "127.0.0.1"), ANY, "localhost:8000, which is ::1 there; the application"),
        (
            "127.0.0.1:8000",
            (),
            "::1",
            "the health check asks 127.0.0.1:8000; the application listens on [::1]:8000/tcp",
        ),
        ("127.0.0.1:80", (), ANY, "asks 127.0.0.1:80; the application listens on 0.0.0.0:8000/tcp"),
        ("localhost:8000", ("127.0.0.1",), ANY, ""),
        ("localhost:8000", ("::1", "127.0.0.1"), "::", ""),
        ("shop.test:8000", (), ANY, ""),
    ],
)
def test_a_health_check_that_asks_where_nothing_listens(
    url: str, resolved: tuple[str, ...], listens: str, said: str
) -> None:
    proc = inside(
        listeners=(Listener(protocol="tcp", address=listens, port=8000),),
        resolved={"localhost": resolved} if resolved else {},
    )
    late = boot(
        health=Health.STARTING,
        healthy_after=None,
        stop=None,
        proc=proc,
        answers=(HealthAnswer(exit_code=1, output="", seconds=0.1),),
    )
    image = configuration(health_check=health_check("CMD", "wget", f"http://{url}/health"))
    result = judge(CHECKS["boot/healthy"], facts(boot=late, configuration=image), Contract())
    assert result.status is Status.FAIL
    assert said in result.actual
    assert ("asks" in result.actual) is bool(said)


# --- scripts --------------------------------------------------------------------------------------------------------


def test_the_files_that_a_start_script_sources_or_runs() -> None:
    script = '#!/bin/sh\nset -eu\n. "/app/shop.env"\n[ -n "$X" ] && source ./more.env\n/app/wait.sh db\n# . /no.env\n'
    files = Tree(
        {
            "/start.sh": script.encode() + b'. "$HERE/x.env"\n',
            "/app/shop.env": b"A=1\r\nB=2\r\n",
            "/app/more.env": b"C=3\n",
            "/app/wait.sh": b"#!/bin/sh\r\neval exec\n",
            "/bin/sh": b"\x7fELF",
        }
    )
    image = configuration(entrypoint=("/start.sh",), command=(), working_directory="/app")
    command = resolve_command(image, files, Account(uid=1))
    assert command.sourced == ("/start.sh", "/app/shop.env", "/app/more.env", "/app/wait.sh")
    assert command.windows_files == ("/app/shop.env", "/app/wait.sh")
    assert command.expands
    result = judge(CHECKS["process/line-ends"], facts(command=command), Contract())
    assert result.actual.startswith("the lines of /app/shop.env, /app/wait.sh end with CRLF")


# --- tmpfs and processors --------------------------------------------------------------------------------------------


def test_a_tmpfs_has_the_owner_and_mode_of_the_images_folder() -> None:
    assert tmpfs_options(None).endswith(",mode=1777")
    image = configuration(tmpfs_folders={"/app/state": VolumeFolder(mode=0o750, uid=10001, gid=7)})
    host = boot_config(image, Contract(tmpfs=("/tmp", "/app/state"), processors=0.5))["HostConfig"]
    assert host["Tmpfs"]["/app/state"].endswith(",mode=750,uid=10001,gid=7")
    assert host["Tmpfs"]["/tmp"].endswith(",mode=1777")
    assert (host["CpuPeriod"], host["CpuQuota"]) == (100_000, 50_000)
