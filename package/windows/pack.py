"""Pack a tree of files for Windows: as a zip that is the same for the same files, or as the description of an MSI.

``pack.py zip TREE FILE`` and ``pack.py wxs TREE FILE VERSION``; ``SOURCE_DATE_EPOCH`` is the moment of every entry.
"""

from __future__ import annotations

import hashlib
import os
import sys
import uuid
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from xml.etree.ElementTree import Element, ElementTree, SubElement, indent

NAMES = uuid.UUID("6f1c1a53-9f64-5a34-8a52-5d3c0c1f7a10")
"""From which ids of products and components are made, so that the same path is the same component in every version."""
UPGRADE_CODE = uuid.uuid5(NAMES, "shieldwall-agent")
WIX = "http://schemas.microsoft.com/wix/2006/wi"
POWERSHELL = r"[System64Folder]WindowsPowerShell\v1.0\powershell.exe"


def files(tree: Path) -> list[Path]:
    """List the files of a tree, relative to it, in one order everywhere."""
    return sorted((path.relative_to(tree) for path in tree.rglob("*") if path.is_file()), key=lambda path: path.parts)


def write_zip(tree: Path, target: Path) -> None:
    """Write the zip: names, moments and rights depend on nothing but the tree and the commit."""
    moment = datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", "1767225600")), UTC)
    stamp = (moment.year, moment.month, moment.day, moment.hour, moment.minute, moment.second // 2 * 2)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packed:
        for path in files(tree):
            entry = zipfile.ZipInfo(path.as_posix(), date_time=stamp)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            packed.writestr(entry, (tree / path).read_bytes())


def describe(tree: Path, version: str) -> ElementTree[Element]:
    """Describe the MSI for wixl: every file a component, and the same scripts that install the zip."""
    wix = Element("Wix", xmlns=WIX)
    digest = hashlib.sha256(b"".join(bytes(path) + (tree / path).read_bytes() for path in files(tree))).hexdigest()
    product = SubElement(
        wix,
        "Product",
        Id=_guid(f"product {version} {digest}"),
        Name="Shieldwall Agent",
        Version=version,
        Manufacturer="The Shieldwall developers",
        Language="1033",
        UpgradeCode=str(UPGRADE_CODE).upper(),
    )
    SubElement(product, "Package", InstallerVersion="500", Compressed="yes", InstallScope="perMachine")
    SubElement(product, "MajorUpgrade", DowngradeErrorMessage="A newer Shieldwall Agent is installed.")
    SubElement(product, "Media", Id="1", Cabinet="agent.cab", EmbedCab="yes")
    root = SubElement(product, "Directory", Id="TARGETDIR", Name="SourceDir")
    home = SubElement(
        SubElement(root, "Directory", Id="ProgramFiles64Folder"), "Directory", Id="HOME", Name="Shieldwall"
    )
    folders: dict[Path, Element] = {Path(): home}
    feature = SubElement(product, "Feature", Id="Agent", Level="1")
    for path in files(tree):
        folder = _folder(folders, path.parent)
        component = SubElement(folder, "Component", Id=_id("c", path), Guid=_guid(f"component {path.as_posix()}"))
        SubElement(component, "File", Id=_id("f", path), Source=str(Path(tree.name) / path), KeyPath="yes")
        SubElement(feature, "ComponentRef", Id=_id("c", path))
    SubElement(product, "CustomAction", Id="FindPowerShell", Property="POWERSHELL", Value=POWERSHELL, Impersonate="yes")
    for name, script, arguments in _actions():
        SubElement(
            product,
            "CustomAction",
            Id=name,
            Property="POWERSHELL",
            ExeCommand=f'-NoProfile -ExecutionPolicy Bypass -File "[HOME]scripts\\{script}" {arguments}',
            Execute="deferred",
            Impersonate="no",
            Return="check",
        )
    sequence = SubElement(product, "InstallExecuteSequence")
    found = SubElement(sequence, "Custom", Action="FindPowerShell", Before="InstallInitialize")
    found.text = "1"
    installed = SubElement(sequence, "Custom", Action="Configure", After="InstallFiles")
    installed.text = "NOT REMOVE"
    removed = SubElement(sequence, "Custom", Action="Unconfigure", After="InstallInitialize")
    removed.text = 'REMOVE="ALL" AND NOT UPGRADINGPRODUCTCODE'
    upgraded = SubElement(sequence, "Custom", Action="MakeWay", After="InstallInitialize")
    upgraded.text = 'REMOVE="ALL" AND UPGRADINGPRODUCTCODE'
    indent(wix)
    return ElementTree(wix)


def _actions() -> Iterator[tuple[str, str, str]]:
    yield "Configure", "install.ps1", "-ConfigureOnly"
    yield "Unconfigure", "uninstall.ps1", "-ConfigureOnly"
    yield "MakeWay", "uninstall.ps1", "-Upgrade"


def _folder(folders: dict[Path, Element], path: Path) -> Element:
    if path not in folders:
        above = _folder(folders, path.parent)
        folders[path] = SubElement(above, "Directory", Id=_id("d", path), Name=path.name)
    return folders[path]


def _id(kind: str, path: Path) -> str:
    """Name an entry of a table: at most 72 characters, letters and digits."""
    return kind + hashlib.sha256(path.as_posix().encode()).hexdigest()[:32]


def _guid(text: str) -> str:
    return str(uuid.uuid5(NAMES, text)).upper()


def main(arguments: list[str]) -> int:
    """Do what is asked."""
    match arguments:
        case ["zip", tree, target]:
            write_zip(Path(tree), Path(target))
        case ["wxs", tree, target, version]:
            describe(Path(tree), version).write(target, encoding="utf-8", xml_declaration=True)
        case _:
            sys.stderr.write(f"{__doc__}\n")
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
