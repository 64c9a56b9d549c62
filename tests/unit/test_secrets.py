from __future__ import annotations

import configparser
import csv
import random
import tomllib
from pathlib import Path

import pytest

from seatrial.errors import BuildError
from seatrial.host import Host
from seatrial.images.secrets.credentials import LARGEST, find_secrets


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


def host(home: Path, **environment: str) -> Host:
    # Without it, the machine's own configuration of pip would be part of the test.
    environment.setdefault("PIP_CONFIG_FILE", "/dev/null")
    environment.setdefault("UV_NO_CONFIG", "1")
    return Host(environment=environment, home=home, data=home / "data", cache=home / "cache")


def write(file: Path, text: str) -> str:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return str(file)


def ini(text: str) -> dict[str, dict[str, str]]:
    parser = configparser.RawConfigParser()
    parser.read_string(text)
    return {name: dict(parser.items(name)) for name in parser.sections()}


def test_a_bare_host_hands_over_nothing(home: Path) -> None:
    secrets = find_secrets(host(home))
    assert (secrets.arguments(), secrets.environment(), secrets.notes) == ([], {}, ())


def test_the_first_bundle_that_exists_is_taken(home: Path) -> None:
    second = write(home / "second.pem", "x")
    third = write(home / "third.pem", "x")
    secrets = find_secrets(host(home, SSL_CERT_FILE=str(home / "none.pem"), PIP_CERT=second, REQUESTS_CA_BUNDLE=third))
    assert secrets.files == {"ca-bundle": Path(second)}


def test_a_folder_of_certificates_is_no_bundle(home: Path) -> None:
    assert find_secrets(host(home, SSL_CERT_FILE=str(home))).files == {}


def test_netrc_is_taken_from_its_variable_or_from_home(home: Path) -> None:
    write(home / ".netrc", "machine a")
    assert find_secrets(host(home)).files == {"netrc": home / ".netrc"}
    other = write(home / "other", "machine b")
    assert find_secrets(host(home, NETRC=other)).files == {"netrc": Path(other)}
    assert find_secrets(host(home, NETRC="~/other")).files == {"netrc": home / "other"}


def test_a_file_that_buildkit_would_refuse_is_said(home: Path) -> None:
    big = write(home / "big.pem", "x" * (LARGEST + 1))
    small = write(home / "small.pem", "x")
    secrets = find_secrets(host(home, SSL_CERT_FILE=big, CURL_CA_BUNDLE=small))
    assert secrets.files == {"ca-bundle": Path(small)}
    assert len(secrets.notes) == 1
    assert big in secrets.notes[0]


def test_proxies_are_named_and_their_values_stay_off_the_command_line(home: Path) -> None:
    secrets = find_secrets(host(home, HTTPS_PROXY="http://me:s3cret@proxy:1", no_proxy="localhost", HTTP_PROXY=""))
    assert secrets.arguments() == ["--build-arg", "HTTPS_PROXY", "--build-arg", "no_proxy"]


def test_a_path_with_a_comma_or_quote_stays_one_word(home: Path) -> None:
    path = write(home / 'a,"b".pem', "x")
    [_, word] = find_secrets(host(home, SSL_CERT_FILE=path)).arguments()
    assert next(csv.reader([word])) == ["id=ca-bundle", f"src={path}"]


def test_pip_is_merged_from_its_files_and_the_environment(home: Path) -> None:
    write(home / ".config/pip/pip.conf", "[global]\nindex-url = https://u:p@user/simple\ntimeout = 7\n")
    write(home / "venv/pip.conf", "[global]\nindex_url = https://venv/simple\n[install]\nretries = 9\n")
    made = host(
        home,
        VIRTUAL_ENV=str(home / "venv"),
        PIP_EXTRA_INDEX_URL="https://x:tok%20en@extra/simple file:///wheels",
        PIP_CONFIG_FILE="",
    )
    text = find_secrets(made).texts["pip-config"]
    read = ini(text)
    assert read["global"]["index-url"] == "https://venv/simple"
    assert read["global"]["timeout"] == "7"
    assert read["global"]["extra-index-url"] == "https://x:tok%20en@extra/simple"
    assert read["install"]["retries"] == "9"


