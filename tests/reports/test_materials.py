"""The bill of materials."""

from importlib.metadata import requires, version

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.requirements import Requirement
from rfc8785 import dumps

from mri_guard.reports.materials import materials
from tests.reports.toys import BUNDLE, DIGEST


def test_is_cyclonedx_by_its_own_schema() -> None:
    text = dumps(materials(BUNDLE)).decode()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None


def test_names_what_the_package_needs_and_the_bundle() -> None:
    bill = materials(BUNDLE)
    purls = {one.get("purl") for one in bill["components"]}
    for line in requires("mri-guard") or ():
        need = Requirement(line)
        if need.marker is None:
            name = need.name.lower()
            assert f"pkg:pypi/{name}@{version(name)}" in purls
    (model,) = [one for one in bill["components"] if one["type"] == "machine-learning-model"]
    assert model["hashes"] == [{"alg": "SHA-256", "content": DIGEST}]
    assert bill["metadata"]["component"]["name"] == "mri-guard"


def test_every_reference_is_to_a_component() -> None:
    bill = materials(BUNDLE)
    known = {one["bom-ref"] for one in bill["components"]} | {
        bill["metadata"]["component"]["bom-ref"]
    }
    for one in bill["dependencies"]:
        assert {one["ref"], *one["dependsOn"]} <= known


def test_is_the_same_each_time_and_another_for_another_bundle() -> None:
    assert materials(BUNDLE) == materials(BUNDLE)
    other = materials(BUNDLE.model_copy(update={"version": "9"}))
    assert other["serialNumber"] != materials(BUNDLE)["serialNumber"]
