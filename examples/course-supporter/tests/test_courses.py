from collections.abc import Callable
from uuid import uuid4

import pytest
from conftest import NO_DATABASE
from fastapi.testclient import TestClient
from sqlalchemy import URL


def test_a_course_is_created_read_and_deleted(client: TestClient) -> None:
    created = client.post("/courses", json={"title": " Біологія ", "description": "Клітини 🧬"})
    assert created.status_code == 201
    course = created.json()
    assert (course["title"], course["description"]) == ("Біологія", "Клітини 🧬")
    assert client.get(f"/courses/{course['id']}").json() == course
    assert client.delete(f"/courses/{course['id']}").status_code == 204
    gone = client.get(f"/courses/{course['id']}")
    assert gone.status_code == 404
    assert gone.json()["error"] == "course_not_found"
    assert client.delete(f"/courses/{course['id']}").status_code == 404


def test_courses_are_listed_page_by_page_in_order(client: TestClient) -> None:
    titles = [f"Course {number}" for number in range(5)]
    for title in titles:
        assert client.post("/courses", json={"title": title}).status_code == 201
    first = client.get("/courses", params={"limit": 3}).json()
    rest = client.get("/courses", params={"limit": 1000, "offset": 3}).json()
    assert [course["title"] for course in first["items"] + rest["items"]] == titles
    assert first["total"] == rest["total"] == 5


def test_what_is_stored_outlives_the_application(
    client_for: Callable[..., TestClient], database: URL
) -> None:
    course = client_for(database).post("/courses", json={"title": "Kept"}).json()
    assert client_for(database).get(f"/courses/{course['id']}").json() == course


def test_a_title_can_be_taken_once(client: TestClient) -> None:
    assert client.post("/courses", json={"title": "Once"}).status_code == 201
    again = client.post("/courses", json={"title": "Once"})
    assert again.status_code == 409
    assert again.json() == {"error": "title_taken", "message": "A course of this title exists already."}


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b"not json",
        b'{"title": "  "}',
        b'{"title": "nul \\u0000"}',
        b'{"title": "half a pair \\ud800"}',
        b'{"title": "x", "\\ud800": 1}',
        b'{"title": "x", "price": 1}',
        b'{"title": "' + b"x" * 201 + b'"}',
        b"\xff\xfe",
    ],
)
def test_what_cannot_be_stored_is_refused(client: TestClient, body: bytes) -> None:
    response = client.post("/courses", content=body, headers={"Content-Type": "application/json"})
    assert response.status_code in {400, 422}
    assert set(response.json()) == {"error", "message"}
    assert client.get("/courses").json()["total"] == 0


@pytest.mark.parametrize(
    "path", ["/courses/1", "/courses?limit=0", "/courses?offset=-1", f"/courses?offset={2**63}"]
)
def test_a_bad_address_is_refused(client: TestClient, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 422
    assert response.json()["error"] == "invalid_request"


def test_unknown_paths_and_methods_answer_in_the_same_form(client: TestClient) -> None:
    assert client.get("/nothing").json() == {"error": "not_found", "message": "Not Found"}
    refused = client.put("/courses")
    assert (refused.status_code, refused.json()["error"]) == (405, "method_not_allowed")
    assert refused.headers["Allow"]


def test_without_a_database_every_course_request_is_a_503(client_for: Callable[..., TestClient]) -> None:
    client = client_for(NO_DATABASE)
    answers = [
        client.get("/courses"),
        client.post("/courses", json={"title": "x"}),
        client.get(f"/courses/{uuid4()}"),
        client.delete(f"/courses/{uuid4()}"),
        client.post(f"/courses/{uuid4()}/outline"),
        client.get(f"/courses/{uuid4()}/outline"),
    ]
    assert [answer.status_code for answer in answers] == [503] * 6
    assert {answer.json()["error"] for answer in answers} == {"database_unavailable"}
    assert not any("127.0.0.1" in answer.text or "secret-word" in answer.text for answer in answers)


def test_without_tables_the_client_is_told_so(
    client_for: Callable[..., TestClient], empty_database: URL
) -> None:
    answer = client_for(empty_database).get("/courses")
    assert answer.status_code == 503
    assert answer.json()["error"] == "database_schema"


def test_a_request_id_is_given_back_unless_it_is_harmful(client: TestClient) -> None:
    assert client.get("/health", headers={"X-Request-ID": "abc-1"}).headers["X-Request-ID"] == "abc-1"
    assert client.get("/health", headers={"X-Request-ID": 'a"b c'}).headers["X-Request-ID"].isalnum()
