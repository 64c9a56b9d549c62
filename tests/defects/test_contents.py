"""What lies in images that no Python can walk: the engine reads them, and finds the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.defects.wheels import program

from seatrial.checks.model import Level, Status
from seatrial.observe import index_cache
from seatrial.reports.write import FORMATS, render
from seatrial.settings.model import Contract

if TYPE_CHECKING:
    from tests.defects.yard import Yard

    from seatrial.checks.verdict import Smoke

pytestmark = pytest.mark.engine

CONTENTS = (
    *("accounts/no-sparse-logs", "files/setuid", "files/world-writable", "files/leftovers", "files/package-lists"),
    *("files/installer-caches", "tools/build", "tools/remote-access", "secrets/files", "config/workdir"),
)
STATIC = 'FROM scratch\nCOPY quit /quit\nENTRYPOINT ["/quit"]'


def statuses(smoke: Smoke) -> dict[str, Status]:
    return {check.id: check.status for check in smoke.checks if check.id in CONTENTS}


def actual(smoke: Smoke, check: str) -> str:
    return next(result.actual for result in smoke.checks if result.id == check)


def test_one_static_file_and_nothing_else_passes(yard: Yard) -> None:
    image = yard.image(STATIC, {"quit": program()})
    smoke = yard.smoke(image, Contract(files={"/": ("quit", "dev", "etc", "proc", "sys", ".dockerenv")}), Level.QUICK)
    assert set(statuses(smoke).values()) == {Status.PASS}, [
        check for check in smoke.checks if check.status is not Status.PASS
    ]
    assert actual(smoke, "files/expected").startswith("/ as named")
    assert actual(smoke, "accounts/unique-ids").startswith("the image has neither")


def test_a_shell_less_image_is_read_whole(yard: Yard) -> None:
    dockerfile = (
        f"{STATIC}\nCOPY --chmod=4755 quit /sbin/rise\nCOPY --chmod=0666 quit /srv/open\nCOPY quit /usr/bin/gcc\n"
        "COPY quit /usr/bin/sudo\nCOPY quit /srv/.git/HEAD\nCOPY quit /root/.cache/uv/archive-v0/a\n"
        "COPY quit /var/lib/apt/lists/x\nCOPY --chmod=0600 netrc /root/.netrc\n"
    )
    image = yard.image(dockerfile, {"quit": program(), "netrc": "machine example.org login a password b\n"})
    smoke = yard.smoke(image, Contract(), Level.QUICK)
    failed = {check for check, status in statuses(smoke).items() if status is Status.FAIL}
    assert failed == set(CONTENTS) - {"accounts/no-sparse-logs", "config/workdir"}
    assert actual(smoke, "files/setuid") == "/sbin/rise has mode 4755 and owner 0:0"
    assert actual(smoke, "secrets/files") == "/root/.netrc (credentials)"


def test_a_python_that_is_none_leaves_it_to_the_engine(yard: Yard) -> None:
    image = yard.image(
        'FROM {clean}\nCOPY python /usr/local/bin/python\nENV PATH=/usr/local/bin:/usr/bin:/bin\nCMD ["python"]\n'
        "USER 0\nRUN touch /app/.DS_Store\nUSER 10001:10001",
        {"python": "#!/bin/sh\nexit 7\n"},
    )
    smoke = yard.smoke(image, Contract(), Level.QUICK)
    assert actual(smoke, "files/leftovers").startswith("/app/.DS_Store (an operating system's)")
    assert actual(smoke, "files/setuid").endswith("all allowed")


def test_names_and_links_that_mean_harm_are_text(yard: Yard) -> None:
    image = yard.image(
        "FROM {clean}\nUSER 0\n"
        r"RUN mkdir -p /srv/deep && cd /srv && ln -s . loop && ln -s two one && ln -s one two && touch "
        r"""\"$(printf 'a\nb~')\" \"$(printf 'esc\033[31m~')\" \"$(printf '\377~')\" """
        "\nUSER 10001:10001".replace('\\"', '"')
    )
    shown = actual(yard.smoke(image, Contract(), Level.QUICK), "files/leftovers")
    assert shown == "/srv/\\xff~ (an editor's); /srv/a\\nb~ (an editor's); /srv/esc\\x1b[31m~ (an editor's)"


def test_names_of_bytes_are_kept_and_shown_the_second_time_too(yard: Yard) -> None:
    name = "$(printf '\\377\\376')"
    image = yard.image(
        f'FROM {{clean}}\nUSER 0\nRUN mkdir "/srv/{name}" && touch "/srv/{name}/{name}~" && '
        f'ln -s "{name}" /srv/link && chmod 0777 "/srv/{name}"\nUSER 10001:10001'
    )
    first, second = (yard.smoke(image, Contract(python=wanted), Level.QUICK) for wanted in (None, "3.13"))
    assert index_cache.load(yard.engine.cache, first.id) is not None
    for smoke in (first, second):
        assert actual(smoke, "files/leftovers") == r"/srv/\xff\xfe/\xff\xfe~ (an editor's)"
        assert actual(smoke, "files/world-writable").startswith(r"/srv/\xff\xfe has mode 0777")
    for form in FORMATS:
        assert r"\xff\xfe" in render([second], form).replace("&#92;", "\\").replace("\\\\", "\\")


def test_two_hundred_thousand_files_are_all_looked_at_in_time(yard: Yard) -> None:
    image = yard.image(
        "FROM {clean}\nUSER 0\n"
        "RUN mkdir -p /srv/many && cd /srv/many && seq 1 200500 | xargs -n 5000 touch && touch 200000.orig\n"
        "USER 10001:10001"
    )
    smoke = yard.smoke(image, Contract(), Level.QUICK)
    assert actual(smoke, "files/leftovers") == "/srv/many/200000.orig (an editor's)"
    assert actual(smoke, "files/setuid").startswith("20")
    assert smoke.seconds < 60
