"""Compose services that are built, a stage of a Dockerfile, and another command than the image's: on a real engine."""

from __future__ import annotations

import json
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING

import docker.errors
import pytest
from tests.engine import test_stack as base
from tests.engine.test_stack import SLEEP, Yard
from tests.engine.test_trust import seatrial

from seatrial.compose.runner import identify

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.engine

# The fixtures of its neighbour.
engine, host, image, yard = base.engine, base.host, base.image, base.yard

WAITS = ["bash", "-c", "cat /which; trap 'exit 0' TERM; sleep 1000 & wait"]


@pytest.fixture
def site(yard: Yard) -> Iterator[Yard]:
    """A project whose app is one stage of a Dockerfile, and whose compose file builds that and another one."""
    name = f"seatrial-test-{uuid.uuid4().hex[:12]}"
    (yard.folder / "Dockerfile").write_text(
        f"FROM {yard.image} AS base\nRUN echo {name} > /which\nCMD {json.dumps(SLEEP)}\n"
        "FROM base AS production\nRUN echo production >> /which\n"
        "FROM nowhere.invalid/tools:1 AS tools\nFROM base AS dev\nCOPY --from=tools /x /x\n",
        encoding="utf-8",
    )
    (yard.folder / "proxy").mkdir()
    (yard.folder / "proxy" / "Dockerfile").write_text(
        f"FROM {yard.image}\nARG NAME\nRUN echo proxy-$NAME > /which\n", encoding="utf-8"
    )
    (yard.folder / "pyproject.toml").write_text(
        f'[tool.seatrial.apps.ship]\nimage = "{name}"\ntarget = "production"\ncompose = "compose.yaml"\n',
        encoding="utf-8",
    )
    own = {"build": {"context": ".", "target": "production"}, "command": WAITS, "stop_grace_period": "5s"}
    other = {"build": {"context": "proxy", "args": {"NAME": "ahoy"}}, "command": WAITS, "stop_grace_period": "5s"}
    yard.write({"api": own, "worker": own, "proxy": other})
    yield yard
    yard.down(volumes=True)
    for built in (name, f"{identify(yard.project, 'ship').compose_project}-proxy"):
        with suppress(docker.errors.ImageNotFound):
            yard.engine.client.images.remove(built, force=True)


def image_of(site: Yard, service: str) -> str:
    project = identify(site.project, "ship").compose_project
    found = site.engine.client.containers.list(filters={"label": f"com.docker.compose.project={project}"})
    (container,) = [each for each in found if each.labels["com.docker.compose.service"] == service]
    return str(container.attrs["Image"])


def logs_of(site: Yard, service: str) -> str:
    done = seatrial(site, "logs", "--app", "ship", "--service", service)
    return done.stdout + done.stderr


def test_up_builds_what_is_not_here_and_a_second_run_changes_nothing(site: Yard) -> None:
    dry = seatrial(site, "up", "--app", "ship", "--dry-run")
    assert "is not here: it is built" in dry.stdout + dry.stderr
    done = seatrial(site, "up", "--app", "ship", "--format", "json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["changed"] is True
    assert image_of(site, "api") == image_of(site, "worker") != image_of(site, "proxy")
    name = site.project.app("ship").image
    assert site.engine.client.images.get(f"{name}:latest").id == image_of(site, "api")
    assert "production" in logs_of(site, "api")
    assert "proxy-ahoy" in logs_of(site, "proxy")
    again = seatrial(site, "up", "--app", "ship", "--format", "json")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["changed"] is False


def test_a_build_makes_the_images_of_apps_and_services(site: Yard) -> None:
    done = seatrial(site, "build")
    assert done.returncode == 0, done.stderr
    proxy = f"{identify(site.project, 'ship').compose_project}-proxy"
    labels = site.engine.client.images.get(proxy).labels
    assert labels["seatrial.app"] == "proxy"
    smoked = seatrial(site, "smoke", "--level", "quick")
    assert "Not smoked: proxy, which only a compose file declares: there is no Python in its image." in smoked.stderr
    one = seatrial(site, "build", "--app", "proxy")
    assert one.returncode == 0, one.stderr
    site.write({"proxy": {"build": {"context": ".", "target": "prodution"}}})
    wrong = seatrial(site, "build", "--app", "proxy")
    assert wrong.returncode == 2
    assert "Did you mean 'production'?" in wrong.stderr
    assert "`build` of the service 'proxy' in compose.yaml:1 names it." in wrong.stderr
    both = seatrial(site, "build")
    assert both.returncode == 2
    assert f"Built {site.project.app('ship').image}:latest" in both.stdout + both.stderr


def test_what_seatrials_build_does_not_know_is_refused_with_its_line(site: Yard) -> None:
    site.write({"proxy": {"build": {"context": ".", "dockerfile_inline": "FROM scratch"}}})
    done = seatrial(site, "up", "--app", "ship")
    assert done.returncode == 2
    assert "compose.yaml:1: the service 'proxy' is built with `dockerfile_inline`" in done.stderr
    site.write({"proxy": {"build": {"context": ".", "dockerfil": "x"}}})
    unknown = seatrial(site, "up", "--app", "ship")
    assert unknown.returncode == 2
    assert "dockerfil" in unknown.stderr


def test_an_image_is_smoked_with_the_command_of_the_settings(site: Yard) -> None:
    text = (site.folder / "pyproject.toml").read_text(encoding="utf-8")
    said = 'command = ["bash", "-c", "echo from-the-settings; exit 7"]\n'
    (site.folder / "pyproject.toml").write_text(text + said, encoding="utf-8")
    assert seatrial(site, "build", "--app", "ship").returncode == 0
    done = seatrial(site, "smoke", "--app", "ship", "--format", "json")
    report = json.loads(done.stdout)
    assert any(note.startswith("started with the command in pyproject.toml:5") for note in report["notes"])
    ended = json.dumps([check for check in report["checks"] if check["id"].startswith("boot/")])
    assert "from-the-settings" in ended or "exit code 7" in ended
