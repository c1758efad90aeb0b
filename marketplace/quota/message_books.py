"""Messages of the gateway that wait for a person, and what he decided, as sealed facts tell it.

A message that had its effect, or says nothing new, is told by the facts of its payment. This keeps the others: nobody
ends one, or hides that it waits, without a fact. Pure: `verify` compares the table with it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Text = dict[str, Any]


@dataclass
class MessageBooks:
    """`take` raises ValueError or KeyError for a fact that contradicts those before it."""

    # subject -> (state, reason)
    messages: dict[str, tuple[str, str]] = field(default_factory=dict)

    def take(self, text: Text) -> None:
        subject, data = text["subject"]["id"], text["data"]
        known = self.messages.get(subject)
        if text["kind"] == "gateway_event.set_aside":
            if known is not None:
                raise ValueError("it sets a message aside that waits already, or was ended for good")
            self.messages[subject] = ("quarantined", data["why"])
            return
        # Facts that are older than `set_aside` decide about messages that nothing had told of.
        if known not in (None, ("quarantined", data["why"])):
            raise ValueError("it decides about a message that does not wait, or for another cause")
        if data["outcome"] == "again":
            self.messages.pop(subject, None)
        else:
            self.messages[subject] = ("ignored", data["outcome"])
