"""Which line a complaint of compose's is about. The messages are those of compose 2.26 and 2.40."""

from __future__ import annotations

import pytest

from seatrial.compose.text import line_of

FILE = """\
# image: x, API_TOKEN, gone.env
name: ship
services:
  api:
    image: x
    colour: red
    env_file: [there.env, gone.env]
    environment:
      # ${API_TOKEN:?} is asked for below
      TOKEN: ${API_TOKEN:?set it}
    ports:
      - "80:80"
      - "x:y"
    depends_on:
      db: {condition: service_healthy}
    volumes: [data:/data]
  db:
    command: x
    depends_on: [api]
volumes:
  other: {}
"""


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ("yaml: line 4: could not find expected ':'", 4),
        ('yaml: unmarshal errors:\n  line 6: mapping key "a" already defined', 6),
        ("validating /x/compose.yaml: services.api Additional property colour is not allowed", 6),
        ("validating /x/services.yaml: services.api additional properties 'colour' not allowed", 6),
        ("(root) Additional property services is not allowed", 3),
        ("services.api.ports[1] must be a string", 13),
        ("services.api.ports.1 must be a string", 13),
        ("services.api.nosuch.deeper must be a string", 4),
        ('service "db" has neither an image nor a build context specified: invalid compose project', 17),
        ("dependency cycle detected: api -> db -> api", 14),
        ('service "api" depends on undefined service "dbb": invalid compose project', 14),
        ('service "api" refers to undefined volume data: invalid compose project', 16),
        ("env file /x/gone.env not found: stat /x/gone.env: no such file or directory", 7),
        (
            "error while interpolating services.api.environment.TOKEN: required variable API_TOKEN is missing a value",
            10,
        ),
        ("Invalid containerPort: y", 13),
        ("Invalid containerPort: z", None),
        ("no idea", None),
        ("services.gone must be a mapping", 3),
        ("networks.gone must be a mapping", None),
        ("empty compose file", None),
    ],
)
def test_a_complaint_has_a_line(message: str, line: int | None) -> None:
    assert line_of(message, FILE) == line


@pytest.mark.parametrize("content", ["", "a: [", "\x00", "- x", "services: 3"])
def test_a_file_that_does_not_tell_has_none(content: str) -> None:
    assert line_of('service "api" has neither', content) in {None, 1}
