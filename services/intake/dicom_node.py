"""The DICOM node: C-ECHO, and C-STORE that says success only for what is on disk and registered."""

import socket
import threading
from typing import Any

import structlog
from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.dsutils import encode_file_meta
from pynetdicom.sop_class import Verification

from mri_guard.errors import LimitError
from mri_guard.readers.transfer_syntaxes import ALLOWED
from services.context import Context
from services.intake import limits, service
from services.intake.limits import SenderLimitError
from services.intake.spool import MEGABYTE, Spool

logger = structlog.get_logger(__name__)

SUCCESS = 0x0000
OUT_OF_RESOURCES = 0xA700
CANNOT_UNDERSTAND = 0xC000
"""Status codes of C-STORE, PS3.4 table B.2-1."""

LOCAL_LIMIT_EXCEEDED = (0x02, 0x03, 0x02)
"""Result, source and reason of a rejected association, PS3.8 table 9-21."""

MAX_PDU_BYTES = 2**17
"""What we ask for in the negotiation, and the most that dcmtk sends."""

PDU_SLACK_BYTES = 2**16


class DicomNode:
    """A Storage SCP on the deployment's port.

    It takes every storage SOP class, so that what is no brain MR ends in a quarantine with a
    reason rather than nowhere, in the transfer syntaxes that the readers decode.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._spool = Spool.under(context.settings)
        self._ae = AE(ae_title=context.settings.ae_title)
        self._ae.maximum_pdu_size = MAX_PDU_BYTES
        self._ae.maximum_associations = context.settings.max_associations
        self._ae.require_calling_aet = list(context.settings.allowed_ae_titles)
        self._ae.add_supported_context(Verification)
        for storage in AllStoragePresentationContexts:
            self._ae.add_supported_context(storage.abstract_syntax, sorted(ALLOWED))
        self._server: Any = None
        self._senders: dict[Any, str] = {}
        """Sender of each association that was let in."""
        self._counting = threading.Lock()
        self._recent = limits.Recent()

    def start(self) -> int:
        """The port; from here on associations are accepted, on threads of their own.

        Raises:
            OSError: the port is taken.
        """
        settings = self._context.settings
        handlers = [
            (evt.EVT_C_ECHO, lambda _event: SUCCESS),
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_CONN_OPEN, self._bound),
            (evt.EVT_REQUESTED, self._admit),
            (evt.EVT_CONN_CLOSE, let_go),
            (evt.EVT_DATA_RECV, acknowledge_at_once),
            (evt.EVT_DATA_SENT, acknowledge_at_once),
            (evt.EVT_REJECTED, lambda _event: logger.warning("intake.association.rejected")),
        ]
        self._server = self._ae.start_server(
            (settings.dicom_host, settings.dicom_port), block=False, evt_handlers=handlers
        )
        port: int = self._server.server_address[1]
        logger.info("intake.node.started", port=port)
        return port

    def stop(self) -> None:
        """Aborts what is under way: an instance that was not acknowledged will be sent again."""
        self._ae.shutdown()

    def _store(self, event: Any) -> int:
        sender = str(event.assoc.requestor.ae_title).strip()
        try:
            service.take(
                self._context, self._spool, _part10(event), sender=sender, recent=self._recent
            )
        except LimitError:
            return OUT_OF_RESOURCES
        except Exception as error:
            logger.error("intake.instance.failed", exc_info=error)
            return CANNOT_UNDERSTAND
        return SUCCESS

    def _admit(self, event: Any) -> None:
        """Rejects an association of a sender who has enough of them: transient, local limit."""
        assoc = event.assoc
        sender = str(assoc.requestor.primitive.calling_ae_title).strip()
        most = self._context.settings.sender_associations
        with self._counting:
            self._senders = {held: who for held, who in self._senders.items() if held.is_alive()}
            held = sum(who == sender for who in self._senders.values())
            if held < most:
                self._senders[assoc] = sender
                return
        assoc.acse.send_reject(*LOCAL_LIMIT_EXCEEDED)
        assoc.kill()
        seconds = self._context.settings.sender_window_seconds
        detail = f"{held} associations; {most} allowed"
        error = SenderLimitError("sender-associations", detail, seconds)
        told_until = limits.told_until(self._context, sender)
        limits.tell(self._context, sender, error, told_until=told_until)

    def _bound(self, event: Any) -> None:
        """Keeps a peer from filling our memory, which pynetdicom lets it.

        Nothing there holds a peer to the length of PDU that was negotiated or bounds a message,
        and a C-STORE is assembled in memory before we are asked. Up to twice the largest instance
        is received and refused in words; beyond that the connection is closed.
        """
        most = 2 * self._context.settings.max_instance_mb * MEGABYTE
        assoc = event.assoc
        transport = assoc.dul.socket
        connection = transport.socket

        def receive(wanted: int) -> bytearray:
            message = assoc.dimse.message
            buffers = (message.data_set, message.encoded_command_set) if message else ()
            held = sum(buffer.tell() for buffer in buffers if buffer)
            if wanted > MAX_PDU_BYTES + PDU_SLACK_BYTES or held + wanted > most:
                logger.warning("intake.association.cut", reason="message-too-large")
                raise ConnectionError("message too large")
            return _receive(connection, wanted)

        transport.recv = receive


def let_go(event: Any) -> None:
    """Closes the socket of a peer that has gone, which pynetdicom leaves to the garbage."""
    transport = event.assoc.dul.socket
    if transport is not None and transport.socket is not None:
        transport.socket.close()


def _part10(event: Any) -> tuple[bytes, ...]:
    """The dataset as the peer encoded it, behind a preamble and file meta (PS3.10 section 7.1)."""
    meta = encode_file_meta(event.file_meta)
    return (bytes(128), b"DICM", meta, event.request.DataSet.getbuffer())


def _receive(connection: socket.socket, wanted: int) -> bytearray:
    """So many bytes, or fewer when the peer has closed."""
    received = bytearray(wanted)
    view = memoryview(received)
    count = 0
    while count < wanted:
        more = connection.recv_into(view[count:])
        if not more:
            break
        count += more
    view.release()
    return received[:count]


def acknowledge_at_once(event: Any) -> None:
    """Linux forgets TCP_QUICKACK; without it Nagle's sender waits 40 ms for each instance."""
    transport = event.assoc.dul.socket
    if transport is not None and transport.socket is not None:
        transport.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
