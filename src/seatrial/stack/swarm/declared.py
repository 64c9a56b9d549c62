"""What only the compose file itself tells: its env files, and the services of profiles that are not chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from seatrial.stack.swarm.model import Declared

if TYPE_CHECKING:
    from pathlib import Path


def read_declared(file: Path) -> Declared:
    """Return what a compose file declares; nothing where it is written in a way that compose alone reads."""
    import yaml

    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        # Compose has read it before: it uses tags of compose's own, such as !reset.
        return Declared()
    services = document.get("services") if isinstance(document, dict) else None
    if not isinstance(services, dict):
        return Declared()
    tables = {str(name): table for name, table in services.items() if isinstance(table, dict)}
    found = {name: tuple(_files(table.get("env_file"))) for name, table in tables.items()}
    return Declared(
        env_files={name: files for name, files in found.items() if files},
        services=frozenset(tables),
    )


def _files(value: Any) -> list[str]:
    entries = value if isinstance(value, list) else [value]
    return [str(one.get("path") if isinstance(one, dict) else one) for one in entries if one]
