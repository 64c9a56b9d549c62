from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from tests.unit.factories import configuration, distribution, probe

from seatrial.engine.streams import Output
from seatrial.errors import SettingsError
from seatrial.facts import HealthCheck, Probe, ProjectFacts, Restriction, Unavailable
from seatrial.observe.configuration import configuration_of
from seatrial.observe.project.declared import read_project_facts
from seatrial.observe.running.probe import read_probe
from seatrial.observe.running.questions import proof
from seatrial.observe.running.sandbox import boot_config, probe_config
from seatrial.requirements import closure, names_of
from seatrial.settings.model import Contract

if TYPE_CHECKING:
    from pathlib import Path

NONCE = "5f" * 16
PYTHON = "/venv/bin/python"


# --- the image's configuration --------------------------------------------------------------------------


def test_the_engines_json_becomes_a_configuration() -> None:
    inspected = {
        "Id": "sha256:1",
        "Os": "linux",
        "Architecture": "arm64",
        "Config": {
            "User": "app",
            "Entrypoint": ["tini", "--"],
            "Cmd": "one line",
            "Env": ["PATH=/a:/b", "EMPTY=", "A=b=c", "BARE"],
            "WorkingDir": "/app",
            "ExposedPorts": {"9000/udp": {}, "8000/tcp": {}},
            "Volumes": {"/data": {}},
            "Labels": {"x": "y"},
            "StopSignal": "SIGINT",
            "Healthcheck": {"Test": ["CMD", "true"], "Interval": 5_000_000_000, "Timeout": 1_500_000_000},
        },
    }
    history = [{"CreatedBy": "last", "Size": 3}, {"CreatedBy": "first", "Size": 4}, {}]
    made = configuration_of(inspected, history, "shop:1")
    assert made.words == ("tini", "--", "one line")
    assert made.environment == {"PATH": "/a:/b", "EMPTY": "", "A": "b=c", "BARE": ""}
    assert (made.exposed_ports, made.volumes, made.labels) == (("8000/tcp", "9000/udp"), ("/data",), {"x": "y"})
    assert (made.platform, made.stop_signal, made.unpacked) == ("linux/arm64", "SIGINT", 7)
    assert made.history == ("", "first", "last")
    assert made.health_check == HealthCheck(test=("CMD", "true"), interval=5, timeout=1.5, start_period=0, retries=3)


def test_the_words_of_a_health_check() -> None:
    def words(test: list[str], **config: object) -> tuple[str, ...]:
        inspected = {"Id": "x", "Config": {"Healthcheck": {"Test": test}, **config}}
        return configuration_of(inspected, [], "x").health_words

    assert words(["CMD", "check", "-q"]) == ("check", "-q")
    assert words(["CMD"]) == ()
    assert words(["CMD-SHELL", "check -q || exit 1"]) == ("/bin/sh", "-c", "check -q || exit 1")
    # An image's SHELL is for its build, and more than one word is what the engine makes of it.
    assert words(["CMD-SHELL", "test", "-d"], Shell=["/bin/bash", "-ec"]) == ("/bin/sh", "-c", "test", "-d")
    # The engine runs neither.
    assert words(["NONE"]) == words(["python", "-c", "pass"]) == ()


def test_what_an_image_does_not_say_has_the_engines_defaults() -> None:
    made = configuration_of({"Id": "x", "Config": None}, [], "x")
    assert (made.user, made.words, made.environment, made.working_directory) == ("", (), {}, "/")
    assert (made.health_check, made.stop_signal) == (None, "SIGTERM")
    nulls = dict.fromkeys(("User", "Cmd", "Env", "Volumes", "Labels", "Healthcheck", "ExposedPorts"))
    assert configuration_of({"Id": "x", "Config": nulls}, [], "x") == made


@pytest.mark.parametrize("check", [{"Test": ["NONE"]}, {"Test": []}, {"Test": None}, {}])
def test_no_health_check_is_none(check: dict[str, Any]) -> None:
    assert configuration_of({"Id": "x", "Config": {"Healthcheck": check}}, [], "x").health_check is None


# --- the run profile ------------------------------------------------------------------------------------


