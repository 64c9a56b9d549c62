"""Applications as the package index has them, as source distributions without a Dockerfile: init, build, smoke."""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING
from urllib.parse import urljoin

import pytest
import requests
from tests.adopt import test_adopt as base
from tests.adopt.test_adopt import removed, seatrial

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900)]

index = base.index

APPLICATIONS = {
    "httpbin-0.10.4": ("--module", "httpbin.core:app", "--server", "gunicorn"),
    "pypiserver-2.4.2": ("--command", "pypi-server run --port 8080 --backend simple-dir /tmp"),
    "radicale-3.9.0": (
        *("--command", "radicale --hosts 0.0.0.0:5232 --auth-type none --storage-filesystem-folder /tmp/collections"),
        *("--port", "5232"),
    ),
    "datasette-0.65.5": ("--command", "datasette serve --host 0.0.0.0 --port 8001 --memory"),
    "wsgidav-4.4.0": ("--command", "wsgidav --host 0.0.0.0 --port 8080 --root /tmp --auth anonymous --server wsgiref"),
    "websockify-0.13.0": ("--command", "websockify 6080 localhost:5900", "--port", "6080"),
    "webssh-1.6.3": ("--command", "wssh --address=0.0.0.0 --port=8888"),
    "flower-2.2.0": ("--command", "celery flower --port=5555"),
    "aiosmtpd-1.4.6": ("--command", "aiosmtpd --nosetuid --listen 0.0.0.0:8025"),
}
"""Each with what nobody could know of it: how it is meant to be started."""


def fetch(application: str, index: str, folder: Path) -> Path:
    """Unpack a source distribution, and return its folder."""
    project = application.rpartition("-")[0].replace("_", ".")
    address = f"{index.rstrip('/')}/{project}/"
    accepted = {"Accept": "application/vnd.pypi.simple.v1+json"}
    listed = requests.get(address, headers=accepted, timeout=120).json()["files"]
    file = next(file for file in listed if file["filename"] == f"{application}.tar.gz")
    content = requests.get(urljoin(address, file["url"]), timeout=300).content
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        archive.extractall(folder, filter="data")
    return folder / application


@pytest.mark.parametrize("application", APPLICATIONS)
def test_an_application_runs_without_a_hand_edit(application: str, index: str, tmp_path: Path) -> None:
    folder = fetch(application, index, tmp_path)
    name = f"adopt-{application.partition('-')[0].replace('_', '-')}"
    with removed(name):
        seatrial("init", "--name", name, *APPLICATIONS[application], folder=folder)
        seatrial("build", folder=folder)
        assert "PASS" in seatrial("smoke", folder=folder)
