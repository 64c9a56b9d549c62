"""What a build tells an image of its origin."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from seatrial import process
from seatrial.dockerfile import parse
from seatrial.images import provenance as provenance_module
from seatrial.images.provenance import provenance, public_address, wanted_arguments
from seatrial.trust import Trust

if TYPE_CHECKING:
    from pathlib import Path

LABELS = """\
FROM python:3.13
ARG VERSION=0
ARG COMMIT
ARG SOURCE CREATED=""
LABEL org.opencontainers.image.title="shop" \\
      org.opencontainers.image.version="${VERSION}" \\
      org.opencontainers.image.revision=$COMMIT \\
      "org.opencontainers.image.source"="${SOURCE}" \\
      org.opencontainers.image.created="${CREATED}"
"""
MOMENT = "2026-01-02T03:04:05+00:00"


def git(folder: Path, *words: str) -> str:
    who = {"GIT_AUTHOR_DATE": MOMENT, "GIT_COMMITTER_DATE": MOMENT, "PATH": "/usr/local/bin:/usr/bin:/bin"}
    names = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main")
    return process.run(["git", *names, *words], timeout=20, environment=who, folder=folder).output.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "pyproject.toml").write_text('[project]\nname = "shop"\nversion = "1.2.3"\n', encoding="utf-8")
    (tmp_path / "Dockerfile").write_text(LABELS, encoding="utf-8")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "one")
    git(tmp_path, "remote", "add", "origin", "https://ci:t0ken@git.example.org/team/shop.git")
    return tmp_path


def told(folder: Path, text: str = LABELS, trust: Trust = Trust.PROJECT, **given: str) -> dict[str, str]:
    return provenance(parse(text), folder / "Dockerfile", folder / "app", given, trust)


def test_the_labels_say_which_arguments_are_wanted_arguments() -> None:
    assert wanted_arguments(parse(LABELS)) == {
        "VERSION": "version",
        "COMMIT": "revision",
        "SOURCE": "source",
        "CREATED": "created",
    }


@pytest.mark.parametrize(
    "text",
    [
        "",
        "FROM a\nARG VERSION\nRUN install-$VERSION\n",
        "ARG VERSION\nFROM a\nLABEL org.opencontainers.image.version=$VERSION\n",
        "FROM a\nARG VERSION\nLABEL org.opencontainers.image.version=v$VERSION\n",
        "FROM a\nENV VERSION=1\nLABEL org.opencontainers.image.version=$VERSION\n",
    ],
)
def test_no_other_argument_is_given_a_value(text: str) -> None:
    assert wanted_arguments(parse(text)) == {}


def test_version_commit_time_and_source_come_from_the_project(checkout: Path) -> None:
    commit = git(checkout, "rev-parse", "HEAD")
    assert told(checkout) == {
        "VERSION": "1.2.3",
        "COMMIT": commit,
        "SOURCE": "https://git.example.org/team/shop",
        "CREATED": MOMENT,
    }


def test_a_commit_elsewhere_makes_no_other_image(checkout: Path) -> None:
    before = told(checkout)
    (checkout / "README.md").write_text("x", encoding="utf-8")
    git(checkout, "add", ".")
    git(checkout, "commit", "--quiet", "--message", "two")
    assert told(checkout) == before
    (checkout / "Dockerfile").write_text(f"# changed\n{LABELS}", encoding="utf-8")
    assert told(checkout)["COMMIT"] == f"{before['COMMIT']}-dirty"
    git(checkout, "commit", "--quiet", "--all", "--message", "three")
    assert told(checkout)["COMMIT"] == git(checkout, "rev-parse", "HEAD")


def test_what_the_settings_give_stays(checkout: Path) -> None:
    assert "VERSION" not in told(checkout, VERSION="9")


def test_without_a_checkout_only_the_project_speaks(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    assert told(tmp_path) == {}
    urls = '[project]\nversion = "2"\n[project.urls]\nRepository = "https://example.org/shop"\n'
    (tmp_path / "app" / "pyproject.toml").write_text(urls, encoding="utf-8")
    assert told(tmp_path) == {"VERSION": "2", "SOURCE": "https://example.org/shop"}
    (tmp_path / "app" / "pyproject.toml").write_text("[", encoding="utf-8")
    assert told(tmp_path) == {}


@pytest.fixture
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Return a file that appears when a command ran, and that command."""
    folder = tmp_path_factory.mktemp("ran")
    script = folder / "x.sh"
    script.write_text(f"#!/bin/sh\ntouch {folder}/ran\ncat\n", encoding="utf-8")
    script.chmod(0o755)
    return folder / "ran", str(script)


@pytest.mark.parametrize(
    "setting",
    [
        "core.fsmonitor",
        "filter.mine.clean",
        "filter.mine.process",
        "filter.with space.clean",
        "core.sshCommand",
        "core.pager",
        "gpg.program",
        "diff.external",
    ],
)
def test_no_program_of_the_repositorys_configuration_is_started(
    checkout: Path, ran: tuple[Path, str], setting: str
) -> None:
    mark, script = ran
    driver = setting.split(".")[1]
    (checkout / ".gitattributes").write_text(f"* filter={driver}\n", encoding="utf-8")
    (checkout / "app" / "code.py").write_text("a = 1\n", encoding="utf-8")
    git(checkout, "add", ".")
    git(checkout, "commit", "--quiet", "--message", "two")
    for name, value in ((setting, script), ("log.showSignature", "true")):
        git(checkout, "config", name, value)
    (checkout / "app" / "code.py").write_text("a = 2\n", encoding="utf-8")
    assert told(checkout)["COMMIT"] == f"{git(checkout, 'rev-parse', 'HEAD')}-dirty"
    assert not mark.exists()


