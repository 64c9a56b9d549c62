from __future__ import annotations

from typing import Any

from seatrial.settings.model import Contract
from seatrial.structure.model import (
    CommandTest,
    FileContentTest,
    FileExistenceTest,
    LicenseTest,
    MetadataTest,
    RunOptions,
    StructureFile,
    Variable,
)
from seatrial.structure.plan import (
    CommandPlan,
    ContentPlan,
    ExistencePlan,
    HandedOn,
    ImageConfig,
    MetadataPlan,
    Names,
    Plan,
    image_config,
    plan_file,
)

IMAGE = ImageConfig(id="sha256:ab", environment={"PATH": "/bin", "A": "1"}, labels={})
NOTHING = HandedOn(variables={})


def plan(handed_on: HandedOn = NOTHING, contract: Contract | None = None, **said: Any) -> Plan:
    file = StructureFile(schema_version="2.0.0", **said)
    return plan_file("t.yaml", file, IMAGE, contract or Contract(), handed_on=handed_on, names=Names())


def command(planned: Plan) -> CommandPlan:
    (test,) = planned.tests
    assert isinstance(test, CommandPlan)
    return test


def variables(**values: str) -> tuple[Variable, ...]:
    return tuple(Variable(key=key, value=value) for key, value in values.items())


def test_a_command_gets_global_own_and_handed_on_variables_in_that_order() -> None:
    made = command(
        plan(
            HandedOn(variables={"D": "handed"}),
            global_env_vars=variables(B="$A$B", C="global"),
            command_tests=(
                CommandTest(name="n", command="$A", args=("$B", "$C"), env_vars=variables(C="$A", D="own"), line=3),
            ),
        )
    )
    assert made.config["Cmd"] == ["1", "1", "global"]
    assert made.config["Env"] == ["B=1", "C=$A", "D=handed"]
    assert made.config["Entrypoint"] == [""]
    assert made.setup == ()
    assert (made.origin.id, made.origin.where) == ("structure/commandTests/n", "t.yaml:3")


def test_setup_has_own_variables_expanded_and_so_have_the_arguments_after_it() -> None:
    made = command(
        plan(
            HandedOn(variables={"D": "handed"}),
            command_tests=(
                CommandTest(
                    name="n", setup=(("one", "$C"), ("two",)), command="c", args=("$C",), env_vars=variables(C="$A")
                ),
            ),
            container_run_options=RunOptions(user="root", allocate_tty=True),
        )
    )
    assert [step["Cmd"] for step in made.setup] == [["one", "$C"], ["two"]]
    assert {tuple(step["Env"]) for step in made.setup} == {("C=1",)}
    assert made.config["Cmd"] == ["c", "1"]
    assert made.config["Env"] == ["C=$A", "D=handed"]
    assert {step["User"] for step in (*made.setup, made.config)} == {"root"}
    assert made.config["Tty"] is True


def test_the_contracts_limits_hold_and_the_rest_is_the_engines() -> None:
    planned = plan(contract=Contract(memory="1 GiB", processes=10), command_tests=(CommandTest(name="n", command="c"),))
    host = command(planned).config["HostConfig"]
    assert (host["Memory"], host["MemorySwap"], host["PidsLimit"]) == (2**30, 2**30, 10)
    assert "NetworkMode" not in host
    assert "CapAdd" not in host
    assert host["Privileged"] is False
    assert planned.in_order is False


def test_commands_that_reach_the_host_run_in_order() -> None:
    assert plan(container_run_options=RunOptions(bind_mounts=("/a:/b",))).in_order
    assert plan(container_run_options=RunOptions(privileged=True)).in_order
    bound = plan(container_run_options=RunOptions(bind_mounts=("/a:/b",)))
    assert bound.files["HostConfig"]["Binds"] == ["/a:/b"]


def test_a_path_is_expanded_where_the_tool_expands_it() -> None:
    planned = plan(
        global_env_vars=variables(B="/b"),
        file_existence_tests=(FileExistenceTest(name="n", path="$B/$A"),),
        file_content_tests=(FileContentTest(name="n", path="$B"),),
    )
    content, existence = planned.tests
    assert isinstance(content, ContentPlan)
    assert content.test.path == "$B"
    assert isinstance(existence, ExistencePlan)
    assert existence.path == "/b/1"


def test_a_metadata_test_sees_the_image_itself_and_an_empty_one_is_none() -> None:
    (test,) = plan(global_env_vars=variables(B="2"), metadata_test=MetadataTest(cmd=())).tests
    assert isinstance(test, MetadataPlan)
    assert test.config == IMAGE
    assert plan(metadata_test=MetadataTest()).tests == ()


def test_ids_occur_once_and_hold_no_terminal_codes() -> None:
    twice = (CommandTest(name="a\x1b[31m\nb", command="c"), CommandTest(name="a b", command="c"))
    planned = plan(command_tests=twice, license_tests=(LicenseTest(),))
    assert [one.origin.id for one in planned.tests] == [
        "structure/commandTests/a b",
        "structure/commandTests/a b#2",
        "structure/licenseTests/1",
    ]


def test_the_engines_configuration_is_read_as_the_tool_reads_it() -> None:
    config = {"Env": ["A=1", "B=x=y", "A=2"], "ExposedPorts": {"80/tcp": {}}, "Volumes": {"/v": {}}, "WorkingDir": ""}
    made = image_config({"Id": "sha256:ab", "Config": config})
    assert made.environment == {"A": "2", "B": "x=y"}
    assert (made.exposed_ports, made.volumes, made.workdir, made.cmd) == (("80",), ("/v",), "", ())
    assert image_config({"Id": "sha256:ab", "Config": None}).labels == {}
