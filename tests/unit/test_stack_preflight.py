from __future__ import annotations

import io
import json
import socket
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from msgspec import structs
from rich.console import Console

from seatrial.checks import registry
from seatrial.checks.model import Status as Judged
from seatrial.compose.readiness import Finding, Readiness, blocked, note, ready, require_unblocked
from seatrial.compose.runner import Stack
from seatrial.compose.text import ComposeText, read_text
from seatrial.compose.variables import check_services, check_variables, explanations, read_explanations
from seatrial.errors import ExitCode, StackError
from seatrial.facts import ComposeModel, ComposeSource, Port, Service, Unavailable
from seatrial.reports.json import down_document, preflight_document, ps_document, restart_plan_document, up_document
from seatrial.reports.stack_console import print_preflight
from seatrial.settings.model import Contract
from seatrial.stack.images import check_images, to_build
from seatrial.stack.plan import StackPlan
from seatrial.stack.ports import check_ports
from seatrial.stack.preflight import Preflight, judge_compose
from seatrial.stack.state import Address, ContainerState, ContainerStatus, Health, Phase, Removed, ServiceState

if TYPE_CHECKING:
    from pathlib import Path

STACK = Stack(app="ship", compose_project="ship-1")
EXAMPLE = """\
# Copy to .env.

# The harbour
# to sail to.
HARBOUR=odesa
CREW=

# Off by default
#DEBUG=1
export MAST = 2
"""


def text_of(content: str) -> ComposeText:
    text = read_text(content.encode())
    assert isinstance(text, ComposeText)
    return text


def plan(folder: Path, *services: Service, required: tuple[str, ...] = ()) -> StackPlan:
    file = folder / "compose.yaml"
    return StackPlan(stack=STACK, file=file, services=services, own_images={"own/ship": "ship"}, required=required)


def test_an_example_says_what_stands_right_above_a_variable() -> None:
    said = read_explanations(EXAMPLE, ".env.example")
    assert str(said["HARBOUR"]) == ".env.example says: The harbour to sail to. (its example: odesa)"
    assert str(said["CREW"]) == ".env.example names it and leaves it empty"
    assert str(said["DEBUG"]) == ".env.example says: Off by default (its example: 1)"
    assert str(said["MAST"]) == ".env.example names it (its example: 2)"
    assert set(said) == {"HARBOUR", "CREW", "DEBUG", "MAST"}


def test_an_example_that_cannot_be_read_says_nothing(tmp_path: Path) -> None:
    assert explanations(tmp_path) == {}


def test_env_files_and_variables_are_named_with_what_the_example_says(tmp_path: Path) -> None:
    file = tmp_path / "compose.yaml"
    text = text_of(
        "services:\n"
        "  a:\n"
        "    image: x:${TAG}\n"
        "    env_file:\n"
        "      - there.env\n"
        "      - gone.env\n"
        "      - {path: free.env, required: false}\n"
        "    environment: {A: '${HARBOUR}', B: '${HARBOUR:?name a harbour}', C: '${HOME_PORT}'}\n"
    )
    tmp_path.joinpath("there.env").touch()
    tmp_path.joinpath("gone.env.example").touch()
    tmp_path.joinpath(".env.example").write_text(EXAMPLE, encoding="utf-8")
    tmp_path.joinpath(".env").touch()
    found = tuple(check_variables(file, text, {"HOME_PORT": "the environment"}))
    assert found == (
        ready("env file", "there.env is there", where=f"{file}:5"),
        blocked(
            "env file",
            "the env file gone.env is missing; gone.env.example is next to it.",
            where=f"{file}:6",
            fix=f"Copy it and fill in your values: `cp {tmp_path}/gone.env.example {tmp_path}/gone.env`.",
        ),
        note("env file", "free.env is missing; the file declares it optional", where=f"{file}:7"),
        note("variable", "TAG has no value: it becomes empty", where=f"{file}:3"),
        blocked(
            "variable",
            "the variable HARBOUR has no value: name a harbour; .env.example says: The harbour to sail to."
            " (its example: odesa).",
            where=f"{file}:8",
            fix=f"Set HARBOUR in {tmp_path / '.env'} or in your environment.",
        ),
        ready("variable", "HOME_PORT has a value, from the environment", where=f"{file}:8"),
    )


