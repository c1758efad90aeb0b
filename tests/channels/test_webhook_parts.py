"""The parts of webhooks that need no database: signatures, waits, addresses, and receivers that mean harm."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.channels import addresses, backoff, signing
from marketplace.channels.addresses import Unsafe, is_public, post, read_address

SECRET, OTHER = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", signing.make_secret()
NOW = 1_764_000_000
BODY = '{"test":"平凉"}'.encode()
EVENT = "0192f0c4-0000-7000-8000-000000000001"


def test_a_signature_is_that_of_standard_webhooks() -> None:
    # Made with the reference library of the specification, standardwebhooks 1.0.
    assert signing.signed_headers(EVENT, NOW, BODY, [SECRET]) == {
        "webhook-id": EVENT,
        "webhook-timestamp": "1764000000",
        "webhook-signature": "v1,PpM3nT07YbPzrG2tgHWHFY3OQIS2g2iz6gH2+FCfWv0=",
    }


def test_both_secrets_are_good_while_one_is_being_changed() -> None:
    headers = signing.signed_headers(EVENT, NOW, BODY, [OTHER, SECRET])

    assert signing.verify(headers, BODY, [SECRET], at=NOW) == EVENT
    assert signing.verify(headers, BODY, [OTHER], at=NOW) == EVENT
    assert signing.verify({k.title(): v for k, v in headers.items()}, BODY, [OTHER], at=NOW + 300) == EVENT


@pytest.mark.parametrize(
    "change",
    [
        {"webhook-id": "another"},
        {"webhook-timestamp": "1764000001"},
        {"webhook-timestamp": "-1"},
        {"webhook-timestamp": "x"},
        {"webhook-signature": "v1,"},
        {"webhook-signature": "v2,PpM3nT07YbPzrG2tgHWHFY3OQIS2g2iz6gH2+FCfWv0="},
        {"webhook-signature": "v1,平凉"},
    ],
)
def test_a_changed_header_is_refused(change: dict[str, str]) -> None:
    headers = signing.signed_headers(EVENT, NOW, BODY, [SECRET]) | change
    with pytest.raises(signing.BadSignature):
        signing.verify(headers, BODY, [SECRET], at=NOW)


def test_a_changed_body_an_old_message_and_another_secret_are_refused() -> None:
    headers = signing.signed_headers(EVENT, NOW, BODY, [SECRET])
    for body, known, at in (
        (BODY + b" ", [SECRET], NOW), (BODY, [OTHER], NOW), (BODY, [], NOW),
        (BODY, [SECRET], NOW + 301), (BODY, [SECRET], NOW - 301),
    ):  # fmt: skip
        with pytest.raises(signing.BadSignature):
            signing.verify(headers, body, known, at=at)
    for name in headers:
        with pytest.raises(signing.BadSignature):
            signing.verify({k: v for k, v in headers.items() if k != name}, BODY, [SECRET], at=NOW)


@given(body=st.binary(max_size=200), place=st.integers(0, 199), flip=st.integers(1, 255))
def test_a_flipped_byte_is_found(body: bytes, place: int, flip: int) -> None:
    headers = signing.signed_headers(EVENT, NOW, body, [OTHER])
    assert signing.verify(headers, body, [OTHER], at=NOW) == EVENT
    if place < len(body):
        changed = body[:place] + bytes([body[place] ^ flip]) + body[place + 1 :]
        with pytest.raises(signing.BadSignature):
            signing.verify(headers, changed, [OTHER], at=NOW)


def test_secrets_are_long_and_never_the_same() -> None:
    made = {signing.make_secret() for _ in range(50)}
    assert len(made) == 50
    assert all(signing.is_secret(each) for each in made)
    assert not signing.is_secret("whsec_short")


def test_only_what_time_can_cure_is_tried_again() -> None:
    assert [s for s in range(100, 600) if backoff.retried(s)] == [408, 425, 429, *range(500, 600)]
    assert backoff.retried(None)
    assert [s for s in range(100, 600) if backoff.taken(s)] == list(range(200, 300))


@given(chances=st.lists(st.floats(0, 1), min_size=40, max_size=40))
def test_tries_grow_apart_and_end_within_three_days(chances: list[float]) -> None:
    began = at = datetime(2026, 11, 24, tzinfo=UTC)
    waits = []
    for attempts, chance in enumerate(chances, 1):
        following = backoff.next_try(status=503, attempts=attempts, tried_since=began, at=at, chance=chance)
        if following is None:
            break
        waits.append(following - at)
        at = following
    assert timedelta(days=2.8) < at - began <= timedelta(days=3)
    assert 27 <= len(waits) <= 37
    whole = [min(timedelta(seconds=10) * 2**n, timedelta(hours=4)) for n in range(len(waits))]
    assert all(w * 2 / 3 - timedelta(seconds=1) <= got <= w for w, got in zip(whole, waits, strict=True))


def test_a_refusal_is_final() -> None:
    at = datetime(2026, 11, 24, tzinfo=UTC)
    for status in (301, 302, 400, 401, 404, 410, 422):
        assert backoff.next_try(status=status, attempts=1, tried_since=at, at=at, chance=0.5) is None


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://partner.example/hook", "not-https"),
        ("ftp://partner.example/hook", "not-https"),
        ("https://user:pass@partner.example/", "bad-url"),
        ("https://partner.example/#part", "bad-url"),
        ("https://partner.example/a b", "bad-url"),
        ("https://partner.example\\@10.0.0.1/", "bad-url"),
        ("https://partner.example:99999/", "bad-url"),
        ("https://平凉.example/", "bad-url"),
        ("https://partner.example:22/", "port"),
        ("https://partner.example:80/", "port"),
        ("https:///hook", "bad-host"),
        ("https://-x.example/", "bad-host"),
        ("https://2130706433/", "bad-host"),
        ("https://0x7f.1/", "bad-host"),
        ("https://127.1/", "bad-host"),
        ("https://127.0.0.1/", "private-address"),
        ("https://10.1.2.3:8443/", "private-address"),
        ("https://169.254.169.254/latest/meta-data", "private-address"),
        ("https://[::1]/", "private-address"),
        ("https://[::ffff:10.0.0.1]/", "private-address"),
        ("https://[64:ff9b::a00:1]/", "private-address"),
        ("https://[fd00::1]/", "private-address"),
    ],
)
def test_an_unsafe_address_is_refused(url: str, reason: str) -> None:
    with pytest.raises(Unsafe) as refused:
        read_address(url)
    assert refused.value.reason == reason


def test_a_partners_address_is_read() -> None:
    target = read_address("https://Hooks.Partner.example:8443/in?shop=1")
    assert (target.host, target.port, target.path) == ("hooks.partner.example", 8443, "/in?shop=1")
    assert read_address("https://8.8.8.8/").port == 443


@given(st.ip_addresses(network="10.0.0.0/8") | st.ip_addresses(network="127.0.0.0/8")
       | st.ip_addresses(network="169.254.0.0/16") | st.ip_addresses(network="100.64.0.0/10")
       | st.ip_addresses(network="192.168.0.0/16") | st.ip_addresses(network="224.0.0.0/4")
       | st.ip_addresses(network="fe80::/10") | st.ip_addresses(network="fc00::/7")
       | st.ip_addresses(network="ff00::/8"))  # fmt: skip
def test_no_inner_address_is_public(address: object) -> None:
    assert not is_public(str(address))


def test_the_metadata_service_is_not_public_in_any_disguise() -> None:
    for text in ("169.254.169.254", "::ffff:169.254.169.254", "2002:a9fe:a9fe::", "64:ff9b::a9fe:a9fe", "0.0.0.0",
                 "::", "fe80::1%eth0", "nonsense"):  # fmt: skip
        assert not is_public(text), text
    assert is_public("8.8.8.8")
    assert is_public("2001:4860:4860::8888")


def test_a_name_that_leads_inside_is_not_called() -> None:
    assert post("https://localhost/", b"", {}).failure == "private-address"


@contextmanager
def receiver(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """A receiver on this machine that does `answer` with each connection; its address."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    try:
                        answer(connection)
                    except OSError:
                        continue

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/hook"
        listening.shutdown(socket.SHUT_RDWR)


