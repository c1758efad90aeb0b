"""Everybody who may ask: a demo user of each role, their colleagues, offices of a county, and a stranger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from marketplace.actors import ROLE_PERMISSIONS, Permission, Role


@dataclass(frozen=True)
class Player:
    """`stands` says by tenant what this player is to it; tenants it has nothing to do with are not named."""

    name: str | None
    role: Role | None
    stands: Mapping[str, str] = field(default_factory=dict)
    # Tenants whose typed words this player must never read.
    blind_to: frozenset[str] = frozenset()

    @property
    def permissions(self) -> frozenset[Permission]:
        return frozenset() if self.role is None else ROLE_PERMISSIONS[self.role]

    def words(self, tag: str) -> set[str]:
        """All that this player is to the tenant `tag`."""
        role = self.role.value if self.role else "stranger"
        words = {"everybody", f"role:{role}"}
        stand = self.stands.get(tag)
        return words | {stand, f"{stand}:{role}"} if stand else words


def _blind(tags: str) -> frozenset[str]:
    return frozenset(tags)


_CITY = {"A": "office", "B": "office", "C": "office"}
# The county of the seller of A and C, which B has nothing to do with.
_JINGNING = {"A": "county", "C": "county", "B": "outside"}

PLAYERS = [
    Player("canteen.buyer", Role.BUYER, {"A": "buyer"}, _blind("BC")),
    Player("canteen.manager", Role.MANAGER, {"A": "manager"}, _blind("BC")),
    Player("education.manager", Role.MANAGER, {"A": "department", "C": "principal_department"}, _blind("B")),
    Player("coop.seller", Role.SELLER, {"A": "seller", "C": "seller"}, _blind("B")),
    Player("canteen2.buyer", Role.BUYER, {"B": "buyer"}, _blind("AC")),
    Player("canteen2.manager", Role.MANAGER, {"B": "manager"}, _blind("AC")),
    Player("coop2.seller", Role.SELLER, {"B": "seller"}, _blind("AC")),
    Player("contractor.buyer", Role.CONTRACTOR_BUYER, {"C": "buyer"}, _blind("AB")),
    Player("outsourced.manager", Role.MANAGER, {"C": "principal"}, _blind("AB")),
    Player("county.office", Role.POVERTY_OFFICE, _CITY),
    Player("finance.reviewer", Role.FINANCE_REVIEWER, _CITY),
    Player("settlement.clerk", Role.SETTLEMENT_CLERK, _CITY),
    Player("market.regulator", Role.MARKET_REGULATOR, _CITY),
    Player("platform.admin", Role.PLATFORM_ADMIN, _CITY),
    Player("jingning.office", Role.POVERTY_OFFICE, _JINGNING, _blind("B")),
    Player("jingning.finance", Role.FINANCE_REVIEWER, _JINGNING, _blind("B")),
    Player("jingning.clerk", Role.SETTLEMENT_CLERK, _JINGNING, _blind("B")),
    Player("jingning.regulator", Role.MARKET_REGULATOR, _JINGNING, _blind("B")),
    Player("tianjin.partner", Role.CHANNEL_PARTNER, {}, _blind("ABC")),
    Player(None, None, {}, _blind("ABC")),
]
