"""Compose services that are built: whose image that is, who builds it, and what cannot be built."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from tests.fakes.engine import healthy
from tests.fakes.world import World

from seatrial.cli import output
from seatrial.cli import smoke as smoke_command
from seatrial.cli import up as up_command
from seatrial.compose.readiness import Readiness
from seatrial.compose.runner import identify
from seatrial.errors import BuildError, EngineError, ImageError, SettingsError, StackError
from seatrial.images.plan import plan_build, plan_matrix
from seatrial.images.services import MOST_BUILDS, ServiceBuild, app_of_build, building_files, read_builds, with_services
from seatrial.smoke import app_target
from seatrial.stack.images import present, to_build
from seatrial.stack.isolated import plan_isolated
from seatrial.stack.plan import plan_up
from seatrial.stack.preflight import check_all
from seatrial.stack.up import up
from seatrial.trust import Trust

if TYPE_CHECKING:
    from pathlib import Path

    from seatrial.engine.find import Engine
    from seatrial.settings.read import Project
    from seatrial.smoke import Target
    from seatrial.stack.plan import StackPlan

DOCKERFILE = "FROM python:3.13-slim AS base\nFROM base AS production\nFROM base AS dev\nFROM production\n"


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(tmp_path, monkeypatch)
    (tmp_path / "Dockerfile").write_text(DOCKERFILE, encoding="utf-8")
    (tmp_path / "proxy").mkdir()
    (tmp_path / "proxy" / "Dockerfile").write_text("FROM nginx:1.29 AS web\n", encoding="utf-8")
    made.settings('target = "production"\nbuild-arguments = { EXTRA = "yes" }\n')
    return made


def planned(world: World, services: str) -> StackPlan:
    world.write(f"services:\n  {services}\n")
    return world.plan()


def images(plan: StackPlan) -> dict[str, str | None]:
    return {service.name: service.image for service in plan.services}


def implied(world: World, service: str) -> str:
    return f"{world.stack.compose_project}-{service}"


# --- whose build it is ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "build",
    [
        "{context: ., target: production}",
        "{context: ., target: Production, dockerfile: ./Dockerfile}",
        "{context: proxy/.., target: production, args: {EXTRA: 'yes'}}",
        "{context: ., target: production, args: [EXTRA=yes], cache_from: [x], pull: true, labels: {a: b}, x-own: 1}",
        "{context: ., target: production, secrets: [token]}",
    ],
)
def test_a_service_that_is_built_as_an_app_is_has_its_image(world: World, build: str) -> None:
    plan = planned(world, f"api: {{build: {_args(build)}}}")
    assert images(plan) == {"api": "ship"}
    assert plan.project is not None
    assert not plan.project.of_services


def _args(build: str) -> str:
    # Compose prints arguments as a table.
    return build.replace("[EXTRA=yes]", "{EXTRA: 'yes'}")


@pytest.mark.parametrize(
    "build",
    [
        "{context: ., target: dev}",
        ".",
        "{context: ., target: production, dockerfile: proxy/Dockerfile}",
        "{context: proxy, target: production}",
        "{context: ., target: production, args: {EXTRA: 'no'}}",
        "{context: ., target: production, args: {MORE: '1'}}",
    ],
)
def test_another_build_is_another_image_named_as_compose_names_it(world: World, build: str) -> None:
    plan = planned(world, f"Api: {{build: {build}}}")
    assert images(plan) == {"Api": implied(world, "api")}
    assert plan.project is not None
    assert plan.project.of_services["Api"].where == "compose.yaml:2"


def test_the_last_stage_may_be_named_or_not(world: World) -> None:
    (world.folder / "Dockerfile").write_text("FROM a AS base\nFROM base AS production\n", encoding="utf-8")
    assert images(planned(world, "api: {build: .}")) == {"api": "ship"}


def test_services_of_one_build_have_one_image(world: World) -> None:
    plan = planned(
        world,
        "proxy: {build: proxy}\n  cache: {build: {context: proxy, target: web}}\n  other: {build: {context: proxy, "
        "args: {A: '1'}}}\n  plain: {image: 'nginx:1.29'}\n  same: {build: {context: proxy, args: {A: '1'}}}",
    )
    one, two = implied(world, "cache"), implied(world, "other")
    assert images(plan) == {"cache": one, "proxy": one, "other": two, "same": two, "plain": "nginx:1.29"}
    assert plan.named == {"cache": one, "proxy": one, "other": two, "same": two}


def test_a_service_that_names_its_image_is_built_under_that_name(world: World) -> None:
    plan = planned(world, "proxy: {image: 'team/proxy:1.2', build: proxy}")
    assert images(plan) == {"proxy": "team/proxy:1.2"}
    assert plan.named == {}
    assert plan.project is not None
    assert plan_build(plan.project, "proxy").tags == ("team/proxy:1.2",)
    assert to_build(plan, present(plan, world.engine)) == ("proxy",)


def test_an_image_of_an_app_with_a_tag_that_its_build_does_not_set_is_the_apps(world: World) -> None:
    build = "build: {context: ., target: production}"
    assert images(planned(world, f"api: {{image: 'ship:dev', {build}}}")) == {"api": "ship"}
    assert images(planned(world, f"api: {{image: 'ship:latest', {build}}}")) == {"api": "ship:latest"}
    assert images(planned(world, "api: {image: 'ship:dev'}")) == {"api": "ship:dev"}


def test_images_of_one_name_and_several_tags_are_several(world: World) -> None:
    plan = planned(
        world,
        "api: {build: {context: ., target: production}}\n  dev: {image: 'ship:dev', build: {context: ., target: dev}}\n"
        "  one: {image: 'team/x:1', build: proxy}\n  two: {image: 'team/x:2', build: proxy}",
    )
    assert images(plan) == {"api": "ship", "dev": "ship:dev", "one": "team/x:1", "two": "team/x:2"}
    assert plan.makers == {"api": "ship", "dev": "dev", "one": "one", "two": "two"}
    assert plan.project is not None
    tags = [plan_build(plan.project, name).tags for name in ("dev", "one", "two")]
    assert tags == [("ship:dev",), ("team/x:1",), ("team/x:2",)]
    assert to_build(plan, {"ship": "sha256:1", "team/x:1": "sha256:2"}) == ("dev", "two")


def test_no_app_of_the_settings_is_replaced(world: World) -> None:
    (world.folder / "pyproject.toml").write_text(
        '[tool.seatrial.apps.ship]\ncompose = "compose.yaml"\n[tool.seatrial.apps.ship-ship]\nimage = "own"\n',
        encoding="utf-8",
    )
    found = project(world, "ship: {build: proxy}")
    assert list(found.settings.apps) == ["ship", "ship-ship", "ship-ship1"]
    assert found.app("ship-ship").image == "own"


def test_an_apps_settings_hold_for_another_image_of_its_build(world: World) -> None:
    plan = planned(world, "api: {image: 'team/ship:1', build: {context: ., target: production}}")
    assert plan.project is not None
    made = plan_build(plan.project, "api")
    assert (made.tags, made.build_arguments, made.target) == (("team/ship:1",), {"EXTRA": "yes"}, "production")


def test_two_apps_of_one_image_each_bring_up_their_own_stack(world: World) -> None:
    world.write("services: {api: {image: ship}}")
    (world.folder / "pyproject.toml").write_text(
        '[tool.seatrial.apps.ship]\ncompose = "compose.yaml"\n'
        '[tool.seatrial.apps.worker]\nimage = "ship"\ncompose = "compose.yaml"\n',
        encoding="utf-8",
    )
    for name in ("ship", "worker"):
        plan = plan_up(world.project, name, engine=world.engine, host=world.host, say=world.observer.say)
        assert plan.own_images == {"ship": name}


# --- the app of a service -------------------------------------------------------------------------------------


def project(world: World, services: str) -> Project:
    world.write(f"services:\n  {services}\n")
    return with_services(world.project, engine=world.engine, host=world.host, say=world.observer.say)


def test_a_build_plans_the_services_images_too(world: World) -> None:
    found = project(world, "proxy: {build: {context: proxy, target: web, args: {A: $$1}}, command: [nginx]}")
    assert list(found.chosen(None)) == ["ship", "proxy"]
    _, plan = plan_matrix(found, list(found.chosen(None)))
    assert (plan.tags, plan.target, plan.build_arguments) == (
        (f"{implied(world, 'proxy')}:latest",),
        "web",
        {"A": "$1"},
    )
    assert (plan.context, plan.dockerfile_shown) == (world.folder / "proxy", "proxy/Dockerfile")


def test_what_more_is_to_be_said_of_it_belongs_into_an_app(world: World) -> None:
    found = project(world, "proxy: {build: proxy}")
    ship, proxy = plan_matrix(found, list(found.chosen(None)))
    assert ship.table == "[tool.seatrial.apps.ship]"
    assert proxy.table == "an app that you declare with its context"


def test_a_service_is_smoked_with_its_own_command(world: World) -> None:
    found = project(world, "proxy:\n    build: proxy\n    entrypoint: [run]\n    command: [nginx, $$x]")
    target = app_target(found, "proxy")
    assert target.reference == f"{implied(world, 'proxy')}:latest"
    assert target.other_command is not None
    assert (target.other_command.entrypoint, target.other_command.command) == (("run",), ("nginx", "$x"))
    assert target.other_command.where == "compose.yaml:3"


def test_a_service_that_is_called_like_an_app_has_a_name_of_its_own(world: World) -> None:
    assert list(project(world, "ship: {build: proxy}").settings.apps) == ["ship", "ship-ship"]


def test_compose_is_not_asked_where_nothing_speaks_of_a_build(world: World) -> None:
    assert project(world, "db: {image: 'postgres:17'} # invoke build: makes it").of_services == {}
    assert not building_files(world.project, Trust.PROJECT)
    assert world.programs.ran == []
    world.settings("")
    (world.folder / "pyproject.toml").write_text('[tool.seatrial.apps.ship]\ncompose = "none.yaml"\n')
    assert not building_files(world.project, Trust.PROJECT)


def test_a_variable_without_a_value_does_not_hide_the_builds(world: World) -> None:
    found = project(world, "proxy: {build: proxy, environment: {TOKEN: '${TOKEN:?}'}}")
    assert list(found.of_services) == ["proxy"]


def test_a_file_that_compose_refuses_leaves_its_services_out_and_says_why(world: World) -> None:
    world.compose.refuses = "services.proxy.build additional properties 'contxt' not allowed\n"
    assert project(world, "proxy: {build: {contxt: proxy}}").of_services == {}
    (said,) = world.observer.said
    assert "compose.yaml: the services that are built there are left out: " in said
    assert "additional properties 'contxt' not allowed" in said


# --- up -------------------------------------------------------------------------------------------------------


def test_what_is_not_here_is_built_before_the_start(world: World) -> None:
    plan = planned(
        world, "api: {build: {context: ., target: production}}\n  proxy: {build: proxy}\n  again: {build: proxy}"
    )
    assert to_build(plan, present(plan, world.engine)) == ("again", "ship")
    with pytest.raises(StackError, match="has not been built") as caught:
        up(plan, engine=world.engine, host=world.host, observer=world.observer, clock=world.clock)
    assert "`invoke build --app again`" in f"{caught.value} {caught.value.detail}"
    world.memory.add_image("ship")
    world.memory.add_image(implied(world, "again"))
    assert to_build(plan, present(plan, world.engine)) == ()


def test_a_stack_of_built_services_comes_up_and_is_left_alone_the_next_time(world: World) -> None:
    plan = planned(world, "api: {build: {context: ., target: production}}\n  proxy: {build: proxy}")
    for image in ("ship", implied(world, "proxy")):
        world.memory.add_image(image)
    for service in ("api", "proxy"):
        world.memory.script(service, healthy())

    def brought_up() -> bool:
        return up(plan, engine=world.engine, host=world.host, observer=world.observer, clock=world.clock).changed

    assert brought_up()
    assert {made.image_id for made in world.memory.containers.values()} == {
        world.memory.images[name]["Id"] for name in ("ship", implied(world, "proxy"))
    }
    assert not brought_up()


def test_a_service_of_the_file_alone_is_not_taken_to_speak_http(world: World) -> None:
    port = "ports: ['127.0.0.1:1:80']"
    plan = planned(world, f"api: {{build: {{context: ., target: production}}}}\n  db: {{build: proxy, {port}}}")
    for image in ("ship", implied(world, "db")):
        world.memory.add_image(image)
    for service in ("api", "db"):
        world.memory.script(service, healthy())
    state = up(plan, engine=world.engine, host=world.host, observer=world.observer, clock=world.clock)
    assert [address.text for address in state.addresses] == ["127.0.0.1:1"]


def test_what_runs_is_not_taken_for_a_build_that_is_not_known(world: World) -> None:
    plan = planned(world, "proxy: {build: proxy}")
    world.memory.add_image(implied(world, "proxy"))
    world.memory.script("proxy", healthy())
    up(plan, engine=world.engine, host=world.host, observer=world.observer, clock=world.clock)
    plan = planned(world, "proxy: {build: {context: proxy, additional_contexts: {a: b}}}")
    with pytest.raises(StackError, match="`additional_contexts`, which seatrial's build does not know"):
        up(plan, engine=world.engine, host=world.host, observer=world.observer, clock=world.clock)


def dry(world: World, services: str) -> dict[str, tuple[Readiness, str, str]]:
    world.write(f"services:\n  {services}\n")
    found = check_all(world.project, "ship", engine=world.engine, host=world.host)
    return {
        finding.what: (finding.readiness, finding.where.removeprefix(f"{world.folder}/"), finding.fix)
        for finding in found.findings
        if finding.check == "image"
    }


@pytest.mark.parametrize(
    ("build", "key", "fix"),
    [
        ("{dockerfile_inline: FROM scratch}", "dockerfile_inline", "Write it into a file, and name that"),
        ("{context: proxy, additional_contexts: {base: ../x}}", "additional_contexts", "in the Dockerfile itself"),
        ("{context: proxy, secrets: [token]}", "secrets", "Declare the service as an app"),
        ("{context: proxy, network: host}", "network", "Build it with `docker compose build`"),
    ],
)
def test_what_seatrials_build_does_not_know_is_one_line(world: World, build: str, key: str, fix: str) -> None:
    told = dry(world, f"proxy:\n    build: {build}")
    what = f"the service 'proxy' is built with `{key}`, which seatrial's build does not know."
    readiness, where, advice = told[what]
    assert (readiness, where) == (Readiness.BLOCKED, "compose.yaml:3")
    assert fix in advice


def test_too_many_builds_are_one_error(world: World) -> None:
    services = "\n  ".join(
        f"s{number}: {{build: proxy, labels: {{a: '{number}'}}}}" for number in range(MOST_BUILDS + 1)
    )
    assert project(world, services).of_services == {}
    assert "the compose file builds 101 services, more than 100" in world.observer.said[0]
    with pytest.raises(StackError, match="builds 101 services"):
        world.plan()


def test_a_context_that_is_fetched_is_not_looked_for_here(world: World) -> None:
    (build,) = read_builds({"services": {"x": {"build": {"context": "https://host.example/x.git"}}}}).values()
    assert build.beyond == ("context",)
    assert app_of_build(world.project, build) is None


def test_an_apps_settings_are_told_where_they_take_the_place_of_the_files(world: World) -> None:
    world.memory.add_image("ship")
    told = dry(world, "api:\n    build: {context: ., target: production, secrets: [token], ssh: [default]}")
    readiness, where, _ = told["ship of api is built as the settings say: `secrets`, `ssh` of the file does not count"]
    assert (readiness, where) == (Readiness.NOTE, "compose.yaml:3")


def test_a_target_that_the_dockerfile_lacks_is_told_with_both_places(world: World) -> None:
    found = project(world, "proxy:\n    build: {context: proxy, target: wbe}")
    with pytest.raises(BuildError) as caught:
        plan_build(found, "proxy")
    assert caught.value.where == "proxy/Dockerfile"
    assert caught.value.what == "no stage is called 'wbe'; its stages: web (line 1)."
    assert caught.value.fix == ("Did you mean 'web'? `build` of the service 'proxy' in compose.yaml:3 names it.")


@pytest.mark.parametrize(
    ("build", "error", "says"),
    [
        ("nowhere", BuildError, "nowhere: the build context does not exist"),
        ("{context: proxy, dockerfile: lost}", BuildError, "lost: there is no such Dockerfile"),
    ],
)
def test_what_is_not_there_is_told_with_the_service(world: World, build: str, error: Any, says: str) -> None:
    with pytest.raises(error, match=says) as caught:
        plan_build(project(world, f"proxy: {{build: {build}}}"), "proxy")
    assert "`build` of the service 'proxy' in compose.yaml:2" in str(caught.value)


def test_a_service_whose_name_is_no_images_is_told(world: World) -> None:
    with pytest.raises(SettingsError, match="is not an image name") as caught:
        plan_build(project(world, "web.: {build: proxy}"), "web.")
    assert caught.value.where == "compose.yaml:2"


def test_an_image_that_a_registry_may_have_is_pulled_by_a_smoke(world: World) -> None:
    plan = planned(world, "proxy: {image: 'team/proxy:1', build: proxy}")
    with pytest.raises(ImageError, match="cannot be pulled") as caught:
        up(plan, engine=world.engine, host=world.host, observer=world.observer, clock=world.clock)
    assert "`invoke build --app proxy`" in caught.value.fix


# --- a smoke with its services --------------------------------------------------------------------------------


def test_how_a_built_image_would_be_pulled_does_not_hold(world: World) -> None:
    plan = planned(world, "api: {pull_policy: build, build: {context: ., target: production}}\n  db: {image: 'db:1'}")
    assert plan.document["services"]["api"]["image"] == "ship"
    assert "pull_policy" not in plan.document["services"]["api"]
    assert plan.document["services"]["db"] == {"image": "db:1"}


def test_a_smoke_with_services_runs_what_is_built_for_them(world: World) -> None:
    world.write("services:\n  api: {build: {context: ., target: production}}\n  proxy: {build: proxy}\n")
    made = plan_isolated(world.project, "ship", engine=world.engine, host=world.host, labels={}, say=world.observer.say)
    assert (made.app, made.image) == ("api", "ship")
    project_name = identify(world.project, "ship").compose_project
    assert images(made.plan) == {"api": "ship", "proxy": f"{project_name}-proxy"}


def test_arguments_without_a_value_are_left_to_the_dockerfile() -> None:
    (build,) = read_builds({"services": {"x": {"build": {"context": "/x", "args": {"A": None, "B": 1}}}}}).values()
    assert isinstance(build, ServiceBuild)
    assert build.arguments == {"B": "1"}
    assert read_builds({"services": {"x": None, "y": {"image": "z"}}}) == {}


def test_an_untrusted_project_is_built_from_nothing_outside_of_it(world: World) -> None:
    world.write("services:\n  proxy: {build: ..}\n")
    host = replace(world.host, trust=Trust.NONE)
    found = with_services(world.project, engine=world.engine, host=host, say=world.observer.say)
    assert found.of_services == {}
    (said,) = world.observer.said
    assert "compose.yaml:2: " in said
    assert "refused, as the project is not trusted" in said


def test_a_compose_file_outside_of_an_untrusted_project_is_not_opened(world: World) -> None:
    outside = world.folder.parent / f"{world.folder.name}.yaml"
    outside.write_text("services: {db: {image: x}}\n", encoding="utf-8")
    text = (world.folder / "pyproject.toml").read_text()
    (world.folder / "pyproject.toml").write_text(text.replace('"compose.yaml"', f'"../{outside.name}"'))
    assert building_files(world.project, Trust.PROJECT) == {}
    assert building_files(world.project, Trust.NONE) == {"ship": outside.resolve()}
    host = replace(world.host, trust=Trust.NONE)
    with_services(world.project, engine=world.engine, host=host, say=world.observer.say)
    assert "refused, as the project is not trusted" in world.observer.said[0]


# --- the commands ---------------------------------------------------------------------------------------------


def test_up_builds_what_is_not_here_and_nothing_else(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[tuple[str, ...]] = []
    monkeypatch.setattr(up_command, "build_apps", lambda _, names, *__: built.append(tuple(names)))
    plan = planned(world, "api: {build: {context: ., target: production}}\n  proxy: {build: proxy}")
    up_command.build_missing(plan, world.engine, world.host)
    for image in ("ship", implied(world, "proxy")):
        world.memory.add_image(image)
    up_command.build_missing(plan, world.engine, world.host)
    assert built == [("ship", "proxy")]


@pytest.fixture
def at_home(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """A world whose folder, engine and host the commands find."""
    monkeypatch.chdir(world.folder)
    monkeypatch.setattr(output, "engine", lambda: world.engine)
    monkeypatch.setattr(output, "host", lambda: world.host)
    return world


def test_a_smoke_of_a_service_by_its_name(at_home: World) -> None:
    at_home.write("services:\n  proxy: {build: proxy}\n")
    (target,) = smoke_command.targets_of("proxy", None, None, None)
    assert target.reference == f"{implied(at_home, 'proxy')}:latest"
    asked = len(at_home.programs.ran)
    (target,) = smoke_command.targets_of("ship", None, None, None)
    assert target.reference == "ship:latest"
    assert len(at_home.programs.ran) == asked
    with pytest.raises(SettingsError, match=r"no app is called 'proxi'.*Did you mean 'proxy'"):
        smoke_command.targets_of("proxi", None, None, None)


def test_a_smoke_of_all_apps_looks_at_what_only_compose_files_build(
    at_home: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def holds(target: Target, _: Engine) -> bool:
        if target.app == "lost":
            raise ImageError("no image.", fix="Build it.")
        return target.app != "proxy"

    monkeypatch.setattr("seatrial.smoke.holds_python", holds)
    api = "api: {build: {context: ., target: production}}"
    job = "job: {build: ., command: [work], environment: {MODE: 'a$$b', EMPTY: }}"
    at_home.write(
        f"services:\n  {api}\n  proxy: {{build: proxy}}\n  {job}\n  same: {{build: .}}\n"
        "  lost: {build: {context: ., target: dev}}\n  none: {build: nowhere}\n"
    )
    (target,) = smoke_command._of_services()  # noqa: SLF001
    assert (target.app, target.contract.environment) == ("job", {"MODE": "a$b"})
    lost, none, proxy, started = capsys.readouterr().err.splitlines()
    assert lost == "Not smoked: lost, which only a compose file declares: no image. Build it."
    assert none.startswith(
        "Not smoked: none, which only a compose file declares: nowhere: the build context does not exist"
    )
    assert proxy.endswith("there is no Python in its image.")
    assert started.startswith("Not started, as only compose files declare them: job. `invoke smoke --app NAME`")
    at_home.write(f"services:\n  {api}\n")
    assert smoke_command._of_services() == []  # noqa: SLF001
    assert capsys.readouterr().err == ""


def test_without_an_engine_a_build_plans_the_apps_of_the_settings(
    at_home: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    at_home.write("services:\n  proxy: {build: proxy}\n")
    assert list(output.with_services(at_home.project).settings.apps) == ["ship", "proxy"]

    def none() -> None:
        raise EngineError("none answers.")

    monkeypatch.setattr(output, "engine", none)
    assert list(output.with_services(at_home.project).settings.apps) == ["ship"]
    assert capsys.readouterr().err == "The services that compose files build are left out: none answers.\n"
