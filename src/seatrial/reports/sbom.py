"""The list of an image's parts, as CycloneDX and as SPDX: of one image always the same document.

Sources: CycloneDX 1.6; SPDX 2.3; package URLs by the purl specification's types pypi, deb, apk, generic and oci.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import NAMESPACE_URL, uuid5

from packageurl import PackageURL
from packaging.utils import canonicalize_name

from seatrial import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seatrial.facts import Configuration, Inventory, SystemPackage

MANAGERS = {"dpkg": "deb", "apk": "apk"}
"""The purl type of a package manager's packages."""
NAMESPACE = "urn:seatrial:sbom:"
"""What the documents' identifiers begin with."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """One part of an image."""

    purl: PackageURL
    name: str
    version: str
    what: str = ""
    """Empty for a package."""
    where: tuple[str, ...] = ()


def parts(inventory: Inventory) -> Iterator[Part]:
    """Yield an image's parts: its release, its Pythons, the distributions, the system packages."""
    release = inventory.release
    if release is not None:
        purl = PackageURL("generic", None, release.id, release.version or None)
        yield Part(purl=purl, name=release.id, version=release.version, what="operating system")
    for version in inventory.pythons:
        yield Part(purl=PackageURL("generic", None, "python", version), name="python", version=version)
    for found in inventory.distributions:
        purl = PackageURL("pypi", None, canonicalize_name(found.name), found.version)
        yield Part(purl=purl, name=found.name, version=found.version, where=found.locations)
    for package in inventory.packages:
        yield Part(purl=_of_package(package, inventory), name=package.name, version=package.version)


def _of_package(package: SystemPackage, inventory: Inventory) -> PackageURL:
    release = inventory.release
    qualifiers = {"arch": package.architecture}
    if release is not None:
        qualifiers["distro"] = f"{release.id}-{release.version}".rstrip("-")
    if package.source:
        qualifiers["upstream"] = "@".join(filter(None, (package.source, package.source_version)))
    of = MANAGERS.get(inventory.manager, "generic")
    named = {key: value for key, value in qualifiers.items() if value}
    return PackageURL(of, release.id if release else None, package.name, package.version, named)


def cyclonedx(image: Configuration, inventory: Inventory) -> str:
    """Return the list as CycloneDX 1.6 in JSON."""
    from cyclonedx.model import Property
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.output.json import JsonV1Dot6

    root = Component(
        type=ComponentType.CONTAINER, name=image.reference, version=image.id, purl=_of_image(image), bom_ref=image.id
    )
    rows = [
        Component(
            type=ComponentType.OPERATING_SYSTEM if part.what else ComponentType.LIBRARY,
            name=part.name,
            version=part.version or None,
            purl=part.purl,
            bom_ref=str(part.purl),
            properties=[Property(name="seatrial:location", value=path) for path in part.where],
        )
        for part in parts(inventory)
    ]
    bom = Bom(components=rows, serial_number=uuid5(NAMESPACE_URL, NAMESPACE + image.id))
    bom.metadata.timestamp = _created(image)
    bom.metadata.component = root
    bom.metadata.tools.components.add(
        Component(type=ComponentType.APPLICATION, name="seatrial", version=__version__, bom_ref="seatrial")
    )
    bom.register_dependency(root, rows)
    return JsonV1Dot6(bom).output_as_string(indent=2) + "\n"


def spdx(image: Configuration, inventory: Inventory) -> str:
    """Return the list as SPDX 2.3 in JSON."""
    from spdx_tools.spdx.model import (
        Actor,
        ActorType,
        CreationInfo,
        Document,
        ExternalPackageRef,
        ExternalPackageRefCategory,
        Package,
        PackagePurpose,
        Relationship,
        RelationshipType,
        SpdxNoAssertion,
    )
    from spdx_tools.spdx.writer.json.json_writer import write_document_to_stream

    def package(identity: str, name: str, version: str, purl: PackageURL, purpose: PackagePurpose) -> Package:
        located = ExternalPackageRef(ExternalPackageRefCategory.PACKAGE_MANAGER, "purl", str(purl))
        return Package(
            spdx_id=identity,
            name=name,
            download_location=SpdxNoAssertion(),
            version=version or None,
            files_analyzed=False,
            external_references=[located],
            primary_package_purpose=purpose,
        )

    root = "SPDXRef-image"
    packages = [package(root, image.reference, image.id, _of_image(image), PackagePurpose.CONTAINER)]
    for number, part in enumerate(parts(inventory), 1):
        purpose = PackagePurpose.OPERATING_SYSTEM if part.what else PackagePurpose.LIBRARY
        identity = f"SPDXRef-{number}-{re.sub(r'[^A-Za-z0-9.-]', '-', part.name)}"
        packages.append(package(identity, part.name, part.version, part.purl, purpose))
    document = Document(
        CreationInfo(
            spdx_version="SPDX-2.3",
            spdx_id="SPDXRef-DOCUMENT",
            name=image.reference,
            document_namespace=NAMESPACE + str(uuid5(NAMESPACE_URL, NAMESPACE + image.id)),
            creators=[Actor(ActorType.TOOL, f"seatrial-{__version__}")],
            created=_created(image),
        ),
        packages=packages,
        relationships=[
            Relationship("SPDXRef-DOCUMENT", RelationshipType.DESCRIBES, root),
            *(Relationship(root, RelationshipType.CONTAINS, each.spdx_id) for each in packages[1:]),
        ],
    )
    stream = io.StringIO()
    write_document_to_stream(document, stream, validate=True)
    return stream.getvalue() + "\n"


def _of_image(image: Configuration) -> PackageURL:
    name = re.sub(r"[@:][^/]*$", "", image.reference).rpartition("/")[2].lower() or "image"
    return PackageURL("oci", None, name, image.id)


def _created(image: Configuration) -> datetime:
    """Return when an image was made: by a document that says another time each time, nobody sees what changed."""
    try:
        made = datetime.fromisoformat(image.created[:19])
    except ValueError:
        made = datetime.fromtimestamp(0, UTC)
    return made.replace(tzinfo=UTC)
