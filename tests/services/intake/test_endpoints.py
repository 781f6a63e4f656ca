import io
import json
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import CTImageStorage, MRImageStorage
from sqlalchemy import func, select
from starlette.testclient import TestClient

from services.context import Context
from services.db.models import Instance, Series
from services.intake.spool import Spool
from services.settings import Settings
from tests.dicom_files import mr_slices, uid
from tests.services.intake.conftest import encoded, events
from tests.services.intake.test_spool import Disk
from tests.services.making import Api, Callers

STOW = "/dicom-web/studies"
STOW_TYPE = 'multipart/related; type="application/dicom"; boundary=edge'


@pytest.fixture(scope="module")
def slices() -> list[bytes]:
    return [encoded(dataset) for dataset in mr_slices()[:3]]


def multipart(*contents: bytes) -> bytes:
    head = b"--edge\r\nContent-Type: application/dicom\r\n\r\n"
    return b"".join(head + content + b"\r\n" for content in contents) + b"--edge--"


def zipped(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def stow(api: Api, body: bytes, by: str | None = "gateway-1", kind: str = STOW_TYPE) -> Any:
    return api.post(STOW, by, content=body, headers={"Content-Type": kind})


def upload(
    api: Api, body: bytes, by: str | None = "gateway-1", kind: str = "application/zip"
) -> Any:
    return api.post("/studies", by, content=body, headers={"Content-Type": kind})


def count(context: Context, what: type[Series] | type[Instance]) -> int:
    with context.database.reading() as session:
        return session.scalar(select(func.count()).select_from(what)) or 0


def left_over(context: Context) -> list[Any]:
    incoming = context.settings.home / "spool" / "incoming"
    return list(incoming.iterdir()) if incoming.exists() else []


@pytest.fixture(params=["stow", "zip"])
def send(request: pytest.FixtureRequest, api: Api, slices: list[bytes]) -> Any:
    """Sends three slices by one of the two ways."""
    if request.param == "stow":
        return lambda by="gateway-1": stow(api, multipart(*slices), by)
    archive = zipped(**{f"a/{at}.dcm": content for at, content in enumerate(slices)})
    return lambda by="gateway-1": upload(api, archive, by)


@pytest.mark.parametrize("by", ["gateway-1", "admin-1"])
def test_spools_and_registers_every_instance(
    api: Api, slices: list[bytes], send: Any, by: str
) -> None:
    assert send(by).is_success
    spool = Spool.under(api.context.settings)
    assert sorted(spool.path(name).read_bytes() for name in spool.all()) == sorted(slices)
    with api.context.database.reading() as session:
        assert session.scalars(select(Series.sender)).all() == [f"user:{api.ids[by]}"]
    assert count(api.context, Instance) == 3
    assert left_over(api.context) == []


@pytest.mark.parametrize(
    ("by", "status"), [(None, 401), ("radiologist-1", 403), ("auditor-1", 403)]
)
def test_takes_nothing_from_others(api: Api, send: Any, by: str | None, status: int) -> None:
    assert send(by).status_code == status
    assert list(Spool.under(api.context.settings).all()) == []


def test_sending_twice_is_harmless(api: Api, send: Any) -> None:
    first = send()
    assert send().status_code == first.status_code
    assert count(api.context, Instance) == 3
    assert events(api.context) == ["intake.series.opened"]


def test_says_which_instances_are_stored(api: Api, slices: list[bytes]) -> None:
    response = stow(api, multipart(*slices[:2]))
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/dicom+json"
    assert response.json() == {
        "00081199": {
            "vr": "SQ",
            "Value": [
                {
                    "00081150": {"vr": "UI", "Value": [MRImageStorage]},
                    "00081155": {"vr": "UI", "Value": [uid("instance", f"made-{at}")]},
                }
                for at in range(2)
            ],
        }
    }


def test_keeps_what_is_no_dicom_and_says_so(api: Api, slices: list[bytes]) -> None:
    ct = mr_slices(name="ct")[0]
    ct.SOPClassUID, ct.Modality = CTImageStorage, "CT"
    response = stow(api, multipart(b"\xff\xd8\xff\xe0 a JPEG", b"", slices[0][:500], encoded(ct)))
    assert response.status_code == 202
    answer = response.json()
    assert len(answer["00081199"]["Value"]) == 2
    assert answer["0008119A"]["Value"] == [{"00081197": {"vr": "US", "Value": [0xC000]}}] * 2
    assert count(api.context, Instance) == 4


def test_stow_of_garbage_alone_is_a_conflict_but_kept(api: Api) -> None:
    assert stow(api, multipart(b"garbage")).status_code == 409
    assert count(api.context, Instance) == 1


def test_stow_reports_what_the_full_disk_refused(
    api: Api, slices: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    room = iter([2**40, 2**40, 0, 0])  # for the body, the first part, and no more
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: Disk(0, 0, next(room)))
    api.client.app.state.context = Context(  # type: ignore[attr-defined]  # starlette's application
        api.context.settings.model_copy(update={"min_free_disk_mb": 1}),
        api.context.secrets,
        api.context.database,
    )
    response = stow(api, multipart(*slices[:2]))
    assert response.status_code == 202
    [failed] = response.json()["00081198"]["Value"]
    assert failed["00081155"]["Value"] == [uid("instance", "made-1")]
    assert failed["00081197"]["Value"] == [0xA700]
    assert count(api.context, Instance) == 1
    assert "intake.instance.refused" in events(api.context)


def test_a_full_disk_is_not_the_senders_fault(
    api: Api, send: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.client.app.state.context = Context(  # type: ignore[attr-defined]  # starlette's application
        api.context.settings.model_copy(update={"min_free_disk_mb": 1}),
        api.context.secrets,
        api.context.database,
    )
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: Disk(0, 0, 0))
    response = send()
    assert response.status_code == 507
    assert "retry-after" in response.headers
    assert count(api.context, Instance) == 0


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("application/dicom", multipart(b"x"), 415),
        ('multipart/related; type="application/dicom+json"; boundary=edge', multipart(b"x"), 415),
        ('multipart/related; type="application/dicom"', multipart(b"x"), 400),
        (f'multipart/related; type="application/dicom"; boundary={"e" * 71}', b"x", 400),
        (STOW_TYPE, b"", 400),
        (STOW_TYPE, b"--edge--", 400),
        (STOW_TYPE, b"no boundary", 422),
        (STOW_TYPE, multipart(b"x")[:-8], 422),
        ("", multipart(b"x"), 415),
    ],
)
def test_refuses_what_is_no_store_request(api: Api, kind: str, body: bytes, status: int) -> None:
    response = stow(api, body, kind=kind)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert left_over(api.context) == []


