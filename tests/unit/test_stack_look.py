"""What is looked at before a stack is started, and what an isolated one is made of, without an engine."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import pytest
from tests.fakes.world import World

from seatrial.compose.readiness import Readiness
from seatrial.errors import ImageError, SeatrialError, StackError
from seatrial.stack.inspect import containers
from seatrial.stack.isolated import plan_isolated
from seatrial.stack.plan import plan_up
from seatrial.stack.ports import check_ports
from seatrial.stack.preflight import check_all

if TYPE_CHECKING:
    from pathlib import Path

    from seatrial.stack.isolated import IsolatedStack
    from seatrial.stack.plan import StackPlan
    from seatrial.stack.preflight import Preflight

COMPOSE = """
services:
  api:
    image: ship:1
    environment: {TOKEN: "x"}
  db:
    image: postgres:17
"""


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    world = World(tmp_path, monkeypatch)
    world.memory.add_image("postgres:17")
    world.write(COMPOSE)
    return world


def looked(world: World, **substitutes: bool | SeatrialError) -> Preflight:
    return check_all(
        world.project,
        "ship",
        engine=world.engine,
        host=world.host,
        has_substitute=lambda image: substitutes.get(image.partition(":")[0], False),
    )


def found(preflight: Preflight, check: str) -> dict[str, Readiness]:
    return {finding.what: finding.readiness for finding in preflight.findings if finding.check == check}


def test_all_is_ready(world: World) -> None:
    preflight = looked(world)
    assert preflight.ready
    assert [service.name for service in preflight.services] == ["api", "db"]
    assert found(preflight, "compose file") == {"compose takes it: api, db": Readiness.READY}
    assert found(preflight, "image") == {
        "ship:1 of api is here": Readiness.READY,
        "postgres:17 of db is here": Readiness.READY,
    }
    assert any(finding.check.startswith("compose/") for finding in preflight.findings)


def test_nothing_is_started_pulled_or_changed(world: World) -> None:
    looked(world)
    assert world.memory.calls == []
    assert {words[-1] for words in world.programs.ran} <= {"version", "json", "--environment"}


def test_an_own_image_that_is_not_built_is_told_once(world: World) -> None:
    del world.memory.images["ship:1"]
    world.write(COMPOSE + "  worker: {image: 'ship:1'}\n")
    preflight = looked(world)
    assert not preflight.ready
    assert found(preflight, "image") == {
        "the image ship:1 of the service 'api' has not been built.": Readiness.BLOCKED,
        "postgres:17 of db is here": Readiness.READY,
    }


@pytest.mark.parametrize("has", [True, False, ImageError("No Alpine.", fix="Name postgres:17.")])
def test_an_image_that_is_pulled(world: World, has: bool | SeatrialError) -> None:
    del world.memory.images["postgres:17"]
    (told,) = [what for what in found(looked(world, postgres=has), "image") if what.startswith("postgres")]
    other = ", or a local substitute is used" if has is True else ""
    why = f"; {has}" if isinstance(has, ImageError) else ""
    assert told == f"postgres:17 of db is not here: it is pulled{other}; its files cannot be looked at before{why}"


def test_a_service_that_is_only_built(world: World) -> None:
    world.write(COMPOSE + "  odd: {build: .}\n")
    assert found(looked(world), "image")["ship of odd is not here: it is built"] is Readiness.NOTE
    world.write(COMPOSE + "  odd: {build: {dockerfile_inline: FROM scratch}}\n")
    what = "the service 'odd' is built with `dockerfile_inline`, which seatrial's build does not know."
    assert found(looked(world), "image")[what] is Readiness.BLOCKED


def test_compose_refuses_the_file(world: World) -> None:
    world.compose.refuses = "services.api additional properties 'x' not allowed\n"
    preflight = looked(world)
    assert preflight.services == ()
    assert not preflight.ready
    assert any("additional properties 'x' not allowed" in what for what in found(preflight, "compose file"))


def test_of_a_file_that_is_not_yaml_compose_alone_tells(world: World) -> None:
    world.write("services:\n  api: [\n")
    world.compose.refuses = "yaml: line 2: did not find expected node content\n"
    preflight = looked(world)
    assert [finding.check for finding in preflight.findings] == ["compose file"]
    assert not preflight.ready


def test_what_is_missing_is_named_and_the_rest_is_looked_at_as_if_it_were_there(world: World) -> None:
    world.write(NEEDS)
    world.compose.needs = {"TOKEN"}
    preflight = looked(world)
    assert not preflight.ready
    assert found(preflight, "compose file") == {"compose takes it: api, db": Readiness.READY}
    assert Readiness.BLOCKED in found(preflight, "variable").values()
    assert len(found(preflight, "image")) == 2
    with pytest.raises(StackError, match="TOKEN"):
        planned(world)


def test_what_only_a_profile_wants_that_is_not_asked_for_does_not_prevent_the_start(world: World) -> None:
    world.write(NEEDS)
    preflight = looked(world)
    assert preflight.ready
    assert Readiness.NOTE in found(preflight, "variable").values()


def test_what_compose_warns_of(world: World) -> None:
    world.compose.warns = 'time="now" level=warning msg="version is obsolete"\n'
    assert found(looked(world), "compose file")["compose warns: version is obsolete"] is Readiness.NOTE


def test_a_variable_that_is_not_set_is_told_once(world: World) -> None:
    world.compose.warns = 'time="now" level=warning msg="The \\"X\\" variable is not set."\n'
    # A file that this one includes names it: nothing but compose tells.
    assert found(looked(world), "compose file") == {
        "compose takes it: api, db": Readiness.READY,
        'compose warns: The "X" variable is not set.': Readiness.NOTE,
    }
    # An env file names it: compose/interpolation tells with the line.
    (world.folder / ".env").write_text("TOKEN=a$X\n", encoding="utf-8")
    assert found(looked(world), "compose file") == {"compose takes it: api, db": Readiness.READY}
    (told,) = [finding for finding in looked(world).findings if finding.check == "compose/interpolation"]
    assert (told.readiness, told.where) == (Readiness.ERROR, ".env:1")
    (world.folder / ".env").unlink()
    world.write(COMPOSE.replace('TOKEN: "x"', 'TOKEN: "${X}"'))
    assert found(looked(world), "compose file") == {"compose takes it: api, db": Readiness.READY}
    assert found(looked(world), "variable") == {"X has no value: it becomes empty": Readiness.NOTE}


def test_a_file_without_services(world: World) -> None:
    world.write("services: {}\n")
    assert found(looked(world), "compose file") == {"it declares no service.": Readiness.BLOCKED}


@pytest.mark.parametrize(("name", "ready"), [("TOKEN", True), ("OTHER", False)])
def test_what_the_contract_requires_of_the_environment(world: World, name: str, ready: bool) -> None:
    world.settings(f'contract.required-environment = ["{name}"]')
    assert looked(world).ready is ready


def test_a_check_that_is_waived_is_told_with_its_reason(world: World) -> None:
    plain = {finding.check: finding for finding in looked(world).findings if finding.check.startswith("compose/")}
    failing = next(name for name, finding in plain.items() if finding.readiness is Readiness.NOTE)
    world.settings(f'contract.waive = {{"{failing}" = "we know"}}')
    waived = next(finding for finding in looked(world).findings if finding.check == failing)
    assert (waived.readiness, waived.what) == (Readiness.READY, "Waived: we know")


# Ports.


def ports(world: World) -> list[tuple[Readiness, str]]:
    findings = check_ports(world.plan(), containers(world.stack, world.engine), world.engine)
    return [(finding.readiness, finding.what) for finding in findings]


def test_ports_of_another_machine_are_not_looked_at(world: World) -> None:
    world.write(COMPOSE + '    ports: ["5432:5432"]\n')
    ((readiness, what),) = ports(world)
    assert readiness is Readiness.NOTE
    assert what == "*:5432/tcp of db is on the engine's machine: it cannot be checked from this host"


def test_ports_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path, monkeypatch, url="unix:///memory.sock")
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        world.write(
            COMPOSE
            + f'    ports: ["127.0.0.1:{port}:5432"]\n  web: {{image: "ship:1", ports: ["127.0.0.1:{port}:80"]}}\n'
        )
        assert [readiness for readiness, _ in ports(world)] == [Readiness.BLOCKED, Readiness.BLOCKED]
        assert "which is taken by the service 'db' of the same file" in ports(world)[1][1]
    assert ports(world)[0] == (Readiness.READY, f"127.0.0.1:{port}/tcp of db is free")
    # What the stack itself holds is its own.
    made = world.container("db", ports=[{"target": 5432, "published": str(port), "host_ip": "127.0.0.1"}])
    assert ports(world)[0] == (Readiness.READY, f"127.0.0.1:{port}/tcp of db is this stack's own already")
    world.memory.end(made, 0)
    assert ports(world)[0] == (Readiness.READY, f"127.0.0.1:{port}/tcp of db is free")


def test_a_port_that_the_engine_chooses_is_always_free(world: World) -> None:
    world.write(COMPOSE + '    ports: ["5432"]\n')
    assert ports(world) == []


# What a smoke brings up.


def isolated(world: World, image: str | None = None) -> IsolatedStack:
    return plan_isolated(
        world.project,
        "ship",
        engine=world.engine,
        host=world.host,
        labels={"mine": "1"},
        image=image,
        say=world.observer.say,
    )


def test_an_isolated_stack_has_a_project_of_its_own(world: World) -> None:
    world.write(COMPOSE.replace("image: ship:1", 'image: ship:1\n    ports: ["8000:80"]'))
    made = isolated(world)
    assert made.plan.stack.compose_project == f"{world.stack.compose_project}-smoke"
    assert (made.app, made.image, made.port) == ("api", "ship:1", 80)
    assert made.compose.document is not None
    assert made.compose.document["services"]["api"]["labels"] == {"mine": "1"}
    assert made.plan.services[0].ports == ()
    assert world.observer.said == []


def test_another_image_takes_the_place_of_the_apps_in_each_of_its_services(world: World) -> None:
    world.write(COMPOSE + "  migrate: {image: 'ship:1'}\n")
    world.settings('contract.stack.service = "api"')
    made = isolated(world, image="ship:py3.12")
    assert made.image == "ship:py3.12"
    assert {service.name: service.image for service in made.plan.services} == {
        "api": "ship:py3.12",
        "db": "postgres:17",
        "migrate": "ship:py3.12",
    }


def test_values_come_from_the_example_where_there_are_no_others(world: World) -> None:
    (world.folder / ".env.example").write_text("TOKEN=x\n", encoding="utf-8")
    made = isolated(world)
    assert made.compose.env_files == (world.folder / ".env.example",)
    assert "takes its values from .env.example" in world.observer.said[0]
    (world.folder / ".env").write_text("TOKEN=y\n", encoding="utf-8")
    assert not isolated(world).compose.env_files


def test_the_contract_names_the_port(world: World) -> None:
    world.settings("contract.stack.port = 9000")
    assert isolated(world).port == 9000


def test_which_service_is_the_app_must_be_clear(world: World) -> None:
    world.write(COMPOSE + "  web: {image: 'ship:1'}\n")
    with pytest.raises(StackError, match="several services run the image of ship") as caught:
        isolated(world)
    assert "one of api, web" in caught.value.fix
    world.write("services: {db: {image: 'postgres:17'}}\n")
    with pytest.raises(StackError, match="no service runs the image of ship"):
        isolated(world)


# What `up` is going to bring up.

NEEDS = COMPOSE.replace('TOKEN: "x"', 'TOKEN: "${TOKEN:?}"')
EXAMPLE = "TOKEN=\n"


def planned(world: World, **options: Any) -> StackPlan:
    return plan_up(world.project, "ship", engine=world.engine, host=world.host, say=world.observer.say, **options)


def test_a_plan(world: World) -> None:
    world.compose.warns = 'time="now" level=warning msg="version is obsolete"\n'
    plan = planned(world)
    assert [service.name for service in plan.services] == ["api", "db"]
    assert (plan.notes, plan.own_images) == (("version is obsolete",), {"ship": "ship"})
    world.write("services: {}\n")
    with pytest.raises(StackError, match="it declares no service"):
        planned(world)


@pytest.mark.parametrize("ask", [None, lambda _: False])
def test_an_env_file_that_is_missing_beside_its_example(world: World, ask: Any) -> None:
    example = world.folder / ".env.example"
    example.write_text("TOKEN=x\n", encoding="utf-8")
    with pytest.raises(StackError, match="the env file is missing; an example") as caught:
        planned(world, ask=ask)
    assert f"cp {example}" in caught.value.fix
    assert not (world.folder / ".env").exists()


def test_all_that_is_missing_is_told_with_it(world: World) -> None:
    (world.folder / ".env.example").write_text(EXAMPLE, encoding="utf-8")
    world.write(NEEDS)
    with pytest.raises(StackError) as caught:
        planned(world)
    assert "TOKEN" in str(caught.value) + caught.value.detail


@pytest.mark.parametrize("options", [{"create_env": True}, {"ask": lambda _: True}])
def test_an_env_file_is_copied_when_somebody_says_so(world: World, options: dict[str, Any]) -> None:
    (world.folder / ".env.example").write_text("TOKEN=x\n", encoding="utf-8")
    planned(world, **options)
    assert (world.folder / ".env").read_text(encoding="utf-8") == "TOKEN=x\n"


def test_nobody_is_asked_where_the_env_file_is_to_be_made(world: World) -> None:
    (world.folder / ".env.example").write_text("TOKEN=x\n", encoding="utf-8")
    asked: list[str] = []

    def ask(question: str) -> bool:
        asked.append(question)
        return True

    planned(world, create_env=True, ask=ask)
    planned(world, ask=ask)
    assert asked == []


def test_what_compose_refuses_is_told_in_its_words_where_nothing_is_missing(world: World) -> None:
    world.compose.refuses = "services.api additional properties 'x' not allowed\n"
    with pytest.raises(StackError, match="additional properties 'x' not allowed"):
        planned(world)
    world.write(NEEDS)
    with pytest.raises(StackError, match="TOKEN") as caught:
        planned(world)
    assert "additional properties" not in str(caught.value)