def test_the_environment_wins_over_a_commands_own_section(home: Path) -> None:
    file = write(home / "pip.conf", "[install]\nindex-url = https://file/simple\n")
    made = host(home, PIP_CONFIG_FILE=file, PIP_INDEX_URL="https://asked/simple")
    assert ini(find_secrets(made).texts["pip-config"]) == {"global": {"index-url": "https://asked/simple"}}


def test_what_means_nothing_in_a_container_is_left_out(home: Path) -> None:
    file = write(
        home / "pip.conf",
        "[global]\ncert = /etc/ca.pem\nfind-links =\n    /opt/wheels\n    https://wheels/\nuser = true\n"
        "extra-index-url = file:///srv\ncache-dir = /c\n",
    )
    made = host(home, PIP_CONFIG_FILE=file, PIP_CERT=write(home / "ca.pem", "x"))
    assert ini(find_secrets(made).texts["pip-config"]) == {"global": {"find-links": "https://wheels/"}}
    file = write(home / "pip.conf", "[global]\ncert = /x\nfind-links = /opt/wheels\nno-index = true\n")
    assert "pip-config" not in find_secrets(host(home, PIP_CONFIG_FILE=file)).texts


@pytest.mark.parametrize("text", ["index-url = x\n", "[global\n", "[global]\nx = 1\nx = 2\n"])
def test_a_malformed_pip_configuration_is_named_without_its_content(home: Path, text: str) -> None:
    file = write(home / "pip.conf", text)
    with pytest.raises(BuildError) as raised:
        find_secrets(host(home, PIP_CONFIG_FILE=file))
    assert raised.value.where == file
    assert str(raised.value) == f"{file}: pip's configuration is malformed. Correct or move that file."


def test_uv_is_put_together_from_its_file_and_the_environment(home: Path) -> None:
    file = write(
        home / "uv.toml",
        'native-tls = true\ncache-dir = "/c"\nallow-insecure-host = ["a:1"]\n'
        'index-url = "https://file-default/simple"\n'
        '[[index]]\nname = "corp"\nurl = "https://corp/simple"\nexplicit = true\n'
        '[[index]]\nurl = "/opt/wheels"\n',
    )
    made = host(
        home,
        UV_CONFIG_FILE=file,
        UV_NO_CONFIG="",
        UV_DEFAULT_INDEX='https://u:pä"ss@default/simple',
        UV_INDEX="mine=https://mine/simple https://bare/simple",
        UV_INDEX_MINE_USERNAME="me",
        UV_INDEX_MINE_PASSWORD="p@ss",
        UV_INDEX_CORP_PASSWORD="token",
    )
    assert tomllib.loads(find_secrets(made).texts["uv-config"]) == {
        "native-tls": True,
        "allow-insecure-host": ["a:1"],
        "index": [
            {"name": "mine", "url": "https://me:p%40ss@mine/simple"},
            {"url": "https://bare/simple"},
            {"url": 'https://u:pä"ss@default/simple', "default": True},
            {"name": "corp", "url": "https://:token@corp/simple", "explicit": True},
        ],
    }


def test_a_malformed_uv_configuration_is_named(home: Path) -> None:
    file = write(home / "uv.toml", "index = [\n")
    with pytest.raises(BuildError, match=r"uv's configuration is malformed"):
        find_secrets(host(home, UV_CONFIG_FILE=file, UV_NO_CONFIG=""))
    file = write(home / "uv.toml", 'index = "x"\nnative-tls = {a = 1}\nextra-index-url = [1]\n')
    assert "uv-config" not in find_secrets(host(home, UV_CONFIG_FILE=file, UV_NO_CONFIG="")).texts


