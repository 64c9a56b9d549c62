"""A contract drafted from facts: what it says, that it can be read again, and that an image cannot spoil it."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from tests.unit.factories import boot, configuration, distribution, facts, probe, start, trail

from seatrial.checks import registry
from seatrial.checks.model import Level, Result, Status
from seatrial.checks.verdict import judge
from seatrial.errors import SettingsError
from seatrial.facts import Exit, HealthCheck, Identity, Import, InstalledScript, Shebang, Stop, Unavailable
from seatrial.facts.boot import Restriction
from seatrial.reports.contract import contract_text
from seatrial.settings.model import Contract
from seatrial.settings.read import read_contract
from seatrial.smoke.draft import draft, generous, roomy, wanted_variables, without_guesses

if TYPE_CHECKING:
    from pathlib import Path

    from seatrial.facts import Facts

DIED = boot(healthy_after=None, exit=Exit(code=1, after=0.4), stop=None, log=("KeyError: 'DATABASE_URL'", "see LANG"))


def written(seen: Facts, environment: dict[str, str] | None = None, results: tuple[Result, ...] = ()) -> str:
    return contract_text(seen, draft(seen, environment or {}), results)


def read(folder: Path, text: str) -> Contract:
    (folder / "contract.toml").write_text(text, encoding="utf-8")
    return read_contract(folder / "contract.toml")


# --- what is drafted ----------------------------------------------------------------------------------------


def test_a_sound_image_says_what_its_contract_is() -> None:
    made = draft(facts(), {"DATABASE_URL": "none"})
    assert (made.user, made.uid, made.gid, made.python) == ("app", 10001, 10001, "3.13")
    assert made.modules == ("shop.api:app",)
    assert made.dependencies == ("fastapi", "uvicorn")
    assert made.executables == ("uvicorn", "python")
    assert made.max_unpacked == "550 MB"
    assert (made.healthy_within, made.stops_within, made.tmpfs) == (10, 10, ("/tmp",))
    assert made.environment == {"DATABASE_URL": "none"}
    assert made.waive == {}


def test_what_nobody_asks_for_is_direct() -> None:
    listed = (
        distribution("FastAPI", requires=("starlette>=1", "httpx; extra == 'all'")),
        distribution("starlette"),
        distribution("httpx"),
        distribution("pip"),
        distribution("setuptools", base=True),
    )
    assert draft(facts(probe=probe(distributions=listed)), {}).dependencies == ("fastapi",)


def test_the_applications_own_distribution_names_what_is_direct() -> None:
    shop = distribution(
        "shop",
        requires=("fastapi", "httpx; extra == 'all'", "not-there"),
        scripts=("shop", "shop-migrate", "shop-gone"),
        origin="file:///src",
        packages=("shop", "shop_tools", "tests"),
    )
    listed = (shop, distribution("fastapi"), distribution("httpx"), distribution("lib", origin="file:///w/lib-1.whl"))
    seen = facts(
        command=start(words=("shop",), modules=(), word="shop", program=trail("/app/.venv/bin/shop")),
        probe=probe(
            distributions=listed,
            scripts=(InstalledScript(path="/app/.venv/bin/shop-migrate", interpreter="", found=True),),
            own_packages=("shop", "tests", "jobs"),
            imports=(Import(name="jobs", ok=False, seconds=0.1, error="x"),),
        ),
    )
    made = draft(seen, {})
    assert made.dependencies == ("shop", "fastapi")
    assert made.modules == ("shop", "shop_tools"), "jobs does not import"
    assert made.executables == ("shop", "shop-migrate", "python"), "shop-gone is not there"
    assert [entry.name for entry in imports_of(without_guesses(seen, made))] == []


def imports_of(seen: Facts) -> tuple[Import, ...]:
    assert not isinstance(seen.probe, Unavailable)
    return seen.probe.imports


def test_the_application_behind_a_starter_of_its_own_is_found() -> None:
    words = ("python", "-m", "shop.entrypoint", "uvicorn", "shop.api:app", "other.api:app", "--host", "::")
    scripts = (InstalledScript(path="/app/.venv/bin/uvicorn", interpreter="", found=True),)
    seen = facts(
        command=start(words=words, modules=("shop.entrypoint",)), probe=probe(own_packages=("shop",), scripts=scripts)
    )
    made = draft(seen, {})
    assert made.modules == ("shop.entrypoint", "shop.api:app")
    assert made.executables == ("python", "uvicorn")


def test_a_console_script_belongs_to_the_application_a_server_does_not() -> None:
    listed = (
        distribution("shop", scripts=("serve",)),
        distribution("lib"),
        distribution("uvicorn", scripts=("uvicorn",)),
    )
    assert draft(facts(probe=probe(distributions=listed)), {}).dependencies == ("shop", "lib", "uvicorn")
    mine = facts(command=start(words=("serve",), word="serve"), probe=probe(distributions=listed))
    assert draft(mine, {}).dependencies == ("shop",)


@pytest.mark.parametrize(
    ("changed", "interpreter"),
    [
        (
            {
                "scripts": (
                    Shebang(line="#!x", interpreter="/app/.venv/bin/python", resolved=trail("/app/.venv/bin/python")),
                )
            },
            None,
        ),
        ({"program": trail("/app/.venv/bin/python")}, None),
        ({"program": trail("/start")}, "/app/.venv/bin/python"),
        ({"python": "", "python_resolved": None}, None),
    ],
)
def test_the_interpreter_is_named_only_where_the_command_does_not_lead_to_it(
    changed: dict[str, Any], interpreter: str | None
) -> None:
    assert draft(facts(command=start(**changed)), {}).interpreter == interpreter


def test_a_slow_application_gets_more_time() -> None:
    seen = facts(boot=boot(healthy_after=8.2, stop=Stop(signal="SIGTERM", seconds=4.0, code=0, killed=False)))
    made = draft(seen, {})
    assert (made.healthy_within, made.stops_within) == (45, 20)
    killed = facts(boot=boot(stop=Stop(signal="SIGTERM", seconds=10.0, code=137, killed=True)))
    assert draft(killed, {}).stops_within == Contract().stops_within


def test_a_folder_that_it_writes_becomes_a_tmpfs() -> None:
    wrote = ("/app/state/now", "/app/state/then", "/app/pid", "/x")
    relaxed = boot(lifted=(Restriction.READ_ONLY,), written=wrote)
    seen = facts(boot=DIED, relaxed=(relaxed,))
    assert draft(seen, {}).tmpfs == ("/tmp", "/app/state"), "not the folder of work, and not the root"
    assert "# It writes below /app/state" in written(seen)
    assert draft(facts(boot=DIED, relaxed=(msgspec.structs.replace(relaxed, lifted=()),)), {}).tmpfs == ("/tmp",)


def test_an_image_without_python_still_says_who_it_is_and_how_large() -> None:
    seen = facts(
        probe=Unavailable(reason="the image holds no Python interpreter"),
        command=start(python="", python_resolved=None),
    )
    made = draft(seen, {})
    assert (made.user, made.uid, made.gid, made.max_unpacked) == ("app", 10001, 10001, "550 MB")
    assert (made.python, made.modules, made.dependencies) == (None, (), None)
    assert "# Modules and packages are unknown: the image holds no Python" in written(seen)


@pytest.mark.parametrize(
    ("size", "shown"), [(0, "1 MB"), (900_000, "1 MB"), (40_000_000, "44 MB"), (100_000_000, "110 MB")]
)
def test_a_size_has_headroom(size: int, shown: str) -> None:
    assert roomy(size) == shown


def test_sizes_and_times_are_round() -> None:
    assert (roomy(181_000_001), roomy(494_000_000), roomy(2_123_000_000)) == ("200 MB", "550 MB", "2400 MB")
    assert (generous(0), generous(2.1), generous(9), generous(5000)) == (10, 15, 45, 3600)


# --- the file -----------------------------------------------------------------------------------------------


def test_what_is_written_can_be_read_again(tmp_path: Path) -> None:
    seen = facts()
    made = draft(seen, {"A": 'quo"te\\ \x7f\té'})
    assert read(tmp_path, contract_text(seen, made, ())) == made


def test_what_does_not_hold_becomes_a_waiver_that_needs_a_reason(tmp_path: Path) -> None:
    seen = facts(configuration=configuration(health_check=None))
    made = draft(seen, {})
    results = [judge(check, seen, made) for check in registry.up_to(Level.STANDARD)]
    text = contract_text(seen, made, results)
    assert '# waive."health/declared" = "..."' in text
    assert read(tmp_path, text).waive == {}, "comments"
    with pytest.raises(SettingsError, match=r"waive\.[a-z/-]+: expected a reason"):
        read(tmp_path, text.replace("# waive", "waive"))
    filled = text.replace('# waive."health/declared" = "..."', 'waive."health/declared" = "a job: nobody asks it"')
    assert read(tmp_path, filled).waive == {"health/declared": "a job: nobody asks it"}


def test_nothing_to_waive_is_said() -> None:
    assert "nothing has to be waived" in written(facts())


def test_an_image_that_does_not_come_up_names_what_its_log_speaks_of(tmp_path: Path) -> None:
    seen = facts(boot=DIED)
    assert wanted_variables(seen) == ("DATABASE_URL",)
    assert wanted_variables(facts()) == ()
    text = written(seen)
    assert '# environment = { DATABASE_URL = "..." }' in text
    assert "# healthy-within = 30" in text
    assert read(tmp_path, text).environment == {}


def test_only_with_capabilities() -> None:
    relaxed = boot(lifted=(Restriction.CAPABILITIES,))
    assert '# capabilities = ["NET_BIND_SERVICE"]' in written(facts(boot=DIED, relaxed=(relaxed,)))
    assert "capabilities = []" in written(facts())


EVIL = 'x"\n]\nwaive = {}\n#\x1b[31m\u2028\x00'


def test_what_an_image_says_stays_inside_its_line(tmp_path: Path) -> None:
    bad = Result(
        id="health/declared", title="", status=Status.FAIL, expected="", actual=EVIL * 50, why="", fix=EVIL,
        evidence=(), seconds=0,
    )  # fmt: skip
    seen = facts(
        configuration=configuration(
            reference=EVIL,
            health_check=HealthCheck(test=("CMD", EVIL), interval=1, timeout=1, start_period=0, retries=1),
        ),
        command=start(word=EVIL, python=f"/{EVIL}", python_why=EVIL),
        probe=probe(
            identity=Identity(uid=5, gid=5, groups=(), name=EVIL, home="/", directory="/"),
            distributions=(distribution(EVIL, packages=(EVIL,), origin="file:///x", scripts=(EVIL,)),),
            own_packages=(EVIL, "fine"),
        ),
        boot=msgspec.structs.replace(DIED, log=(EVIL,)),
    )
    text = written(seen, results=(bad,))
    made = read(tmp_path, text)
    assert (made.user, made.uid, made.modules, made.executables) == (
        None,
        5,
        ("shop.api:app", "fine"),
        ("uvicorn",),
    )
    assert made.waive == {}
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) < 400
    assert set(tomllib.loads(text)) <= {
        "uid",
        "gid",
        "python",
        "interpreter",
        "modules",
        "executables",
        "max-unpacked",
        "tmpfs",
    }
