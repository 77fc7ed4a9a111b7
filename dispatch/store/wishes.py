"""The count of wishes for a tick, by which a round that was under way learns that it has to look again."""

from dispatch.store.written import written

COUNT_WISH = written("UPDATE ticker SET wanted = wanted + 1")
