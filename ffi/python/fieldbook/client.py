"""The Fieldbook of a Python program: a context manager and an iterator of changes.

It adds seconds, iteration and clean-up, and decides nothing: every answer comes from the library.
"""

from __future__ import annotations

import collections
import threading
import time
from os import PathLike, fspath
from typing import Iterable, Iterator

from ._generated import fieldbook as raw

#: As many changes as a reader can sensibly be behind; more and reading everything again is cheaper.
CHANGES_HELD = 256


class Client:
    """The one handle of a program, usable from any thread.

    Calls block for a disk write at the longest, except those that take a ``timeout`` (in seconds). They raise
    ``FieldbookError``: decide by the variant or by ``code``, show ``text``, log ``detail``. A call after :meth:`close`
    raises ``FieldbookError.Closed``.
    """

    def __init__(self, handle: raw.Fieldbook) -> None:
        self._raw = handle

    @classmethod
    def open(
        cls,
        path: str | PathLike[str],
        store_key: bytes,
        *,
        agent: str = "",
        language: raw.Language = raw.Language.CHINESE,
        extra_roots_pem: str | None = None,
        allow_plain_http: bool = False,
    ) -> Client:
        """Opens or makes the store file at `path`. The key has 32 bytes; nothing on the disk is readable without it."""
        config = raw.Config(
            path=fspath(path),
            store_key=store_key,
            agent=agent,
            language=language,
            extra_roots_pem=extra_roots_pem,
            allow_plain_http=allow_plain_http,
        )
        return cls(raw.Fieldbook.open(config))

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends everything and frees the store; safe to repeat."""
        self._raw.shutdown()

    # The phone and its server.

    def enrol(
        self, invitation: str, device_name: str, timeout: float = 30.0, cancel: raw.CancelToken | None = None
    ) -> raw.Me:
        """Enrols this phone with the content of a QR code (``https://…/enrol#CODE``)."""
        return self._raw.enrol(invitation, device_name, _milliseconds(timeout), cancel)

    @property
    def me(self) -> raw.Me | None:
        """Who this phone is; None when it is not enrolled."""
        return self._raw.me()

    @property
    def status(self) -> raw.Status:
        """How things stand."""
        return self._raw.status()

    def sync_now(self, timeout: float = 30.0, cancel: raw.CancelToken | None = None) -> raw.SyncReport:
        """Sends everything up and takes everything down, once, within `timeout` seconds.

        Raises ``FieldbookError.Offline`` after that time, ``FieldbookError.Cancelled`` when another thread cancels the
        token. Either way nothing is lost and the call may be repeated.
        """
        return self._raw.sync_now(_milliseconds(timeout), cancel)

    def start_background(self) -> None:
        """Stays connected from now on, and comes back after a loss."""
        self._raw.start_background()

    def stop_background(self) -> None:
        """Ends the standing connection."""
        self._raw.stop_background()

    def set_network(self, network: raw.Network) -> None:
        """Tells what the system says of the network. Until then it counts as metered."""
        self._raw.set_network(network)

    def settle(self) -> None:
        """For a program that goes to the background: the store opens fast even after a kill."""
        self._raw.settle()

    def maintain(self) -> None:
        """Compacts the store when that is worth it. Other calls wait meanwhile."""
        self._raw.maintain()

    def leave(self, *, discard_unsent: bool = False) -> None:
        """Deletes everything here and forgets the enrolment."""
        self._raw.leave(discard_unsent)

    def handover(self, timeout: float = 30.0, cancel: raw.CancelToken | None = None) -> raw.Handover:
        """A one-time code for the user's next phone, and what this one has yet to send."""
        return self._raw.handover(_milliseconds(timeout), cancel)

    def phones(self, timeout: float = 30.0, cancel: raw.CancelToken | None = None) -> list[raw.Phone]:
        """The phones of this user."""
        return self._raw.phones(_milliseconds(timeout), cancel)

    def end_phone(
        self, device: str, *, stolen: bool = False, timeout: float = 30.0, cancel: raw.CancelToken | None = None
    ) -> None:
        """Ends another phone of this user; a stolen one is wiped and nothing that it sends is kept."""
        self._raw.end_phone(device, stolen, _milliseconds(timeout), cancel)

    def sentence(self, code: str) -> str:
        """The sentence for a code that came without an error."""
        return self._raw.sentence(code)

    def changes(self) -> Changes:
        """What to read again, from now until :meth:`close`."""
        return Changes(self._raw)

    # Leads.

    def create_lead(self, *, notes: str = "", contacts: Iterable[raw.Contact] = (), **fields: object) -> str:
        """Creates a lead; on disk when this returns its id. `customer_name`, `contact_phone` and `need` are mandatory.

        The other keywords are the fields of :class:`LeadFields`.
        """
        return self._raw.create_lead(
            raw.NewLead(fields=raw.LeadFields(**fields), notes=notes, contacts=list(contacts))
        )

    def edit_lead(self, lead: str, *, clear: Iterable[str] = (), **fields: object) -> None:
        """Writes the fields that are given and empties those named in `clear`."""
        self._raw.edit_lead(lead, raw.LeadFields(**fields), list(clear))

    def edit_notes(self, lead: str, base: str, text: str) -> None:
        """Brings in what the user typed: the editor opened with `base` and ended with `text`.

        What others typed meanwhile stays.
        """
        self._raw.edit_notes(lead, base, text)

    def delete_lead(self, lead: str) -> None:
        """Deletes a lead; it can be restored."""
        self._raw.delete_lead(lead)

    def restore_lead(self, lead: str) -> None:
        """Brings a deleted lead back."""
        self._raw.restore_lead(lead)

    def undo(self) -> raw.Undone:
        """Takes the last act of this phone back, as far as nobody has written over it or built on it since."""
        return self._raw.undo()

    def leads(
        self,
        text: str = "",
        *,
        offset: int = 0,
        limit: int = 50,
        only_conflicts: bool = False,
        deleted: bool = False,
    ) -> list[raw.LeadRow]:
        """A page of leads, the last changed first. `text` finds parts of names, pinyin initials and syllables.

        With `deleted` the leads that were deleted, which are in no other list.
        """
        return self._raw.leads(
            raw.LeadQuery(
                text=text, offset=offset, limit=limit, only_conflicts=only_conflicts, deleted=deleted
            )
        )

    def lead(self, lead: str) -> raw.LeadPage:
        """Everything of one lead."""
        return self._raw.lead(lead)

    def add_contact(self, lead: str, **fields: object) -> str:
        """Adds a contact; the keywords are the fields of :class:`Contact`."""
        return self._raw.add_contact(lead, raw.Contact(**fields))

    def edit_contact(self, lead: str, contact: str, **fields: object) -> None:
        """Writes the fields of a contact that are given."""
        self._raw.edit_contact(lead, contact, raw.Contact(**fields))

    def remove_contact(self, lead: str, contact: str) -> None:
        """Removes a contact."""
        self._raw.remove_contact(lead, contact)

    def add_todo(self, lead: str, title: str, due: str | None = None) -> str:
        """Adds a todo. `due` is an ISO day, or milliseconds since 1970 UTC as text."""
        return self._raw.add_todo(lead, title, due)

    def complete_todo(self, lead: str, todo: str, done: bool = True) -> None:
        """Marks a todo done, or open again."""
        self._raw.complete_todo(lead, todo, done)

    def remove_todo(self, lead: str, todo: str) -> None:
        """Removes a todo."""
        self._raw.remove_todo(lead, todo)

    def tag(self, lead: str, name: str, days: int | None = None) -> None:
        """Puts a tag on that counts for `days`; None: for ever."""
        self._raw.tag(lead, name, days)

    def untag(self, lead: str, name: str) -> None:
        """Takes a tag off."""
        self._raw.untag(lead, name)

    def tick(self, lead: str, row: str, confirmed: bool = True) -> None:
        """Ticks or unticks a row of the advancement table."""
        self._raw.tick(lead, row, confirmed)

    def answer(self, lead: str, row: str, answer: str) -> None:
        """Writes what was found out for a row of the advancement table."""
        self._raw.answer(lead, row, answer)

    # Accounts. Their contacts, tags and notes are written by the calls for those of a lead.

    def create_account(self, *, notes: str = "", contacts: Iterable[raw.Contact] = (), **fields: object) -> str:
        """Creates an account; the other keywords are the fields of :class:`AccountFields`. `name` is mandatory."""
        return self._raw.create_account(
            raw.NewAccount(fields=raw.AccountFields(**fields), notes=notes, contacts=list(contacts))
        )

    def edit_account(self, account: str, *, clear: Iterable[str] = (), **fields: object) -> None:
        """Writes the fields that are given and empties those named in `clear`."""
        self._raw.edit_account(account, raw.AccountFields(**fields), list(clear))

    def account(self, account: str) -> raw.AccountPage:
        """Everything of one account."""
        return self._raw.account(account)

    def accounts(self, text: str = "") -> list[raw.AccountRow]:
        """The accounts on this phone by name. `text` finds parts of names, pinyin initials and syllables."""
        return self._raw.accounts(text)

    # What happened, conflicts, evidence.

    def log_visit(self, lead: str, **fields: object) -> str:
        """Logs a visit; the keywords are the fields of :class:`Visit`."""
        return self._raw.log_visit(lead, raw.Visit(**fields))

    def log_touch(self, lead: str, touch: raw.Touch) -> str:
        """Logs a call, a message, a mail."""
        return self._raw.log_touch(lead, touch)

    def propose_stage(self, lead: str, to: str, *, evidence: Iterable[str] = (), note: str = "") -> str:
        """Proposes a stage; the server confirms it or rolls it back."""
        return self._raw.propose_stage(lead, raw.StageProposal(to=to, evidence=list(evidence), note=note))

    def retract(self, lead: str, entry: str) -> None:
        """Takes an entry of the timeline back."""
        self._raw.retract(lead, entry)

    def all_conflicts(self) -> list[raw.ConflictItem]:
        """Every conflict on this phone: of leads, their tables, calendars, accounts."""
        return self._raw.all_conflicts()

    def conflicts(self, lead: str) -> list[raw.ConflictItem]:
        """The conflicts of a lead and its table."""
        return self._raw.conflicts(lead)

    def resolve(self, conflict: raw.ConflictItem, choice: int) -> None:
        """Settles a conflict by keeping ``conflict.values[choice]``; code ``stale`` when they have changed."""
        self._raw.resolve(conflict, choice)

    def kept(self) -> list[raw.KeptItem]:
        """Work of this phone that the server did not merge, with its words."""
        return self._raw.kept()

    def dismiss_kept(self, kept: raw.KeptItem) -> None:
        """Takes one piece of it off the list; what the server holds waits for its decision all the same."""
        self._raw.dismiss_kept(kept)

    def attach(
        self,
        lead: str,
        content: bytes | PathLike[str],
        *,
        name: str,
        mime: str,
        captured_at_ms: int | None = None,
        event: str | None = None,
        unmetered_only: bool = False,
    ) -> str:
        """Attaches bytes, or a file by its path; on the server after the next contact."""
        what = raw.Attachment(
            name=name, mime=mime, captured_at_ms=captured_at_ms, event=event, unmetered_only=unmetered_only
        )
        if isinstance(content, bytes):
            return self._raw.attach(lead, what, content)
        return self._raw.attach_file(lead, what, fspath(content))

    def evidence(
        self, lead: str, sha256: str, timeout: float = 60.0, cancel: raw.CancelToken | None = None
    ) -> bytes:
        """The bytes of a piece of evidence: from here, or from the server."""
        return self._raw.evidence(lead, sha256, _milliseconds(timeout), cancel)

    # What the rules say, and what follows from a talk.

    def judge(self, lead: str) -> raw.LeadJudgement:
        """Everything that the rules say of one lead, now; a part that cannot be said is None, `undetermined` names why."""
        return self._raw.judge(lead)

    def home(self) -> raw.Home:
        """The home page: today's five most pressing things, what to fill in before visits, responses that are owed."""
        return self._raw.home()

    def policy(self) -> raw.PolicyForms:
        """The policy in force, as far as a program draws forms by it."""
        return self._raw.policy()

    def end_of_talk(self, lead: str, text: str = "") -> raw.EndOfTalk:
        """What is proposed after a talk in which `text` was said; :meth:`finish_talk` writes it."""
        return self._raw.end_of_talk(lead, text)

    def finish_talk(
        self,
        lead: str,
        talk: raw.Visit | raw.Touch,
        *,
        next_contact: str | None = None,
        todo: str = "",
        customer_state: str | None = None,
    ) -> raw.FinishedTalk:
        """Logs the talk, makes the todo for the next contact and sets the state, in one act that :meth:`undo` takes back."""
        what = raw.Talk.VISIT(visit=talk) if isinstance(talk, raw.Visit) else raw.Talk.TOUCH(touch=talk)
        return self._raw.finish_talk(
            lead, raw.TalkPlan(talk=what, next_contact=next_contact, todo=todo, customer_state=customer_state)
        )

    def is_vague_purpose(self, text: str) -> bool:
        """Whether a purpose of the calendar says nothing."""
        return self._raw.is_vague_purpose(text)

    def may_start_talk(self, lead: str) -> raw.TalkStart:
        """Whether 沟通中 may be set by hand: what shows that there was a talk, or the refusal."""
        return self._raw.may_start_talk(lead)

    def read_note(self, text: str, on: str | None = None) -> raw.NoteReading:
        """What a dictated note or a shared message says. ``on`` is the day on which it was spoken or written, ISO; else today. What it does
        not say is ``None``, and nothing is kept."""
        return self._raw.read_note(text, on)

    def first_contact(self, text: str) -> raw.FirstContact:
        """Whether a first contact asks an open question about the customer's need, and which."""
        return self._raw.first_contact(text)

    def talk_pack(self, id: str) -> raw.TalkPackItem:
        """The talk pack of this id, as a judgement or the end of a talk named it; refused with code ``not_found`` where there is none."""
        return self._raw.talk_pack(id)

    def material(self, id: str) -> raw.MaterialItem:
        """The material of this id, as a judgement or a talk pack named it; refused with code ``not_found`` where there is none."""
        return self._raw.material(id)

    def similar_lost_deals(self, lead: str) -> list[raw.LostDealItem]:
        """Up to three deals that were lost and are like this lead, the most alike first, each with what they have in common."""
        return self._raw.similar_lost_deals(lead)

    def search_playbook(self, text: str = "") -> raw.PlaybookFound:
        """The talk packs and lost deals that speak of something; an empty text finds all."""
        return self._raw.search_playbook(text)

    def tick_loss(self, lead: str, tick: str, ticked: bool = True) -> None:
        """Ticks or unticks a question of the loss predictor, by its id in :meth:`policy`."""
        self._raw.tick_loss(lead, tick, ticked)

    def answer_question(self, lead: str, key: str, text: str) -> None:
        """Answers a question of the week, by the key that :meth:`judge` gave it."""
        self._raw.answer_question(lead, key, text)

    def log_signal(self, lead: str, kind: str, **fields: object) -> str:
        """Logs a signal of a kind of the policy; the keywords are the other fields of :class:`Signal`."""
        return self._raw.log_signal(lead, raw.Signal(kind=kind, **fields))

    def approve(self, lead: str, proposal: str, approved: bool = True, note: str = "") -> str:
        """A leader's word on a colleague's proposal; ``FieldbookError.Refused`` for everybody else."""
        return self._raw.approve(lead, proposal, approved, note)

    def mark_read(self, lead: str) -> bool:
        """Notes that the owner has opened the lead, once for each assignment. Whether it was noted."""
        return self._raw.mark_read(lead)

    # The calendar.

    def plan_entry(self, **fields: object) -> str:
        """Plans a block; the keywords are the fields of :class:`CalendarEntry`. It needs a day and a purpose."""
        return self._raw.plan_entry(raw.CalendarEntry(**fields))

    def move_entry(self, entry: str, day: str) -> None:
        """Moves a block to another ISO day."""
        self._raw.move_entry(entry, day)

    def edit_entry(self, entry: str, **fields: object) -> None:
        """Writes the fields of a block that are given, except the day."""
        self._raw.edit_entry(entry, raw.CalendarEntry(**fields))

    def complete_entry(self, entry: str, done: bool = True) -> None:
        """Marks a block done, or open again."""
        self._raw.complete_entry(entry, done)

    def remove_entry(self, entry: str) -> None:
        """Removes a block."""
        self._raw.remove_entry(entry)

    def calendar(self, month: str) -> list[raw.CalendarItem]:
        """The blocks of a month (``2026-02``), by day and time."""
        return self._raw.calendar(month)

    def board(self) -> list[raw.CalendarItem]:
        """What belongs into today's 3×3 of importance and urgency."""
        return self._raw.board()

    def sheet(self) -> str:
        """A page of HTML for one sheet of A4: the 3×3 with tomorrow's three most important open blocks."""
        return self._raw.sheet()

    def today(self) -> raw.Today:
        """Today's blocks and every open todo that is due."""
        return self._raw.today()


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
