"""What was said, in memory. A real chat would keep it in its database, and let retention decide for how long."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

MAX_CHATS = 1_000
MAX_TURNS = 20
"""Messages of one chat that the model is reminded of."""

Turn = dict[str, str]


@dataclass
class Chats:
    """Chats by member and id; the one that was unused longest goes first."""

    _turns: OrderedDict[tuple[str, str], list[Turn]] = field(default_factory=OrderedDict)

    def turns(self, member: str, chat: str) -> list[Turn]:
        """What was said in a chat of a member, oldest first."""
        return list(self._turns.get((member, chat), ()))

    def add(self, member: str, chat: str, *turns: Turn) -> None:
        """Remember turns."""
        kept = self._turns.pop((member, chat), [])
        self._turns[member, chat] = [*kept, *turns][-MAX_TURNS:]
        if len(self._turns) > MAX_CHATS:
            self._turns.popitem(last=False)
