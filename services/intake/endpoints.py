"""Studies over HTTP: STOW-RS (PS3.18 section 10.5) and a zip."""

import mmap
import zipfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from email.message import Message
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from pydicom.uid import UID

from mri_guard.errors import LimitError, UnreadableError
from mri_guard.readers import open_sources
from mri_guard.readers.values import text
from services.context import Context
from services.db.models import Role, User
from services.identity import service as identity
from services.identity.access import OpenContext, require
from services.intake import limits, service
from services.intake.multipart import parts
from services.intake.service import Registered
from services.intake.spool import MEGABYTE, NO_ROOM, Spool

DICOM_JSON = "application/dicom+json"
OUT_OF_RESOURCES = 0xA700
CANNOT_UNDERSTAND = 0xC000
"""Failure Reason (0008,1197), PS3.18 table I.2-2."""

REFERENCED_SOP_SEQUENCE = "00081199"
FAILED_SOP_SEQUENCE = "00081198"
OTHER_FAILURES_SEQUENCE = "0008119A"
FAILURE_REASON = "00081197"
REFERENCED_SOP_CLASS_UID = "00081150"
REFERENCED_SOP_INSTANCE_UID = "00081155"

Item = dict[str, Any]

router = APIRouter(tags=["intake"])
Sender = Annotated[User, Depends(require(Role.GATEWAY, Role.ADMIN))]


class Receipt(BaseModel):
    """What an upload held. It is durable; examinations begin when its series fall silent."""

    instances: int = Field(description="files received")
    duplicates: int = Field(description="of these, files that were here before")
    collisions: int = Field(
        description="of these, files whose SOP Instance UID was here before with other content"
    )
    studies: list[str] = Field(description="keyed digest of each study")


@router.post(
    "/dicom-web/studies",
    response_class=JSONResponse,
    responses={
        202: {"description": "some were not stored"},
        409: {"description": "none was"},
        429: {"description": "the sender came to its limit; Retry-After says for how long"},
    },
    openapi_extra={"requestBody": {"content": {'multipart/related; type="application/dicom"': {}}}},
)
async def store_instances(context: OpenContext, user: Sender, request: Request) -> JSONResponse:
    """The Store transaction of STOW-RS. A part that is no DICOM is kept, quarantined and told."""
    boundary = _boundary(request)
    await run_in_threadpool(limits.admit, context, identity.actor(user))
    spool = Spool.under(context.settings)
    with _workshop(spool) as folder:
        body = folder / "body"
        await _save(request, body)
        return await run_in_threadpool(_store, context, spool, body, boundary, user)


@router.post(
    "/studies",
    status_code=202,
    openapi_extra={"requestBody": {"content": {"application/zip": {}}}},
)
async def upload_study(context: OpenContext, user: Sender, request: Request) -> Receipt:
    """Takes a zip of DICOM files, in any folders. Sending it again is harmless."""
    if _media_type(request).get_content_type() != "application/zip":
        raise HTTPException(415)
    await run_in_threadpool(limits.admit, context, identity.actor(user))
    spool = Spool.under(context.settings)
    with _workshop(spool) as folder:
        body = folder / "body"
        await _save(request, body)
        return await run_in_threadpool(_unpack, context, spool, body, user)


@contextmanager
def _workshop(spool: Spool) -> Iterator[Path]:
    """The spool's workshop; a full disk is not the sender's fault."""
    try:
        with spool.workshop() as folder:
            yield folder
    except LimitError as error:
        if error.reason == NO_ROOM:
            raise HTTPException(507, headers={"Retry-After": "60"}) from error
        raise


async def _save(request: Request, path: Path) -> None:
    """Writes the body as it comes; its size is limited by the application."""
    file = await run_in_threadpool(path.open, "wb")
    with file:
        held = bytearray()
        async for chunk in request.stream():
            held += chunk
            if len(held) >= MEGABYTE:
                await run_in_threadpool(file.write, held)
                held = bytearray()
        await run_in_threadpool(file.write, held)


