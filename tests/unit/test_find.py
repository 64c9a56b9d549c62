from __future__ import annotations

import hashlib
import http.server
import json
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from tests.unit.factories import host

from seatrial.engine.find import DEFAULT_SOCKET, NO_GIT, OWN, Candidate, candidates, connect, find_engine, own_socket
from seatrial.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def docker_config(folder: Path, current: str | None, **contexts: str) -> str:
    config = folder / "config"
    config.mkdir()
    (config / "config.json").write_text(json.dumps({} if current is None else {"currentContext": current}))
    for name, url in contexts.items():
        key = hashlib.sha256(name.encode()).hexdigest()
        meta = config / "contexts" / "meta" / key
        meta.mkdir(parents=True)
        (meta / "meta.json").write_text(json.dumps({"Name": name, "Endpoints": {"docker": {"Host": url}}}))
    return str(config)


@contextmanager
def answering(version: object, status: int = 200) -> Iterator[str]:
    """Serve what an engine (or something else) answers to /version."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = version if isinstance(version, bytes) else json.dumps(version).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield f"tcp://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()


def test_without_a_choice_the_default_socket_comes_before_seatrials_own(tmp_path: Path) -> None:
    found = list(candidates(host(tmp_path)))
    assert [(match.source, match.url, match.explicit) for match in found] == [
        ("the default socket", DEFAULT_SOCKET, False),
        (OWN, own_socket(host(tmp_path)), False),
    ]


def test_docker_host_is_the_only_one_and_wins_over_a_context(tmp_path: Path) -> None:
    here = host(tmp_path, DOCKER_HOST="tcp://h:2376", DOCKER_CONTEXT="other", DOCKER_TLS_VERIFY="1")
    assert list(candidates(here)) == [
        Candidate(source="DOCKER_HOST", url="tcp://h:2376", explicit=True, tls=tmp_path / "home" / ".docker")
    ]
    here = host(tmp_path, DOCKER_HOST="tcp://h:2376", DOCKER_TLS_VERIFY="1", DOCKER_CERT_PATH="/certs")
    assert str(next(candidates(here)).tls) == "/certs"
    assert next(candidates(host(tmp_path, DOCKER_HOST="tcp://h:2375"))).tls is None


def test_docker_context_is_explicit_and_has_its_own_tls_folder(tmp_path: Path) -> None:
    config = docker_config(tmp_path, "second", first="tcp://first:2376", second="tcp://second:2376")
    key = hashlib.sha256(b"first").hexdigest()
    tls = tmp_path / "config" / "contexts" / "tls" / key / "docker"
    tls.mkdir(parents=True)
    found = list(candidates(host(tmp_path, DOCKER_CONFIG=config, DOCKER_CONTEXT="first")))
    assert found == [
        Candidate(source="DOCKER_CONTEXT 'first'", url="tcp://first:2376", explicit=True, context="first", tls=tls)
    ]


def test_the_current_context_comes_first_and_others_after_it(tmp_path: Path) -> None:
    config = docker_config(tmp_path, "rootless", rootless="unix:///run/user/1/docker.sock")
    found = list(candidates(host(tmp_path, DOCKER_CONFIG=config)))
    assert [match.url for match in found] == [
        "unix:///run/user/1/docker.sock",
        DEFAULT_SOCKET,
        own_socket(host(tmp_path)),
    ]
    assert (found[0].context, found[0].explicit) == ("rootless", False)


@pytest.mark.parametrize("current", [None, "", "default"])
def test_the_default_context_is_the_default_socket(tmp_path: Path, current: str | None) -> None:
    config = docker_config(tmp_path, current)
    assert next(candidates(host(tmp_path, DOCKER_CONFIG=config))).url == DEFAULT_SOCKET
    chosen = next(candidates(host(tmp_path, DOCKER_CONFIG=config, DOCKER_CONTEXT="default")))
    assert (chosen.url, chosen.explicit) == (DEFAULT_SOCKET, True)


@pytest.mark.parametrize("text", ["{", "\0", "'"])
def test_a_malformed_config_is_told_with_its_file(tmp_path: Path, text: str) -> None:
    config = docker_config(tmp_path, None)
    (tmp_path / "config" / "config.json").write_text(text)
    with pytest.raises(EngineError, match="cannot be read") as caught:
        find_engine(host(tmp_path, DOCKER_CONFIG=config))
    assert caught.value.where == str(tmp_path / "config" / "config.json")


@pytest.mark.parametrize("text", ["[]", "3", '{"currentContext": 3}'])
def test_a_config_that_names_no_context_names_none(tmp_path: Path, text: str) -> None:
    config = docker_config(tmp_path, None)
    (tmp_path / "config" / "config.json").write_text(text)
    assert next(candidates(host(tmp_path, DOCKER_CONFIG=config))).url == DEFAULT_SOCKET


@pytest.mark.parametrize("meta", [None, "{", "[]", '{"Endpoints": {"docker": null}}', '{"Endpoints": {}}'])
def test_a_context_that_is_not_there_or_broken(tmp_path: Path, meta: str | None) -> None:
    config = docker_config(tmp_path, None, broken="unix:///x")
    file = tmp_path / "config" / "contexts" / "meta" / hashlib.sha256(b"broken").hexdigest() / "meta.json"
    file.unlink() if meta is None else file.write_text(meta)
    with pytest.raises(EngineError, match="the docker context 'broken' does not exist or cannot be read") as caught:
        find_engine(host(tmp_path, DOCKER_CONFIG=config, DOCKER_CONTEXT="broken"))
    assert caught.value.where == str(file)


def test_an_explicit_choice_that_does_not_answer_ends_the_search(tmp_path: Path) -> None:
    with pytest.raises(
        EngineError, match="the engine that DOCKER_HOST names does not answer: no such socket"
    ) as caught:
        find_engine(host(tmp_path, DOCKER_HOST=f"unix://{tmp_path}/none.sock"))
    assert caught.value.where == f"unix://{tmp_path}/none.sock"
    assert "unset that choice" in caught.value.fix


def test_a_choice_that_makes_no_sense_is_one_clear_error(tmp_path: Path) -> None:
    for url in ("nonsense", "tcp://", "tcp://127.0.0.1:99999", "http+foo://x", "tcp://[::"):
        with pytest.raises(EngineError, match="DOCKER_HOST names does not answer"):
            find_engine(host(tmp_path, DOCKER_HOST=url))


def test_nothing_listens(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="connection refused: nothing listens there"):
        connect(Candidate(source="a test", url="tcp://127.0.0.1:9"), host(tmp_path))


def test_an_engine_that_answers(tmp_path: Path) -> None:
    with answering({"Version": "26.1.5", "ApiVersion": "1.45"}) as url:
        found = find_engine(host(tmp_path, DOCKER_HOST=url, DOCKER_CONTEXT="gone", PATH="/bin", AWS_SECRET="1"))
    assert (found.version, found.api_version, found.own) == ("26.1.5", "1.45", False)
    assert found.programs_environment == {"DOCKER_HOST": url, "PATH": "/bin", **NO_GIT}
    assert str(found) == f"Docker 26.1.5 (DOCKER_HOST, {url})"


@pytest.mark.parametrize(
    "answer", [b"<html>", {"ApiVersion": "1.45"}, {"Version": "1"}, [], "text", {"ApiVersion": "new", "Version": "1"}]
)
def test_what_answers_and_is_no_engine(tmp_path: Path, answer: object) -> None:
    with answering(answer) as url, pytest.raises(EngineError):
        connect(Candidate(source="a test", url=url), host(tmp_path))


def test_the_programs_of_a_context_and_of_our_own_engine_get_their_environment(tmp_path: Path) -> None:
    with answering({"Version": "26.1.5", "ApiVersion": "1.45"}) as url:
        by_context = connect(Candidate(source="a", url=url, context="one"), host(tmp_path, DOCKER_HOST="x"))
        own = connect(Candidate(source=OWN, url=url), host(tmp_path))
    assert by_context.programs_environment == {"DOCKER_CONTEXT": "one", **NO_GIT}
    assert own.own
    assert own.programs_environment == {
        "DOCKER_HOST": url,
        "BUILDX_CONFIG": str(tmp_path / "data" / "engine" / "buildx"),
        **NO_GIT,
    }
