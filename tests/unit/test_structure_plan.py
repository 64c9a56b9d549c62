from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from seatrial.facts import VolumeFolder
from seatrial.settings.model import Contract
from seatrial.structure.files import (
    CommandTest,
    CommandVariable,
    FileContentTest,
    FileExistenceTest,
    LicenseTest,
    MetadataTest,
    RunOptions,
    StructureFile,
    Variable,
)
from seatrial.structure.plan import CommandRun, FilePlan, environment_of, plan_file

if TYPE_CHECKING:
    from collections.abc import Mapping

IMAGE = {"Id": "sha256:ab", "Config": {"Env": ["PATH=/bin", "A=1"]}}


def plan(passed_on: Mapping[str, str | None] | None = None, contract: Contract | None = None, **said: Any) -> FilePlan:
    file = StructureFile(schema_version="2.0.0", **said)
    return plan_file("t.yaml", file, IMAGE, contract or Contract(), passed_on=passed_on or {}, used=Counter())


def run_of(planned: FilePlan) -> CommandRun:
    (test,) = planned.tests
    assert test.run is not None
    return test.run


def variables(**values: str) -> tuple[Variable, ...]:
    return tuple(Variable(key=key, value=value) for key, value in values.items())


def own(**values: str) -> tuple[CommandVariable, ...]:
    return tuple(CommandVariable(key=key, value=value) for key, value in values.items())


def test_a_command_gets_global_own_and_passed_on_variables_in_that_order() -> None:
    planned = plan(
        {"D": "passed"},
        global_env_vars=variables(B="$A$B", C="global"),
        command_tests=(CommandTest(name="n", command="$A", args=("$B", "$C"), env_vars=own(C="$A", D="own"), line=3),),
    )
    made = run_of(planned)
    assert made.command["Cmd"] == ["1", "1", "global"]
    assert made.command["Env"] == ["B=1", "C=$A", "D=passed"]
    assert made.command["Entrypoint"] == [""]
    assert made.setup == ()
    assert (planned.tests[0].id, planned.tests[0].where) == ("structure/commandTests/n", "t.yaml:3")


def test_setup_has_own_variables_expanded_and_so_have_the_arguments_after_it() -> None:
    made = run_of(
        plan(
            {"D": "passed"},
            command_tests=(
                CommandTest(name="n", setup=(("one", "$C"), ("two",)), command="c", args=("$C",), env_vars=own(C="$A")),
            ),
            container_run_options=RunOptions(user="root"),
        )
    )
    assert [step["Cmd"] for step in made.setup] == [["one", "$C"], ["two"]]
    assert {tuple(step["Env"]) for step in made.setup} == {("C=1",)}
    assert made.command["Cmd"] == ["c", "1"]
    assert made.command["Env"] == ["C=$A", "D=passed"]
    assert {step["User"] for step in (*made.setup, made.command)} == {"root"}


def test_the_contracts_limits_hold_and_the_rest_is_the_engines() -> None:
    planned = plan(contract=Contract(memory="1 GiB", processes=10), command_tests=(CommandTest(name="n", command="c"),))
    host = run_of(planned).command["HostConfig"]
    assert (host["Memory"], host["MemorySwap"], host["PidsLimit"]) == (2**30, 2**30, 10)
    assert "NetworkMode" not in host
    assert "CapAdd" not in host
    assert host["Privileged"] is False
    assert planned.in_order is False


def test_commands_that_reach_the_host_run_in_order() -> None:
    assert plan(container_run_options=RunOptions(bind_mounts=("/a:/b",))).in_order
    assert plan(container_run_options=RunOptions(privileged=True)).in_order
    bound = plan(container_run_options=RunOptions(bind_mounts=("/a:/b",)))
    assert bound.container["HostConfig"]["Binds"] == ["/a:/b"]


def test_a_path_is_expanded_where_the_tool_expands_it() -> None:
    planned = plan(
        global_env_vars=variables(B="/b"),
        file_existence_tests=(FileExistenceTest(name="n", path="$B/$A"),),
        file_content_tests=(FileContentTest(name="n", path="$B"),),
    )
    content, existence = planned.tests
    assert isinstance(content.test, FileContentTest)
    assert content.test.path == "$B"
    assert isinstance(existence.test, FileExistenceTest)
    assert existence.test.path == "/b/1"


def test_an_empty_metadata_test_is_none() -> None:
    (test,) = plan(metadata_test=MetadataTest(cmd=(), line=2)).tests
    assert (test.id, test.where) == ("structure/metadataTest", "t.yaml:2")
    assert plan(metadata_test=MetadataTest(line=2)).tests == ()


def test_ids_occur_once_and_hold_no_terminal_codes() -> None:
    names = ("a\x1b[31m\nb", "a b#2", "a b", "a b")
    tests = tuple(CommandTest(name=name, command="c") for name in names)
    planned = plan(command_tests=tests, license_tests=(LicenseTest(),))
    assert [test.id for test in planned.tests] == [
        "structure/commandTests/a b",
        "structure/commandTests/a b#2",
        "structure/commandTests/a b#3",
        "structure/commandTests/a b#4",
        "structure/licenseTests/1",
    ]


def test_the_last_value_of_a_variable_counts() -> None:
    assert environment_of({"Env": ["A=1", "B=x=y", "A=2"]}) == {"A": "2", "B": "x=y"}
    assert environment_of({"Env": None}) == {}


def test_variables_that_the_caller_does_not_have_are_named() -> None:
    made = run_of(plan({"D": "1", "E": None}, command_tests=(CommandTest(name="n", command="c"),)))
    assert made.missing == ("E",)
    assert made.command["Env"] == ["D=1"]


def test_empty_volumes_are_memory_backed_for_commands_alone() -> None:
    volumes = {"/data": VolumeFolder(mode=0o755, uid=1, gid=2), "/more": VolumeFolder(mode=0o700, uid=0, gid=0)}
    file = StructureFile(
        schema_version="2.0.0",
        command_tests=(CommandTest(name="n", command="x", setup=(("y",),)),),
        container_run_options=RunOptions(bind_mounts=("/srv:/more",)),
    )
    made = plan_file("t.yaml", file, IMAGE, Contract(), passed_on={}, used=Counter(), volumes=volumes)
    run = made.tests[0].run
    assert run is not None
    for config in (run.command, *run.setup):
        (mount,) = config["HostConfig"]["Mounts"]
        assert (mount["Target"], "size=" in str(mount)) == ("/data", True)
    assert "Mounts" not in made.container["HostConfig"]
