"""What a compose file reaches beyond its project: seen in compose's model, and in the text before compose reads it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from seatrial.compose.guard import UntrustedError, findings, guarded, require_trusted
from seatrial.compose.reach import Grade, Surroundings, path_reach, reaches, resolved
from seatrial.compose.readiness import Readiness
from seatrial.compose.reading import Reading, read_ahead
from seatrial.compose.runner import Compose, Stack
from seatrial.engine.find import Candidate, Engine
from seatrial.errors import ExitCode, StackError
from seatrial.host import Host
from seatrial.trust import Trust

PROJECT = Path("/code/shop")
LINKS = {"/code/shop/link": Path("/srv/elsewhere"), "/code/shop/engine": Path("/run/docker.sock")}
AROUND = Surroundings(
    project=PROJECT,
    home=Path("/home/me"),
    sockets=(Path("/opt/engine/own.sock"), Path("/run/docker.sock")),
    resolve=lambda path: LINKS.get(path, Path(re.sub(r"/[^/]+/\.\.(?=/|$)", "", path) or "/")),
)
FILE = PROJECT / "compose.yaml"


def of_service(**table: Any) -> list[tuple[str, Grade]]:
    found = reaches({"name": "shop", "services": {"api": table}}, FILE, AROUND)
    return [(reach.what, reach.grade) for reach in found]


def bind(source: str, *, read_only: bool = True, **more: Any) -> dict[str, Any]:
    return {"type": "bind", "source": source, "target": "/x", "read_only": read_only, **more}


ROOT, PART, OUTSIDE = Grade.ROOT, Grade.HOST, Grade.OUTSIDE
SERVICES: list[tuple[dict[str, Any], Grade, str]] = [
    ({"privileged": True}, ROOT, "privileged"),
    ({"pid": "host"}, ROOT, "the host's processes"),
    ({"pid": "container:other"}, PART, "pid: container:other"),
    ({"ipc": "host"}, PART, "shared memory"),
    ({"ipc": "container:other"}, PART, "somebody else"),
    ({"network_mode": "host"}, PART, "the host's network"),
    ({"network_mode": "container:other"}, PART, "somebody else"),
    ({"uts": "host"}, PART, "uts: host"),
    ({"userns_mode": "host"}, PART, "user ids"),
    ({"cgroup": "host"}, PART, "control groups"),
    ({"cgroup_parent": "/outer"}, PART, "/outer"),
    ({"runtime": "runsc"}, PART, "runsc"),
    ({"volumes_from": ["container:other:ro"]}, PART, "container:other"),
    ({"cap_add": ["ALL"]}, ROOT, "capability ALL"),
    ({"cap_add": ["CAP_sys_admin"]}, ROOT, "capability SYS_ADMIN"),
    ({"cap_add": ["NEW_POWER"]}, ROOT, "NEW_POWER"),
    ({"cap_add": ["IPC_LOCK"]}, PART, "IPC_LOCK"),
    ({"security_opt": ["seccomp:unconfined"]}, PART, "seccomp:unconfined"),
    ({"security_opt": ["apparmor=unconfined"]}, PART, "apparmor=unconfined"),
    ({"security_opt": ["label=disable"]}, PART, "label=disable"),
    ({"security_opt": ["seccomp=/srv/profile.json"]}, PART, "/srv/profile.json"),
    ({"security_opt": ["seccomp=../profile.json"]}, PART, "profile.json"),
    ({"security_opt": ["seccomp=./profile.json"]}, OUTSIDE, "of its own"),
    ({"security_opt": ['seccomp={"defaultAction":"SCMP_ACT_ALLOW"}']}, OUTSIDE, "of its own"),
    ({"devices": ["/dev/sda:/dev/x:rwm"]}, ROOT, "/dev/sda"),
    ({"devices": [{"source": "/dev/nvme0n1", "target": "/d"}]}, ROOT, "/dev/nvme0n1"),
    ({"devices": ["/dev"]}, ROOT, "/dev"),
    ({"devices": ["/dev/mem"]}, ROOT, "/dev/mem"),
    ({"devices": ["/dev/dri"]}, PART, "/dev/dri"),
    ({"devices": ["vendor.com/gpu=0"]}, PART, "vendor.com/gpu"),
    ({"device_cgroup_rules": ["b 8:* rmw"]}, ROOT, "b 8:"),
    ({"device_cgroup_rules": ["a *:* rwm"]}, ROOT, "a "),
    ({"device_cgroup_rules": ["c 1:1 r"]}, ROOT, "c 1:1"),
    ({"device_cgroup_rules": ["c 189:* rmw"]}, PART, "c 189"),
    ({"gpus": [{"count": -1}]}, PART, "devices of the host"),
    ({"deploy": {"resources": {"reservations": {"devices": [{"count": 1}]}}}}, PART, "devices of the host"),
    ({"sysctls": {"net.core.somaxconn": "1"}}, OUTSIDE, "sysctls"),
    ({"credential_spec": {"file": "x"}}, PART, "credential_spec"),
    ({"use_api_socket": True}, ROOT, "socket"),
    ({"provider": {"type": "model"}}, ROOT, "runs the host's program 'model'"),
    ({"post_start": [{"command": ["x"], "privileged": True}]}, ROOT, "post_start"),
    ({"pre_stop": [{"command": ["x"]}, {"command": ["x"], "privileged": True}]}, ROOT, "pre_stop"),
    ({"models": {"llm": None}}, PART, "model"),
    ({"develop": {"watch": [{"path": "."}]}}, OUTSIDE, "develop"),
    ({"extra_hosts": ["host.docker.internal=host-gateway"]}, OUTSIDE, "host-gateway"),
    ({"extra_hosts": {"h": "host-gateway"}}, OUTSIDE, "host-gateway"),
    ({"external_links": ["other:db"]}, OUTSIDE, "other projects"),
    ({"logging": {"driver": "syslog", "options": {"syslog-address": "udp://10.0.0.1"}}}, PART, "syslog"),
    ({"logging": {"driver": "journald"}}, OUTSIDE, "journald"),
    ({"oom_kill_disable": True}, PART, "memory"),
    ({"build": {"context": "/srv/else"}}, OUTSIDE, "/srv/else"),
    ({"build": {"context": "/code/shop", "additional_contexts": {"keys": "/home/me/.ssh"}}}, OUTSIDE, "/home/me/.ssh"),
    ({"build": {"context": "/code/shop", "dockerfile": "/etc/Dockerfile"}}, OUTSIDE, "/etc/Dockerfile"),
    ({"build": {"context": "https://example.org/x.git"}}, OUTSIDE, "https://example.org"),
    ({"build": {"context": "/code/shop", "ssh": ["default"]}}, OUTSIDE, "`ssh`"),
    ({"build": {"context": "/code/shop", "privileged": True}}, OUTSIDE, "`privileged`"),
    ({"build": {"context": "/code/shop", "entitlements": ["security.insecure"]}}, OUTSIDE, "`entitlements`"),
    ({"build": {"context": "/code/shop", "network": "host"}}, OUTSIDE, "network"),
    *(
        ({"volumes": [bind(path)]}, ROOT, path)
        for path in (
            "/", "/etc", "/etc/shadow", "/proc", "/sys/kernel", "/dev", "/root", "/root/.ssh", "/var", "/run", "/boot",
            "/var/run/docker.sock", "/run/podman/podman.sock", "/run/user/1000/docker.sock", "/run/containerd",
            "/run/containerd/containerd.sock", "/opt/engine", "/opt/engine/own.sock", "/opt", "/home", "/home/me",
            "/home/me/.ssh", "/home/me/.aws/credentials", "/var/lib/docker/volumes", "/var/lib", "/srv/podman-2.sock",
        )
    ),
    ({"volumes": [bind("/usr/local/bin", read_only=False)]}, ROOT, "writable"),
    ({"volumes": [bind("/usr/local/bin")]}, PART, "/usr/local/bin"),
    ({"volumes": [bind("/home/me/data")]}, PART, "/home/me/data"),
    ({"volumes": [bind("/srv/data")]}, PART, "outside of the project"),
    ({"volumes": [bind("/work")]}, PART, "/work"),
    ({"volumes": [bind("/code/shop/../shop2")]}, PART, "/code/shop2"),
    ({"volumes": [bind("/code/shop/link")]}, PART, "/srv/elsewhere"),
    ({"volumes": [bind("/code/shop/engine")]}, ROOT, "engine's socket"),
    ({"volumes": [bind("/etc/localtime")]}, OUTSIDE, "/etc/localtime"),
    ({"volumes": [bind("/etc/localtime", read_only=False)]}, ROOT, "writable"),
    ({"volumes": [bind("/code/shop", read_only=False)]}, OUTSIDE, "tasks and hooks"),
    ({"volumes": [bind("/code/shop/x", bind={"propagation": "rshared"})]}, PART, "passes mounts on"),
    ({"volumes": [{"type": "npipe", "source": r"\\.\pipe\docker_engine", "target": "/x"}]}, ROOT, "npipe"),
]  # fmt: skip


@pytest.mark.parametrize(("table", "grade", "said"), SERVICES)
def test_what_a_service_gets_of_the_host_is_seen(table: dict[str, Any], grade: Grade, said: str) -> None:
    found = of_service(**table)
    assert len(found) == 1, found
    assert said in found[0][0]
    assert found[0][1] is grade


@pytest.mark.parametrize(
    "table",
    [
        {"privileged": False},
        {"pid": "service:db", "ipc": "shareable", "network_mode": "service:db", "cgroup": "private"},
        {"network_mode": "none"},
        {"cap_add": ["CHOWN", "CAP_SETUID", "net_bind_service"], "cap_drop": ["ALL"]},
        {"security_opt": ["no-new-privileges:true"]},
        {"runtime": "runc", "volumes_from": ["db:ro"]},
        {"volumes": [bind("/code/shop/data", read_only=False), bind("/code/shop")]},
        {"volumes": [{"type": "volume", "source": "data", "target": "/d"}, {"type": "tmpfs", "target": "/t"}]},
        {"logging": {"driver": "json-file", "options": {"max-size": "1m"}}},
        {"extra_hosts": ["db=10.0.0.1"]},
        {"post_start": [{"command": ["true"]}]},
        {"build": {"context": "/code/shop/api", "dockerfile": "Dockerfile", "additional_contexts": {"b": "service:b"}}},
        {"deploy": {"resources": {"limits": {"memory": "1"}}}},
    ],
)  # fmt: skip
def test_what_belongs_to_the_project_is_not_named(table: dict[str, Any]) -> None:
    assert of_service(**table) == []


@pytest.mark.parametrize(
    ("document", "grade", "said"),
    [
        ({"secrets": {"key": {"file": "/etc/shadow"}}}, ROOT, "the secret 'key' is /etc/shadow"),
        ({"secrets": {"key": {"file": "/work/key"}}}, PART, "/work/key"),
        ({"configs": {"conf": {"file": "/code/shop/link"}}}, PART, "/srv/elsewhere"),
        ({"secrets": {"key": {"external": True}}}, OUTSIDE, "none of the project"),
        ({"volumes": {"d": {"external": True, "name": "x"}}}, OUTSIDE, "external"),
        ({"volumes": {"d": {"name": "other_data"}}}, OUTSIDE, "other_data"),
        ({"networks": {"n": {"external": True, "name": "proxy"}}}, OUTSIDE, "external"),
        ({"networks": {"n": {"driver": "macvlan"}}}, PART, "macvlan"),
        ({"volumes": {"d": {"driver": "sshfs"}}}, PART, "sshfs"),
        ({"volumes": {"d": {"driver_opts": {"type": "none", "o": "bind", "device": "/"}}}}, ROOT, "/ of the host"),
        ({"volumes": {"d": {"driver_opts": {"o": "rw,rbind", "device": "/srv/x"}}}}, PART, "/srv/x"),
        ({"volumes": {"d": {"driver_opts": {"type": "ext4", "device": "/dev/sda1"}}}}, ROOT, "driver_opts"),
        ({"volumes": {"d": {"driver_opts": {"type": "overlay", "o": "lowerdir=/etc:/x"}}}}, ROOT, "driver_opts"),
        ({"volumes": {"d": {"driver_opts": {"type": "nfs", "device": ":/x"}}}}, PART, "another machine"),
        ({"models": {"llm": {"model": "ai/x"}}}, PART, "language models"),
    ],
)
def test_what_is_declared_outside_of_services_is_seen(document: dict[str, Any], grade: Grade, said: str) -> None:
    (found,) = reaches({"name": "shop", **document}, FILE, AROUND)
    assert said in found.what
    assert found.grade is grade


def test_stores_of_the_project_are_not_named() -> None:
    document = {
        "name": "shop",
        "secrets": {"key": {"name": "shop_key", "file": "/code/shop/key"}, "of": {"environment": "X"}},
        "volumes": {
            "data": {"name": "shop_data"},
            "cache": {"driver_opts": {"type": "tmpfs", "device": "tmpfs"}},
            "own": {"driver_opts": {"type": "none", "o": "bind", "device": "/code/shop/data"}},
        },
        "networks": {"default": {"name": "shop_default", "driver": "bridge"}},
    }
    assert reaches(document, FILE, AROUND) == ()


# Before compose reads anything: the text.


def around(folder: Path) -> Surroundings:
    return Surroundings(project=folder.resolve(), home=Path("/home/me"), sockets=())


def host(folder: Path, trust: Trust, **environment: str) -> Host:
    tools = folder.parent / "tools"
    return Host(environment=environment, home=tools, data=tools / "data", cache=tools / "cache", trust=trust)


def project(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder / "compose.yaml"


def ahead(folder: Path, files: dict[str, str], trust: Trust = Trust.NONE, **environment: str) -> Reading:
    file = project(folder, files)
    return read_ahead(file, around(folder), host(folder, trust, **environment))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("include: [../other.yaml]", "it includes"),
        ("include:\n  - path: [sub.yaml, /etc/passwd]", "it includes /etc/passwd"),
        ("include:\n  - path: sub.yaml\n    env_file: ../secrets.env", "env file"),
        ("include:\n  - path: sub.yaml\n    project_directory: ..", "for the folder"),
        ("include: ['https://example.org/x.git']", "it includes"),
        ("include: ['oci://example.org/x']", "it includes"),
        ("include: ['git@example.org:x/y.git']", "it includes"),
        ("include: ['github.com/x/y']", "which is fetched"),
        ("include: ['${WHERE}']", "cannot be checked"),
        ("include: ['${WHERE:-sub.yaml}']", "cannot be checked"),
        ("services: {a: {extends: {file: ../base.yaml, service: a}}}", "it extends"),
        ("services: {a: {extends: {file: /etc/hostname, service: a}}}", "it extends /etc/hostname"),
        ("services: {a: {env_file: ../secrets.env}}", "env file"),
        ("services: {a: {env_file: [ok.env, /etc/environment]}}", "/etc/environment"),
        ("services: {a: {env_file: [{path: ~/.aws/credentials, required: false}]}}", "env file"),
        ("services: {a: {env_file: linked.env}}", "linked.env"),
        ("services: {a: {label_file: /etc/passwd}}", "/etc/passwd"),
        ("services: {a: {env_file: !!binary L2V0Yy9wYXNzd2Q=}}", "tag:yaml.org,2002:binary"),
        ("x: &e {env_file: /etc/passwd}\nservices: {a: {<<: *e}}", "/etc/passwd"),
        ("services: {a: {image: x}}\n---\nservices: {a: {env_file: /etc/passwd}}", "several documents"),
        ("services: {a: ][", "cannot be checked"),
    ],
)
def test_what_compose_would_read_from_outside_is_seen_before_it_does(tmp_path: Path, text: str, said: str) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "linked.env").symlink_to("/etc/passwd")
    reading = ahead(folder, {"compose.yaml": text, "sub.yaml": "services: {}", "ok.env": "", ".env": "WHERE=..\n"})
    found = findings(reading, (), Trust.NONE)
    assert [finding.readiness for finding in found] == [Readiness.BLOCKED] * len(found)
    assert any(said in finding.what for finding in found), found
    assert all(re.search(r"compose\.yaml:\d+$", finding.where) for finding in found)


def test_files_of_the_project_may_be_included(tmp_path: Path) -> None:
    files = {
        "compose.yaml": "include:\n  - sub/compose.yaml\nservices:\n  a:\n    env_file: ${ENV:-.env}\n    image: x",
        "sub/compose.yaml": "services: {b: {extends: {file: base.yaml, service: c}, env_file: ../b.env}}",
        "sub/base.yaml": "services: {c: {image: '${TAG}'}}",
        "b.env": "ONE=${TWO}\nTHREE\n",
        ".env": "FOUR=4\n",
    }
    reading = ahead(tmp_path / "project", files)
    assert findings(reading, (), Trust.NONE) == ()
    assert reading.asked.keys() == {"ENV", "TAG", "TWO", "THREE"}
    assert reading.asked["TAG"] == f"{tmp_path}/project/sub/base.yaml:1"


def test_an_included_file_is_looked_at_from_its_projects_folder(tmp_path: Path) -> None:
    files = {
        "compose.yaml": "include: [{path: sub/deep/compose.yaml, project_directory: sub}]",
        "sub/deep/compose.yaml": "services: {b: {env_file: ../../x.env}}",
    }
    found = findings(ahead(tmp_path / "project", files), (), Trust.NONE)
    assert ["x.env" in finding.what for finding in found] == [True]


def test_nothing_outside_of_an_untrusted_project_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "include: [/etc/passwd]\nservices: {a: {env_file: /etc/shadow, extends: {file: /etc/group, service: a}}}"
    file = project(tmp_path / "project", {"compose.yaml": text})
    opened: list[Path] = []

    def opening(path: Path, mode: str) -> Any:
        opened.append(path)
        return open(path, mode)  # noqa: PTH123 - in the place of Path.open

    monkeypatch.setattr(Path, "open", opening)
    read_ahead(file, around(file.parent), host(file.parent, Trust.NONE))
    assert opened == [tmp_path / "project" / "compose.yaml"]


def test_an_env_file_of_an_untrusted_project_does_not_steer_compose(tmp_path: Path) -> None:
    env = "A=1\nexport DOCKER_CONFIG=./x\nCOMPOSE_PROFILES=all\n"
    reading = ahead(tmp_path / "project", {"compose.yaml": "services: {}", ".env": env})
    found = findings(reading, (), Trust.NONE)
    assert [finding.where.rpartition(":")[2] for finding in found] == ["2", "3"]
    assert findings(ahead(tmp_path / "b", {"compose.yaml": "", ".env": env}, Trust.PROJECT), (), Trust.PROJECT) == ()


def nested(levels: int, width: int, leaf: str = "x") -> str:
    lines = [f"x-0: &a0 [{leaf}]"]
    lines += [f"x-{n}: &a{n} [{', '.join([f'*a{n - 1}'] * width)}]" for n in range(1, levels)]
    return "\n".join([*lines, "services: {a: {image: x}}"])


@pytest.mark.parametrize("trust", list(Trust))
@pytest.mark.parametrize(
    "text",
    [
        nested(9, 10),
        nested(4, 30, "y" * 300),
        f"{nested(9, 10)}\n---\nservices: {{}}",
        f"services: {{}}\n---\n{nested(9, 10)}",
        f"{nested(9, 10)}\n{{broken",
        f"%BAD\n{nested(9, 10)}",
        "[" * 100,
        "a" * (3 * 1024 * 1024),
    ],
)
def test_a_file_that_stands_for_too_much_is_refused_whoever_is_trusted(tmp_path: Path, text: str, trust: Trust) -> None:
    with pytest.raises(StackError) as caught:
        ahead(tmp_path / "project", {"compose.yaml": text}, trust)
    assert "compose.yaml" in caught.value.where
    assert caught.value.fix


def test_an_included_file_that_stands_for_too_much_is_refused_too(tmp_path: Path) -> None:
    files = {"compose.yaml": "include: [sub.yaml]", "sub.yaml": nested(9, 10)}
    with pytest.raises(StackError, match="aliases counted"):
        ahead(tmp_path / "project", files, Trust.HOST)
    chain = {f"{n}.yaml": f"include: [{n + 1}.yaml]" for n in range(200)}
    with pytest.raises(StackError, match="more than 100 files"):
        ahead(tmp_path / "chain", {"compose.yaml": "include: [0.yaml]", **chain}, Trust.HOST)


def test_files_that_include_each_other_are_read_once(tmp_path: Path) -> None:
    files = {"compose.yaml": "include: [sub.yaml]", "sub.yaml": "include: [compose.yaml, sub.yaml]"}
    assert findings(ahead(tmp_path / "project", files), (), Trust.NONE) == ()


REPLACED: list[dict[str, Any]] = [
    {"services": {"api": {"volumes": [bind("{p}/data/below")]}}},
    {"services": {"api": {"volumes": [bind("{p}/by-link")]}}},
    {"services": {"api": {"build": {"context": "{p}/data/api"}}}},
    {"secrets": {"key": {"file": "{p}/data/key"}}},
    {"configs": {"conf": {"file": "{p}/data/conf"}}},
    {"volumes": {"store": {"driver_opts": {"type": "none", "o": "bind,ro", "device": "{p}/data/store"}}}},
]


def in_project(model: dict[str, Any], project: Path) -> dict[str, Any]:
    placed: dict[str, Any] = json.loads(json.dumps(model).replace("{p}", str(project)))
    return placed


@pytest.mark.parametrize("model", REPLACED)
def test_what_a_service_may_replace_by_a_link_is_refused(tmp_path: Path, model: dict[str, Any]) -> None:
    project = tmp_path / "project"
    reading = ahead(project, {"compose.yaml": "services: {}\n", "data/x": "", "by-link": ""})
    (project / "by-link").unlink()
    (project / "by-link").symlink_to("data/below")
    writer = {"worker": {"volumes": [bind(f"{project}/data", read_only=False)]}}
    asked = in_project(model, project)
    assert findings(reading, asked, Trust.NONE) == ()
    whole = {**asked, "services": {**asked.get("services", {}), **writer}}
    (found,) = findings(reading, whole, Trust.NONE)
    assert "'worker' may write to" in found.what
    assert "replace" in found.what
    assert findings(reading, whole, Trust.PROJECT) == ()


def test_an_env_file_that_a_service_may_replace_is_refused(tmp_path: Path) -> None:
    project = tmp_path / "project"
    text = "services:\n  api:\n    env_file: data/api.env\n"
    reading = ahead(project, {"compose.yaml": text, "data/api.env": "A=1\n"})
    model = {"services": {"worker": {"volumes": [bind(f"{project}/data", read_only=False)]}}}
    (found,) = findings(reading, model, Trust.NONE)
    assert "data/api.env" in found.what


# Who gets what.

TEXT = """\
services:
  api:
    image: "shop:${TAG:-1}"
    privileged: true
    volumes:
      - data:/data
      - /:/host:ro
    cap_add: [CHOWN, SYS_ADMIN]
    environment:
      - AWS_SECRET_ACCESS_KEY
      - GREETING=${HELLO}
      - PRICE=$$5
