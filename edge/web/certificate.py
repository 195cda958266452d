"""The machine's own certificate: made once, renewed before it ends, known by its fingerprint."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from edge.atomic_write import unfinished_file

CERTIFICATE: Final = "certificate.pem"
KEY: Final = "key.pem"
DAYS: Final = 820
"""Phones refuse certificates of servers that are valid for longer than 825 days."""
RENEW_DAYS: Final = 30


def ensure_certificate(
    folder: Path, names: Iterable[str], addresses: Iterable[str], now: datetime | None = None
) -> str:
    """The fingerprint of the certificate in `folder`, which is made or renewed if need be.

    Raises OSError.
    """
    now = now or datetime.now(UTC)
    found = _read(folder)
    if found is None or found.not_valid_after_utc - now < timedelta(days=RENEW_DAYS):
        _write(folder, sorted(set(names)), sorted(set(addresses)), now)
        found = _read(folder)
        assert found is not None, "it was just written"
    return fingerprint(found)


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 as browsers show it, in groups of four: "A1B2 C3D4 ..."."""
    digits = certificate.fingerprint(hashes.SHA256()).hex().upper()
    return " ".join(digits[at : at + 4] for at in range(0, len(digits), 4))


def read_fingerprint(folder: Path) -> str:
    """The fingerprint of the certificate in `folder`. Raises OSError, ValueError."""
    return fingerprint(x509.load_pem_x509_certificate((folder / CERTIFICATE).read_bytes()))


def _read(folder: Path) -> x509.Certificate | None:
    try:
        if not (folder / KEY).is_file():
            return None
        return x509.load_pem_x509_certificate((folder / CERTIFICATE).read_bytes())
    except (OSError, ValueError):
        return None


def _write(folder: Path, names: list[str], addresses: list[str], now: datetime) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Truelight {names[0]}"[:64])])
    reached = [
        *(x509.DNSName(name) for name in names),
        *(x509.IPAddress(ipaddress.ip_address(address)) for address in addresses),
    ]
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=DAYS))
        .add_extension(x509.SubjectAlternativeName(reached), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    _write_file(folder / KEY, secret, 0o600)
    _write_file(folder / CERTIFICATE, made.public_bytes(serialization.Encoding.PEM), 0o644)


def _write_file(path: Path, content: bytes, mode: int) -> None:
    with unfinished_file(path) as unfinished:
        unfinished.chmod(mode)
        unfinished.write_bytes(content)
        unfinished.replace(path)