def test_texts_reach_buildx_by_its_environment_and_no_word_holds_them(home: Path) -> None:
    secrets = find_secrets(host(home, PIP_INDEX_URL="https://u:s3cret@x/simple"))
    assert secrets.arguments() == ["--secret", "id=pip-config,env=SEATRIAL_SECRET_PIP_CONFIG"]
    assert "s3cret" in secrets.environment()["SEATRIAL_SECRET_PIP_CONFIG"]
    assert "s3cret" not in repr(secrets)


def test_only_pips_own_variables_that_hold_something_count(home: Path) -> None:
    file = write(home / "pip.conf", "[global]\ntimeout = 7\n")
    made = host(home, PIP_CONFIG_FILE=file, PIP_TIMEOUT="", TIMEOUT="9", RETRIES="3")
    assert ini(find_secrets(made).texts["pip-config"]) == {"global": {"timeout": "7"}}


@pytest.mark.parametrize(
    ("word", "index"),
    [
        ("https://host/a=b", {"url": "https://host/a=b"}),
        ("https://host/simple", {"url": "https://host/simple"}),
        ("mine=https://host/simple", {"name": "mine", "url": "https://host/simple"}),
    ],
)
def test_an_index_may_have_a_name(home: Path, word: str, index: dict[str, str]) -> None:
    made = host(home, UV_NO_CONFIG="", UV_CONFIG_FILE=str(home / "none.toml"), UV_INDEX=word)
    assert tomllib.loads(find_secrets(made).texts["uv-config"]) == {"index": [index]}


def test_uvs_own_file_is_read_where_there_is_one(home: Path) -> None:
    made = host(home, UV_NO_CONFIG="", XDG_CONFIG_HOME=str(home / "xdg"), UV_INDEX="https://host/simple")
    assert "native-tls" not in find_secrets(made).texts["uv-config"]
    write(home / "xdg/uv/uv.toml", "native-tls = true\n")
    assert tomllib.loads(find_secrets(made).texts["uv-config"])["native-tls"] is True
    assert "native-tls" not in find_secrets(host(home, **{**made.environment, "UV_NO_CONFIG": "1"})).texts["uv-config"]


def test_the_default_of_the_environment_replaces_that_of_the_file(home: Path) -> None:
    file = write(
        home / "uv.toml", '[[index]]\nurl = "https://file/"\ndefault = true\n[[index]]\nurl = "https://more/"\n'
    )

    def urls(**environment: str) -> list[str]:
        made = host(home, UV_NO_CONFIG="", UV_CONFIG_FILE=file, **environment)
        return [index["url"] for index in tomllib.loads(find_secrets(made).texts["uv-config"])["index"]]

    assert urls() == ["https://file/", "https://more/"]
    assert urls(UV_DEFAULT_INDEX="https://mine/") == ["https://mine/", "https://more/"]
    assert urls(UV_INDEX="https://mine/") == ["https://mine/", "https://file/", "https://more/"]