def test_every_container_of_an_image_is_held_tight() -> None:
    contract = Contract(memory="512 MiB", processes=64, environment={"A": "b=c"}, tmpfs=("/tmp", "/run/x"))
    plans = [
        probe_config(configuration(id="sha256:1"), PYTHON, ["-c", "x"], contract),
        boot_config(configuration(), contract),
    ]
    for plan in plans:
        limits = plan["HostConfig"]
        assert (limits["NetworkMode"], limits["ReadonlyRootfs"], limits["IpcMode"]) == ("none", True, "private")
        assert (limits["CapDrop"], limits["CapAdd"]) == (["ALL"], [])
        assert limits["SecurityOpt"] == ["no-new-privileges"]
        assert limits["Memory"] == limits["MemorySwap"] == 512 * 1024 * 1024
        assert limits["PidsLimit"] == 64
        assert limits["ShmSize"] == 64 * 1024 * 1024
        assert set(limits["Tmpfs"]) == {"/tmp", "/run/x"}
        assert limits["ExtraHosts"] == [f"{plan['Hostname']}:127.0.0.1"], "its own name leads somewhere"
        assert "Binds" not in limits
        assert plan["Env"] == ["A=b=c"]
        json.dumps(plan)
    assert plans[0]["Healthcheck"] == {"Test": ["NONE"]}
    assert (plans[0]["Entrypoint"], plans[0]["Cmd"]) == ([PYTHON], ["-c", "x"])


def test_a_boot_runs_the_images_own_command_and_asks_its_own_check_more_often() -> None:
    contract = Contract(healthy_within=20, capabilities=("NET_BIND_SERVICE",))
    plan = boot_config(configuration(), contract, lifted=(Restriction.READ_ONLY,))
    assert "Cmd" not in plan
    assert "Entrypoint" not in plan
    assert plan["HostConfig"]["ReadonlyRootfs"] is False
    assert plan["HostConfig"]["CapAdd"] == ["NET_BIND_SERVICE"]
    check = plan["Healthcheck"]
    assert (check["Test"], check["Timeout"], check["StartPeriod"]) == (
        ["CMD", "python", "health.py"],
        5_000_000_000,
        20_000_000_000,
    )
    assert (check["Interval"], check["StartInterval"]) == (500_000_000, 1_000_000_000)
    assert "Healthcheck" not in boot_config(configuration(health_check=None), Contract())


# --- the probe's answer ---------------------------------------------------------------------------------


def answered(out: bytes, errors: bytes = b"", **more: Any) -> Probe | Unavailable:
    whole: dict[str, Any] = {"out": out, "errors": errors, "code": 0, "truncated": False, "timed_out": False}
    whole["asked_at"] = 0
    return read_probe(Output(**(whole | more)), NONCE, PYTHON)


def proven(body: bytes) -> bytes:
    return b"\n" + proof(NONCE, body) + b" " + body + b"\n"


def genuine(**changed: Any) -> bytes:
    return proven(msgspec.json.encode(probe(**changed)))


def test_the_answer_is_found_behind_whatever_else_was_written() -> None:
    assert answered(genuine()) == probe()
    assert answered(b"\xff\xfe noise without an end" + genuine()) == probe()
    assert answered(genuine()[1:]) == probe(), "the very first line"
    assert answered(genuine().rstrip(b"\n")) == probe(), "cut off behind it"


@pytest.mark.parametrize("forged", [b"", b"0" * 63 + b" ", b"x" + b"0" * 64 + b" ", b"A" * 64 + b" "])
def test_a_line_without_a_proof_counts_for_nothing(forged: bytes) -> None:
    line = forged + msgspec.json.encode(probe(distributions=())) + b"\n"
    assert answered(line + genuine()) == probe()
    assert isinstance(answered(line), Unavailable)


FORGED = b"0" * 64 + b" {}\n"


