"""A project's own say in its verdict: what counts, by how far the project is trusted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest
from tests.unit.factories import facts
from tests.unit.test_boot_checks import judged

from seatrial import capabilities
from seatrial.checks.model import Severity, Status
from seatrial.checks.verdict import smoke_of
from seatrial.errors import ExitCode, SettingsError
from seatrial.facts import Lint
from seatrial.reports.html import as_html
from seatrial.reports.markdown import as_markdown
from seatrial.settings.model import Contract
from seatrial.settings.read import read_contract, read_project
from seatrial.smoke import app_target, image_target
from seatrial.trust import Trust

if TYPE_CHECKING:
    from seatrial.settings.read import Project

SETTINGS = """\
[tool.seatrial]
checks = ["our_checks"]

[tool.seatrial.apps.api.contract]
lint-ignore = { DL3008 = "old" }

[tool.seatrial.apps.api.contract.waive]
"boot/read-only" = "later"
"our/rule" = "never"

[tool.seatrial.apps.api.contract.compose-exceptions]
"db.read_only" = "writes"
"""


def project(folder: Path, settings: str) -> Project:
    (folder / "pyproject.toml").write_text(settings, encoding="utf-8")
    (folder / "Dockerfile").write_text("FROM scratch\n", encoding="utf-8")
    return read_project(folder)


def test_an_untrusted_projects_own_say_does_not_count_and_its_code_is_not_run(tmp_path: Path) -> None:
    (tmp_path / "our_checks.py").write_text(f"open({str(tmp_path / 'sentinel')!r}, 'w')\n", encoding="utf-8")
    target = app_target(project(tmp_path, SETTINGS), "api", trust=Trust.NONE)
    assert not (tmp_path / "sentinel").exists()
    assert (target.contract.waive, target.contract.lint_ignore, target.contract.compose_exceptions) == ({}, {}, {})
    assert target.own_checks == ()
    file = tmp_path / "pyproject.toml"
    assert target.notes == (
        f"{file}:2: the checks of our_checks are not asked, as the project is not trusted: they would run on this host",
        f"{file}:7: the waiver of boot/read-only does not count, as the project is not trusted (later)",
        f"{file}:7: the waiver of our/rule does not count, as the project is not trusted (never)",
        f"{file}:5: the exception of DL3008 does not count, as the project is not trusted (old)",
        f"{file}:11: the exception of db.read_only does not count, as the project is not trusted (writes)",
    )
    assert smoke_of(facts(), target.contract, (), seconds=1, notes=target.notes).notes == target.notes


@pytest.mark.parametrize("trust", [Trust.PROJECT, Trust.HOST])
def test_a_trusted_projects_waivers_count(tmp_path: Path, trust: Trust) -> None:
    settings = SETTINGS.replace('checks = ["our_checks"]\n', "").replace('"our/rule" = "never"\n', "")
    target = app_target(project(tmp_path, settings), "api", trust=trust)
    assert target.contract.waive == {"boot/read-only": "later"}
    assert target.notes == ()


BAR = """\
[tool.seatrial.apps.api.contract]
fail-on = "note"
max-growth = 500

