"""Software bill of materials: what this package runs on here, and the bundle, as CycloneDX 1.6.

The packages are those installed that `mri-guard` needs without extras. Serial number and order
follow from the content, and no clock is read, so that one installation gives one document.
"""

import hashlib
import json
import re
import uuid
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from typing import Any

from packaging.requirements import Requirement

from mri_guard.reports.document import Bundle

ROOT = "mri-guard"


def materials(bundle: Bundle) -> dict[str, Any]:
    """The document, JSON types alone (CycloneDX 1.6, ECMA-424)."""
    found, needs = _closure(ROOT)
    root = found.pop(ROOT)
    model = {
        "type": "machine-learning-model",
        "bom-ref": f"bundle:{bundle.digest}",
        "name": bundle.name,
        "version": bundle.version,
        "hashes": [{"alg": "SHA-256", "content": bundle.digest}],
        "description": "Bundle; the digest is that of its SHA256SUMS.",
    }
    components = [_component(name, found[name]) for name in sorted(found)]
    document: dict[str, Any] = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {**_component(ROOT, root), "type": "application"}},
        "components": [*components, model],
        "dependencies": [
            {
                "ref": _reference(name, (found | {ROOT: root})[name]),
                "dependsOn": sorted(
                    [_reference(need, found[need]) for need in needs[name]]
                    + ([model["bom-ref"]] if name == ROOT else [])
                ),
            }
            for name in sorted(needs)
        ],
    }
    digest = hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
    document["serialNumber"] = f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, digest)}"
    return document


def _closure(root: str) -> tuple[dict[str, Distribution], dict[str, set[str]]]:
    """What is installed of what `root` needs, and who needs whom."""
    found: dict[str, Distribution] = {}
    needs: dict[str, set[str]] = {}
    waiting = [(root, frozenset[str]())]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        name, extras = waiting.pop()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        found[name] = distribution(name)
        needs.setdefault(name, set())
        for line in found[name].requires or ():
            need = Requirement(line)
            wanted = need.marker is None or any(
                need.marker.evaluate({"extra": extra}) for extra in ("", *extras)
            )
            if not wanted:
                continue
            other = _normalised(need.name)
            try:
                distribution(other)
            except PackageNotFoundError:
                continue  # wanted by metadata, and not there: it is no part of what runs
            needs[name].add(other)
            waiting.append((other, frozenset(need.extras)))
    return found, needs


def _normalised(name: str) -> str:
    """As the packaging specification compares names (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _reference(name: str, of: Distribution) -> str:
    return f"pkg:pypi/{name}@{of.version}"


def _component(name: str, of: Distribution) -> dict[str, Any]:
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": _reference(name, of),
        "name": name,
        "version": of.version,
        "purl": _reference(name, of),
    }
    if "License-Expression" in of.metadata:
        component["licenses"] = [{"expression": of.metadata["License-Expression"]}]
        return component
    classified = sorted(
        {
            line.rsplit("::", 1)[1].strip()
            for line in of.metadata.get_all("Classifier") or ()
            if line.startswith("License ::") and line.count("::") > 1
        }
    )
    if classified:
        component["licenses"] = [{"license": {"name": words}} for words in classified]
    return component