def test_a_missing_env_file_is_named_once(tmp_path: Path) -> None:
    tmp_path.joinpath(".env.example").touch()
    (found,) = check_variables(tmp_path / "compose.yaml", text_of("services: {a: {env_file: .env}}"), {})
    assert found.what == "the env file is missing; an example is next to it."
    tmp_path.joinpath(".env.example").unlink()
    (found,) = check_variables(tmp_path / "compose.yaml", text_of("services: {a: {env_file: .env}}"), {})
    assert (found.what, found.fix) == ("the env file .env is missing.", f"Make {tmp_path / '.env'}.")


def test_the_apps_own_service_needs_what_its_contract_says(tmp_path: Path) -> None:
    bot = Service(name="bot", image="own/ship", valued=frozenset({"CREW"}))
    other = structs.replace(bot, name="migrate", command=("alembic", "upgrade"))
    tmp_path.joinpath(".env.example").write_text(EXAMPLE, encoding="utf-8")
    file = tmp_path / "compose.yaml"
    (found,) = check_services(file, [bot, other], ["bot", "migrate"], ["CREW", "HARBOUR"])
    assert found.what.startswith("the service 'bot' gets no value for HARBOUR, and does not start without one; .env")
    assert found.fix == f"Set HARBOUR in {tmp_path / '.env'}."
    assert not list(check_services(file, [bot], [], ["HARBOUR"]))


def test_images_are_here_to_be_built_or_to_be_pulled(tmp_path: Path) -> None:
    services = [Service(name=name, image=image) for name, image in (("a", "here:1"), ("b", "own/ship:2"), ("c", "far"))]
    of = plan(tmp_path, *services, Service(name="d", image=None))
    found = list(check_images(of, {"here:1": "sha256:1"}, has_substitute=lambda image: image == "far"))
    assert [(match.readiness, match.what) for match in found] == [
        (Readiness.READY, "here:1 of a is here"),
        (Readiness.BLOCKED, "the image own/ship:2 of the service 'b' has not been built."),
        (
            Readiness.NOTE,
            "far of c is not here: it is pulled, or a local substitute is used; its files cannot be looked at before",
        ),
        (Readiness.BLOCKED, "the service 'd' has neither an image nor a build."),
    ]
    assert found[1].fix == "Build it: `invoke build --app ship`."


def test_what_the_compose_file_builds_is_built_before_a_start_and_missed_by_one(tmp_path: Path) -> None:
    services = [Service(name=name, built=name != "b", image="own/ship") for name in "abc"]
    of = plan(tmp_path, *services, Service(name="d", image="other:1", built=True))
    of = replace(of, makers={"a": "ship", "c": "ship"})
    before, _ = check_images(of, {"other:1": "sha256:1"}, builds=True)
    assert (before.readiness, before.what) == (Readiness.NOTE, "own/ship of a is not here: it is built")
    missed, _ = check_images(of, {"other:1": "sha256:1"})
    assert (missed.readiness, missed.fix) == (Readiness.BLOCKED, "Build it: `invoke build --app ship`.")
    assert to_build(of, {}) == ("ship",)
    assert to_build(of, {"own/ship": "sha256:1"}) == ()


def an_engine(url: str = "unix:///x", **holders: list[dict[str, object]]) -> Any:
    """Return what `check_ports` asks of an engine: its address, and the ports that its containers publish."""
    listed = [{"Names": [f"/{name}"], "Ports": ports} for name, ports in holders.items()]
    api = SimpleNamespace(containers=lambda: listed)
    return SimpleNamespace(candidate=SimpleNamespace(url=url), client=SimpleNamespace(api=api))


