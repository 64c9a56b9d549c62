"""References that name no image, or more than one; and images for another platform."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.factories import configuration

from seatrial.observe.configuration import configuration_of, no_such_image, other_platform

HERE = "linux/amd64"


def images(*ids: str, **tags: list[str] | None) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [{"Id": f"sha256:{text:0<64}", "RepoTags": None} for text in ids]
    return rows + [{"Id": f"sha256:{'f' * 63}{number}", "RepoTags": tags[key]} for number, key in enumerate(tags)]


def test_an_id_that_two_images_share_names_both_as_far_as_it_takes() -> None:
    error = no_such_image("ab", images("ab1", "ab2", "cd"))
    assert error.what == "2 images have an id that begins so."
    assert error.fix == f"Give more of it: ab1{'0' * 9}, ab2{'0' * 9}."
    longer = no_such_image("sha256:ab", images("ab" + "1" * 20 + "2", "ab" + "1" * 20 + "3"))
    assert longer.fix == f"Give more of it: ab{'1' * 20}2, ab{'1' * 20}3."


def test_very_many_are_not_all_named() -> None:
    error = no_such_image("ab", images(*(f"ab{number:03}" for number in range(300))))
    assert error.what.startswith("300 images")
    assert "and 295 more" in error.fix


def test_one_image_under_two_names_is_one() -> None:
    rows = [*images("ab1"), *images("ab1")]
    assert "no such image" in no_such_image("ab", rows).what, "the engine itself resolves what is not ambiguous"


def test_a_name_without_a_tag_that_has_other_tags() -> None:
    error = no_such_image(
        "shop", images(a=["shop:py3.13", "shop:py3.14"], b=["shop-tools:1"], c=["<none>:<none>"], d=None)
    )
    assert error.fix == "Give one: shop:py3.13, shop:py3.14."


@pytest.mark.parametrize(("wrong", "near"), [("shop:py3.1", "shop:py3.13"), ("shopp:py3.13", "shop:py3.13")])
def test_a_name_that_is_nearly_right(wrong: str, near: str) -> None:
    assert f"Did you mean '{near}'?" in no_such_image(wrong, images(a=["shop:py3.13"])).fix


@pytest.mark.parametrize("reference", ["ab", "never:1", "abc@sha256:00", "x" * 300])
def test_a_name_of_nothing(reference: str) -> None:
    error = no_such_image(reference, [])
    assert (error.what, error.where) == ("the engine has no such image.", reference)
    assert "invoke build" in error.fix


@pytest.mark.parametrize(
    ("image", "engine", "foreign"),
    [
        ("linux/amd64", HERE, False),
        ("linux/arm64", HERE, True),
        ("linux/386", HERE, False),
        ("linux/arm", HERE, True),
        ("linux/arm", "linux/arm64", False),
        ("windows/amd64", HERE, True),
        ("linux/", HERE, False),
        ("linux/arm64", "", False),
        ("linux/arm64", "/", False),
    ],
)
def test_whether_an_image_is_for_another_platform(image: str, engine: str, foreign: bool) -> None:
    assert configuration(platform=image, engine_platform=engine).foreign is foreign


def test_the_kernels_word_is_explained_only_where_the_platform_differs() -> None:
    said = "exec /usr/local/bin/python: exec format error"
    foreign = configuration(platform="linux/arm64", engine_platform=HERE)
    assert other_platform(foreign, "x", said).startswith(
        "the image is for linux/arm64, and this engine runs linux/amd64"
    )
    assert not other_platform(foreign, "x")
    assert not other_platform(configuration(platform=HERE, engine_platform=HERE), said)


def test_an_image_that_says_nothing_of_its_platform() -> None:
    made = configuration_of({"Id": "x", "Config": None, "Os": "", "Architecture": ""}, [], "x", HERE)
    assert (made.platform, made.engine_platform, made.foreign) == ("linux/", HERE, False)
