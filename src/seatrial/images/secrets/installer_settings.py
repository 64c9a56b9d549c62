"""pip's and uv's settings of the host, as the text of one file that a build gets."""

from __future__ import annotations

import configparser
import io
import json
import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from seatrial.errors import BuildError
from seatrial.filesystem import is_file
from seatrial.host import Host

PIP, UV = "pip's configuration", "uv's configuration"
PIP_LOCATIONS = frozenset({"index-url", "extra-index-url", "find-links"})
PIP_PLAIN = frozenset({"trusted-host", "proxy", "timeout", "default-timeout", "retries", "no-index"})
UV_PLAIN = {"allow-insecure-host": list, "native-tls": bool, "index-strategy": str}
"""What uv takes of these; of anything else it says itself what is wrong, on this host."""
UV_INDEX_KEYS = ("name", "url", "default", "explicit", "format", "authenticate")


def pip_config(host: Host) -> str:
    """Return pip's configuration for a build as the text of an ini file; empty when there is none.

    Later files win over earlier ones and the environment over all, as pip itself has it.
    """
    sections: dict[str, dict[str, str]] = {}
    for file in _pip_files(host):
        parser = configparser.RawConfigParser()
        try:
            parser.read_string(_read(file, PIP))
        except configparser.Error as error:
            raise _malformed(file, PIP) from error
        for section in parser.sections():
            values = {key.replace("_", "-"): value for key, value in parser.items(section)}
            sections.setdefault(section, {}).update(values)
    from_environment = {
        key.removeprefix("PIP_").lower().replace("_", "-"): value
        for key, value in host.environment.items()
        if key.startswith("PIP_") and value
    }
    # A command's own section would win over [global], but not over the environment.
    for options in sections.values():
        for key in from_environment:
            options.pop(key, None)
    sections.setdefault("global", {}).update(from_environment)
    return _ini({name: _pip_values(values) for name, values in sections.items()})


def uv_config(host: Host) -> str:
    """Return uv's configuration for a build as the text of a TOML file; empty when there is none."""
    declared: dict[str, Any] = {}
    if (file := _uv_file(host)) is not None:
        try:
            declared = tomllib.loads(_read(file, UV))
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise _malformed(file, UV) from error
    from_environment = _uv_indexes(host.environment)
    from_file = _uv_declared(declared, host.environment)
    if any(index.get("default") for index in from_environment):
        from_file = [index for index in from_file if not index.get("default")]
    plain = {key: declared[key] for key, kind in UV_PLAIN.items() if isinstance(declared.get(key), kind)}
    if not all(isinstance(name, str) for name in plain.get("allow-insecure-host", ())):
        del plain["allow-insecure-host"]
    if hosts := host.environment.get("UV_INSECURE_HOST", "").split():
        plain["allow-insecure-host"] = hosts
    lines = [f"{key} = {_toml(value)}" for key, value in plain.items()]
    for index in (*from_environment, *from_file):
        lines += ["", "[[index]]", *(f"{key} = {_toml(value)}" for key, value in index.items())]
    return "\n".join(lines).strip() + "\n" if lines else ""


def _pip_files(host: Host) -> Iterator[Path]:
    environment = host.environment
    chosen = environment.get("PIP_CONFIG_FILE")
    if chosen == os.devnull:
        return
    user = Path(environment.get("XDG_CONFIG_HOME") or host.home / ".config")
    files = [Path("/etc/xdg/pip/pip.conf"), Path("/etc/pip.conf")]
    if not chosen or not is_file(Path(chosen)):
        files += [host.home / ".pip" / "pip.conf", user / "pip" / "pip.conf"]
    if venv := environment.get("VIRTUAL_ENV"):
        files.append(Path(venv) / "pip.conf")
    if chosen:
        files.append(Path(chosen))
    yield from (file for file in files if is_file(file))


