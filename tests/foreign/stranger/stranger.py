"""A client by somebody who has nothing but docs/protocol.md and Python's standard library.

FIELDBOOK_ADDRESS is the server's base address, FIELDBOOK_CODE a one-time code for a phone of some rep. Prints one line a step, `lead`
with the id of the lead that it made, and a count at the end; the exit status tells.
"""

from __future__ import annotations

import json
import os
import sys
import time
import urllib.request
import zlib

import cbor
from change import CHANGE, DOCUMENT, PUT, change, derived_id, genesis, heads_of_document, read_chunk, stamp
from websocket import WebSocket

ADDRESS, CODE = os.environ["FIELDBOOK_ADDRESS"], os.environ["FIELDBOOK_CODE"]
HELLO, PUSH, ACK, FETCH = 0, 1, 2, 3
WELCOME, DELTA, GONE, MARK, CAUGHT_UP, ANSWER, WIPE, ERROR = range(8)
DURABLE, HELD, REFUSED = range(3)
COMPLETE = [0, []]
LEAD, RULING, ADVANCEMENT = 2, 3, 4
GENESIS_OF_LEAD = bytes.fromhex("923c7cb9fe299e77de50700cf199e9bf257d700d02c80af11cdc0e0adb86871a")
GENESIS_OF_TABLE = bytes.fromhex("721e83aa6ba2d2508f8b6b2097eaf9ec6bd893405605065d82efa4ad53c21a0f")
OPERATIONS_OF_GENESIS = 7
BOOT, STARTED = int.from_bytes(os.urandom(7), "big"), time.monotonic()


class Phone:
    """What a phone keeps between two connections."""

    def __init__(self) -> None:
        answer = post("/api/enrol", code=CODE, claim=os.urandom(16).hex(), device_name="a stranger's")
        self.device, self.user = bytes.fromhex(answer["device"]), bytes.fromhex(answer["user"])
        self.url, self.token, self.refresh_token = answer["sync_url"], answer["access_token"], answer["refresh_token"]
        self.incarnation, self.pushed, self.epoch, self.cursor = 1, 0, 0, 0
        self.channels: list = []
        self.offset: int | None = None
        self.contact = 0

    @property
    def actor(self) -> bytes:
        return self.device + self.incarnation.to_bytes(4, "big")

    def refresh(self) -> None:
        answer = post("/api/token/refresh", refresh_token=self.refresh_token)
        self.token, self.refresh_token = answer["access_token"], answer["refresh_token"]

    def hello(self, versions: tuple[int, int] = (1, 1)) -> list:
        fields = [list(versions), self.token, self.incarnation, self.pushed, self.epoch, self.cursor, self.channels]
        return [HELLO, [[*fields, BOOT, mono(), wall(), "stranger/1"]]]

    def stamp(self) -> str:
        return stamp(self.user, wall(), BOOT, mono(), self.offset, self.contact)

    def push(self, doc: bytes, origin: list | None, changes: list[bytes]) -> list:
        self.pushed += 1
        return [PUSH, [[self.pushed, doc, origin, changes]]]


class Talk:
    """One connection: it sends frames and collects what comes, by the number of the message."""

    def __init__(self, phone: Phone, *behind: list, hello: list | None = None, deflated: bool = False) -> None:
        self.phone, self.socket = phone, WebSocket(phone.url)
        self.came: list[tuple[int, list]] = []
        self.sent_at = mono()
        self.send(hello or phone.hello(), *behind, deflated=deflated)

    def send(self, *messages: list, deflated: bool = False) -> None:
        frame = b"".join(cbor.encode(message) for message in messages)
        if deflated:
            packer = zlib.compressobj(wbits=-15)
            frame = b"\0" + packer.compress(frame) + packer.flush()
        self.socket.send(frame)

    def until(self, holds) -> None:
        """Takes frames until `holds(self)`."""
        while not holds(self):
            frame = self.socket.receive()
            assert frame is not None, f"closed with {self.socket.closed} after {self.came[-1:]}"
            self.take(frame)

    def take(self, frame: bytes) -> None:
        if frame[0] == 0:
            frame = zlib.decompress(frame[1:], -15)
        for number, fields in cbor.sequence(frame):
            self.came.append((number, fields))
            if number == WELCOME:
                self.welcomed(fields[0])
            elif number == MARK:
                channel, fill = fields[0]
                self.phone.channels = [state for state in self.phone.channels if state[0] != channel] + [[channel, fill]]
            elif number == CAUGHT_UP:
                self.phone.cursor = fields[0]

    def welcomed(self, welcome: list) -> None:
        version, epoch, fallback, now_ms, device, user, _, rotate_to, _, quarantine_only, channels = welcome
        assert (version, fallback, rotate_to, quarantine_only) == (1, None, None, False), welcome
        assert (device, user) == (self.phone.device, self.phone.user)
        received = mono()
        # Server time minus the monotonic clock, at the middle of the round trip.
        self.phone.offset = now_ms + (received - self.sent_at) // 2 - received
        self.phone.contact, self.phone.epoch = now_ms, epoch
        held = [state[0] for state in self.phone.channels]
        self.phone.channels += [[channel, [1, []]] for channel in channels if channel not in held]

    def all(self, wanted: int) -> list[list]:
        return [fields for number, fields in self.came if number == wanted]

    def delta_of(self, doc: bytes) -> list | None:
        return next((delta for (delta,) in reversed(self.all(DELTA)) if delta[0] == doc), None)

    def answer_to(self, push: list) -> list | None:
        number, doc = push[1][0][:2]
        return next((verdict for ((id, of, verdict),) in self.all(ANSWER) if (id, of) == (number, doc)), None)

    def is_full(self) -> bool:
        return bool(self.all(CAUGHT_UP)) and all(fill == COMPLETE for _, fill in self.phone.channels)


