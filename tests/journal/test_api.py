"""The journal over HTTP, as a seller, the poverty office and a stranger see it."""

import pytest

from marketplace.database import db
from marketplace.journal.checkpoints import make_key, open_note
from marketplace.journal.merkle import leaf_hash, verify_consistency, verify_inclusion
from marketplace.journal.sealing import Notary, seal_pending
from tests.accounts.making import PASSWORD, organisation, regions, user

from .facts import record

SIGNER, VKEY = make_key("pingliang.example")
CANARY = "canary-7f3a"


class Journal:
    """Three orders of one seller, one of another, and two checkpoints."""

    def __init__(self, app) -> None:
        self.client = app.test_client()
        self.headers = {}
        with app.app_context():
            regions()
            mine, other = organisation("coop-a", name="甲合作社"), organisation("coop-b", name="乙合作社")
            office = organisation("office", "office", name="扶贫办")
            user("seller.a", mine)
            user("office.reader", office, "poverty_office")
            db.session.remove()
            notary = Notary(SIGNER)
            self.subjects = [record("order.cancel_asked", mine, number=f"CG-{n}") for n in range(3)]
            seal_pending()
            notary.make_checkpoint()
            record("order.cancel_asked", other, number=CANARY)
            seal_pending()
            notary.make_checkpoint()

    def get(self, path: str, username: str | None = None):
        if username is not None and username not in self.headers:
            answer = self.client.post("/api/v1/tokens", json={"username": username, "password": PASSWORD})
            assert answer.status_code == 201, answer.get_data(as_text=True)
            self.headers[username] = {"Authorization": f"Bearer {answer.get_json()['token']}"}
        return self.client.get(f"/api/v1{path}", headers=self.headers.get(username))

    def orders(self, username: str) -> list[dict]:
        after, found = 0, []
        while after is not None:
            page = self.get(f"/events?after={after}&limit=2", username).get_json()
            found += page["items"]
            after = page["next"]
        return [each for each in found if each["kind"] == "order.cancel_asked"]


@pytest.fixture(scope="module")
def journal(empty_app):
    return Journal(empty_app)


def test_the_feed_pages_in_order_and_shows_nothing_of_others(journal):
    found = journal.orders("seller.a")

    assert [each["subject"]["id"] for each in found] == [str(each) for each in journal.subjects]
    assert CANARY not in str(found)


def test_the_poverty_office_sees_the_orders_of_all_sellers(journal):
    assert [each["data"]["number"] for each in journal.orders("office.reader")] == [
        "CG-0",
        "CG-1",
        "CG-2",
        CANARY,
    ]


def test_a_stranger_is_asked_to_sign_in(journal):
    assert journal.get("/events").status_code == 401
    assert journal.get("/events/1/proof").status_code == 401


def test_a_proof_over_http_verifies_with_nothing_but_its_own_content(journal):
    seq = journal.orders("seller.a")[0]["seq"]

    proof = journal.get(f"/events/{seq}/proof", "seller.a").get_json()

    signed = open_note(proof["checkpoint"], VKEY)
    path = [bytes.fromhex(each) for each in proof["path"]]
    assert verify_inclusion(leaf_hash(seq, proof["text"]), seq - 1, signed.size, path, signed.root)


def test_a_proof_under_an_earlier_checkpoint_can_be_asked_for(journal):
    seq = journal.orders("seller.a")[0]["seq"]
    older = journal.get("/checkpoints").get_json()["items"][-1]

    proof = journal.get(f"/events/{seq}/proof?size={older['tree_size']}", "seller.a").get_json()

    assert (proof["tree_size"], proof["root"]) == (older["tree_size"], older["root"])


def test_the_proof_of_anothers_fact_answers_as_an_absent_one(journal):
    seq = journal.orders("office.reader")[-1]["seq"]

    hidden = journal.get(f"/events/{seq}/proof", "seller.a")
    absent = journal.get("/events/999999/proof", "seller.a")

    assert (hidden.status_code, absent.status_code) == (404, 404)
    assert CANARY not in hidden.get_data(as_text=True)


def test_anybody_reads_checkpoints_and_that_they_are_consistent(journal):
    newer, older = journal.get("/checkpoints").get_json()["items"]

    proof = journal.get(f"/checkpoints/{newer['tree_size']}/consistency?from={older['tree_size']}").get_json()

    new, old = open_note(newer["note"], VKEY), open_note(older["note"], VKEY)
    path = [bytes.fromhex(each) for each in proof["path"]]
    assert verify_consistency(old.size, new.size, old.root, new.root, path)


def test_checkpoints_are_paged_newest_first(journal):
    first = journal.get("/checkpoints?limit=1").get_json()
    second = journal.get(f"/checkpoints?limit=1&after={first['next']}").get_json()

    assert first["items"][0]["tree_size"] > second["items"][0]["tree_size"]
    assert second["next"] is None


@pytest.mark.parametrize(
    "query", ["after=-1", "after=x", "limit=0", "limit=101", "after=9223372036854775808"]
)
def test_a_malformed_question_is_refused(journal, query):
    assert journal.get(f"/events?{query}", "office.reader").status_code == 422