def _pip_values(values: Mapping[str, str]) -> dict[str, str]:
    kept = {key: value for key, value in values.items() if key in PIP_PLAIN and value.strip()}
    for key in PIP_LOCATIONS & values.keys():
        if addresses := [word for word in values[key].split() if _remote(word)]:
            kept[key] = "\n".join(addresses)
    if "find-links" not in kept:
        # Without the host's folders, `no-index` would leave pip with nothing to install from.
        kept.pop("no-index", None)
    return dict(sorted(kept.items()))


def _ini(sections: Mapping[str, Mapping[str, str]]) -> str:
    writer = configparser.RawConfigParser()
    for name, values in sections.items():
        if values:
            writer[name] = values
    sink = io.StringIO()
    writer.write(sink)
    return sink.getvalue().strip() + "\n" if writer.sections() else ""


def _uv_file(host: Host) -> Path | None:
    if host.environment.get("UV_NO_CONFIG"):
        return None
    if chosen := host.environment.get("UV_CONFIG_FILE"):
        return Path(chosen) if is_file(Path(chosen)) else None
    user = Path(host.environment.get("XDG_CONFIG_HOME") or host.home / ".config")
    files = (user / "uv" / "uv.toml", Path("/etc/xdg/uv/uv.toml"), Path("/etc/uv/uv.toml"))
    return next((file for file in files if is_file(file)), None)


def _uv_indexes(environment: Mapping[str, str]) -> list[dict[str, Any]]:
    extra = [*environment.get("UV_INDEX", "").split(), *environment.get("UV_EXTRA_INDEX_URL", "").split()]
    found = [_uv_index(word, environment) for word in extra]
    if default := environment.get("UV_DEFAULT_INDEX") or environment.get("UV_INDEX_URL"):
        found.append({**_uv_index(default, environment), "default": True})
    return [index for index in found if _remote(index["url"])]


def _uv_index(word: str, environment: Mapping[str, str]) -> dict[str, Any]:
    name, separator, url = word.partition("=")
    if not separator or "/" in name:
        return {"url": word}
    return {"name": name, "url": _with_credentials(name, url, environment)}


def _uv_declared(declared: Mapping[str, Any], environment: Mapping[str, str]) -> list[dict[str, Any]]:
    tables = declared.get("index")
    found: list[dict[str, Any]] = []
    for table in tables if isinstance(tables, list) else []:
        values = table if isinstance(table, dict) else {}
        index = {key: values[key] for key in UV_INDEX_KEYS if isinstance(values.get(key), str | bool)}
        if "url" in index and "name" in index:
            index["url"] = _with_credentials(str(index["name"]), str(index["url"]), environment)
        found.append(index)
    extra = declared.get("extra-index-url")
    found += [{"url": url} for url in extra if isinstance(url, str)] if isinstance(extra, list) else []
    if isinstance(declared.get("index-url"), str):
        found.append({"url": declared["index-url"], "default": True})
    return [index for index in found if _remote(str(index.get("url", "")))]


def _with_credentials(name: str, url: str, environment: Mapping[str, str]) -> str:
    stem = f"UV_INDEX_{''.join(letter if letter.isalnum() else '_' for letter in name).upper()}"
    user = environment.get(f"{stem}_USERNAME", "")
    password = environment.get(f"{stem}_PASSWORD", "")
    scheme, separator, rest = url.partition("://")
    if not (user or password) or not separator or "@" in rest.partition("/")[0]:
        return url
    return f"{scheme}://{quote(user, safe='')}:{quote(password, safe='')}@{rest}"


def _toml(value: object) -> str:
    # Text, true/false, numbers and lists of text are written the same way in JSON and in TOML.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _remote(address: str) -> bool:
    return address.startswith(("https://", "http://", "git+https://"))


def _read(file: Path, what: str) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise _malformed(file, what) from error
    except OSError as error:
        raise BuildError(f"cannot be read: {error.strerror}.", where=str(file)) from error


def _malformed(file: Path, what: str) -> BuildError:
    return BuildError(f"{what} is malformed.", where=str(file), fix="Correct or move that file.")