def test_a_filter_that_cannot_be_switched_off_is_not_asked(checkout: Path, ran: tuple[Path, str]) -> None:
    git(checkout, "config", "filter.a=b.clean", ran[1])
    assert told(checkout) == {"VERSION": "1.2.3"}


def test_where_the_filters_are_not_all_known_none_is_started(
    checkout: Path, ran: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    mark, script = ran
    (checkout / ".gitattributes").write_text("* filter=mine\n", encoding="utf-8")
    git(checkout, "config", "filter.mine.clean", script)
    with (checkout / ".git" / "config").open("a", encoding="utf-8") as config:
        config.writelines(f'[filter "{"x" * 1000}{number}"]\n\tclean = cat\n' for number in range(20))
    (checkout / "app" / "pyproject.toml").write_text('[project]\nversion = "1.2.4"\n', encoding="utf-8")
    monkeypatch.setattr(provenance_module, "GIT_LIMITS", process.Limits(output=10_000))
    assert told(checkout) == {"VERSION": "1.2.4"}
    assert not mark.exists()


def test_a_context_that_looks_like_a_bare_repository_is_none(tmp_path: Path, ran: tuple[Path, str]) -> None:
    mark, script = ran
    context = tmp_path / "app"
    git(tmp_path, "init", "--quiet", "--bare", str(context))
    git(context, "config", "core.fsmonitor", script)
    git(context, "config", "core.worktree", str(context))
    git(context, "config", "core.bare", "false")
    assert told(tmp_path) == {}
    assert not mark.exists()


def test_a_foreign_repository_is_not_read(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("foreign")
    (folder / "app").mkdir()
    (folder / ".git").write_text(f"gitdir: {checkout / '.git'}\n", encoding="utf-8")
    assert told(folder) == {}
    (folder / ".git").unlink()
    (folder / ".git").symlink_to(checkout / ".git")
    assert told(folder) == {}


def test_a_repository_whose_common_part_is_foreign_is_not_read(
    checkout: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("foreign")
    (folder / "app").mkdir()
    git(folder, "init", "--quiet")
    (folder / ".git" / "commondir").write_text(f"{checkout / '.git'}\n", encoding="utf-8")
    assert told(folder) == {}
    (folder / ".git" / ".\n").mkdir()
    (folder / ".git" / "commondir").write_text(f".\n/../../../{checkout.name}/.git\n", encoding="utf-8")
    assert told(folder) == {}


@pytest.mark.parametrize("how", ["include", "includeIf", "a part that is a link", "another part that is a link"])
def test_an_untrusted_repository_that_reads_files_elsewhere_is_not_asked(
    checkout: Path, tmp_path_factory: pytest.TempPathFactory, how: str
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    if how.startswith("include"):
        section = "[include]" if how == "include" else f'[core] [includeIf "gitdir:{checkout}/"]'
        (elsewhere / "x").write_text('[remote "origin"]\n\turl = https://example.org/other\n', encoding="utf-8")
        with (checkout / ".git" / "config").open("a", encoding="utf-8") as config:
            config.write(f"{section}\n\tpath = {elsewhere / 'x'}\n")
    else:
        part = checkout / ".git" / ("config" if how.startswith("a ") else "refs")
        part.rename(elsewhere / "x")
        part.symlink_to(elsewhere / "x")
    assert told(checkout, trust=Trust.NONE) == {"VERSION": "1.2.3"}
    assert "COMMIT" in told(checkout)


def test_an_untrusted_repository_is_asked(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    assert told(checkout, trust=Trust.NONE) == told(checkout)
    tree = tmp_path_factory.mktemp("worktree") / "tree"
    git(checkout, "worktree", "add", "--quiet", str(tree))
    assert told(tree, trust=Trust.NONE)["COMMIT"] == git(checkout, "rev-parse", "HEAD")


def test_a_linked_worktree_has_its_repository_elsewhere(
    checkout: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    tree = tmp_path_factory.mktemp("worktree") / "tree"
    git(checkout, "worktree", "add", "--quiet", str(tree))
    assert told(tree)["COMMIT"] == git(checkout, "rev-parse", "HEAD")
    (tree / "app" / "pyproject.toml").write_text("[project]\n", encoding="utf-8")
    assert told(tree)["COMMIT"].endswith("-dirty")
    assert not told(checkout)["COMMIT"].endswith("-dirty")


def test_a_submodule_has_its_repository_in_the_one_above(
    checkout: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    above = tmp_path_factory.mktemp("above")
    git(above, "init", "--quiet")
    git(above, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(checkout), "shop")
    assert told(above / "shop")["COMMIT"] == git(checkout, "rev-parse", "HEAD")


def test_another_users_checkout_is_not_asked(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 54321)
    assert told(checkout) == {"VERSION": "1.2.3"}


@pytest.mark.parametrize(
    ("remote", "address"),
    [
        ("git@example.org:team/shop.git", "https://example.org/team/shop"),
        ("ssh://git@example.org:2222/team/shop.git", "https://example.org/team/shop"),
        ("https://user:pass@example.org:8443/shop", "https://example.org:8443/shop"),
        ("http://example.org/shop?token=1#x", "http://example.org/shop"),
        ("/srv/git/shop.git", ""),
        ("file:///srv/git/shop.git", ""),
        ("file://host/shop.git", ""),
        ("https:///shop.git", ""),
        ("git://example.org:9418/shop", "https://example.org/shop"),
        ("http://[::1", ""),
        ("", ""),
    ],
)
def test_an_address_holds_no_account(remote: str, address: str) -> None:
    assert public_address(remote) == address
