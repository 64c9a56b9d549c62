"""Saved images, made in memory: layers as tars, and the archives that hold them."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import sys
import tarfile
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

ZSTD = import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")
Files = "Mapping[str, str | bytes | None]"


def tar(files: Mapping[str, str | bytes | None], modes: Mapping[str, tuple[int, int, int]] | None = None) -> bytes:
    """Return a tar of files: a folder is None, a link `-> target`, one more name of a file `=> first`."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT, errors="surrogateescape") as archive:
        for name, body in files.items():
            made = tarfile.TarInfo(name)
            made.mode, made.uid, made.gid = (modes or {}).get(name, (0o755 if body is None else 0o644, 0, 0))
            content = body if isinstance(body, bytes) else (body or "").encode()
            if body is None:
                made.type = tarfile.DIRTYPE
            elif content.startswith((b"-> ", b"=> ")):
                made.type = tarfile.SYMTYPE if content.startswith(b"-> ") else tarfile.LNKTYPE
                made.linkname, content = content[3:].decode(), b""
            made.size = len(content)
            archive.addfile(made, io.BytesIO(content))
    return raw.getvalue()


def config(layers: Sequence[bytes], steps: Sequence[str] = (), architecture: str = "amd64", **more: Any) -> bytes:
    """Return an image's configuration; a step that begins with `!` makes no layer."""
    rows = [{"created_by": text.removeprefix("!"), "empty_layer": text.startswith("!")} for text in steps]
    if not steps:
        rows = [{"created_by": f"COPY {number} / # buildkit"} for number, _ in enumerate(layers)]
    made = {
        "architecture": architecture,
        "os": "linux",
        "config": {"Env": ["PATH=/usr/bin:/bin"], **more},
        "rootfs": {"type": "layers", "diff_ids": [digest(layer) for layer in layers]},
        "history": rows,
    }
    return json.dumps(made).encode()


def digest(body: bytes) -> str:
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


def packed(layer: bytes, way: str) -> bytes:
    if way == "gzip":
        return gzip.compress(layer)
    return bytes(ZSTD.compress(layer)) if way == "zstd" else layer


def layout(*images: tuple[Sequence[bytes], bytes], way: str = "", nested: bool = False) -> dict[str, bytes]:
    """Return the members of an OCI layout, the blobs first, as engines and builders write them."""
    blobs: dict[str, bytes] = {}

    def blob(body: bytes, kind: str = "") -> dict[str, Any]:
        blobs[f"blobs/{digest(body).replace(':', '/')}"] = body
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": digest(body), "size": len(body)}

    rows = []
    for layers, configuration in images:
        manifest = {
            "config": blob(configuration, "config.v1+json"),
            "layers": [blob(packed(layer, way), "layer.v1.tar") for layer in layers],
        }
        made = blob(json.dumps(manifest).encode(), "manifest.v1+json")
        rows.append({**made, "platform": {"os": "linux", "architecture": json.loads(configuration)["architecture"]}})
    unknown = {"os": "unknown", "architecture": "unknown"}
    rows.append({**blob(b'{"layers": []}', "manifest.v1+json"), "platform": unknown})
    if nested:
        rows = [blob(json.dumps({"manifests": rows}).encode(), "index.v1+json")]
    index = json.dumps({"manifests": rows}).encode()
    return {**dict(sorted(blobs.items())), "index.json": index, "oci-layout": b'{"imageLayoutVersion": "1.0.0"}'}


def docker_archive(layers: Sequence[bytes], configuration: bytes, tag: str = "shop:1") -> dict[str, bytes]:
    """Return the members of what an engine before 25 saves; a layer that is there already is a link."""
    members: dict[str, bytes] = {}
    names = []
    for number, layer in enumerate(layers):
        first = layers.index(layer)
        body = layer if first == number else f"-> ../layer-{first}/layer.tar".encode()
        members |= {f"layer-{number}/VERSION": b"1.0", f"layer-{number}/json": b"{}"}
        members[f"layer-{number}/layer.tar"] = body
        names.append(f"layer-{number}/layer.tar")
    row = {"Config": "c.json", "RepoTags": [tag], "Layers": names}
    return {**members, "c.json": configuration, "manifest.json": json.dumps([row]).encode()}


def write(file: Path, members: Mapping[str, bytes], way: str = "") -> Path:
    file.write_bytes(packed(tar(members), way))
    return file


def unfold(folder: Path, members: Mapping[str, bytes]) -> Path:
    for name, body in members.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(body)
    return folder
