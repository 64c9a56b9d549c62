from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from seatrial.dockerfile import parse, runs
from seatrial.images.secrets.handover import BUNDLE, READ_VALUES, VARIABLES, Mounted, frontend_sets_variables, mount

FILE = "id=ca-bundle,target=/dev/seatrial/ca.pem"
M = "{M}"
"""Where the mounts go, in a Dockerfile of these tests."""
S = "{S}"
"""Where the shell reads the variables."""


def plain(text: str) -> str:
    return text.replace(M, "").replace(S, "")


def by_shell(text: str) -> Mounted:
    """Return what older frontends get."""
    return mount(plain(text), by_variables=False)


def marked(mounted: Mounted) -> str:
    flags, values = mounted.inserted
    return mounted.text.replace(flags, M).replace(values, S)


# In each, the marks stand where something must be put in: nowhere else.
PLACES = {
    "shell": "FROM a\nRUN{M} {S}pip install x\n",
    "lower case, indented, tabs": "FROM a\n  run{M}\t \t{S}pip install x\n",
    "no end of line": "FROM a\nRUN{M} {S}true",
    "windows": "FROM a\r\nRUN{M} {S}pip \\\r\n  install x\r\nCOPY a b\r\n",
    "byte order mark": "\ufeffFROM a\nRUN{M} {S}true\n",
    "not utf-8": "FROM a\n# caf\udce9\nRUN{M} {S}echo caf\udce9\n",
    "other separators of lines": "FROM a\n# a\u2028b\x0cc\x85d\nRUN{M} {S}echo 'a\u2028b'\n",
    "continued": "FROM a\nRUN{M} {S}apt-get update \\\n  # RUN c\n\n && apt-get install \\\n curl\nRUN{M} {S}true\n",
    "continued at once": "FROM a\nRUN{M} \\\n\n  # why\n  {S}pip install x\n",
    "keyword alone on its line": "FROM a\nRUN{M}\\\n {S}pip install x\n",
    "flags": "FROM a\nRUN{M} --mount=type=cache,target=/c --network=host {S}pip install x\n",
    "flags over lines": "FROM a\nRUN{M} --mount=type=cache,target=/c \\\n # why\n --security=x \\\n {S}pip --x\n",
    "quoted flag": "FROM a\nRUN{M} --mount=\"type=bind,target=/a b\" --mount=type='tmpfs',target=/t {S}pip\n",
    "end of flags": "FROM a\nRUN{M} --mount=type=tmpfs,target=/t -- {S}--odd\n",
    "escape directive": "# escape=`\nFROM a\nRUN{M} {S}echo \\\nRUN{M} {S}pip `\n  install x\n",
    "bracket that is no list": "FROM a\nRUN{M} {S}[ -f x ] && true\nRUN{M} {S}[[ -f x ]]\n",
    "exec form": 'FROM a\nRUN ["pip", "install", "x"]\nRUN{M} {S}true\n',
    "exec form over lines": 'FROM a\nRUN ["pip", \\\n  "install"]\nRUN [1, 2]\n',
    "heredoc": "FROM a\nRUN{M} <<EOF\n{S}pip install x\nRUN true\nEOF\nRUN{M} {S}true\n",
    "heredoc, tabs, quoted": "FROM a\nRUN{M} <<-'EOF'\n{S}\tpip install x\n\tEOF\nRUN{M} {S}true\n",
    "heredoc with a comment first": "FROM a\nRUN{M} 3<<EOF\n{S}# RUN it\npip install x\nEOF\n",
    "heredoc for a program": "FROM a\nRUN{M} {S}python3 <<EOF\nprint('RUN')\nEOF\n",
    "heredocs": "FROM a\nRUN{M} {S}cat <<A <<B > /x\nRUN a\nA\nRUN b\nB\nRUN{M} {S}true\n",
    "heredoc that pipes": "FROM a\nRUN{M} {S}<<EOF cat\nRUN\nEOF\n",
    "heredoc with an interpreter": "FROM a\nRUN <<EOF\n#!/usr/bin/env python3\nprint(1)\nEOF\nRUN{M} {S}true\n",
    "empty heredoc": "FROM a\nRUN <<EOF\nEOF\nRUN{M} {S}true\n",
    "heredoc of a COPY": "FROM a\nCOPY <<EOF /x\nRUN pip\nEOF\nRUN{M} {S}true\n",
    "no network": "FROM a\nRUN --network=none pip install x\nRUN{M} --network=default {S}true\n",
    "onbuild": "FROM a\nONBUILD RUN pip install x\nRUN{M} {S}true\n",
    "known shells": 'FROM a\nSHELL ["/bin/bash", "-eo", "x", "-c"]\nRUN{M} {S}x\nSHELL ["zsh", "-c"]\nRUN{M} {S}x\n',
    "other shells": 'FROM a\nSHELL ["pwsh", "-c"]\nRUN x\nSHELL ["/a/fish", "-c"]\nRUN x\nFROM b\nRUN{M} {S}true\n',
    "shell of the stage before": 'FROM a AS One\nSHELL ["python", "-c"]\nFROM one\nRUN print(1)\n',
    "shell in between": 'FROM a\nSHELL ["conda", "run", "-n", "env", "/bin/bash", "-c"]\nRUN{M} {S}pip install x\n',
    "own bundle": "FROM a\nRUN --mount=type=secret,id=ca-bundle pip install x\nRUN{M} {S}true\n",
    "own place": "FROM a\nRUN --mount=type=bind,source=ca,dst=/etc/ssl/certs/ca-certificates.crt pip install x\n",
    "own folder": "FROM a\nRUN --mount=type=bind,source=ca,target=/usr/local/share/ca-certificates \\\n true\n",
    "own pip.conf": "FROM a\nRUN --mount=type=secret,id=pip,target=/etc/pip.conf pip install x\n",
    "own variable": "FROM a\nRUN --mount=type=secret,id=x,env=SSL_CERT_FILE pip install x\n",
    "secrets that are none": "FROM a\nRUN{M} --mount=type=secret,id=pip --mount=type=secret,id=t,dst=/etc/sslx {S}x\n",
    "before any stage": "ARG A\nRUN true\nFROM a\n",
    "without a command": "FROM a\nRUN\nRUN --mount=type=tmpfs,target=/t\n",
    "keyword over lines": "FROM a\nRU\\\nN true\nRUNTIME true\nRUN\\\ntrue\n",
}  # fmt: skip