def test_counts_what_a_zip_held(api: Api, slices: list[bytes]) -> None:
    other = mr_slices()[0]
    other.PatientName = "Another"
    upload(api, zipped(first=slices[0]))
    response = upload(api, zipped(a=slices[0], b=slices[1], c=encoded(other), d=b"\xff\xd8 JPEG"))
    assert response.status_code == 202
    receipt = response.json()
    studies = receipt.pop("studies")
    assert receipt == {"instances": 4, "duplicates": 1, "collisions": 1}
    assert len(studies) == 2
    assert all(len(study) == 64 for study in studies)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "zip-broken"),
        (b"PK\x03\x04 broken", "zip-broken"),
        (zipped(one=b"x" * 100)[:-30], "zip-broken"),
        (zipped(**{"../../etc/passwd": b"x"}), "zip-path"),
        (zipped(**{"readme.txt": b"x"}), "no-scan"),
    ],
    ids=["empty", "garbage", "cut", "path", "no scan"],
)
def test_refuses_a_zip_that_is_broken_or_deceitful(api: Api, body: bytes, reason: str) -> None:
    response = upload(api, body)
    assert (response.status_code, response.json()["reason"]) == (422, reason)
    assert left_over(api.context) == []
    assert count(api.context, Instance) == 0


def test_refuses_a_bomb(api: Api) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb", bytes(70 * 2**20))
    response = upload(api, buffer.getvalue())
    assert (response.status_code, response.json()["reason"]) == (413, "zip-bomb")


def test_takes_only_zips(api: Api, slices: list[bytes]) -> None:
    assert upload(api, zipped(a=slices[0]), kind="application/x-tar").status_code == 415


@pytest.fixture
def small(settings: Settings, template: tuple[Path, Callers]) -> Iterator[Api]:
    opened = Context.open(settings.model_copy(update={"max_upload_mb": 1, "max_instance_mb": 1}))
    with Api(opened, template[1]) as api:
        yield api
    opened.close()


def test_refuses_a_body_over_the_limit(small: Api) -> None:
    body = multipart(bytes(2**20))
    assert stow(small, body).status_code == 413
    assert upload(small, zipped(a=bytes(2**20))).status_code == 413

    def streamed() -> Iterator[bytes]:  # without a Content-Length
        yield from (body[at : at + 2**16] for at in range(0, len(body), 2**16))

    response = small.post(
        STOW, "gateway-1", content=streamed(), headers={"Content-Type": STOW_TYPE}
    )
    assert response.status_code == 413
    assert left_over(small.context) == []
    assert count(small.context, Instance) == 0


def test_refuses_an_instance_in_a_zip_over_the_limit(small: Api) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("large", bytes(2**20 + 1))
    response = upload(small, buffer.getvalue())
    assert (response.status_code, response.json()["reason"]) == (413, "instance-too-large")


def test_stands_in_the_description_of_the_api(api: Api) -> None:
    client: TestClient = api.client
    paths = json.loads(client.get("/openapi.json").text)["paths"]
    assert {STOW, "/studies"} <= set(paths)
