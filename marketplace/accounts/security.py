"""Passwords, tokens and field encryption: what is kept can't be turned back into what was given."""

from __future__ import annotations

import base64
import hashlib
import secrets
from uuid import UUID

import pyotp
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

# OWASP Password Storage Cheat Sheet: argon2id with at least 19 MiB, two passes, one lane.
_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
# Verified for unknown users, so that they take as long as known ones.
_NOBODY = _hasher.hash(secrets.token_urlsafe(32))

RECOVERY_CODES = 10


def hash_password(password: str) -> str:
    return _hasher.hash(password)


def password_matches(password_hash: str | None, password: str) -> bool:
    """Compare in the same time whether the user exists (`password_hash` given) or not."""
    try:
        _hasher.verify(password_hash or _NOBODY, password)
    except (VerifyMismatchError, InvalidHashError):
        return False
    return password_hash is not None


def needs_rehash(password_hash: str) -> bool:
    return _hasher.check_needs_rehash(password_hash)


def new_secret() -> str:
    """A bearer secret of 256 random bits."""
    return secrets.token_urlsafe(32)


def digest(secret: str) -> bytes:
    """What is stored of a random secret. A plain SHA-256 is enough: the secret cannot be guessed."""
    return hashlib.sha256(secret.encode()).digest()


def _typeable() -> str:
    """80 random bits in groups that can be typed from paper."""
    code = base64.b32encode(secrets.token_bytes(10)).decode().lower()
    return "-".join(code[i : i + 4] for i in range(0, 16, 4))


def new_recovery_codes() -> list[str]:
    return [_typeable() for _ in range(RECOVERY_CODES)]


def new_password() -> str:
    """An initial password, shown once and changed at the first sign-in."""
    return _typeable()


def recovery_digest(code: str) -> bytes:
    return digest(code.strip().lower().replace("-", "").replace(" ", ""))


def _cipher(field_key: str, user_id: UUID) -> Fernet:
    # The user stands in the derivation: a secret copied to another row does not open there.
    derived = HKDF(SHA256(), 32, salt=None, info=b"marketplace second factor" + user_id.bytes)
    return Fernet(base64.urlsafe_b64encode(derived.derive(field_key.encode())))


def encrypt_totp(field_key: str, user_id: UUID, secret: str) -> bytes:
    return _cipher(field_key, user_id).encrypt(secret.encode())


def decrypt_totp(field_key: str, user_id: UUID, stored: bytes) -> str:
    return _cipher(field_key, user_id).decrypt(stored).decode()


def new_totp_secret() -> str:
    return str(pyotp.random_base32())


def totp_code(secret: str, step: int) -> str:
    return str(pyotp.HOTP(secret).at(step))


def totp_uri(secret: str, username: str, issuer: str) -> str:
    """The otpauth:// address that authenticator apps read from a QR code."""
    return str(pyotp.TOTP(secret).provisioning_uri(name=username, issuer_name=issuer))
