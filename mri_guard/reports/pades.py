"""PAdES signature of the PDF by pyHanko (ETSI EN 319 142-1, baseline B-B).

Made with the same Ed25519 key as the statement's, whose certificate signs itself: it names no
person, and a PDF reader shows it as unknown. Who trusts the key says so by giving it to `report
verify`.
"""

import datetime
import hashlib
import io
from typing import Any

from asn1crypto.keys import PrivateKeyInfo
from asn1crypto.x509 import Certificate
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import NameOID
from pyhanko.pdf_utils.generic import ArrayObject, ByteStringObject
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.misc import PdfError
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.fields import SigSeedSubFilter
from pyhanko.sign.signers import PdfSignatureMetadata, PdfSigner, SimpleSigner
from pyhanko.sign.validation import validate_pdf_signature
from pyhanko_certvalidator import ValidationContext
from pyhanko_certvalidator.registry import SimpleCertificateStore

FIELD = "Report"
YEARS = 30


def sign(pdf: bytes, key: Ed25519PrivateKey, issued: datetime.date) -> bytes:
    """The PDF with its signature appended; the same bytes each time.

    Three habits of pyHanko are broken: the time it signs at is the day of issue, the new half of
    the file's identifier follows from its content, and neither modification date nor PDF version
    change, so that what was PDF/A-3 (PDF 1.7) still is.

    Args:
        pdf: as `pdf.pdf` makes it.
        key: of the signer.
        issued: day of issue.
    """
    day = datetime.datetime.combine(issued, datetime.time(), datetime.UTC)
    identifier = hashlib.sha256(pdf).digest()[:16]

    class Writer(IncrementalPdfFileWriter):  # type: ignore[misc]  # its base is untyped
        @classmethod
        def _handle_id(cls, prev: Any) -> Any:
            first, _ = prev.trailer["/ID"]
            return ArrayObject([first, ByteStringObject(identifier)])

        def _update_meta(self) -> None:
            pass

    class Signer(PdfSigner):  # type: ignore[misc]  # its base is untyped
        def register_extensions(self, pdf_out: Any, *, md_algorithm: str) -> None:
            pass

        def init_signing_session(self, *args: Any, **kwargs: Any) -> Any:
            session = super().init_signing_session(*args, **kwargs)
            session.system_time = day
            return session

    private = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    signer = SimpleSigner(
        signing_cert=Certificate.load(_certificate(key, issued)),
        signing_key=PrivateKeyInfo.load(private),
        cert_registry=SimpleCertificateStore(),
    )
    meta = PdfSignatureMetadata(field_name=FIELD, subfilter=SigSeedSubFilter.PADES)
    signed = Signer(meta, signer).sign_pdf(Writer(io.BytesIO(pdf)))
    return bytes(signed.getvalue())


def signed_by(pdf: bytes, key: Ed25519PublicKey) -> bool:
    """Whether the PDF has one signature, by this key, over all of it."""
    try:
        signatures = PdfFileReader(io.BytesIO(pdf)).embedded_signatures
    except PdfError:
        return False
    if len(signatures) != 1:
        return False
    (one,) = signatures
    if one.signer_cert.public_key.dump() != key.public_bytes(
        Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    ):
        return False
    context = ValidationContext(trust_roots=[one.signer_cert], allow_fetching=False)
    status = validate_pdf_signature(one, signer_validation_context=context)
    return bool(status.valid and status.intact and status.coverage.name == "ENTIRE_FILE")


def _certificate(key: Ed25519PrivateKey, issued: datetime.date) -> bytes:
    """The key's own certificate, DER; number and dates follow from key and day."""
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    words = f"mri-guard report {public.hex()[:16]}"
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, words)])
    start = datetime.datetime.combine(issued, datetime.time(), datetime.UTC)
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=True,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(int.from_bytes(hashlib.sha256(public).digest()[:16], "big") >> 1)
        .not_valid_before(start - datetime.timedelta(days=1))
        .not_valid_after(start + datetime.timedelta(days=365 * YEARS))
        .add_extension(usage, critical=True)
        .sign(key, None)
    )
    return certificate.public_bytes(Encoding.DER)