@pytest.mark.parametrize("case", PLACES)
def test_mounts_and_variables_are_put_into_the_runs_own_lines(case: str) -> None:
    text = PLACES[case]
    mounted = by_shell(text)
    if S not in text:
        assert (mounted.text, mounted.lines, mounted.inserted, mounted.secrets) == (plain(text), (), (), {})
        return
    assert marked(mounted) == text
    assert mounted.as_written(mounted.text) == plain(text)
    assert len(mounted.lines) == text.count(M) == text.count(S)
    # The same instructions on the same lines, each with the flags that it had.
    before, after = parse(plain(text)), parse(mounted.text)
    assert [
        (found.keyword, found.line) for stage in after.stages for found in stage.instructions
    ] == [(found.keyword, found.line) for stage in before.stages for found in stage.instructions]  # fmt: skip
    for run in runs(mounted.text):
        own = [flag for flag in run.instruction.flags if "seatrial-" not in flag[1] and FILE not in flag[1]]
        assert len(run.instruction.flags) - len(own) == (4 if run.instruction.line in mounted.lines else 0)


def test_a_frontend_that_sets_variables_needs_no_shell() -> None:
    text = (
        'FROM a\nRUN{M} ["pip", "install"]\nRUN{M} <<EOF\n#!/usr/bin/python3\nEOF\nSHELL ["pwsh", "-c"]\nRUN{M} true\n'
        "RUN --mount=type=secret,id=ca-bundle true\n"
    )
    mounted = mount(plain(text), by_variables=True)
    assert marked(mounted) == text
    assert READ_VALUES not in mounted.text
    assert mounted.left == {8: "mounts its own"}
    for name in VARIABLES:
        assert f",env={name} " in mounted.inserted[0] + " "
    assert f"{FILE},mode=0444" in mounted.inserted[0]
    # Every secret that a flag names is given, and no other.
    named = {part.split(",")[1].removeprefix("id=") for part in mounted.inserted[0].split(" --mount=")[1:]}
    assert named == {"ca-bundle", *mounted.secrets}
    assert mounted.secrets["seatrial-ssl-cert-file"] == BUNDLE


def test_a_variable_that_the_image_sets_is_the_images() -> None:
    mounted = mount("FROM a\nENV A=b SSL_CERT_FILE=/own.pem\nRUN true\n", by_variables=True)
    assert "env=SSL_CERT_FILE" not in mounted.inserted[0]
    assert "env=REQUESTS_CA_BUNDLE" in mounted.inserted[0]
    values = by_shell("FROM a\nRUN true\n").secrets["seatrial-env"]
    assert 'SSL_CERT_FILE="${SSL_CERT_FILE:-/dev/seatrial/ca.pem}" ' in values


