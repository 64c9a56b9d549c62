"""What a build needs to reach a corporate network: taken from the host, passed on as BuildKit secrets."""

from __future__ import annotations

import configparser
import io
import json
import os
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from seatrial.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from seatrial.host import Host


PIP_LOCATIONS = frozenset({"index-url", "extra-index-url", "find-links"})
PIP_PLAIN = frozenset({"trusted-host", "proxy", "timeout", "default-timeout", "retries", "no-index"})
UV_PLAIN = ("allow-insecure-host", "native-tls", "index-strategy")
UV_INDEX_KEYS = ("name", "url", "default", "explicit", "format", "authenticate")


def pip_config(host: Host) -> str:
    """Return pip's configuration for a build as the text of an ini file; empty when there is none.

    Later files win over earlier ones and the environment over all, as pip itself has it.

    Raises:
        BuildError: a configuration file cannot be read or is malformed.

    """
    sections: dict[str, dict[str, str]] = {}
    for file in _pip_files(host):
        parser = configparser.RawConfigParser()
        try:
            parser.read_string(file.read_text(encoding="utf-8"))
        except (configparser.Error, UnicodeDecodeError) as error:
            raise _malformed(file, "pip's configuration") from error
        except OSError as error:
            raise _unreadable(file, error) from error
        for section in parser.sections():
            values = {key.replace("_", "-"): value for key, value in parser.items(section)}
            sections.setdefault(section, {}).update(values)
    asked = {
        key.removeprefix("PIP_").lower().replace("_", "-"): value
        for key, value in host.environment.items()
        if key.startswith("PIP_") and value
    }
    # A command's own section would win over [global], but not over the environment.
    for options in sections.values():
        for key in asked:
            options.pop(key, None)
    sections.setdefault("global", {}).update(asked)
    return _ini({name: _pip_values(values) for name, values in sections.items()})


