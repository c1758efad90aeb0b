"""What is loaded, in which order. Each section looks up what is there and plans only what is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from marketplace.seeding import channels, goods, reference
from marketplace.seeding.reading import Act


@dataclass(frozen=True)
class Section:
    """A part of the seed. `plan` reads the tables, so it is called when the sections before it are loaded.

    `real` marks what has a source and holds in production too: it names no synthetic organisation or person.
    """

    name: str
    plan: Callable[[], list[Act]]
    real: bool = False


SECTIONS = (
    Section("regions", reference.regions, real=True),
    Section("townships", reference.townships, real=True),
    Section("organisations", reference.organisations),
    Section("canteens", reference.canteens),
    Section("payer profiles", reference.payer_profiles),
    Section("bank accounts", reference.bank_accounts),
    Section("policies", reference.rule_versions, real=True),
    Section("eligible counties", reference.eligibilities, real=True),
    Section("categories", reference.categories, real=True),
    Section("public price list", reference.public_prices, real=True),
    Section("demo accounts", reference.users),
    Section("products", goods.products),
    Section("submissions", goods.submissions),
    Section("recognitions", goods.recognitions),
    Section("growers", goods.growers),
    Section("lots", goods.lots),
    Section("certificate files", goods.certificate_files),
    Section("certificates", goods.certificates),
    Section("inspections", goods.inspections),
    Section("releases", goods.releases),
    Section("holds", goods.holds),
    Section("channel pairs", channels.pairs),
    Section("channel price lists", channels.price_lists),
    Section("channel agreements", channels.terms),
    Section("channel prices", channels.channel_prices),
    Section("channel assortments", channels.assortments),
)


def missing(real_only: bool = False) -> Iterator[tuple[str, list[Act]]]:
    """Each section's name and the acts that it still lacks; run them before asking for the next."""
    for section in SECTIONS:
        if section.real or not real_only:
            yield section.name, section.plan()