volumes:
  data:
    external: true
"""
MODEL: dict[str, Any] = {
    "services": {
        "api": {
            "privileged": True,
            "volumes": [bind("/"), {"type": "volume", "source": "data", "target": "/data"}],
            "cap_add": ["CHOWN", "SYS_ADMIN"],
        }
    },
    "volumes": {"data": {"external": True, "name": "data"}},
}


def test_an_untrusted_project_gets_nothing_and_hears_of_all_of_it(tmp_path: Path) -> None:
    found = findings(ahead(tmp_path / "project", {"compose.yaml": TEXT}), MODEL, Trust.NONE)
    assert [int(finding.where.rpartition(":")[2]) for finding in found] == [4, 7, 8, 14]
    said: list[str] = []
    with pytest.raises(StackError, match=r"'api' is privileged.*not trusted.*4 places") as caught:
        require_trusted(found, said.append)
    assert caught.value.exit_code is ExitCode.UNDECIDED
    assert caught.value.where.endswith("compose.yaml:4")
    assert "--trust project" in caught.value.fix
    assert len(caught.value.detail.splitlines()) == 4
    assert said == []


def test_a_trusted_project_is_told_what_is_dangerous(tmp_path: Path) -> None:
    reading = ahead(tmp_path / "project", {"compose.yaml": TEXT}, Trust.PROJECT)
    said: list[str] = []
    require_trusted(findings(reading, MODEL, Trust.PROJECT), said.append)
    assert [line.partition(": ")[0].rpartition(":")[2] for line in said] == ["4", "7", "8"]


@pytest.mark.parametrize(("trust", "refused"), [(Trust.NONE, True), (Trust.PROJECT, True), (Trust.HOST, False)])
def test_a_smoke_hands_the_host_to_nobody_unasked(tmp_path: Path, trust: Trust, refused: bool) -> None:
    reading = ahead(tmp_path / "project", {"compose.yaml": TEXT}, trust)
    found = findings(reading, MODEL, trust, smoke=True)
    assert any(finding.readiness is Readiness.BLOCKED for finding in found) is refused


def test_what_gives_only_a_part_of_the_host_is_smoked_and_announced(tmp_path: Path) -> None:
    reading = ahead(tmp_path / "project", {"compose.yaml": TEXT}, Trust.PROJECT)
    (found,) = findings(reading, {"services": {"api": {"ipc": "host"}}}, Trust.PROJECT, smoke=True)
    assert found.readiness is Readiness.NOTE


ENGINE = Engine(
    candidate=Candidate(source="a test", url="unix:///nonexistent", explicit=True),
    version="28.0",
    api_version="1.45",
    platform="linux/amd64",
    programs_environment={"PATH": "/bin", "DOCKER_HOST": "unix:///nonexistent"},
)
STACK = Stack(app="shop", compose_project="shop-1")


def compose_of(tmp_path: Path, trust: Trust, said: list[str], env: str = "", **environment: str) -> Compose:
    program = tmp_path / "tools" / ".docker" / "cli-plugins" / "docker-compose"
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text("#!/bin/sh\necho v2.40.0\n", encoding="utf-8")
    program.chmod(0o755)
    folder = tmp_path / "project"
    file = project(folder, {"compose.yaml": TEXT, ".env": env})
    made, _ = guarded(STACK, file, folder, engine=ENGINE, host=host(folder, trust, **environment), say=said.append)
    return made


HOSTS = {"PATH": "/bin", "AWS_SECRET_ACCESS_KEY": "value", "HELLO": "hi", "GITHUB_TOKEN": "secret", "PRICE": "1"}


def test_compose_gets_the_variables_that_a_file_asks_for_and_no_other(tmp_path: Path) -> None:
    said: list[str] = []
    made = compose_of(tmp_path, Trust.PROJECT, said, **HOSTS)
    assert made.environment == {
        "PATH": "/bin", "DOCKER_HOST": "unix:///nonexistent", "AWS_SECRET_ACCESS_KEY": "value", "HELLO": "hi",
    }  # fmt: skip
    assert said == ["Compose gets these variables of your environment: AWS_SECRET_ACCESS_KEY, HELLO."]


def test_an_untrusted_file_that_asks_for_variables_of_the_host_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UntrustedError) as caught:
        compose_of(tmp_path, Trust.NONE, [], **HOSTS)
    assert re.findall(r"compose\.yaml:(\d+): it asks for (\w+)", caught.value.detail) == [
        ("10", "AWS_SECRET_ACCESS_KEY"), ("11", "HELLO"),
    ]  # fmt: skip
    assert "value" not in str(caught.value) + caught.value.detail
    # What compose would resolve is said of the text, in the same breath.
    assert [int(finding.where.rpartition(":")[2]) for finding in caught.value.findings] == [4, 7, 8, 10, 11, 14]


def test_an_untrusted_file_has_the_values_of_its_own_env_file(tmp_path: Path) -> None:
    made = compose_of(tmp_path, Trust.NONE, [], "AWS_SECRET_ACCESS_KEY=made-up\nHELLO=hey\n", **HOSTS)
    assert made.environment == ENGINE.programs_environment


def test_an_env_file_that_leads_out_of_an_untrusted_project_is_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "project"
    file = project(folder, {"compose.yaml": TEXT})
    (tmp_path / "outside").write_text("HELLO=hey\n", encoding="utf-8")
    (folder / ".env").symlink_to("../outside")
    opened: list[str] = []

    def opening(path: Path, mode: str) -> Any:
        opened.append(path.name)
        return open(path, mode)  # noqa: PTH123 - in the place of Path.open

    monkeypatch.setattr(Path, "open", opening)
    with pytest.raises(UntrustedError) as caught:
        guarded(STACK, file, folder, engine=ENGINE, host=host(folder, Trust.NONE, **HOSTS))
    assert "the env file is" in caught.value.detail
    assert ".env" not in opened


def test_an_untrusted_file_asks_for_nothing_that_the_programs_know(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="it asks for HTTPS_PROXY"):
        compose_of(tmp_path, Trust.NONE, [], "GREETING=${HTTPS_PROXY}\n", HTTPS_PROXY="http://me:secret@proxy")


@pytest.mark.parametrize(
    "table",
    [
        {"build": {"context": ".", "additional_contexts": ["base=docker-image://x"]}},
        {"deploy": {"resources": [1]}},
        {"deploy": []},
        {"volumes": [{"type": "bind", "source": ".", "bind": "z"}]},
        {"volumes": [{"type": "bind", "source": "a\0b"}]},
    ],
)
def test_a_table_of_another_form_is_no_traceback(table: dict[str, Any]) -> None:
    assert isinstance(of_service(**table), list)


def test_a_link_in_a_circle_leads_to_itself(tmp_path: Path) -> None:
    (tmp_path / ".env").symlink_to(".env")
    assert resolved(str(tmp_path / ".env")) == tmp_path / ".env"


def test_a_network_with_addresses_of_its_own_is_named() -> None:
    document = {"networks": {"default": {"ipam": {"config": [{"subnet": "10.0.0.0/8"}]}}}}
    found = list(reaches(document, FILE, AROUND))
    assert [(reach.grade, "address range" in reach.what) for reach in found] == [(Grade.OUTSIDE, True)]


def test_files_whose_paths_hold_variables_are_read_ahead_in_a_trusted_project(tmp_path: Path) -> None:
    (tmp_path / "modules").mkdir()
    (tmp_path / ".env").write_text("MODULES=modules\nSTAGE='prod'\n", encoding="utf-8")
    (tmp_path / ".env.prod").write_text("URL=${DB_URL}\n", encoding="utf-8")
    (tmp_path / "modules" / "db.yml").write_text(
        "services:\n  db:\n    image: x:${PGVER:?set}\n    environment: [DB_PASSWORD]\n", encoding="utf-8"
    )
    file = tmp_path / "compose.yaml"
    file.write_text(
        "include: ['${MODULES}/db.yml']\nservices:\n  api:\n    image: x\n    env_file: '.env.${STAGE}'\n",
        encoding="utf-8",
    )
    reading = read_ahead(file, around(tmp_path), host(tmp_path, Trust.PROJECT))
    assert {"PGVER", "DB_PASSWORD", "DB_URL"} <= set(reading.asked)
    assert reading.found == ()


def test_later_documents_of_a_file_are_read_ahead_in_a_trusted_project(tmp_path: Path) -> None:
    (tmp_path / ".env.api").write_text("URL=${DB_URL}\n", encoding="utf-8")
    file = tmp_path / "compose.yaml"
    file.write_text(
        "services:\n  api:\n    image: x\n---\n"
        "services:\n  api:\n    privileged: true\n    env_file: .env.api\n    environment:\n      TOKEN:\n      SALT:\n"
        "---\nsecrets:\n  key:\n    environment: KEY\n",
        encoding="utf-8",
    )
    reading = read_ahead(file, around(tmp_path), host(tmp_path, Trust.PROJECT))
    lines = {name: where.rpartition(":")[2] for name, where in reading.asked.items() if name != "HOME"}
    assert lines == {"DB_URL": "1", "TOKEN": "10", "SALT": "11", "KEY": "15"}
    reach = next(iter(reaches({"services": {"api": {"privileged": True}}}, file, around(tmp_path))))
    assert reading.where(reach) == f"{file}:7"


@pytest.mark.parametrize(
    ("path", "grade"),
    [
        ("/home/me", Grade.HOST),
        ("/home/me/src", None),
        ("/home/me/.env", None),
        ("/home/me/.ssh", Grade.ROOT),
        ("/home/me/.aws/credentials", Grade.ROOT),
        ("/home", Grade.ROOT),
    ],
)
def test_a_project_that_is_the_home_folder_is_no_other_folder_of_the_host(path: str, grade: Grade | None) -> None:
    at_home = Surroundings(project=Path("/home/me"), home=Path("/home/me"), resolve=Path)
    found = path_reach(path, at_home, read_only=True)
    assert (found and found[1]) == grade
    if path == "/home/me":
        assert found is not None
        assert "your home folder: give the project one of its own" in found[0]


def test_a_project_that_is_the_home_folder_of_root_is_one_too() -> None:
    at_home = Surroundings(project=Path("/root"), home=Path("/root"), resolve=Path)
    assert path_reach("/root/src", at_home, read_only=False) is None
    found = path_reach("/root", at_home, read_only=True)
    assert found is not None
    assert found[1] is Grade.HOST
