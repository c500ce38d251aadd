"""Who signs: the user's certificate, or one that is made here once and vouches for nobody."""

from __future__ import annotations

import datetime
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lipcore.errors import DependencyError, ProvenanceError
from lipcore.media.output_files import output_error
from lipcore.user_folders import user_folder

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.x509 import Certificate, CertificateBuilder, Name

CERTIFICATE, PRIVATE_KEY = "certificate.pem", "private-key.pem"
_NAME = "lipcore, self-signed"
_VALID_DAYS = 3650
_MOST_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate chain in PEM, the signer's own first, and its private key."""

    chain: bytes
    private_key: bytes
    algorithm: str
    """As C2PA spells it: ``es256``, ``ps256``, ``ed25519`` ..."""
    self_signed: bool
    """Made here, or signed by nobody else: it proves that nothing changed, not who signed."""


def config_folder() -> Path:
    """``lipcore`` in the user's folder for settings."""
    return user_folder("XDG_CONFIG_HOME", "APPDATA", ".config")


def load_identity(certificate: Path | None, private_key: Path | None) -> Identity:
    """The user's identity, or the one of this machine, made at its first use.

    Args:
        certificate: PEM, the chain up to but without the authority's root; None for the
            machine's own.
        private_key: PEM (PKCS 8 or traditional), not encrypted; None likewise.

    Raises:
        ProvenanceError: A file is absent, is not PEM, or the key is not the certificate's.
        OutputNotWritableError: The machine's own identity cannot be stored.
        DependencyError: The packages for it are absent.
    """
    require_package()
    if certificate is None or private_key is None:
        folder = config_folder() / "signing"
        if not (folder / CERTIFICATE).is_file():
            _make_identity(folder)
        certificate, private_key = folder / CERTIFICATE, folder / PRIVATE_KEY
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    chain, key_pem = read_pem(certificate), read_pem(private_key)
    try:
        certificates = x509.load_pem_x509_certificates(chain)
        key: Any = load_pem_private_key(key_pem, None)
        algorithm = _algorithm_of(key)
        same = certificates[0].public_key() == key.public_key()
    except (ValueError, TypeError) as error:
        raise ProvenanceError(
            f"{certificate} and {private_key} cannot be used to sign ({error})",
            hint="Give PEM files: the certificate with its chain, and a key without a password.",
            certificate=str(certificate),
        ) from error
    if not same:
        raise ProvenanceError(
            f"{private_key} is not the private key of {certificate}",
            hint="Give the key that the certificate was made for.",
            certificate=str(certificate),
        )
    own = certificates[0]
    made_here = any(name.value == _NAME for name in own.issuer)
    return Identity(chain, key_pem, algorithm, made_here or own.issuer == own.subject)


def check_identity(certificate: Path | None, private_key: Path | None) -> None:
    """What ``load_identity`` would find wrong with the user's files; nothing is made.

    Raises:
        ProvenanceError, DependencyError: See there.
    """
    require_package()
    if certificate is not None and private_key is not None:
        load_identity(certificate, private_key)


def require_package() -> None:
    """Check that content credentials can be read and written here.

    Raises:
        DependencyError: A package is absent.
    """
    try:
        import c2pa
        import cryptography  # noqa: F401 -- c2pa needs it, and so do we
    except ImportError as error:
        raise DependencyError(
            f"content credentials need the package c2pa-python ({error})",
            hint='Install it with: pip install "lipcore[provenance]"',
        ) from error
    del c2pa


def read_pem(path: Path) -> bytes:
    """A small file.

    Raises:
        ProvenanceError: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(_MOST_BYTES)
    except OSError as error:
        raise ProvenanceError(
            f"{path} cannot be read: {error.strerror}",
            hint="Give a file in PEM.", path=str(path),
        ) from error


def _algorithm_of(key: Any) -> str:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "ed25519"
    if isinstance(key, rsa.RSAPrivateKey):
        return "ps256"
    if isinstance(key, ec.EllipticCurvePrivateKey):
        sizes = {256: "es256", 384: "es384", 521: "es512"}
        if key.curve.key_size in sizes:
            return sizes[key.curve.key_size]
    raise ValueError("no kind of key that C2PA takes")


def _make_identity(folder: Path) -> None:
    """A root that signs once and is forgotten, and a certificate by it: C2PA takes no fewer."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
    )
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    def name(what: str) -> Name:
        return x509.Name([
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, _NAME),
            x509.NameAttribute(NameOID.COMMON_NAME, what),
        ])

    root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root = _signed(
        _builder(name("root of this machine"), name("root of this machine"), root_key, root_key)
        .add_extension(x509.BasicConstraints(True, None), True)
        .add_extension(_usage(x509, signs_certificates=True), True),
        root_key,
    )
    own = _signed(
        _builder(name("this machine"), name("root of this machine"), key, root_key)
        .add_extension(x509.BasicConstraints(False, None), True)
        .add_extension(_usage(x509, signs_certificates=False), True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), False),
        root_key,
    )
    chain = own.public_bytes(Encoding.PEM) + root.public_bytes(Encoding.PEM)
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        # Both files appear at once; who comes second takes the first one's.
        making = Path(tempfile.mkdtemp(prefix=".signing.", dir=folder.parent))
        try:
            (making / PRIVATE_KEY).touch(0o600)
            (making / PRIVATE_KEY).write_bytes(secret)
            (making / CERTIFICATE).write_bytes(chain)
            if not (folder / CERTIFICATE).is_file():
                making.rename(folder)
        finally:
            shutil.rmtree(making, ignore_errors=True)
    except OSError as error:
        if not (folder / CERTIFICATE).is_file():
            raise output_error(error, folder) from error


def _builder(
    subject: Name, issuer: Name, key: EllipticCurvePrivateKey, issuer_key: EllipticCurvePrivateKey
) -> CertificateBuilder:
    from cryptography import x509

    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=_VALID_DAYS))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), False
        )
    )


def _usage(x509: Any, *, signs_certificates: bool) -> Any:
    return x509.KeyUsage(
        digital_signature=not signs_certificates, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False,
        key_cert_sign=signs_certificates, crl_sign=signs_certificates, encipher_only=False,
        decipher_only=False,
    )


def _signed(builder: CertificateBuilder, key: EllipticCurvePrivateKey) -> Certificate:
    from cryptography.hazmat.primitives.hashes import SHA256

    return builder.sign(key, SHA256())
