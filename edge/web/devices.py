"""Who may use the page and the API: paired devices, tokens, pairing codes. SQLite, hashes only.

A secret is 256 random bits; what is kept is its SHA-256. A pairing code has eight digits, is valid
for minutes, and a few wrong attempts end it.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from edge.errors import TruelightError
from edge.language import _

FILE: Final = "web.sqlite"
CODE_SECONDS: Final = 300.0
CODE_ATTEMPTS: Final = 5
MOST_FAILURES: Final = 20
"""Wrong codes within `FAILURE_SECONDS`; then no code is taken until some are older."""
FAILURE_SECONDS: Final = 3600.0
BETWEEN_CODES: Final = 10.0
"""Seconds before another code may be asked for."""
ROTATE_SECONDS: Final = 24 * 3600.0
GRACE_SECONDS: Final = 60.0
"""For this long the secret before is taken as well: pages have several requests under way."""
IDLE_SECONDS: Final = 180 * 24 * 3600.0
"""A device that was not seen for so long must be paired again."""
TOKEN_PREFIX: Final = "tl_"
MOST_DEVICES: Final = 200

_TABLES = """
CREATE TABLE IF NOT EXISTS devices (
    id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, name TEXT NOT NULL,
    created REAL NOT NULL, seen REAL NOT NULL, rotated REAL NOT NULL,
    secret BLOB NOT NULL UNIQUE, former BLOB
);
CREATE TABLE IF NOT EXISTS codes (
    hash BLOB NOT NULL, salt BLOB NOT NULL, created REAL NOT NULL, attempts INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS failures (at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS answers (
    device INTEGER NOT NULL REFERENCES devices ON DELETE CASCADE, key TEXT NOT NULL,
    digest BLOB NOT NULL, scan TEXT NOT NULL, at REAL NOT NULL, PRIMARY KEY (device, key)
);
"""

Kind = Literal["browser", "token"]


class PairingError(TruelightError):
    """A code was not taken, or none is given at present."""


@dataclass(frozen=True)
class Device:
    """A browser that was paired, or a token for a program. Times in seconds since 1970."""

    id: int
    kind: Kind
    name: str
    created: float
    seen: float


class Devices:
    """The devices in a folder. Any thread; several programs may use it."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        """Open the file, or make it for this user alone. Raises OSError, sqlite3.Error."""
        file = folder / FILE
        os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600))
        self._clock = clock
        self._database = sqlite3.connect(
            file, timeout=10.0, isolation_level=None, check_same_thread=False
        )
        for pragma in ("journal_mode = WAL", "foreign_keys = ON", "secure_delete = ON"):
            self._database.execute(f"PRAGMA {pragma}")
        self._database.executescript(_TABLES)

    def close(self) -> None:
        """Close the file. May be called again."""
        self._database.close()

    # ---- Pairing

    def new_code(self) -> str:
        """A code, as in "2718 2818", which replaces the one before.

        Raises PairingError: one was asked for a moment ago, or too many were wrong.
        """
        now = self._clock()
        self._refuse_after_failures(now)
        last = self._database.execute("SELECT max(created) FROM codes").fetchone()[0]
        if last is not None and 0 <= now - last < BETWEEN_CODES:
            raise PairingError(_("A code was given a moment ago."), _("Use that one."))
        code = f"{secrets.randbelow(10**8):08}"
        salt = secrets.token_bytes(16)
        self._database.execute("DELETE FROM codes")
        values = (_code_hash(code, salt), salt, now, CODE_ATTEMPTS)
        self._database.execute("INSERT INTO codes VALUES (?, ?, ?, ?)", values)
        return f"{code[:4]} {code[4:]}"

    def pair(self, code: str, name: str) -> tuple[Device, str]:
        """Take a code, once: the new device and its secret.

        Raises PairingError: the code is wrong, too old or used; `remedy` says what to do.
        """
        now = self._clock()
        self._refuse_after_failures(now)
        digits = "".join(filter(str.isdigit, code))
        row = self._database.execute(
            "UPDATE codes SET attempts = attempts - 1 WHERE attempts > 0 AND created > ? "
            "RETURNING hash, salt",
            (now - CODE_SECONDS,),
        ).fetchone()
        if row is None:
            message = _("There is no code at present, or it is used up.")
            raise PairingError(message, _("Ask for a new one."))
        if not hmac.compare_digest(row[0], _code_hash(digits, row[1])):
            self._database.execute("INSERT INTO failures VALUES (?)", (now,))
            raise PairingError(_("This is not the code."), _("Compare it, then try again."))
        self._database.execute("DELETE FROM codes")
        return self.add("browser", name)

    def _refuse_after_failures(self, now: float) -> None:
        self._database.execute("DELETE FROM failures WHERE at < ?", (now - FAILURE_SECONDS,))
        if self._database.execute("SELECT count(*) FROM failures").fetchone()[0] >= MOST_FAILURES:
            message = _("Too many wrong codes were tried.")
            raise PairingError(message, _("Try again in an hour."))

    # ---- Devices

    def add(self, kind: Kind, name: str) -> tuple[Device, str]:
        """A new device or token, and its secret, which is not kept. Raises PairingError."""
        if len(self.all()) >= MOST_DEVICES:
            raise PairingError(_("Too many devices are paired."), _("Remove some of them."))
        now, secret = self._clock(), _new_secret(kind)
        row = self._database.execute(
            "INSERT INTO devices (kind, name, created, seen, rotated, secret) "
            "VALUES (?, ?, ?, ?, ?, ?) RETURNING id",
            (kind, name[:100] or _("A device"), now, now, now, _hash(secret)),
        ).fetchone()
        return Device(row[0], kind, name, now, now), secret

    def known(self, secret: str, kind: Kind) -> tuple[Device, str | None] | None:
        """The device with this secret, and its next secret if it is time for another.

        None if there is none, or it was not seen for long.
        """
        now, hashed = self._clock(), _hash(secret)
        row = self._database.execute(
            "SELECT id, kind, name, created, seen, rotated, secret FROM devices "
            "WHERE (secret = ? OR (former = ? AND rotated > ?)) AND kind = ? AND seen > ?",
            (hashed, hashed, now - GRACE_SECONDS, kind, now - IDLE_SECONDS),
        ).fetchone()
        if row is None:
            return None
        device = Device(*row[:5])
        if now - device.seen > GRACE_SECONDS:
            self._database.execute("UPDATE devices SET seen = ? WHERE id = ?", (now, device.id))
        if kind == "token" or row[6] != hashed or now - row[5] < ROTATE_SECONDS:
            return device, None
        renewed = _new_secret(kind)
        self._database.execute(
            "UPDATE devices SET secret = ?, former = ?, rotated = ? WHERE id = ?",
            (_hash(renewed), hashed, now, device.id),
        )
        return device, renewed

    def all(self) -> list[Device]:
        """All devices and tokens, the one seen last first."""
        query = "SELECT id, kind, name, created, seen FROM devices ORDER BY seen DESC, id DESC"
        return [Device(*row) for row in self._database.execute(query)]

    def remove(self, device: int) -> bool:
        """Remove a device or token: its secret is worth nothing from now on."""
        query = "DELETE FROM devices WHERE id = ? RETURNING id"
        return bool(self._database.execute(query, (device,)).fetchall())

    # ---- Idempotency keys

    def remember(self, device: Device, key: str, digest: bytes, scan: str) -> None:
        """Keep the scan that a request with this key made."""
        now = self._clock()
        self._database.execute("DELETE FROM answers WHERE at < ?", (now - 24 * 3600,))
        values = (device.id, key, digest, scan, now)
        self._database.execute("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?)", values)

    def remembered(self, device: Device, key: str) -> tuple[bytes, str] | None:
        """The digest of the request with this key, and the scan that it made."""
        query = "SELECT digest, scan FROM answers WHERE device = ? AND key = ?"
        row = self._database.execute(query, (device.id, key)).fetchone()
        return (row[0], row[1]) if row else None


def _new_secret(kind: Kind) -> str:
    return (TOKEN_PREFIX if kind == "token" else "") + secrets.token_urlsafe(32)


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()


def _code_hash(digits: str, salt: bytes) -> bytes:
    return hashlib.scrypt(digits.encode(), salt=salt, n=2**12, r=8, p=1)
