"""A CPython of the host is found and loses every path of the host."""

from __future__ import annotations

from pathlib import Path

import pytest

from seatrial.errors import BuildError
from seatrial.host import Host
from seatrial.offline.interpreter import HostPython, _rewrite, find, relocate, rewritten

HOME = "/usr/local"


def host(folder: Path) -> Host:
    return Host(
        environment={"PYENV_ROOT": str(folder / "pyenv")},
        home=folder,
        data=folder / "data",
        cache=folder / "cache",
    )


def installed(folder: Path, version: str, *, modules: tuple[str, ...] = ()) -> Path:
    """Lay out what `make install` leaves, as far as seatrial looks at it."""
    prefix = folder / "pyenv" / "versions" / version
    series = ".".join(version.split(".")[:2])
    library = prefix / "lib" / f"python{series}"
    for name in ("lib-dynload", "ensurepip/_bundled", "test", "json", "unittest/__pycache__", "site-packages/x"):
        (library / name).mkdir(parents=True)
    (library / "os.py").touch()
    (library / "json" / "tests").mkdir()
    (library / "json" / "tests" / "big.json").touch()
    (library / "EXTERNALLY-MANAGED").touch()
    (library / "_sysconfigdata__linux.py").write_text(
        f"build_time_vars = {{'prefix': '{prefix}', 'abs_builddir': '/tmp/python-build.2026/Python-{version}'}}",
        encoding="utf-8",
    )
    for module in modules:
        (library / "lib-dynload" / f"{module}.cpython-313.so").touch()
    header = prefix / "include" / f"python{series}" / "patchlevel.h"
    header.parent.mkdir(parents=True)
    header.write_text(f'#define PY_VERSION              "{version}"\n', encoding="utf-8")
    (prefix / "bin").mkdir()
    (prefix / "bin" / f"python{series}").write_text(f"#!{prefix}/bin/python{series}\n", encoding="utf-8")
    return prefix


def test_the_newest_interpreter_of_a_version_is_found(tmp_path: Path) -> None:
    for version in ("3.63.2", "3.63.10", "3.64.0"):
        installed(tmp_path, version)
    found = find("3.63", host(tmp_path))
    assert found is not None
    assert found.version == "3.63.10"


@pytest.mark.parametrize(
    ("wanted", "taken"),
    [
        ("3.63.10", "3.63.10"),
        ("3.63.8", "3.63.10"),
        ("3.63.4", "3.63.2"),
        ("3.63.6", "3.63.10"),
        ("3", "3.64.0"),
        ("3.6", None),
    ],
)
def test_of_an_exact_version_the_nearest_is_taken_and_of_a_major_one_the_newest(
    tmp_path: Path, wanted: str, taken: str | None
) -> None:
    for version in ("3.63.2", "3.63.10", "3.64.0"):
        installed(tmp_path, version)
    found = find(wanted, host(tmp_path))
    assert (found and found.version) == taken


@pytest.mark.parametrize("version", ["3.63.0rc1", "3.63.1+"])
def test_an_unreleased_interpreter_is_passed_over(tmp_path: Path, version: str) -> None:
    installed(tmp_path, version)
    assert find("3.63", host(tmp_path)) is None


def test_an_interpreter_without_ssl_is_passed_over(tmp_path: Path) -> None:
    installed(tmp_path, "3.63.1", modules=("_struct", "zlib"))
    assert find("3.63", host(tmp_path)) is None


def test_what_the_official_image_lacks_is_left_out_and_no_path_remains(tmp_path: Path) -> None:
    prefix = installed(tmp_path, "3.63.1")
    relocate(HostPython(prefix=prefix, version="3.63.1"), tmp_path / "made", say=lambda _: None)
    made = tmp_path / "made"
    library = made / "lib" / "python3.63"
    assert (library / "os.py").exists()
    assert (library / "unittest").is_dir()
    assert not any((library / "site-packages").iterdir())
    for gone in ("test", "json/tests", "EXTERNALLY-MANAGED", "unittest/__pycache__"):
        assert not (library / gone).exists()
    assert (made / "bin" / "python3").readlink() == Path("python3.63")
    assert (made / "bin" / "python3.63").read_text(encoding="utf-8") == "#!/usr/local/bin/python3.63\n"
    for file in made.rglob("*"):
        if file.is_file():
            assert str(tmp_path).encode() not in file.read_bytes()
            assert b"python-build" not in file.read_bytes()


def test_in_a_program_the_version_that_shares_a_paths_tail_survives() -> None:
    old = "/home/ada/.pyenv/versions/3.13.0"
    program = b"\x7fELF" + b"\0" * 12 + old.encode() + b"\0next"
    tail = program.index(b"3.13.0")
    after = rewritten(program, {old: HOME})
    assert len(after) == len(program)
    assert after[16:27] == b"/usr/local\0"
    # The linker may have let another string begin here.
    assert after[tail : tail + 7] == b"3.13.0\0"
    assert after.endswith(b"\0next")
    assert old.encode() not in after


def test_in_a_program_a_path_twice_in_one_string_goes_twice() -> None:
    old = "/opt/pythons/3.13"
    program = b"\x7fELF\0" + f"{old}/lib:{old}/lib64".encode() + b"\0end"
    after = rewritten(program, {old: HOME})
    assert b"\0/usr/local/lib:/usr/local/lib64\0" in after
    assert len(after) == len(program)
    assert old.encode() not in after


def test_text_is_simply_replaced() -> None:
    text = b"#!/opt/py13/bin/python\n/opt/py13/lib"
    assert rewritten(text, {"/opt/py13": HOME}) == b"#!/usr/local/bin/python\n/usr/local/lib"


def test_in_a_program_a_path_shorter_than_the_new_one_stays() -> None:
    assert rewritten(b"\x7fELF\0/py\0", {"/py": HOME}) == b"\x7fELF\0/py\0"


def test_a_path_that_cannot_be_replaced_in_a_program_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "x").write_bytes(b"\x7fELF\0/op/lib\0")
    with pytest.raises(BuildError, match="a path of this host would remain in bin/x") as caught:
        _rewrite(HostPython(prefix=Path("/op"), version="3.13.0"), tmp_path)
    assert caught.value.where == "/op"
    # The image has such a path itself.
    (tmp_path / "bin" / "x").write_bytes(b"\x7fELF\0/usr/lib\0")
    _rewrite(HostPython(prefix=Path("/usr"), version="3.13.0"), tmp_path)
