"""What the declarations of an agency's reserve must be, in plain Python."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

LEAST_SHARE_BP = 1_000


class Refused(Exception):
    def __init__(self, slug: str) -> None:
        super().__init__(slug)
        self.slug = slug


def require(holds: bool, slug: str) -> None:
    if not holds:
        raise Refused(slug)


@dataclass
class Declaration:
    """One agency and year: its state, the reserve of each version in fen, and the version that figures use."""

    agency: str
    year: int
    id: UUID | None = None
    state: str = "none"
    reserves: list[int] = field(default_factory=list)
    approved: int | None = None

    def file(self, base_fen: int, share_bp: int) -> None:
        require(base_fen > 0 and share_bp >= LEAST_SHARE_BP, "invalid")
        require(self.state != "submitted", "wrong-state")
        self.state = "draft"
        whole, rest = divmod(base_fen * share_bp, 10_000)
        self.reserves.append(whole + (rest > 0))

    def decide(self, event: str) -> None:
        before, after = {
            "submit": (("draft", "withdrawn"), "submitted"),
            "withdraw": (("submitted",), "withdrawn"),
            "approve": (("submitted",), "approved"),
            "return": (("submitted",), "returned"),
        }[event]
        require(self.state in before, "wrong-state")
        self.state = after
        if event == "approve":
            self.approved = len(self.reserves)
