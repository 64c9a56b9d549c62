import shutil
from pathlib import Path

import pytest
from support import HOME

from course_supporter.config import load_config
from course_supporter.errors import ConfigurationError
from course_supporter.prompts import load_outline_prompt


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A copy of what ships, to be spoiled."""
    for folder in ("config", "prompts"):
        shutil.copytree(HOME / folder, tmp_path / folder)
    return tmp_path


def test_what_ships_is_valid() -> None:
    config = load_config(HOME)
    prompt = load_outline_prompt(HOME, config.outline.prompt_version)
    assert prompt.version == config.outline.prompt_version
    assert config.database.connect_timeout_seconds == 3


def test_every_prompt_that_ships_can_be_used() -> None:
    versions = sorted(path.stem for path in (HOME / "prompts/outline").iterdir())
    assert versions == ["v1", "v2"]
    for version in versions:
        text = load_outline_prompt(HOME, version).render(title="Cells", description="What life is made of")
        assert "Title: Cells" in text
        assert "Description: What life is made of" in text


def test_a_placeholder_in_a_course_is_left_alone() -> None:
    text = load_outline_prompt(HOME, "v2").render(title="$description", description="costs 5$")
    assert "Title: $description" in text
    assert "Description: costs 5$" in text


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        ("database.toml", "pool_size = 5", "pool_sise = 5", "config/database.toml: pool_si"),
        ("database.toml", "pool_size = 5", 'pool_size = "many"', "config/database.toml: pool_size"),
        ("courses.toml", "page_size = 20", "", "config/courses.toml: page_size: Field required"),
        (
            "outline.toml",
            'prompt_version = "v2"',
            'prompt_version = "../v2"',
            "config/outline.toml: prompt_version",
        ),
        ("outline.toml", "timeout_seconds", "=", "outline.toml is not valid TOML"),
    ],
)
def test_a_mistake_in_the_configuration_names_file_and_key(
    home: Path, file: str, old: str, new: str, expected: str
) -> None:
    path = home / "config" / file
    before = path.read_text()
    path.write_text(before.replace(old, new, 1))
    assert path.read_text() != before
    with pytest.raises(ConfigurationError) as caught:
        load_config(home)
    assert expected in str(caught.value)


def test_a_missing_file_says_what_to_set(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="COURSE_SUPPORTER_HOME"):
        load_config(tmp_path)


def test_a_missing_prompt_version_names_the_file(home: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"prompts/outline/v9\.md cannot be read"):
        load_outline_prompt(home, "v9")


@pytest.mark.parametrize("text", ["$title only", "$title $description $author", "$title $description 5$"])
def test_a_prompt_with_other_placeholders_is_refused(home: Path, text: str) -> None:
    (home / "prompts/outline/v3.md").write_text(text)
    with pytest.raises(ConfigurationError, match=r"must use each of \$description, \$title"):
        load_outline_prompt(home, "v3")