@pytest.mark.parametrize(
    ("out", "asked_at", "reason"),
    [
        (genuine(), None, "answered before it was asked"),
        (FORGED + b"ready\n" + genuine(), 80, "answered before it was asked"),
        (b"ready\n" + FORGED, 6, "gave an answer without the proof that it was asked"),
        (proof("another", b"{}") + b" {}\n", 0, "gave an answer without the proof that it was asked"),
        (proof(NONCE, b"{}") + b" {} \n", 0, "gave an answer without the proof that it was asked"),
        (genuine() + FORGED, 0, "answered 2 times"),
        (FORGED + genuine(), 0, "answered 2 times"),
        (genuine() + genuine(), 0, "answered 2 times"),
        (genuine() + FORGED * 3, 0, "answered 4 times"),
        (genuine() + b"more", 0, "wrote something after its answer"),
    ],
)
def test_a_second_hand_in_the_answer_is_told(out: bytes, asked_at: int | None, reason: str) -> None:
    answer = answered(out, asked_at=asked_at)
    assert isinstance(answer, Unavailable)
    assert answer.reason == f"{PYTHON} {reason}"
    assert answer.detail


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"null",
        b"[" * 4_000_000,
        b'{"identity":' * 100_000,
        b'{"unknown":' + b"[" * 4_000_000,
        b'{"identity": "\\udcff"}',
        b"\xff\xfe",
        b"{" + b'"a":1,' * 500_000,
        b'{"identity": {"uid": ' + b"9" * 100_000,
        b"NaN",
    ],
)
def test_an_answer_that_is_not_the_probes_is_told_briefly(body: bytes) -> None:
    answer = answered(proven(body))
    assert isinstance(answer, Unavailable)
    assert "an answer of another form than the script's" in answer.reason
    assert len(answer.detail) <= 2000


def test_no_answer_shows_the_last_that_was_said() -> None:
    answer = answered(b"out", errors=b"x" * 5000 + b"\nlast words\n", code=1)
    assert isinstance(answer, Unavailable)
    assert answer.reason == f"{PYTHON} ended with code 1 and gave no answer"
    assert answer.detail.endswith("last words")
    assert len(answer.detail) <= 2000
    silent = answered(b"out")
    assert isinstance(silent, Unavailable)
    assert silent.detail == "out"


def test_too_late_and_too_much_are_no_answers_even_with_one_inside() -> None:
    late, cut = answered(genuine(), timed_out=True, code=None), answered(genuine(), truncated=True, code=None)
    assert isinstance(late, Unavailable)
    assert "did not answer within 60 s" in late.reason
    assert isinstance(cut, Unavailable)
    assert "wrote more than 8388608 bytes" in cut.reason


EARLY = genuine(complete=False, selftest=None, start=None, imports=())


def test_what_was_said_before_a_time_out_is_kept() -> None:
    whole: dict[str, Any] = {"errors": b"", "truncated": False, "asked_at": 0}
    cases: tuple[dict[str, Any], ...] = (
        {"timed_out": True, "code": None, "out": EARLY + b"\n0123"},
        {"timed_out": False, "code": 137, "out": EARLY},
    )
    for more in cases:
        output = Output(**whole, **more)
        kept = read_probe(output, NONCE, PYTHON, ("shop", "shop.web"))
        assert isinstance(kept, Probe)
        assert (kept.distributions, kept.native) == (probe().distributions, probe().native)
        assert [(row.name, row.ok, row.late) for row in kept.imports] == [
            ("shop", False, True),
            ("shop.web", False, True),
        ]
        why = "it took longer than 60 s" if more["timed_out"] else "it ended with code 137"
        assert {kept.imports[0].error, kept.problems["selftest"], kept.problems["start"]} == {why}


def test_the_whole_answer_counts_in_the_place_of_the_early_one() -> None:
    assert answered(EARLY + genuine()) == probe()
    for lie in (EARLY + FORGED, FORGED + EARLY, EARLY + EARLY + genuine(), genuine() + EARLY):
        told = answered(lie)
        assert isinstance(told, Unavailable)
        assert "times" in told.reason


# --- requirements ---------------------------------------------------------------------------------------


def test_requirement_strings_become_names() -> None:
    texts = [
        "FastAPI[all]>=0.1",
        "zope.interface",
        "fastapi",
        "-e .",
        "",
        "x @ https://e.x/y.whl",
        "not a requirement!",
    ]
    assert names_of(texts) == ("fastapi", "zope-interface", "x")


def test_markers_are_judged_by_the_image_not_by_the_host() -> None:
    texts = ["old; python_version < '3.12'", "new; python_version >= '3.13'", "mac; sys_platform == 'darwin'"]
    assert names_of(texts, "3.11.9") == ("old",)
    assert names_of(texts, "3.14.0rc1") == ("new",)
    assert names_of(texts) == ("old", "new", "mac")


@pytest.mark.parametrize("hostile", ['x; platform_machine ~= "foo"', "x; " + "(" * 100_000, "x; unknown == '1'", "\0"])
def test_a_hostile_requirement_asks_for_nothing(hostile: str) -> None:
    assert names_of([hostile], "3.13.1") == ()
    assert closure(["a"], [distribution("a", requires=(hostile, "b"))], "not a version") == {"a", "b"}