def test_a_secret_that_the_account_may_not_read_is_said(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(home / ".netrc", "machine a")
    monkeypatch.setattr("os.access", lambda *_: False)
    secrets = find_secrets(host(home))
    assert (secrets.files, len(secrets.notes)) == ({}, 1)
    assert "this account cannot read it" in secrets.notes[0]


def test_only_texts_are_addresses_of_more_indexes(home: Path) -> None:
    file = write(home / "uv.toml", 'extra-index-url = [1, "https://more/", "/opt/wheels"]\n')
    text = find_secrets(host(home, UV_NO_CONFIG="", UV_CONFIG_FILE=file)).texts["uv-config"]
    assert tomllib.loads(text) == {"index": [{"url": "https://more/"}]}


def test_a_chosen_file_of_pips_takes_the_place_of_the_users(home: Path) -> None:
    write(home / ".config/pip/pip.conf", "[global]\ntimeout = 7\n")
    chosen = write(home / "chosen.conf", "[global]\nretries = 2\n")
    text = find_secrets(host(home, PIP_CONFIG_FILE=chosen)).texts["pip-config"]
    assert ini(text) == {"global": {"retries": "2"}}
    # One that does not exist leaves the user's in place, as pip has it.
    text = find_secrets(host(home, PIP_CONFIG_FILE=str(home / "none.conf"))).texts["pip-config"]
    assert ini(text) == {"global": {"timeout": "7"}}


ODD_TEXTS = ("https://u:p@h/simple", "", "\\u0000", "http://[::1", "git+https://", "\\n", "é", "https://u:%zz@h")
UV_KEYS = (
    "index", "extra-index-url", "index-url", "allow-insecure-host", "native-tls", "index-strategy", "name", "url",
    "default", "explicit", "format", "authenticate", "find-links", "pip",
)  # fmt: skip
PIP_LINES = (
    "[global]", "[install]", "[DEFAULT]", "index-url = https://u:p@h", "extra-index-url =\n https://a\n  https://b",
    "#",
    "find-links = %(x)s", "timeout = [1]", "no-index", "proxy = http://a:b@c", "trusted-host = é", "[a]b]", "\ufeff[x]",
)  # fmt: skip
ODD_VALUES = ("a\nb", "=", "a=b=c", "https://x\n[x]\ny=1", "\udcff", "https://\udcff:p@h", "x" * 300, "~/x", "\x01")
ODD_VARIABLES = (
    "PIP_INDEX_URL", "PIP_", "PIP_PROXY", "UV_INDEX", "UV_DEFAULT_INDEX", "UV_INSECURE_HOST", "UV_CONFIG_FILE", "NETRC",
    "PIP_CONFIG_FILE", "SSL_CERT_FILE", "VIRTUAL_ENV", "XDG_CONFIG_HOME", "DOCKER_CONFIG", "HTTP_PROXY",
)  # fmt: skip
ODD_JSON = ("[]", '{"proxies":1}', '{"proxies":[1]}', '{"proxies":{"a":{"httpProxy":[1]}}}', "[" * 5000)


def odd_toml(chosen: random.Random, deep: int = 0) -> str:
    """Return a value of TOML of any type."""
    plain = [f'"{chosen.choice(ODD_TEXTS)}"', "0", str(10**30), "1.5", "nan", "true", "1979-05-27", "07:32:00"]
    if deep > 3 or chosen.random() < 0.5:
        return chosen.choice(plain)
    inner = [odd_toml(chosen, deep + 1) for _ in range(chosen.randrange(4))]
    if chosen.random() < 0.5:
        return f"[{', '.join(inner)}]"
    return f"{{{', '.join(f'{key} = {value}' for key, value in zip(UV_KEYS[5:], inner, strict=False))}}}"


def test_no_odd_settings_of_the_host_give_a_traceback(home: Path) -> None:
    chosen = random.Random(12)  # noqa: S311 - a fixed seed
    answers: set[object] = set()
    for _ in range(600):
        tables = [chosen.sample(UV_KEYS, 4) for _ in range(chosen.randrange(1, 3))]
        lines = [[f"{key} = {odd_toml(chosen)}" for key in keys] for keys in tables]
        write(home / ".config/uv/uv.toml", "\n[[index]]\n".join(map("\n".join, lines)))
        write(home / ".config/pip/pip.conf", "\n".join(["[global]", *chosen.sample(PIP_LINES, chosen.randrange(3))]))
        write(home / ".docker/config.json", chosen.choice(ODD_JSON))
        environment = {chosen.choice(ODD_VARIABLES): chosen.choice(ODD_VALUES)}
        try:
            found = find_secrets(Host(environment=environment, home=home, data=home / "data", cache=home / "cache"))
            answers.add("uv-config" in found.texts)
        except BuildError as error:
            answers.add(error.what)
    assert answers == {True, False, "pip's configuration is malformed.", "uv's configuration is malformed."}
