import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import NO_DATABASE
from fastapi.testclient import TestClient
from pydantic import SecretStr
from sqlalchemy import URL
from support import HOME, ChatServer, free_port

type Start = Callable[..., TestClient]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The home that ships, with a model that is asked once and given a second."""
    for folder in ("config", "prompts", "migrations"):
        shutil.copytree(HOME / folder, tmp_path / folder)
    path = tmp_path / "config/outline.toml"
    text = path.read_text().replace("timeout_seconds = 60.0", "timeout_seconds = 1.0")
    path.write_text(text.replace("max_retries = 2", "max_retries = 0"))
    return tmp_path


@pytest.fixture
def client(client_for: Start, database: URL, chat_server: ChatServer, home: Path) -> TestClient:
    return client_for(
        database,
        openai_api_key=SecretStr("test-key"),
        openai_base_url=chat_server.url,
        COURSE_SUPPORTER_HOME=home,
    )


@pytest.fixture
def course(client: TestClient) -> str:
    body = {"title": "Cells", "description": "What life is made of"}
    course_id: str = client.post("/courses", json=body).json()["id"]
    return course_id


def test_an_outline_is_drafted_from_the_chosen_prompt_and_stored(
    client: TestClient, course: str, chat_server: ChatServer
) -> None:
    chat_server.answer("1. Walls: a student can draw one.\n")
    response = client.post(f"/courses/{course}/outline")
    assert response.status_code == 201
    outline = response.json()
    assert outline["text"] == "1. Walls: a student can draw one."
    assert (outline["course_id"], outline["prompt_version"], outline["model"]) == (
        course,
        "v2",
        "gpt-4o-mini",
    )
    assert client.get(f"/courses/{course}/outline").json() == outline

    assert chat_server.paths == ["/v1/chat/completions"]
    assert chat_server.keys == ["Bearer test-key"]
    [message] = chat_server.requests[0]["messages"]
    assert message["content"].startswith("You help a teacher")
    assert "Title: Cells\n\nDescription: What life is made of\n" in message["content"]


def test_the_configuration_chooses_the_prompt_and_the_newest_outline_is_read(
    client: TestClient, course: str, chat_server: ChatServer, client_for: Start, database: URL, home: Path
) -> None:
    assert client.post(f"/courses/{course}/outline").status_code == 201
    path = home / "config/outline.toml"
    path.write_text(path.read_text().replace('"v2"', '"v1"'))
    older = client_for(
        database, openai_api_key=SecretStr("k"), openai_base_url=chat_server.url, COURSE_SUPPORTER_HOME=home
    )
    assert older.post(f"/courses/{course}/outline").json()["prompt_version"] == "v1"
    assert client.get(f"/courses/{course}/outline").json()["prompt_version"] == "v1"
    assert chat_server.requests[1]["messages"][0]["content"].startswith("Write an outline for this course")


@pytest.mark.parametrize("status", [401, 429, 500])
def test_a_refusal_is_a_502_that_keeps_the_endpoints_words_back(
    client: TestClient, course: str, chat_server: ChatServer, status: int
) -> None:
    chat_server.status = status
    chat_server.body = {"error": {"message": "inner secret"}}
    response = client.post(f"/courses/{course}/outline")
    assert response.status_code == 502
    expected = f"The language model's endpoint answered with HTTP status {status}."
    assert response.json() == {"error": "outline_refused", "message": expected}
    assert client.get(f"/courses/{course}/outline").json()["error"] == "outline_not_found"


def test_a_slow_answer_is_a_504(client: TestClient, course: str, chat_server: ChatServer) -> None:
    chat_server.delay_seconds = 10
    response = client.post(f"/courses/{course}/outline")
    assert (response.status_code, response.json()["error"]) == (504, "outline_timeout")


@pytest.mark.parametrize(
    "body",
    [{}, {"choices": []}, {"choices": None}, {"choices": [{}]}, [], "text", None, b"{", b"\xff"],
)
def test_an_answer_that_is_none_is_a_502(
    client: TestClient, course: str, chat_server: ChatServer, body: object
) -> None:
    chat_server.body = body
    response = client.post(f"/courses/{course}/outline")
    assert response.status_code == 502
    assert response.json()["error"] == "outline_unusable"


@pytest.mark.parametrize("content", [None, "", " \n"])
def test_an_empty_outline_is_not_stored(
    client: TestClient, course: str, chat_server: ChatServer, content: str | None
) -> None:
    chat_server.answer(content)
    response = client.post(f"/courses/{course}/outline")
    assert (response.status_code, response.json()["error"]) == (502, "outline_empty")
    assert client.get(f"/courses/{course}/outline").status_code == 404


def test_an_unreachable_endpoint_is_a_502(client_for: Start, database: URL, home: Path) -> None:
    client = client_for(
        database,
        openai_api_key=SecretStr("k"),
        openai_base_url=f"http://127.0.0.1:{free_port()}/v1",
        COURSE_SUPPORTER_HOME=home,
    )
    course = client.post("/courses", json={"title": "Alone"}).json()["id"]
    response = client.post(f"/courses/{course}/outline")
    assert (response.status_code, response.json()["error"]) == (502, "outline_unreachable")


def test_without_a_key_outlines_are_off(client_for: Start, database: URL) -> None:
    client = client_for(database)
    course = client.post("/courses", json={"title": "Off"}).json()["id"]
    response = client.post(f"/courses/{course}/outline")
    assert (response.status_code, response.json()["error"]) == (503, "outlines_off")


def test_nobody_asks_the_model_for_a_course_that_is_not_there(
    client: TestClient, chat_server: ChatServer
) -> None:
    response = client.post("/courses/00000000-0000-4000-8000-000000000000/outline")
    assert (response.status_code, response.json()["error"]) == (404, "course_not_found")
    assert chat_server.requests == []


def test_nobody_asks_the_model_without_a_database(client_for: Start, chat_server: ChatServer) -> None:
    client = client_for(NO_DATABASE, openai_api_key=SecretStr("k"), openai_base_url=chat_server.url)
    response = client.post("/courses/00000000-0000-4000-8000-000000000000/outline")
    assert (response.status_code, chat_server.requests) == (503, [])


def test_outlines_go_with_their_course(client: TestClient, course: str) -> None:
    assert client.post(f"/courses/{course}/outline").status_code == 201
    assert client.delete(f"/courses/{course}").status_code == 204
    assert client.get(f"/courses/{course}/outline").json()["error"] == "course_not_found"