def test_the_message_tells_who_gets_them_and_who_does_not() -> None:
    text = 'FROM a\nRUN true\nRUN true\nRUN --mount=type=secret,id=ca-bundle true\nRUN ["true"]\n'
    assert by_shell(text).message("Dockerfile", "certificates", "Off: x.") == (
        "Dockerfile: 2 RUNs get certificates while running; left as written: "
        "line 4 (mounts its own), line 5 (no shell reads it). Off: x."
    )
    assert by_shell("FROM a\nRUN true\n").message("D", "them", "x") == "D: 1 RUN gets them while running. x"
    assert by_shell('FROM a\nSHELL ["pwsh"]\nRUN true\n').message("D", "them", "x") == (
        "D: no RUN gets them: line 3 (its SHELL is no POSIX shell)."
    )
    assert by_shell("FROM a\nRUN --network=none true\n").message("D", "them", "x") == ""


def test_credentials_come_the_same_way_beside_certificates_or_alone() -> None:
    text = "FROM a\nRUN true\n"
    places = ("id=netrc,target=/dev/seatrial/netrc", "id=uv-config,target=/dev/seatrial/xdg/uv/uv.toml")
    alone = mount(text, by_variables=False, certificates=False, credentials=["netrc", "uv-config"])
    assert all(f"{place},mode=0444" in alone.text for place in places)
    assert "ca-bundle" not in alone.text
    assert list(alone.secrets) == ["seatrial-env"]
    assert "SSL_CERT_FILE" not in alone.secrets["seatrial-env"]
    assert 'XDG_CONFIG_DIRS="${XDG_CONFIG_DIRS:-/dev/seatrial/xdg:/etc/xdg}"' in alone.secrets["seatrial-env"]
    both = mount(text, by_variables=True, credentials=["netrc", "pip-config", "uv-config"])
    assert all(f"{place},mode=0444" in both.text for place in places)
    assert (
        both.text.count("env=XDG_CONFIG_DIRS") == both.text.count("env=NETRC") == both.text.count("id=ca-bundle") == 1
    )
    assert both.secrets["seatrial-xdg-config-dirs"] == "/dev/seatrial/xdg:/etc/xdg"


@pytest.mark.parametrize(
    ("syntax", "version", "local", "sets"),
    [
        (None, "26.1.5+dfsg1", False, False),
        (None, "27.5.1", False, False),
        (None, "28.0.0", False, True),
        (None, "29.1.2-ce", False, True),
        (None, "dev", False, False),
        (None, None, False, False),
        ("docker/dockerfile:1", "24.0", False, True),
        ("docker.io/docker/dockerfile:1-labs", "24.0", False, True),
        ("docker/dockerfile", "24.0", False, True),
        ("docker/dockerfile:1", "29.0", True, False),
        ("docker/dockerfile:1@sha256:aa", "29.0", False, False),
        ("docker/dockerfile@sha256:aa", "29.0", False, False),
        ("docker/dockerfile:1.7", "29.0", False, False),
        ("docker/dockerfile:1.9.0-labs", "29.0", False, False),
        ("docker/dockerfile:1.10", "24.0", True, True),
        ("docker/dockerfile:1.17.1@sha256:aa", "24.0", False, True),
        ("docker/dockerfile-upstream:master", "24.0", False, True),
        ("docker/dockerfile.evil", "29.0", False, None),
        ("example/frontend:1", "29.0", False, None),
    ],
)
def test_which_frontends_set_variables(syntax: str | None, version: str | None, local: bool, sets: bool | None) -> None:
    assert frontend_sets_variables(syntax, version, local=local) is sets


def test_any_text_keeps_its_lines_and_loses_nothing() -> None:
    choose = random.Random(13)  # noqa: S311 - the same texts each time
    words = [
        "FROM a\n", "RUN ", "run\t", "--mount=type=cache ", "--x='", '"', "\\", "\\\n", "`\n", "<<EOF", "\nEOF\n",
        "\n", "\r\n", "# c\n", " ", "pip", "[", '"a"]', "#!/x\n", 'SHELL ["sh"]\n', "\u2028", "--", "# escape=`\n",
    ]  # fmt: skip
    for _ in range(3000):
        text = "".join(choose.choices(words, k=choose.randint(1, 25)))
        for by_variables in (False, True):
            mounted = mount(text, by_variables=by_variables)
            assert mounted.as_written(mounted.text) == text
            assert mounted.text.count("\n") == text.count("\n")
            assert bool(mounted.lines) is (mounted.text != text)


def test_a_large_dockerfile_takes_no_time() -> None:
    text = "FROM a\nRUN pip install \\\n" + "  x\\\n" * 20_000 + " y\n" + "RUN --a true\n" * 1900
    began = time.process_time()
    assert len(by_shell(text).lines) == 1901
    assert time.process_time() - began < 1


def test_the_examples_mount_certificates_by_themselves() -> None:
    folder = Path(__file__).parents[2] / "docker"
    for app in ("course-supporter", "weather-agent"):
        text = (folder / app / "Dockerfile").read_text()
        assert list(by_shell(text).left.values()) == ["mounts its own"]
