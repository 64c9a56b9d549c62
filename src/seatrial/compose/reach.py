"""What the services of a compose file reach beyond their project: what of the host they get, in plain lines.

Pure: it reads compose's own model; where a path of the host leads is asked of the caller.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from seatrial import capabilities
from seatrial.facts import Json


class Grade(StrEnum):
    """How much of the host something gives away."""

    OUTSIDE = "outside"
    """It is not of the project, and harmless where the project is trusted."""
    HOST = "host"
    """It gives a part of the host."""
    ROOT = "root"
    """It makes a container, or the project, as good as root on the host."""


@dataclass(frozen=True, kw_only=True)
class Reach:
    """Something of a compose file that reaches beyond its project."""

    path: tuple[str, ...]
    """Where the file says it: `("services", "api", "privileged")`."""
    what: str
    """A sentence without its full stop; it holds no value of a variable."""
    grade: Grade
    words: tuple[str, ...] = ()
    """Texts that stand in its line, the likeliest first."""


def resolved(path: str) -> Path:
    """Return where a path leads; of links in a circle, and of a name that no file has, the path itself."""
    try:
        return Path(path).resolve()
    except (RuntimeError, OSError, ValueError):
        return Path(os.path.normpath(path.replace("\0", "")))


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """Where a project lies on its host."""

    project: Path
    """Its folder, resolved."""
    home: Path
    sockets: tuple[Path, ...] = ()
    """Of engines that may run here, resolved."""
    resolve: Callable[[str], Path] = resolved
    """Tells where a path leads, symbolic links followed."""

    def inside(self, path: Path) -> bool:
        """Tell whether a resolved path belongs to the project."""
        return path.is_relative_to(self.project)


HARMLESS = frozenset(
    map(Path, ("/etc/localtime", "/etc/timezone", "/etc/hosts", "/etc/ssl/certs", "/usr/share/zoneinfo"))
)
"""Files that hold no secret, where they are mounted read-only."""
SYSTEM = tuple(map(Path, ("/etc", "/proc", "/sys", "/dev", "/root", "/run", "/boot", "/var/run")))
"""Whoever reads or writes there, or above, has the host."""
STATE = tuple(map(Path, ("/var/lib/docker", "/var/lib/containerd", "/var/lib/kubelet", "/var/spool")))
"""Likewise, and what lies beside these is ordinary."""
PROGRAMS = tuple(map(Path, ("/usr", "/bin", "/sbin", "/lib", "/lib64")))
"""Whoever writes there has the host."""
ACCOUNTS = frozenset((
    ".ssh", ".gnupg", ".docker", ".aws", ".azure", ".kube", ".config", ".local",
    ".netrc", ".pypirc", ".git-credentials",
))  # fmt: skip
"""What holds keys in a home folder, also where a project lies in it without a folder of its own."""
SOCKET = re.compile(r"(docker|podman|containerd|buildkitd?|crio|dockershim|cri-dockerd)[\w.-]*\.sock(et)?")
DISK = re.compile(r"/dev(/(sd|hd|vd|xvd|nvme|mmcblk|dm-|md|loop|zd|mapper|disk|mem|kmem|port|vfio|raw|block)\S*)?")
NAMESPACES = {
    "pid": "the host's processes",
    "ipc": "the host's shared memory",
    "network_mode": "the host's network",
    "uts": "the host's name",
    "userns_mode": "the host's user ids",
    "cgroup": "the host's control groups",
}
LOGS = frozenset(("", "json-file", "local", "none"))
ORDINARY_DRIVERS = frozenset(("", "bridge", "overlay", "local", "default", "none"))
REMOTE_VOLUMES = frozenset(("nfs", "nfs4", "cifs"))


def path_reach(written: str, around: Surroundings, *, read_only: bool) -> tuple[str, Grade] | None:
    """Return what a path of the host is and gives away; None where it belongs to the project."""
    path, written = around.resolve(written), os.path.normpath(written)
    shown = written if Path(written) == path else f"{written} ({path})"
    if path in HARMLESS and read_only:
        return f"{shown} of the host", Grade.OUTSIDE
    if SOCKET.fullmatch(path.name) or SOCKET.fullmatch(Path(written).name) or path in around.sockets:
        return f"an engine's socket, {shown}", Grade.ROOT
    at_home = around.project == around.home
    if at_home and path == around.home:
        return f"{shown}, the project's folder, which is your home folder: give the project one of its own", Grade.HOST
    for root in (*SYSTEM, *STATE, *around.sockets, around.home):
        if root.is_relative_to(path):
            return f"{shown} of the host", Grade.ROOT
    if around.inside(path) and not (at_home and path.relative_to(around.home).parts[0] in ACCOUNTS):
        return None
    deep = any(path.is_relative_to(root) for root in (*SYSTEM, *STATE, *(() if read_only else PROGRAMS)))
    if path.is_relative_to(around.home):
        # ~/.ssh, ~/.docker, ~/.config: keys and programs that run at a login.
        deep = deep or path.relative_to(around.home).parts[0].startswith(".")
    return f"{shown}, outside of the project", Grade.ROOT if deep else Grade.HOST


def reaches(document: Json, file: Path, around: Surroundings) -> tuple[Reach, ...]:
    """Return all that compose's model of a file reaches beyond the project.

    Sources: the Compose specification; capabilities(7); CIS Docker Benchmark 5.4 to 5.31.
    """
    found: list[Reach] = []
    for name, table in sorted((document.get("services") or {}).items()):
        found += _Service(name, table or {}, file, around).all()
    found += _stores(document, around)
    found += _volumes(document, around)
    found += _networks(document)
    if document.get("models"):
        found.append(Reach(path=("models",), what="it asks the host for language models", grade=Grade.HOST))
    return tuple(found)


@dataclass(frozen=True)
class _Service:
    name: str
    table: Json
    file: Path
    around: Surroundings

    def all(self) -> Iterator[Reach]:
        yield from self._namespaces()
        yield from self._privileges()
        yield from self._devices()
        yield from self._mounts()
        yield from self._programs()
        yield from self._surroundings()
        yield from self._build()

    def _reach(self, key: str, what: str, grade: Grade, *words: str) -> Reach:
        path = ("services", self.name, *key.split("."))
        return Reach(path=path, what=f"the service {self.name!r} {what}", grade=grade, words=words)

    def _namespaces(self) -> Iterator[Reach]:
        for key, what in NAMESPACES.items():
            value = str(self.table.get(key) or "")
            if value == "host":
                yield self._reach(key, f"shares {what} ({key}: host)", Grade.ROOT if key == "pid" else Grade.HOST)
            elif value.startswith("container:"):
                yield self._reach(key, f"joins a container of somebody else ({key}: {value})", Grade.HOST)
        for other in _texts(self.table.get("volumes_from")):
            if other.startswith("container:"):
                yield self._reach("volumes_from", f"gets the volumes of {other}", Grade.HOST, other)

    def _privileges(self) -> Iterator[Reach]:
        if is_true(self.table.get("privileged")):
            yield self._reach("privileged", "is privileged: it has the host's devices", Grade.ROOT)
        for written in _texts(self.table.get("cap_add")):
            name = capabilities.plain_name(written)
            if name not in capabilities.DOCKER_DEFAULT:
                grade = Grade.HOST if name in capabilities.KNOWN - capabilities.HOST else Grade.ROOT
                yield self._reach("cap_add", f"gets the capability {name}", grade, written, name)
        for option in _texts(self.table.get("security_opt")):
            yield from self._security(option)
        if self.table.get("credential_spec"):
            yield self._reach("credential_spec", "gets an account of the host (credential_spec)", Grade.HOST)
        if self.table.get("sysctls"):
            yield self._reach("sysctls", "changes settings of the kernel (sysctls)", Grade.OUTSIDE)
        if parent := self.table.get("cgroup_parent"):
            yield self._reach("cgroup_parent", f"leaves the engine's control group for {parent}", Grade.HOST)
        if (runtime := str(self.table.get("runtime") or "runc")) != "runc":
            yield self._reach("runtime", f"is started by another runtime, {runtime}", Grade.HOST)
        if is_true(self.table.get("oom_kill_disable")):
            yield self._reach("oom_kill_disable", "is not ended when the host's memory is used up", Grade.HOST)

    def _security(self, option: str) -> Iterator[Reach]:
        key, _, value = option.replace("=", ":", 1).partition(":")
        if value == "unconfined" or (key == "label" and value == "disable") or key == "writable-cgroups":
            yield self._reach("security_opt", f"is not confined ({option})", Grade.HOST, option)
        elif key == "seccomp" and value not in {"", "builtin"}:
            inline = value.lstrip().startswith("{")
            elsewhere = [] if inline else [*self._path("security_opt", "takes its seccomp profile from", value, option)]
            own = self._reach("security_opt", "has a seccomp profile of its own", Grade.OUTSIDE, option)
            yield from elsewhere or [own]
        elif key not in {"no-new-privileges", "seccomp"}:
            yield self._reach("security_opt", f"has a security option of its own ({option})", Grade.OUTSIDE, option)

    def _devices(self) -> Iterator[Reach]:
        for device in self.table.get("devices") or ():
            source = str(device.get("source") or "") if isinstance(device, dict) else str(device).partition(":")[0]
            path = self.around.resolve(source) if source.startswith("/") else None
            whole = path is not None and (DISK.fullmatch(str(path)) or not path.is_relative_to("/dev"))
            yield self._reach("devices", f"gets the device {source}", Grade.ROOT if whole else Grade.HOST, source)
        for rule in _texts(self.table.get("device_cgroup_rules")):
            narrow = re.fullmatch(r"c (?!1:[124]\b)\d+:(\d+|\*) [rwm]+", rule)
            what = f"may use devices ({rule})"
            yield self._reach("device_cgroup_rules", what, Grade.HOST if narrow else Grade.ROOT, rule)
        resources = table_of(table_of(self.table.get("deploy")).get("resources"))
        if table_of(resources.get("reservations")).get("devices"):
            yield self._reach("deploy", "gets devices of the host", Grade.HOST)
        if self.table.get("gpus"):
            yield self._reach("gpus", "gets devices of the host", Grade.HOST)

    def _mounts(self) -> Iterator[Reach]:
        for mount in self.table.get("volumes") or ():
            kind, source = mount.get("type"), str(mount.get("source") or "")
            words = (source, str(mount.get("target") or ""))
            if kind == "bind":
                read_only = is_true(mount.get("read_only"))
                yield from self._path("volumes", "mounts", source, *words, read_only=read_only)
                path = self.around.resolve(source)
                if not read_only and path in {self.around.project, self.around.project / ".git"}:
                    yield self._reach("volumes", "may write the project's own tasks and hooks", Grade.OUTSIDE, *words)
                if "shared" in str(table_of(mount.get("bind")).get("propagation") or ""):
                    yield self._reach("volumes", f"passes mounts on to the host ({source})", Grade.HOST, *words)
            elif kind not in {"volume", "tmpfs", "image"}:
                yield self._reach("volumes", f"mounts {source} ({kind})", Grade.ROOT, *words)
        if is_true(self.table.get("use_api_socket")):
            yield self._reach("use_api_socket", "gets the engine's socket and your registries' accounts", Grade.ROOT)

    def _path(self, key: str, does: str, written: str, *words: str, read_only: bool = True) -> Iterator[Reach]:
        text = written if written.startswith(("/", "~")) else str(self.file.parent / written)
        text = str(self.around.home / text[1:].lstrip("/")) if text.startswith("~") else text
        if (seen := path_reach(text, self.around, read_only=read_only)) is not None:
            how = "" if read_only else ", writable"
            yield self._reach(key, f"{does} {seen[0]}{how}", seen[1], *words, Path(written).name)

    def _programs(self) -> Iterator[Reach]:
        provider = self.table.get("provider")
        if provider is not None:
            kind = provider.get("type") if isinstance(provider, dict) else provider
            yield self._reach("provider", f"is no container: compose runs the host's program {kind!r}", Grade.ROOT)
        for key in ("post_start", "pre_stop"):
            if any(is_true(hook.get("privileged")) for hook in self.table.get(key) or () if isinstance(hook, dict)):
                yield self._reach(key, f"runs a privileged command ({key})", Grade.ROOT, "privileged")

    def _surroundings(self) -> Iterator[Reach]:
        logging = self.table.get("logging") or {}
        if (driver := str(logging.get("driver") or "")) not in LOGS:
            grade = Grade.OUTSIDE if driver == "journald" else Grade.HOST
            yield self._reach("logging", f"sends what it prints through the log driver {driver}", grade, driver)
        hosts = self.table.get("extra_hosts") or ()
        named = [f"{key}={value}" for key, value in hosts.items()] if isinstance(hosts, dict) else _texts(hosts)
        if any("host-gateway" in each for each in named):
            yield self._reach("extra_hosts", "gets the host's address (host-gateway)", Grade.OUTSIDE, "host-gateway")
        for key, what in (
            ("external_links", "reaches containers of other projects (external_links)"),
            ("models", "gets a language model of the host"),
            ("develop", "is rebuilt from files of the host (develop)"),
        ):
            if self.table.get(key):
                yield self._reach(key, what, Grade.HOST if key == "models" else Grade.OUTSIDE)

    def _build(self) -> Iterator[Reach]:
        build = self.table.get("build")
        build = {"context": build} if isinstance(build, str) else build or {}
        context = str(build.get("context") or ".")
        others = build.get("additional_contexts")
        others = table_of(others) or dict(text.partition("=")[::2] for text in _texts(others))
        paths = {"context": context, **others}
        if dockerfile := build.get("dockerfile"):
            paths["dockerfile"] = str(Path(context) / str(dockerfile))
        for key, path in paths.items() if build else ():
            if re.match(r"[\w+.-]+:|git@|github\.com/", str(path)):
                if not str(path).startswith("service:"):
                    yield self._reach("build", f"is built from {path}", Grade.OUTSIDE, str(path))
            else:
                for reach in self._path("build", f"is built with the {key}", str(path), key):
                    yield Reach(path=reach.path, what=reach.what, grade=Grade.OUTSIDE, words=reach.words)
        for key in ("privileged", "entitlements", "ssh", "cache_to"):
            if build.get(key):
                yield self._reach("build", f"is built with `{key}`", Grade.OUTSIDE, key)
        if build.get("network") == "host":
            yield self._reach("build", "is built in the host's network", Grade.OUTSIDE, "network")


def _stores(document: Json, around: Surroundings) -> Iterator[Reach]:
    """Yield what configs and secrets take from outside of the project."""
    for key in ("configs", "secrets"):
        for name, table in (document.get(key) or {}).items():
            path, what = (key, name), f"the {key.removesuffix('s')} {name!r}"
            if table and table.get("external"):
                yield Reach(path=path, what=f"{what} is none of the project", grade=Grade.OUTSIDE)
            elif (file := (table or {}).get("file")) and (seen := path_reach(str(file), around, read_only=True)):
                yield Reach(path=path, what=f"{what} is {seen[0]}", grade=seen[1], words=("file",))


def _volumes(document: Json, around: Surroundings) -> Iterator[Reach]:
    for name, entry in (document.get("volumes") or {}).items():
        table: Json = entry or {}
        yield from _foreign("volumes", name, table, document)
        options = {str(key): str(value) for key, value in table_of(table.get("driver_opts")).items()}
        kind, device, flags = options.get("type", ""), options.get("device", ""), options.get("o", "")
        path, what = ("volumes", name), f"the volume {name!r}"
        if not options or kind == "tmpfs":
            continue
        if kind in REMOTE_VOLUMES:
            yield Reach(path=path, what=f"{what} is on another machine ({kind})", grade=Grade.HOST)
        elif kind in {"", "none", "bind"} and re.search(r"\br?bind\b", flags) and device.startswith("/"):
            if (seen := path_reach(device, around, read_only="ro" in flags.split(","))) is not None:
                yield Reach(path=path, what=f"{what} is {seen[0]}", grade=seen[1], words=(device, "device"))
        else:
            shown = ", ".join(options)
            yield Reach(path=path, what=f"{what} mounts what its driver_opts say ({shown})", grade=Grade.ROOT)


def _networks(document: Json) -> Iterator[Reach]:
    for name, entry in (document.get("networks") or {}).items():
        table = table_of(entry)
        yield from _foreign("networks", name, table, document)
        if table_of(table.get("ipam")).get("config"):
            what = f"the network {name!r} has an address range of its own"
            yield Reach(path=("networks", name), what=what, grade=Grade.OUTSIDE, words=("subnet",))


def _foreign(key: str, name: str, table: Json, document: Json) -> Iterator[Reach]:
    """Yield that a network or volume belongs to somebody else, or is made by a driver of the host."""
    what = f"the {key.removesuffix('s')} {name!r}"
    real, project = str(table.get("name") or ""), str(document.get("name") or "")
    if table.get("external"):
        yield Reach(path=(key, name), what=f"{what} is none of the project (external)", grade=Grade.OUTSIDE)
    elif real and project and not real.startswith(f"{project}_"):
        yield Reach(path=(key, name), what=f"{what} has a name that others may use, {real}", grade=Grade.OUTSIDE)
    if (driver := str(table.get("driver") or "")) not in ORDINARY_DRIVERS:
        yield Reach(path=(key, name), what=f"{what} is made by the driver {driver}", grade=Grade.HOST, words=(driver,))
    elif key == "networks" and table.get("driver_opts"):
        yield Reach(path=(key, name), what=f"{what} has options of its driver", grade=Grade.OUTSIDE)


def table_of(value: Any) -> Json:
    """Return a mapping; an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def _texts(value: Any) -> Iterable[str]:
    """Return the items of a list, each as text."""
    return [str(item) for item in value] if isinstance(value, list | tuple) else []


def is_true(value: object) -> bool:
    """Tell whether a value says yes, as a text too."""
    return str(value).lower() == "true"
