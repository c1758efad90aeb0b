"""Taking in documents: two phases, scope, folder and bucket."""

from __future__ import annotations

import hashlib
import json
import socket
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import boto3
import pytest
import sqlalchemy as sa
import time_machine
from flask import Flask
from moto.server import ThreadedMotoServer

from marketplace.actors import Role
from marketplace.clock import now
from marketplace.database import db
from marketplace.documents import queries, service, storage
from marketplace.documents.bucket import BucketStore
from marketplace.documents.models import Document, DocumentUpload
from marketplace.documents.rules import FileRefused
from marketplace.errors import Forbidden, NotFound, Unauthenticated, UpstreamFailure
from marketplace.unit_of_work import Answer, InFlight, KeyReused, Once, Replayed, transaction
from tests.accounts import making
from tests.accounts.making import SYSTEM, actor
from tests.documents.files import PDF, png


@pytest.fixture(scope="module")
def base(empty_app: Flask) -> Iterator[dict]:
    with empty_app.app_context():
        making.regions()
        found = {}
        for name, kind, role in [
            ("coop", "seller", Role.SELLER),
            ("other", "seller", Role.SELLER),
            ("school", "agency", Role.BUYER),
            ("office", "office", Role.MARKET_REGULATOR),
        ]:
            organisation = making.organisation(name.upper(), kind)
            person = making.user(f"{name}.person", organisation, role.value)
            found[name] = actor(person, organisation, role, kind)
        yield found


@pytest.fixture
def folder(tmp_path) -> storage.FolderStore:
    return storage.FolderStore(tmp_path / "files")


def hand_in(who, store, content: bytes = PDF, once: Once | None = None, kind: str = "certificate"):
    return service.store_document(
        who, kind=kind, filename="合格证.pdf", content=content, store=store, once=once or Once()
    ).result


def count(table) -> int:
    with db.engine.connect() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()


def render(result) -> Answer:
    return Answer(201, str(result["id"]).encode())


def test_a_document_is_stored_with_its_fact_and_read_back(base, folder):
    result = hand_in(base["coop"], folder)

    with db.session() as session:
        row = queries.readable_document(session, base["coop"], result["id"])
    assert service.content_of(row, store=folder) == PDF
    assert (row.content_type, row.size, row.sha256) == (
        "application/pdf",
        len(PDF),
        hashlib.sha256(PDF).hexdigest(),
    )
    with db.engine.connect() as connection:
        body = connection.execute(
            sa.text("select body from fact where subject_id = :id"), {"id": result["id"]}
        ).scalar_one()
    assert json.loads(body)["data"] == {
        "organisation": str(base["coop"].organisation_id),
        "kind": "certificate",
        "sha256": hashlib.sha256(PDF).hexdigest(),
        "size": len(PDF),
        "content_type": "application/pdf",
    }


def test_a_refused_file_leaves_nothing_behind(base, folder, tmp_path):
    before = count(Document), count(DocumentUpload)

    with pytest.raises(FileRefused):
        hand_in(base["coop"], folder, b"<html>")

    assert (count(Document), count(DocumentUpload)) == before
    assert not (tmp_path / "files").exists()


def test_nobody_hands_in_nothing(base, folder):
    from marketplace.actors import anonymous

    with pytest.raises(Unauthenticated):
        hand_in(anonymous(), folder)


def test_a_document_is_read_by_its_owner_the_offices_and_those_let_in(base, folder):
    coop, other, school, office = (base[n] for n in ("coop", "other", "school", "office"))
    document = hand_in(coop, folder)["id"]

    city = replace(office, region_code="620800")
    county = replace(office, subordinate_ids=frozenset({coop.organisation_id}))
    assert (city.of_county, county.of_county) == (False, True)

    with db.session() as session:
        for reader in (city, county):
            assert queries.readable_document(session, reader, document).id == document
        for stranger in (other, school, replace(county, subordinate_ids=frozenset())):
            with pytest.raises(NotFound):
                queries.readable_document(session, stranger, document)
    from marketplace.actors import Permission

    for _ in range(2):
        with transaction(SYSTEM, Permission.SYSTEM) as tx:
            service.let_read(tx, document, [school.organisation_id, None, school.organisation_id])
            tx.record("document.stored", "document", document)

    with db.session() as session:
        assert queries.readable_document(session, school, document).id == document
        with pytest.raises(NotFound):
            queries.readable_document(session, other, document)


def test_a_role_without_the_permission_reads_nothing(base, folder):
    document = hand_in(base["coop"], folder)["id"]

    with db.session() as session, pytest.raises(Forbidden):
        queries.readable_document(session, replace(base["coop"], permissions=frozenset({"x"})), document)


def test_a_repeat_with_the_same_key_stores_once(base, folder):
    once = Once(render, "key-1", b"same")
    first = hand_in(base["coop"], folder, once=once)
    before = count(Document), count(DocumentUpload)

    with pytest.raises(Replayed) as replayed:
        hand_in(base["coop"], folder, once=once)

    assert replayed.value.answer.body == str(first["id"]).encode()
    assert (count(Document), count(DocumentUpload)) == before