def test_ports_are_free_taken_or_the_stacks_own(tmp_path: Path) -> None:
    def port(number: int | None) -> Port:
        return Port(host_ip="127.0.0.1", published=number, target=80)

    with socket.socket() as holder, socket.socket() as other:
        for entry in (holder, other):
            entry.bind(("127.0.0.1", 0))
        holder.listen()
        held, free = holder.getsockname()[1], other.getsockname()[1]
        other.close()
        running = ContainerState(id="1", name="x", service="own", status=ContainerStatus.RUNNING, ports=(port(held),))
        services = (
            Service(name="a", image="x", ports=(port(held),)),
            Service(name="b", image="x", ports=(port(free), port(None))),
            Service(name="c", image="x", ports=(port(free),)),
        )
        of = plan(tmp_path, *services)
        taken, is_free, twice = check_ports(of, (), an_engine(boat=[{"PublicPort": held, "Type": "tcp"}]))
        assert taken.what == f"the service 'a' publishes port {held}, which is taken by the container boat."
        assert is_free == ready("port", f"127.0.0.1:{free}/tcp of b is free")
        assert (
            twice.what == f"the service 'c' publishes port {free}, which is taken by the service 'b' of the same file."
        )
        own, *_ = check_ports(of, (running,), an_engine())
        assert own == ready("port", f"127.0.0.1:{held}/tcp of a is this stack's own already")
        far, *_ = check_ports(of, (), an_engine("ssh://harbour"))
        assert far.readiness is Readiness.NOTE


def test_all_that_stands_in_the_way_is_one_error() -> None:
    first = blocked("port", "port 80 is taken.", where="c.yaml:3", fix="Stop it.")
    second = blocked("image", "x is not built.", where="c.yaml", fix="Build it.")
    with pytest.raises(StackError) as caught:
        require_unblocked([ready("port", "free"), first, note("image", "far"), second])
    assert str(caught.value) == "c.yaml:3: port 80 is taken. (1 more below) Stop it."
    assert caught.value.detail == "c.yaml: x is not built. Build it."
    assert caught.value.exit_code is ExitCode.UNDECIDED
    require_unblocked([ready("port", "free"), note("image", "far")])


def test_the_catalogues_compose_checks_need_no_image() -> None:
    service = Service(name="api", ports=(Port(host_ip="", published=80, written="80", target=80, line=4),))
    source = ComposeSource(path="compose.yaml", model=ComposeModel(services=(service,)))
    results = {result.id: result for result in judge_compose(source, Contract(waive={"compose/hardening": "a demo"}))}
    assert set(results) == {check.id for check in registry.CATALOGUE if check.family == "compose"}
    assert (results["compose/ports"].status, results["compose/ports"].where) == (Judged.FAIL, "compose.yaml:4")
    assert results["compose/hardening"].status is Judged.WAIVED
    assert {result.status for result in judge_compose(Unavailable(reason="no YAML"), Contract())} == {Judged.ERROR}


def found(*findings: Finding) -> Preflight:
    from pathlib import Path

    services = (Service(name="db", image="postgres:17"),)
    return Preflight(stack=STACK, file=Path("/x/compose.yaml"), services=services, findings=findings)


BLOCKED = blocked("port", "port 80 is [red]taken\x1b[2J.", where="c.yaml:3", fix="Stop it.")


def printed(of: Preflight) -> list[str]:
    screen = Console(file=io.StringIO(), width=60, color_system=None)
    print_preflight(of, screen)
    assert isinstance(screen.file, io.StringIO)
    return screen.file.getvalue().splitlines()