def _store(context: Context, spool: Spool, body: Path, boundary: bytes, user: User) -> JSONResponse:
    stored: list[Item] = []
    failed: list[Item] = []
    unnamed: list[Item] = []
    for start, end, content in _parts(body, boundary):
        item = _reference(content[start : min(end, start + service.NAMING_BYTES)])
        try:
            chunks = (content[at : min(end, at + MEGABYTE)] for at in range(start, end, MEGABYTE))
            service.take(context, spool, chunks, sender=identity.actor(user), within_upload=True)
        except LimitError:
            reason = _attribute(FAILURE_REASON, "US", OUT_OF_RESOURCES)
            (failed if item else unnamed).append(item | reason)
            continue
        if item:
            stored.append(item)
        else:
            unnamed.append(_attribute(FAILURE_REASON, "US", CANNOT_UNDERSTAND))
    if not stored and not failed and not unnamed:
        raise HTTPException(400)
    answer: Item = {}
    for tag, items in (
        (REFERENCED_SOP_SEQUENCE, stored),
        (FAILED_SOP_SEQUENCE, failed),
        (OTHER_FAILURES_SEQUENCE, unnamed),
    ):
        if items:
            answer[tag] = {"vr": "SQ", "Value": items}
    status = 409 if not stored else 202 if failed or unnamed else 200
    return JSONResponse(answer, status, media_type=DICOM_JSON)


def _parts(body: Path, boundary: bytes) -> Iterator[tuple[int, int, mmap.mmap]]:
    """Start and end of every part within the body, and the body."""
    if body.stat().st_size == 0:
        raise HTTPException(400)
    with (
        body.open("rb") as file,
        closing(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)) as content,
    ):
        for start, end in parts(content, boundary):
            yield start, end, content


def _reference(start: bytes) -> Item:
    """The item that names an instance; empty where its header names none."""
    header = service.header_of(start)
    sop_class, instance = text(header, "SOPClassUID"), text(header, "SOPInstanceUID")
    if not (UID(sop_class).is_valid and UID(instance).is_valid):
        return {}
    return _attribute(REFERENCED_SOP_CLASS_UID, "UI", sop_class) | _attribute(
        REFERENCED_SOP_INSTANCE_UID, "UI", instance
    )


def _attribute(tag: str, vr: str, value: str | int) -> Item:
    return {tag: {"vr": vr, "Value": [value]}}


def _unpack(context: Context, spool: Spool, body: Path, user: User) -> Receipt:
    if not zipfile.is_zipfile(body):
        raise UnreadableError("zip-broken", "the body is no zip")
    taken: list[Registered] = []
    sender = identity.actor(user)
    for source in open_sources(body, body.parent):
        for file in source.files:
            chunks = _chunks(file)
            taken.append(service.take(context, spool, chunks, sender=sender, within_upload=True))
    return Receipt(
        instances=len(taken),
        duplicates=sum(item.duplicate for item in taken),
        collisions=sum(item.collision for item in taken),
        studies=sorted({item.study_digest for item in taken}),
    )


def _chunks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as opened:
        while chunk := opened.read(MEGABYTE):
            yield chunk


def _boundary(request: Request) -> bytes:
    """Of a multipart body of DICOM files.

    Raises:
        HTTPException: 415 for another media type, 400 without a usable boundary.
    """
    media_type = _media_type(request)
    kind = media_type.get_param("type")
    if media_type.get_content_type() != "multipart/related" or kind != "application/dicom":
        raise HTTPException(415)
    boundary = media_type.get_param("boundary")
    if not isinstance(boundary, str) or not 1 <= len(boundary) <= 70 or not boundary.isascii():
        raise HTTPException(400)
    return boundary.encode()


def _media_type(request: Request) -> Message:
    message = Message()
    message["Content-Type"] = request.headers.get("content-type", "")
    return message