def test_the_status_comes_back_and_the_body_went_out() -> None:
    got: list[bytes] = []

    def answer(connection: socket.socket) -> None:
        text = b""
        while not text.endswith(BODY):
            text += connection.recv(65536)
        got.append(text)
        connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    with receiver(answer) as url:
        outcome = post(url, BODY, {"webhook-id": EVENT}, local=True)

    assert (outcome.status, outcome.failure) == (204, None)
    assert got[0].startswith(b"POST /hook HTTP/1.1\r\nHost: 127.0.0.1:")
    assert b"webhook-id: " + EVENT.encode() in got[0]


def test_a_redirect_to_an_inner_address_is_not_followed() -> None:
    called: list[bool] = []

    def inner(connection: socket.socket) -> None:
        called.append(True)

    with receiver(inner) as inside:

        def away(connection: socket.socket) -> None:
            connection.recv(65536)
            connection.sendall(
                f"HTTP/1.1 302 Found\r\nLocation: {inside}\r\nContent-Length: 0\r\n\r\n".encode()
            )

        with receiver(away) as url:
            outcome = post(url, BODY, {}, local=True)

    assert outcome.status == 302
    assert called == []


def test_ten_megabytes_of_answer_are_not_read() -> None:
    sent: list[int] = []

    def flood(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n")
        for _ in range(160):
            connection.sendall(b"x" * 62_500)
            sent.append(62_500)

    with receiver(flood) as url:
        outcome = post(url, BODY, {}, local=True)

    assert outcome.status == 200
    assert outcome.took_ms < 5_000
    # What stands in the buffers of both sides was sent, the rest never.
    assert sum(sent) < 8_000_000


@pytest.mark.parametrize("drip", [False, True])
def test_a_receiver_that_hangs_is_left_after_five_seconds(drip: bool) -> None:
    def hang(connection: socket.socket) -> None:
        connection.recv(65536)
        for _ in range(300):
            time.sleep(0.1)
            if drip:
                connection.sendall(b"H")

    with receiver(hang) as url:
        began = time.monotonic()
        outcome = post(url, BODY, {}, local=True)

    assert (outcome.status, outcome.failure) == (None, "timeout")
    assert 4.5 < time.monotonic() - began < 20


def test_garbage_and_a_closed_door_are_failures_with_a_name() -> None:
    def garbage(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"hello\r\n\r\n")

    with receiver(garbage) as url:
        assert post(url, BODY, {}, local=True).failure == "connection"
    assert post(url, BODY, {}, local=True).failure == "connection"
    assert addresses.WHOLE_SECONDS == 5