[tool.seatrial.apps.api.contract.severity]
"secrets" = { severity = "note", reason = "nobody looks" }
"""


def test_an_untrusted_project_does_not_say_what_matters(tmp_path: Path) -> None:
    target = app_target(project(tmp_path, BAR), "api", trust=Trust.NONE)
    assert (target.contract.fail_on, target.contract.severity, target.contract.max_growth) == ("error", {}, 5)
    file = tmp_path / "pyproject.toml"
    assert target.notes == (
        f"{file}:5: the severity of secrets does not count, as the project is not trusted (nobody looks)",
        f"{file}:2: `fail-on = note` does not count, as the project is not trusted; `--fail-on` does",
        f"{file}:3: `max-growth = 500` does not count, as the project is not trusted",
    )
    assert target.failing_on(Severity.WARNING).contract.fail_on == "warning"
    trusted = app_target(project(tmp_path, BAR), "api", trust=Trust.PROJECT)
    assert (trusted.contract.fail_on, set(trusted.contract.severity), trusted.notes) == ("note", {"secrets"}, ())
    assert trusted.failing_on(None).contract.fail_on == "note"


def test_a_contract_file_of_an_untrusted_project_waives_nothing(tmp_path: Path) -> None:
    file = tmp_path / "contract.toml"
    file.write_text('user = "app"\nwaive = { "boot/read-only" = "later" }\n', encoding="utf-8")
    target = image_target("nginx", file, Trust.NONE)
    assert target.contract == Contract(user="app")
    assert target.notes == (
        f"{file}:2: the waiver of boot/read-only does not count, as the project is not trusted (later)",
    )


def test_a_report_says_that_the_projects_own_configuration_of_hadolint_held() -> None:
    seen = facts()
    sources = msgspec.structs.replace(seen.sources, lint=Lint(configuration=".hadolint.yaml"))
    made = smoke_of(msgspec.structs.replace(seen, sources=sources), Contract(), (), seconds=1)
    assert made.notes == ("hadolint was asked with the project's own .hadolint.yaml",)
    assert "project&#x27;s own .hadolint.yaml" in as_html([made])
    assert "Note: hadolint was asked" in as_markdown([made])


@pytest.mark.parametrize(
    ("written", "read"), [("CAP_NET_RAW", "NET_RAW"), ("net_bind_service", "NET_BIND_SERVICE"), ("cap_chown", "CHOWN")]
)
def test_a_capability_is_taken_in_any_form(tmp_path: Path, written: str, read: str) -> None:
    file = tmp_path / "contract.toml"
    file.write_text(f'capabilities = ["{written}", "{read}"]\n', encoding="utf-8")
    assert read_contract(file).capabilities == (read,)


@pytest.mark.parametrize(
    ("written", "hint"), [("NET_BIND_SERVCE", "the nearest is NET_BIND_SERVICE"), ("FLY", r"capabilities\(7\)")]
)
def test_a_capability_that_no_kernel_has_is_an_error_at_its_line(tmp_path: Path, written: str, hint: str) -> None:
    file = tmp_path / "contract.toml"
    file.write_text(f'user = "app"\ncapabilities = ["{written}"]\n', encoding="utf-8")
    with pytest.raises(SettingsError, match=hint) as caught:
        read_contract(file)
    assert f"{file}:2" in caught.value.where
    assert f"Linux has no capability {written}" in caught.value.what


DANGEROUS = ("ALL", "SYS_ADMIN", "SYS_MODULE", "SYS_RAWIO", "SYS_PTRACE", "SYS_BOOT", "SYS_TIME", "SYS_NICE",
             "SYS_CHROOT", "SYS_RESOURCE", "SYS_TTY_CONFIG", "SYS_PACCT", "DAC_READ_SEARCH", "NET_ADMIN", "BPF",
             "PERFMON", "MAC_ADMIN", "MAC_OVERRIDE", "SYSLOG", "AUDIT_CONTROL", "CHECKPOINT_RESTORE")  # fmt: skip


@pytest.mark.parametrize("name", [*DANGEROUS, "cap_sys_admin", "all"])
def test_a_capability_that_gives_the_host_away_needs_the_hosts_trust(tmp_path: Path, name: str) -> None:
    settings = f'[tool.seatrial.apps.api.contract]\nuser = "app"\ncapabilities = ["{name}", "CHOWN"]\n'
    made = project(tmp_path, settings)
    (tmp_path / "contract.toml").write_text(f'capabilities = ["{name}"]\n', encoding="utf-8")
    for trust in (Trust.NONE, Trust.PROJECT):
        with pytest.raises(SettingsError, match=f"{name.upper().removeprefix('CAP_')} would give") as caught:
            app_target(made, "api", trust=trust)
        assert caught.value.where == f"{tmp_path / 'pyproject.toml'}:3"
        assert "--trust host" in caught.value.fix
        assert caught.value.exit_code is ExitCode.UNDECIDED
        with pytest.raises(SettingsError, match=r"contract\.toml:1"):
            image_target("nginx", tmp_path / "contract.toml", trust)
    assert len(app_target(made, "api", trust=Trust.HOST).contract.capabilities) == 2
    assert image_target("nginx", tmp_path / "contract.toml", Trust.HOST).contract.capabilities


def test_ordinary_capabilities_need_no_trust(tmp_path: Path) -> None:
    ordinary = sorted(capabilities.KNOWN - capabilities.HOST)
    settings = f"[tool.seatrial.apps.api.contract]\ncapabilities = {ordinary}\n"
    assert app_target(project(tmp_path, settings), "api", trust=Trust.NONE).contract.capabilities == tuple(ordinary)


def test_the_kernels_list_is_whole() -> None:
    last = Path("/proc/sys/kernel/cap_last_cap")
    if not last.exists():
        pytest.skip("NOT RUN: this kernel does not tell how many capabilities it has")
    assert len(capabilities.KNOWN - {"ALL"}) >= int(last.read_text(encoding="ascii")) + 1
    assert {name for name in capabilities.KNOWN if name.startswith("SYS_")} <= capabilities.HOST


def test_all_capabilities_are_not_dropped_capabilities() -> None:
    result = judged("boot/drop-capabilities", facts(), capabilities=("ALL",))
    assert result.status is Status.FAIL
    assert "none is dropped" in result.actual
    assert judged("boot/drop-capabilities", facts(), capabilities=("CAP_all",)).status is Status.FAIL