def test_a_look_is_printed_with_each_fix_below_it() -> None:
    assert printed(found(ready("compose file", "fine", where="c.yaml"), BLOCKED)) == [
        "ship: /x/compose.yaml as ship-1",
        "  db",
        "ready     compose file  fine",
        "blocked   port          port 80 is [red]taken.",
        "                        c.yaml:3: Stop it.",
        "ship cannot be started: 1 to fix first.",
    ]
    assert printed(found(note("image", "far")))[-1] == "ship can be started; 1 note. Nothing was started or changed."
    hardening = replace(note("compose/hardening", "a: it is privileged", where="c.yaml:1"), result="warning")
    assert printed(found(hardening))[2:] == [
        "warning   compose/hardening  a: it is privileged",
        "                             c.yaml:1",
        "ship can be started; 1 warning. Nothing was started or changed.",
    ]
    unread = replace(note("compose/mounts", "could not be decided"), result="undecided")
    assert printed(found(unread))[-1] == "ship can be started; 1 undecided. Nothing was started or changed."
    assert printed(found())[-1] == "ship can be started. Nothing was started or changed."


def test_a_look_as_json() -> None:
    document = json.loads(preflight_document(found(BLOCKED)))
    assert (document["schema"], document["app"], document["ready"]) == (1, "ship", False)
    assert document["checks"][0]["standing"] == "blocked"
    assert document["checks"][0]["fix"] == "Stop it."


def state(service: str, phase: Phase, **more: object) -> ServiceState:
    made = {"status": ContainerStatus.RUNNING, "seconds": 4.0, **more}
    container = ContainerState(id="1", name="c", service=service, **made)  # type: ignore[arg-type]
    return ServiceState(service=service, phase=phase, container=container, last_line="ahoy\u202e")


def test_a_stack_as_json() -> None:
    services = (
        state("db", Phase.UP, health=Health.HEALTHY),
        state("migrate", Phase.DONE, status=ContainerStatus.EXITED),
        ServiceState(service="api", phase=Phase.ABSENT, waits_for=("db",)),
    )
    up = json.loads(
        up_document(STACK, services, addresses=[Address(service="api", text="http://x")], changed=True, seconds=1.23456)
    )
    assert (up["up"], up["changed"], up["seconds"], up["problem"]) == (True, True, 1.235, None)
    assert up["addresses"] == [{"service": "api", "address": "http://x"}]
    db, migrate, api = up["services"]
    assert (db["state"], db["health"], db["since_seconds"], db["exit_code"]) == ("up", "healthy", 4.0, None)
    assert (migrate["state"], migrate["exit_code"]) == ("completed", 0)
    assert api == {"service": "api", "state": "not created", "waits_for": ["db"], "last_line": ""}
    error = StackError("it broke.", where="x", fix="Mend it.", detail="a\nb")
    failed = json.loads(up_document(STACK, (), changed=False, seconds=0, problem=error))
    assert failed["problem"] == {"what": "it broke.", "where": "x", "fix": "Mend it.", "detail": ["a", "b"]}
    assert not failed["up"]


def test_what_was_taken_down_as_json() -> None:
    removed = Removed(containers=("c",), networks=("n",), kept_volumes=("v",), out_of_reach=("db: /data",))
    down = json.loads(down_document(STACK, removed))
    assert (down["schema"], down["app"], down["down"], down["problem"]) == (1, "ship", True, None)
    assert down["removed"] == {"containers": ["c"], "networks": ["n"], "volumes": []}
    assert (down["kept_volumes"], down["out_of_reach"]) == (["v"], ["db: /data"])
    failed = json.loads(down_document(STACK, Removed(), problem=StackError("it stays.")))
    assert (failed["down"], failed["problem"]["what"]) == (False, "it stays.")


def test_what_would_be_restarted_as_json() -> None:
    assert json.loads(restart_plan_document(STACK, ("a", "b")))["would_restart"] == ["a", "b"]
    assert json.loads(restart_plan_document(STACK, (), problem=StackError("no.")))["problem"]["what"] == "no."


def test_ps_as_json_is_up_only_when_all_is() -> None:
    assert json.loads(ps_document(STACK, (state("db", Phase.UP),)))["up"]
    assert not json.loads(ps_document(STACK, (state("db", Phase.STARTING),)))["up"]
    assert not json.loads(ps_document(STACK, ()))["up"]
    assert ps_document(STACK, (state("db", Phase.UP),)).isascii()
