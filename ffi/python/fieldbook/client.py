"""The Fieldbook of a Python program: a context manager and an iterator of changes.

It adds seconds, iteration and clean-up, and decides nothing: every answer comes from the library.
"""

from __future__ import annotations

import collections
import threading
import time
from os import PathLike, fspath
from typing import Iterator

from ._generated import fieldbook as raw

#: As many changes as a reader can sensibly be behind; more and reading everything again is cheaper.
CHANGES_HELD = 256


class Client:
    """The one handle of a program, usable from any thread. A call after :meth:`close` raises ``FieldbookError.Closed``."""

    def __init__(self, handle: raw.Fieldbook) -> None:
        self._raw = handle

    @classmethod
    def open(cls, folder: str | PathLike[str], store_key: bytes) -> Client:
        """Opens or makes the store. The key has 32 bytes."""
        return cls(raw.Fieldbook.open(raw.Config(folder=fspath(folder), store_key=store_key)))

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def create_lead(self, customer: str) -> raw.LeadSummary:
        """Creates a lead; on disk when this returns."""
        return self._raw.create_lead(customer)

    def leads(self, query: str = "") -> list[raw.LeadSummary]:
        """The leads whose customer contains `query`; an empty query finds all."""
        return self._raw.leads(query)

    def sync_now(self, timeout: float = 30.0, cancel: raw.CancelToken | None = None) -> raw.SyncReport:
        """Exchanges edits with the server within `timeout` seconds.

        Raises ``FieldbookError.Offline`` after that time, ``FieldbookError.Cancelled`` when another thread cancels the
        token. Either way nothing is lost and the call may be repeated.
        """
        return self._raw.sync_now(_milliseconds(timeout), cancel)

    def changes(self) -> Changes:
        """What to read again, from now until :meth:`close`."""
        return Changes(self._raw)

    def close(self) -> None:
        """Ends everything and frees the store; safe to repeat."""
        self._raw.shutdown()


class Changes:
    """An iterator and context manager over one subscription.

    A reader that falls more than :data:`CHANGES_HELD` changes behind gets ``Change.EVERYTHING`` instead of what it
    missed. The iteration ends when the client or this object is closed.
    """

    def __init__(self, handle: raw.Fieldbook) -> None:
        self._relay = _Relay()
        self._subscription = handle.subscribe(self._relay)

    def __enter__(self) -> Changes:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[raw.Change]:
        return self

    def __next__(self) -> raw.Change:
        change = self._relay.take(None)
        if change is None:
            raise StopIteration
        return change

    def wait(self, timeout: float) -> raw.Change | None:
        """The next change, or None when the time (in seconds) is over or the iteration has ended."""
        return self._relay.take(timeout)

    def close(self) -> None:
        """Ends the subscription; safe to repeat."""
        self._subscription.cancel()
        self._relay.end()


class _Relay(raw.ChangeListener):
    """The listener: it hands over and returns, for it runs on a thread of the library."""

    def __init__(self) -> None:
        self._ready = threading.Condition()
        self._waiting: collections.deque[raw.Change] = collections.deque()
        self._missed = False
        self._ended = False

    def on_change(self, change: raw.Change) -> None:
        if change.is_closed():
            self.end()
            return
        with self._ready:
            if len(self._waiting) < CHANGES_HELD:
                self._waiting.append(change)
            else:
                self._missed = True
            self._ready.notify()

    def end(self) -> None:
        with self._ready:
            self._ended = True
            self._ready.notify_all()

    def take(self, timeout: float | None) -> raw.Change | None:
        until = None if timeout is None else time.monotonic() + timeout
        with self._ready:
            while not self._waiting and not self._ended:
                left = None if until is None else until - time.monotonic()
                if left is not None and left <= 0:
                    return None
                self._ready.wait(left)
            if self._missed:
                # The gap is told before the changes behind it: what is read from now on contains what was missed.
                self._missed = False
                return raw.Change.EVERYTHING()
            return self._waiting.popleft() if self._waiting else None


def _milliseconds(seconds: float) -> int:
    """The library counts milliseconds in 32 bits; a longer time becomes the longest one, 49 days."""
    return max(0, min(int(min(seconds, 4294967.0) * 1000), 0xFFFF_FFFF))