def test_another_file_with_the_same_key_is_refused_and_the_first_stays(base, folder):
    first = hand_in(base["coop"], folder, once=Once(render, "key-2", b"one"))

    with pytest.raises(KeyReused):
        hand_in(base["coop"], folder, png(), once=Once(render, "key-2", b"two"))

    with db.session() as session:
        row = queries.readable_document(session, base["coop"], first["id"])
    assert service.content_of(row, store=folder) == PDF


def test_a_store_that_fails_leaves_an_intent_that_a_repeat_resumes(base, folder, tmp_path):
    (tmp_path / "blocked").write_text("a file where the folder should be")
    broken = storage.FolderStore(tmp_path / "blocked")
    once = Once(render, "key-3", b"same")
    before = count(Document)

    with pytest.raises(UpstreamFailure) as refused:
        hand_in(base["coop"], broken, once=once)
    assert refused.value.code == "store-unavailable"
    assert count(Document) == before
    with db.engine.connect() as connection:
        intent = connection.execute(
            sa.select(DocumentUpload.document_id, DocumentUpload.finished_at).where(
                DocumentUpload.key == "key-3"
            )
        ).one()
    assert intent.finished_at is None

    assert hand_in(base["coop"], folder, once=once)["id"] == intent.document_id
    assert count(Document) == before + 1


def test_who_sends_a_file_that_another_call_is_finishing_is_told_so_at_once(base, folder):
    once, stored = Once(key="at-once", fingerprint=b"first"), count(Document)
    hand_in(base["coop"], folder, once=once)
    finishing = sa.update(DocumentUpload).where(DocumentUpload.key == "at-once").values(finished_at=now())

    with db.engine.begin() as other:
        other.execute(finishing)
        with pytest.raises(InFlight):
            hand_in(base["coop"], folder, once=once)

    assert count(Document) == stored + 1


def test_bytes_that_no_document_names_are_removed_after_a_day(base, folder, tmp_path):
    with time_machine.travel(now() + timedelta(hours=25), tick=True):
        service.remove_abandoned(store=folder)
    kept = hand_in(base["coop"], folder)
    _, key = service._begin(base["coop"], Once(), "0" * 64, ".pdf")
    folder.put(key, b"x", "application/pdf")

    assert service.remove_abandoned(store=folder) == 0
    with time_machine.travel(now() + timedelta(hours=25), tick=True):
        assert service.remove_abandoned(store=folder) == 1

    assert not (tmp_path / "files" / key).exists()
    with db.session() as session:
        assert service.content_of(queries.readable_document(session, base["coop"], kept["id"]), store=folder)


def test_changed_bytes_in_the_store_are_noticed(base, folder):
    result = hand_in(base["coop"], folder)
    with db.session() as session:
        row = queries.readable_document(session, base["coop"], result["id"])
    folder.put(row.storage_key, PDF + b" ", row.content_type)

    with pytest.raises(service.DocumentDamaged):
        service.content_of(row, store=folder)


@pytest.mark.parametrize(
    "key", ["../x", "documents/../../x", "/etc/passwd", "documents/a b", "documents", ""]
)
def test_a_folder_takes_no_key_that_we_did_not_make(folder, key):
    with pytest.raises(ValueError, match="not a storage key"):
        folder.put(key, b"x", "text/plain")


@pytest.fixture(scope="module")
def bucket(empty_app: Flask) -> Iterator:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    settings = replace(
        empty_app.config["SETTINGS"],
        s3_endpoint_url=f"http://{host}:{port}",
        s3_bucket="papers",
        s3_access_key="key",
        s3_secret_key="secret",
    )
    boto3.client(
        "s3",
        endpoint_url=settings.s3_endpoint_url,
        region_name="us-east-1",
        aws_access_key_id="key",
        aws_secret_access_key="secret",
    ).create_bucket(Bucket="papers")
    yield settings
    server.stop()


def test_a_bucket_stores_gives_back_and_removes(base, bucket):
    store = storage.store_of(bucket)
    assert isinstance(store, BucketStore)

    result = hand_in(base["coop"], store, png(), kind="photo")

    with db.session() as session:
        row = queries.readable_document(session, base["coop"], result["id"])
    assert service.content_of(row, store=store) == png()
    store.remove(row.storage_key)
    with pytest.raises(UpstreamFailure):
        service.content_of(row, store=store)


def test_a_bucket_that_does_not_answer_is_an_upstream_failure(base, bucket):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    store = BucketStore(replace(bucket, s3_endpoint_url=f"http://127.0.0.1:{port}"))
    before = count(Document)

    with pytest.raises(UpstreamFailure):
        hand_in(base["coop"], store)

    assert count(Document) == before


def test_a_missing_bucket_is_an_upstream_failure(base, bucket):
    store = BucketStore(replace(bucket, s3_bucket="absent"))

    with pytest.raises(UpstreamFailure):
        hand_in(base["coop"], store)


def test_the_settings_decide_between_folder_and_bucket(bucket, empty_app):
    assert isinstance(storage.store_of(empty_app.config["SETTINGS"]), storage.FolderStore)
    assert storage.store_of(bucket) is storage.store_of(replace(bucket))