def post(path: str, **body: str) -> dict:
    head = {"Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(ADDRESS + path, json.dumps(body).encode(), head), timeout=60) as answer:
        return json.load(answer)


def wall() -> int:
    return time.time_ns() // 1_000_000


def mono() -> int:
    return int((time.monotonic() - STARTED) * 1000)


def hashes_in(delta: list) -> set[bytes]:
    """What a delta brings: hashes of its changes, and the heads of its snapshot."""
    found = set()
    for chunk in delta[4]:
        kind, digest, _ = read_chunk(chunk)
        assert kind == CHANGE
        found.add(digest)
    if delta[3] is not None:
        kind, _, body = read_chunk(delta[3])
        assert kind == DOCUMENT
        found.update(heads_of_document(body))
    return found


def main() -> None:
    kept = ["notes", "contacts", "todos", "events", "evidence", "tags"]
    assert read_chunk(genesis("lead", kept, ("notes",)))[1] == GENESIS_OF_LEAD
    assert read_chunk(genesis("advancement", ["ticks", "answers", "events"]))[1] == GENESIS_OF_TABLE
    step("genesis comes out with the hashes of the page")

    phone = Phone()
    step("enrolled")

    talk = Talk(phone)
    talk.until(Talk.is_full)
    assert talk.all(DELTA), "at least the directory"
    assert all(hashes_in(delta) and len(delta[5]) == 16 for (delta,) in talk.all(DELTA))
    talk.send([ACK, [phone.cursor]])
    step(f"first sync: {len(talk.all(DELTA))} documents, every checksum right")

    lead = bytes([LEAD]) + os.urandom(15)
    fields = [("customer_name", "陌生人医院"), ("contact_phone", "000-0000-0000"), ("need", "采购")]
    puts = [(name, PUT, value) for name, value in fields]
    made = change(phone.actor, 1, OPERATIONS_OF_GENESIS + 1, [GENESIS_OF_LEAD], phone.stamp(), puts)
    push = phone.push(lead, None, [made])
    talk.send(push, deflated=True)
    ruling = derived_id(RULING, lead)
    talk.until(lambda talk: talk.answer_to(push) and talk.delta_of(ruling))
    verdict, (at, receipt) = talk.answer_to(push)
    assert verdict == DURABLE and at > 0 and len(receipt) == 16
    assert talk.delta_of(ruling)[1] == [lead, ""], "the origin of the ruling"
    print("lead", lead.hex())
    step("a lead made by hand is durable, its ruling came under the id that the page derives")

    talk.send([FETCH, [lead]])
    talk.until(lambda talk: talk.delta_of(lead))
    assert read_chunk(made)[1] in hashes_in(talk.delta_of(lead))
    step("fetched whole: it holds the change")

    talk.came.clear()
    talk.send(push)
    talk.until(lambda talk: talk.answer_to(push))
    assert talk.answer_to(push)[0] == DURABLE
    step("the same push again is durable again")

    talk.until(lambda talk: talk.all(CAUGHT_UP) or phone.cursor >= at)
    talk.send([ACK, [phone.cursor]])
    talk.socket.close()
    before = phone.refresh_token
    phone.refresh()
    # As if the answer had been lost.
    phone.refresh_token = before
    phone.refresh()
    edit = change(phone.actor, 2, OPERATIONS_OF_GENESIS + 4, [read_chunk(made)[1]], phone.stamp(), [("next_action", PUT, "写协议的人请喝茶")])
    push = phone.push(lead, None, [edit])
    talk = Talk(phone, push)
    talk.until(lambda talk: talk.answer_to(push) and talk.all(CAUGHT_UP))
    assert talk.answer_to(push)[0] == DURABLE
    assert not talk.all(MARK), "nothing had to be filled again"
    talk.send([ACK, [phone.cursor]])
    step("reconnected with a refreshed token, the edit rode behind the hello")

    push = phone.push(lead, None, [edit[:-1] + bytes([edit[-1] ^ 1])])
    talk.send(push)
    talk.until(lambda talk: talk.answer_to(push) and talk.all(ERROR))
    assert talk.answer_to(push)[0] == REFUSED and talk.answer_to(push)[1][0] == 0, talk.answer_to(push)
    assert talk.all(ERROR)[0][0][0] == 2
    assert talk.socket.receive() is None and talk.socket.closed == 1000
    step("a broken change is refused as malformed and ends the connection with status 1000")

    talk = Talk(phone, hello=phone.hello(versions=(40, 41)))
    talk.until(lambda talk: talk.all(ERROR))
    code, detail = talk.all(ERROR)[0][0]
    assert code == 0 and detail
    step(f"an unknown version is told so: {detail}")


PASSED = []


def step(name: str) -> None:
    PASSED.append(name)
    print("ok     ", name)


if __name__ == "__main__":
    main()
    print(f"{len(PASSED)} passed, 0 failed")
    sys.exit(0)
