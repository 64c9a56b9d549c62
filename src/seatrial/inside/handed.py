"""The names that a script is handed in with its text: `question` in this package, and `run_child` in the probe."""

from typing import Any, Dict, List

SECRET: str
"""What its answers prove that it was asked."""
NAMES: "List[str]"
"""The look's: hosts to look up."""
REQUEST: str
"""The probe's: JSON."""
ASKED: "Dict[str, Any]"
"""A child's."""
OUT: int
"""The descriptor that a child answers on."""
PATH: "List[str]"
"""sys.path, as the application has it."""
PREFIX: str
SITE: "Dict[str, Any]"
"""What `site` holds."""
VARIABLES: "Dict[str, str]"
"""Variables of the application's that it was started without."""
