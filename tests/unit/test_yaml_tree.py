"""YAML and JSON as a tree with lines, and the limits of it."""

from __future__ import annotations

import json

import pytest

from seatrial import yaml_tree
from seatrial.yaml_tree import Mapping, Node, Scalar, Sequence, YamlError, child, items_of, pairs_of, read_yaml


def plain(node: Node | None) -> object:
    if isinstance(node, Mapping):
        return {key.text: plain(value) for key, value in node.pairs}
    if isinstance(node, Sequence):
        return [plain(item) for item in node.items]
    return None if node is None or node.is_null else node.text


def test_every_part_knows_its_line_and_column() -> None:
    root = read_yaml("# a comment\nservices:\n  api:\n    ports:\n      - '80:80'\n      - 81\n")
    api = child(child(root, "services"), "api")
    assert [(key.text, key.line, key.column) for key, _ in pairs_of(api)] == [("ports", 4, 5)]
    ports = items_of(child(api, "ports"))
    assert [(port.line, port.column) for port in ports] == [(5, 9), (6, 9)]
    assert [isinstance(port, Scalar) and port.plain for port in ports] == [False, True]


def test_a_merge_gives_way_to_the_mapping_s_own_keys_and_to_earlier_merges() -> None:
    text = "a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc: {<<: [*a, *b], x: 3}\nd: {'<<': 4}\n"
    made = plain(read_yaml(text))
    assert isinstance(made, dict)
    assert made["c"] == {"x": "3", "y": "1", "z": "2"}
    assert made["d"] == {"<<": "4"}


@pytest.mark.parametrize("value", ["", "~", "null", "Null", "NULL"])
def test_what_stands_for_nothing(value: str) -> None:
    node = child(read_yaml(f"key: {value}\n"), "key")
    assert isinstance(node, Scalar)
    assert node.is_null


@pytest.mark.parametrize("value", ["'null'", '""', "!reset null", "nUll", "|\n  null"])
def test_what_looks_like_nothing_and_is_not(value: str) -> None:
    node = child(read_yaml(f"key: {value}\n"), "key")
    assert isinstance(node, Scalar)
    assert not node.is_null


def test_a_tag_is_kept_and_makes_nothing() -> None:
    node = child(read_yaml("a: !!python/object/apply:os.system ['false']\n"), "a")
    assert isinstance(node, Sequence)
    assert node.tag == "tag:yaml.org,2002:python/object/apply:os.system"


def test_json_is_yaml_whatever_it_is_indented_with() -> None:
    value = {"a": ["1", "x\ty", 'q"\\'], "b": {"c/d": "é\u2028"}, "e": [], "it's": "it's\t"}
    for indent in (None, 2, "\t"):
        for ascii_only in (True, False):
            assert plain(read_yaml(json.dumps(value, indent=indent, ensure_ascii=ascii_only))) == value


@pytest.mark.parametrize("text", ["", "\n# nothing\n", "---\n"])
def test_an_empty_text_holds_nothing(text: str) -> None:
    assert plain(read_yaml(text)) is None


@pytest.mark.parametrize(
    ("text", "what", "line"),
    [
        ("a: 1\n b: 2\n", "mapping values are not allowed here", 2),
        ("a: [\n", "invalid YAML", 2),
        ("a: 1\nb: *gone\n", "undefined alias 'gone'", 2),
        ("a: &a [*a]\n", "undefined alias 'a'", 1),
        ("a: 1\n---\nb: 2\n", "several documents", 2),
        ("a: 1\n? [b]\n: c\n", "a key must be text", 2),
        ("a: 1\nb: {<<: 3}\n", "must be a mapping", 2),
        ("a\nb: \x00\n", "the character U+0000 is not allowed", 2),
        ('a: "\\UFFFFFFFF"\n', "invalid YAML", 1),
        ('a: "\\U00110000"\n', "invalid YAML", 1),
        ("%YAML 9.9\n---\na: 1\n", "incompatible YAML document", 1),
    ],
)
def test_what_is_no_yaml_is_named_with_its_line(text: str, what: str, line: int) -> None:
    with pytest.raises(YamlError, match=r".") as caught:
        read_yaml(text)
    assert what in caught.value.what
    assert caught.value.line == line


def test_a_text_is_limited_in_depth() -> None:
    assert read_yaml("[" * yaml_tree.DEEPEST + "]" * yaml_tree.DEEPEST) is not None
    for deeper in (yaml_tree.DEEPEST + 1, 50_000):
        with pytest.raises(YamlError, match="nested deeper than"):
            read_yaml("[" * deeper + "]" * deeper)


def test_a_text_is_limited_in_size() -> None:
    with pytest.raises(YamlError, match="larger than"):
        read_yaml("#" * (yaml_tree.LARGEST + 1))


def test_what_aliases_stand_for_is_counted() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(YamlError, match="aliases counted") as caught:
        read_yaml("\n".join(lines))
    assert caught.value.line == 5