def uv_config(host: Host) -> str:
    """Return uv's configuration for a build as the text of a TOML file; empty when there is none.

    Raises:
        BuildError: uv's configuration cannot be read or is malformed.

    """
    file = _uv_file(host)
    declared: dict[str, Any] = {}
    if file is not None:
        try:
            declared = tomllib.loads(file.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise _malformed(file, "uv's configuration") from error
        except OSError as error:
            raise _unreadable(file, error) from error
    asked = _uv_indexes(host.environment)
    others = _uv_declared(declared, host.environment)
    if any(one.get("default") for one in asked):
        # The environment's default takes the place of the file's.
        others = [one for one in others if not one.get("default")]
    plain = {key: declared[key] for key in UV_PLAIN if isinstance(declared.get(key), str | bool | list)}
    if hosts := host.environment.get("UV_INSECURE_HOST", "").split():
        plain["allow-insecure-host"] = hosts
    lines = [f"{key} = {_toml(value)}" for key, value in plain.items()]
    for index in (*asked, *others):
        lines += ["", "[[index]]", *(f"{key} = {_toml(value)}" for key, value in index.items())]
    return "\n".join(lines).strip() + "\n" if lines else ""


def _pip_files(host: Host) -> Iterator[Path]:
    environment = host.environment
    chosen = environment.get("PIP_CONFIG_FILE")
    if chosen == os.devnull:
        return
    user = Path(environment.get("XDG_CONFIG_HOME") or host.home / ".config")
    files = [Path("/etc/xdg/pip/pip.conf"), Path("/etc/pip.conf")]
    if not chosen or not Path(chosen).is_file():
        files += [host.home / ".pip" / "pip.conf", user / "pip" / "pip.conf"]
    if venv := environment.get("VIRTUAL_ENV"):
        files.append(Path(venv) / "pip.conf")
    if chosen:
        files.append(Path(chosen))
    yield from (file for file in files if file.is_file())


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
        return Path(chosen) if Path(chosen).is_file() else None
    user = Path(host.environment.get("XDG_CONFIG_HOME") or host.home / ".config")
    files = (user / "uv" / "uv.toml", Path("/etc/xdg/uv/uv.toml"), Path("/etc/uv/uv.toml"))
    return next((file for file in files if file.is_file()), None)


def _uv_indexes(environment: Mapping[str, str]) -> list[dict[str, Any]]:
    extra = [*environment.get("UV_INDEX", "").split(), *environment.get("UV_EXTRA_INDEX_URL", "").split()]
    found = [_uv_index(word, environment) for word in extra]
    if default := environment.get("UV_DEFAULT_INDEX") or environment.get("UV_INDEX_URL"):
        found.append({**_uv_index(default, environment), "default": True})
    return [one for one in found if _remote(one["url"])]


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
        one = {key: values[key] for key in UV_INDEX_KEYS if isinstance(values.get(key), str | bool)}
        if "url" in one and "name" in one:
            one["url"] = _with_credentials(str(one["name"]), str(one["url"]), environment)
        found.append(one)
    extra = declared.get("extra-index-url")
    found += [{"url": url} for url in extra if isinstance(url, str)] if isinstance(extra, list) else []
    if isinstance(declared.get("index-url"), str):
        found.append({"url": declared["index-url"], "default": True})
    return [one for one in found if _remote(str(one.get("url", "")))]


def _with_credentials(name: str, url: str, environment: Mapping[str, str]) -> str:
    stem = f"UV_INDEX_{''.join(one if one.isalnum() else '_' for one in name).upper()}"
    user = environment.get(f"{stem}_USERNAME", "")
    password = environment.get(f"{stem}_PASSWORD", "")
    scheme, separator, rest = url.partition("://")
    if not (user or password) or not separator or "@" in rest.partition("/")[0]:
        return url
    from urllib.parse import quote

    return f"{scheme}://{quote(user, safe='')}:{quote(password, safe='')}@{rest}"


def _toml(value: object) -> str:
    # Text, true/false, numbers and lists of text are written the same way in JSON and in TOML.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _remote(address: str) -> bool:
    return address.startswith(("https://", "http://", "git+https://"))


def _malformed(file: Path, what: str) -> BuildError:
    return BuildError(f"{what} is malformed.", where=str(file), fix="Mend or move that file.")


def _unreadable(file: Path, error: OSError) -> BuildError:
    return BuildError(f"cannot be read: {error.strerror}.", where=str(file))


SecretId = Literal["ca-bundle", "netrc", "pip-config", "uv-config"]
SECRET_IDS: tuple[SecretId, ...] = get_args(SecretId)

CA_VARIABLES = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")
LARGEST = 500 * 1024
"""Bytes that BuildKit takes as one secret (its MaxSecretSize)."""


@dataclass(frozen=True, kw_only=True)
class BuildSecrets:
    """What is handed to a build without becoming part of its image."""

    files: Mapping[SecretId, Path] = field(default_factory=dict)
    """Files of the host that are handed over as they are."""
    texts: Mapping[SecretId, str] = field(default_factory=dict, repr=False)
    """What is put together here. It goes through buildx's environment: no file of it is ever written."""
    proxies: tuple[str, ...] = ()
    """Names of the proxy variables that are set; their values never stand on a command line."""
    notes: tuple[str, ...] = ()
    """What could not be handed over, for a person."""

    def words(self) -> list[str]:
        """Return the words for buildx's command line."""
        words: list[str] = []
        for name, path in self.files.items():
            words += ["--secret", f'"id={name}","src={_csv(path)}"']
        for name in self.texts:
            words += ["--secret", f"id={name},env={_variable(name)}"]
        for variable in self.proxies:
            words += ["--build-arg", variable]
        return words

    def environment(self) -> dict[str, str]:
        """Return what buildx's environment needs for those words."""
        return {_variable(name): text for name, text in self.texts.items()}


def find_secrets(host: Host) -> BuildSecrets:
    """Return what this host's environment and files give; only what exists.

    Raises:
        BuildError: pip's or uv's configuration is malformed; the message names the file.

    """
    notes: list[str] = []
    files: dict[SecretId, Path] = {}
    bundles = (host.environment.get(variable) for variable in CA_VARIABLES)
    candidates: dict[SecretId, list[Path]] = {
        "ca-bundle": [_path(host, value) for value in bundles if value],
        "netrc": [_path(host, host.environment.get("NETRC") or "~/.netrc")],
    }
    for name, paths in candidates.items():
        for path in paths:
            problem = _problem(path)
            if problem is None:
                files[name] = path
                break
            if problem:
                notes.append(f"{path} is not handed to the build as the secret {name!r}: {problem}")
    texts: dict[SecretId, str] = {}
    if text := pip_config(host):
        texts["pip-config"] = text
    if text := uv_config(host):
        texts["uv-config"] = text
    proxies = (either for upper in PROXY_VARIABLES for either in (upper, upper.lower()))
    return BuildSecrets(
        files=files,
        texts=texts,
        proxies=tuple(one for one in proxies if host.environment.get(one)),
        notes=tuple(notes),
    )


def _path(host: Host, value: str) -> Path:
    return host.home / value.removeprefix("~/") if value.startswith("~/") else Path(value).absolute()


def _problem(path: Path) -> str | None:
    """Return why a file cannot be a secret: None when it can, an empty text when it is simply not there."""
    try:
        if not path.is_file():
            return ""
        if path.stat().st_size > LARGEST:
            return f"it is larger than the {LARGEST // 1024} KiB that BuildKit takes."
    except OSError as error:
        return f"{error.strerror}."
    return None if os.access(path, os.R_OK) else "it may not be read."


def _csv(path: Path) -> str:
    # buildx reads the words of --secret as one line of CSV: a comma or quote in a path needs quoting.
    return str(path).replace('"', '""')


def _variable(name: SecretId) -> str:
    return f"SEATRIAL_SECRET_{name.upper().replace('-', '_')}"