def test_what_an_application_brings_in_is_followed_with_extras() -> None:
    installed = [
        distribution("Uvicorn", requires=("click", "httptools; extra == 'standard'", "old; python_version < '3.0'")),
        distribution("click", requires=("uvicorn",)),
        distribution("unrelated", requires=("pytest",)),
    ]
    assert closure(["uvicorn"], installed, "3.13.1") == {"uvicorn", "click"}
    assert closure(["uvicorn[standard]", "??"], installed, "3.13.1") == {"uvicorn", "click", "httptools"}


# --- the project's own files ----------------------------------------------------------------------------


def test_a_project_declares_its_dependencies_and_dev_group(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("ignored\n")
    (tmp_path / "pyproject.toml").write_text("""
[project]
name = "shop"
dependencies = ["fastapi>=0.1"]
optional-dependencies = { dev = ["black"], docs = ["sphinx"] }
[dependency-groups]
test = ["pytest>=8"]
dev = ["ruff", { include-group = "test" }]
""")
    assert read_project_facts(tmp_path) == ProjectFacts(
        name="shop",
        dependencies=("fastapi>=0.1",),
        dependencies_file="pyproject.toml",
        dev_group=("black", "ruff", "pytest"),
        optional=("black", "ruff", "sphinx", "pytest"),
        lock=Unavailable(reason="requirements.txt is not a lock file: `ignored` is not an exact version"),
    )


def test_a_requirements_file_without_its_options_and_comments(tmp_path: Path) -> None:
    (tmp_path / "other.txt").write_text("d==4\n")
    (tmp_path / "requirements.txt").write_text(
        "# a comment\n--index-url https://e.x\n-r other.txt\n-e .\n\n"
        "a==1.0 \\\n    --hash=sha256:1 \\\n    --hash=sha256:2\nb[x]>=2  # why\nc @ https://e.x/c.whl#sha256=1\n"
    )
    facts = read_project_facts(tmp_path)
    assert facts.dependencies == ("d==4", "a==1.0", "b[x]>=2", "c @ https://e.x/c.whl#sha256=1")
    assert facts.dependencies_file == "requirements.txt"


@pytest.mark.parametrize(
    ("file", "text"),
    [("setup.cfg", "[metadata]\nname = shop\n"), ("pyproject.toml", "[tool.poetry]\nname = 'shop'\n")],
)
def test_a_project_is_named_by_older_files_too(tmp_path: Path, file: str, text: str) -> None:
    (tmp_path / "setup.cfg").write_text("no [section")
    assert read_project_facts(tmp_path).name == ""
    (tmp_path / file).write_text(text)
    assert read_project_facts(tmp_path).name == "shop"


def test_a_project_without_any_declares_none(tmp_path: Path) -> None:
    assert read_project_facts(tmp_path) == ProjectFacts()
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'x'\ndependencies = []\n")
    assert read_project_facts(tmp_path).dependencies == ()


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("project = 3", "project: expected a table"),
        ("[project]\ndependencies = 'fastapi'", "project.dependencies: expected a list"),
        ("[project]\noptional-dependencies = []", "optional-dependencies: expected a table"),
        ("[project.optional-dependencies]\ndev = 'x'", "expected a list"),
        ("dependency-groups = 3", "dependency-groups: expected a table"),
        ("[dependency-groups]\ndev = 3", "[dependency-groups] dev"),
        ("[dependency-groups]\ndev = [{include-group = 'gone'}]", "gone"),
        ("[dependency-groups]\ndev = [{include-group = 'dev'}]", "[dependency-groups] dev"),
        ("[dependency-groups]\ndev = ['!!']", "[dependency-groups] dev"),
        ("[dependency-groups]\ndev = [3]", "[dependency-groups] dev"),
        ("x = [", "is not TOML"),
    ],
)
def test_a_malformed_project_file_is_one_clear_error(tmp_path: Path, text: str, what: str) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    with pytest.raises(SettingsError) as caught:
        read_project_facts(tmp_path)
    assert what in str(caught.value)
    assert str(tmp_path / "pyproject.toml") in str(caught.value)


def test_a_requirements_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_bytes(b"\xff")
    with pytest.raises(SettingsError, match="cannot be read"):
        read_project_facts(tmp_path)
