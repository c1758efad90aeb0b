"""Signatures of webhooks: a receiver knows that an event is ours, whole and fresh. Pure.

The form is that of Standard Webhooks 1.0, so that ready-made verifiers work: HMAC-SHA-256 over
`<webhook-id>.<webhook-timestamp>.<body>`, `v1,<base64>`, several parted by spaces while a secret is being changed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping, Sequence

TOLERANCE_SECONDS = 300
_SECRET = re.compile(r"whsec_[A-Za-z0-9+/]{43}=")
_ID, _TIME, _SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"


class BadSignature(Exception):
    """The message is not ours, was changed on the way, or is too old to be the first of its kind."""


def make_secret() -> str:
    """A fresh secret of 256 bits: `whsec_<base64>`."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode("ascii")


def is_secret(text: str) -> bool:
    return _SECRET.fullmatch(text) is not None


def signed_headers(event_id: str, at: int, body: bytes, given: Sequence[str]) -> dict[str, str]:
    """Headers of one try; `at` in seconds of the epoch, a signature for each secret of `given`."""
    return {
        _ID: event_id,
        _TIME: str(at),
        _SIGNATURE: " ".join(f"v1,{_digest(event_id, str(at), body, secret)}" for secret in given),
    }


def verify(headers: Mapping[str, str], body: bytes, known: Sequence[str], *, at: int) -> str:
    """The event's id, when one of the signatures was made with one of the `known` secrets within 300 s of `at`.

    `body` is the raw bytes as they came. A receiver keeps the id and takes an event of the same id once only.
    Raises BadSignature.
    """
    lower = {name.lower(): value for name, value in headers.items()}
    try:
        event_id, stamp, signatures = lower[_ID], lower[_TIME], lower[_SIGNATURE]
    except KeyError as missing:
        raise BadSignature(f"no {missing.args[0]}") from None
    if re.fullmatch(r"[0-9]{1,12}", stamp) is None or abs(int(stamp) - at) > TOLERANCE_SECONDS:
        raise BadSignature("too old or from the future")
    offered = [part[3:] for part in signatures.split(" ") if part.startswith("v1,")]
    # Every pair is compared, so that the time taken tells nothing about which one is right.
    found = [
        hmac.compare_digest(_digest(event_id, stamp, body, secret).encode(), each.encode())
        for secret in known
        for each in offered
    ]
    if not any(found):
        raise BadSignature("no signature matches")
    return event_id


def _digest(event_id: str, stamp: str, body: bytes, secret: str) -> str:
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        raise BadSignature("a secret is not base64") from None
    text = f"{event_id}.{stamp}.".encode() + body
    return base64.b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode("ascii")
