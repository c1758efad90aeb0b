"""Posts to an address that a stranger chose, without becoming the stranger's way into our own network.

https and few ports; every address that the name has must be a public one; the connection goes to the very address
that was checked, so that a name that changes between check and use gains nothing; redirects are answers like any
other; the whole try is over after five seconds; at most 64 KiB of the answer are read and nothing of it is kept.
"""

from __future__ import annotations

import http.client
import io
import ipaddress
import re
import socket
import ssl
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotInTime
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

PORTS = frozenset({443, 8443})
WHOLE_SECONDS = 5.0
LOOK_SECONDS = 2.0  # for a name that is only registered
MOST_BYTES = 64 * 1024
_HOST = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,62})(\.[a-z0-9][a-z0-9-]{0,62})*")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
# A look-up has no time limit of its own; one that hangs keeps its thread and nothing else.
_lookups = ThreadPoolExecutor(16, thread_name_prefix="webhook-lookup")


class Unsafe(Exception):
    """The address may not be called. `reason` is a word for the delivery log."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Target:
    scheme: str
    host: str
    port: int
    path: str


@dataclass(frozen=True)
class Outcome:
    """The status that came back, or the kind of failure; how long it took in milliseconds."""

    status: int | None
    failure: str | None
    took_ms: int


def read_address(url: str, *, local: bool = False) -> Target:
    """The parts of an address that may be called, whatever its name stands for. Raises Unsafe.

    `local` also takes http, every port and addresses of the own machine: for development, never in production.
    """
    if len(url) > 500 or not url.isascii() or re.search(r"[\s\\\x00-\x1f\x7f]", url):
        raise Unsafe("bad-url")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise Unsafe("bad-url") from None
    if parts.scheme != "https" and not (local and parts.scheme == "http"):
        raise Unsafe("not-https")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise Unsafe("bad-url")
    host = (parts.hostname or "").lower().rstrip(".")
    literal = is_literal(host)
    if not literal and (_HOST.fullmatch(host) is None or host.rpartition(".")[2].isdigit()):
        raise Unsafe("bad-host")
    port = port or (443 if parts.scheme == "https" else 80)
    if not local:
        if port not in PORTS:
            raise Unsafe("port")
        if literal and not is_public(host):
            raise Unsafe("private-address")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, host, port, path)


def is_literal(host: str) -> bool:
    """Whether a host is an IP address and no name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_public(address: str) -> bool:
    """Whether an IP address is one of the open internet; what hides another address inside counts as that one."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour or (found.teredo[1] if found.teredo else None)
        if inner is None and found in _NAT64:
            inner = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
        if found.is_site_local:
            return False
    return found.is_global and not found.is_multicast and not found.is_reserved and not found.is_unspecified


def resolve(target: Target, *, seconds: float, local: bool = False) -> str:
    """The address to connect to: the first of the name's, when all of them are public. Raises Unsafe, OSError."""
    asked = _lookups.submit(socket.getaddrinfo, target.host, target.port, type=socket.SOCK_STREAM)
    try:
        found = [str(entry[4][0]) for entry in asked.result(timeout=seconds)]
    except NotInTime:
        raise TimeoutError from None
    if not found:
        raise OSError("no address")
    if not local and not all(is_public(address) for address in found):
        raise Unsafe("private-address")
    return found[0]


def refuse_inner(url: str, *, local: bool = False) -> None:
    """Refuse an address that may not be called, or whose name leads inside as far as can be seen now. Raises Unsafe.

    A name that nothing is known of yet passes: every delivery looks again.
    """
    target = read_address(url, local=local)
    if local or is_literal(target.host):
        return
    try:
        resolve(target, seconds=LOOK_SECONDS)
    except OSError:
        return


def post(url: str, body: bytes, headers: Mapping[str, str], *, local: bool = False) -> Outcome:
    """One try. Never raises for what the other side does: the outcome says what happened."""
    began = time.monotonic()

    def outcome(status: int | None, failure: str | None) -> Outcome:
        return Outcome(status, failure, round((time.monotonic() - began) * 1000))

    try:
        target = read_address(url, local=local)
        address = resolve(target, seconds=WHOLE_SECONDS, local=local)
        return outcome(_exchange(target, address, body, headers, began + WHOLE_SECONDS), None)
    except Unsafe as unsafe:
        return outcome(None, unsafe.reason)
    except TimeoutError:
        return outcome(None, "timeout")
    except ssl.SSLError:
        return outcome(None, "tls")
    except (OSError, http.client.HTTPException, UnicodeError):
        return outcome(None, "connection")


def _exchange(target: Target, address: str, body: bytes, headers: Mapping[str, str], until: float) -> int:
    connection = http.client.HTTPConnection(target.host, target.port)
    raw = socket.create_connection((address, target.port), timeout=_left(until))
    try:
        if target.scheme == "https":
            raw.settimeout(_left(until))
            raw = ssl.create_default_context().wrap_socket(raw, server_hostname=target.host)
        connection.sock = _Bounded(raw, until)
        connection.request("POST", target.path, body, {"User-Agent": "pingliang-webhooks/1", **headers})
        answer = connection.getresponse()
        read = 0
        while read < MOST_BYTES:
            part = answer.read1(min(8192, MOST_BYTES - read))
            if not part:
                break
            read += len(part)
        return answer.status
    finally:
        raw.close()


def _left(until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


class _Bounded:
    """A socket whose reads and writes share one end: a receiver that sends a byte a second is cut off, too."""

    def __init__(self, raw: socket.socket, until: float) -> None:
        self._raw, self._until = raw, until

    def sendall(self, data: bytes) -> None:
        self._raw.settimeout(_left(self._until))
        self._raw.sendall(data)

    def recv_into(self, buffer: memoryview) -> int:
        self._raw.settimeout(_left(self._until))
        return self._raw.recv_into(buffer)

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Incoming(self))

    def close(self) -> None:
        self._raw.close()


class _Incoming(io.RawIOBase):
    def __init__(self, bounded: _Bounded) -> None:
        self._bounded = bounded

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._bounded.recv_into(memoryview(buffer))
