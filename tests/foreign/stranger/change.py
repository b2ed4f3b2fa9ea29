"""Ids, stamps and change chunks as docs/protocol.md describes them; no automerge library anywhere near."""

from __future__ import annotations

import hashlib
import zlib

MAGIC = bytes.fromhex("856f4a83")
DOCUMENT, CHANGE, DEFLATED_CHANGE = 0, 1, 2
MAKE_MAP, PUT, MAKE_TEXT = 0, 1, 4


def derived_id(kind: int, parent: bytes, key: str = "") -> bytes:
    """The id of a derived document."""
    data = b"fieldbook/derived/1" + bytes([kind]) + len(parent).to_bytes(4, "big") + parent + key.encode()
    return bytes([kind]) + hashlib.sha256(data).digest()[1:16]


def stamp(user: bytes, wall: int, boot: int, mono: int, offset: int | None, contact: int) -> str:
    """Who acted and when, as the message of a change."""
    number = lambda n: f"{n & (1 << 64) - 1:x}"
    parts = ["1", user.hex(), number(wall), number(boot), number(mono)]
    return ";".join([*parts, "" if offset is None else number(offset), number(contact)])


def change(actor: bytes, seq: int, start: int, deps: list[bytes], message: str, ops: list[tuple[str, int, object]]) -> bytes:
    """A change chunk whose operations each write one name of the root: (name, action, value)."""
    names = [_text(name) for name, _, _ in ops]
    values = [_value(value) for _, _, value in ops]
    columns = [
        (0x15, _runs(names)),
        (0x34, uleb(len(ops))),
        (0x42, _runs([uleb(action) for _, action, _ in ops])),
        (0x56, _runs([uleb(meta) for meta, _ in values])),
        (0x57, b"".join(raw for _, raw in values)),
        (0x70, _runs([uleb(0)] * len(ops))),
    ]
    columns = [(spec, data) for spec, data in columns if data]
    body = uleb(len(deps)) + b"".join(sorted(deps)) + uleb(len(actor)) + actor
    body += uleb(seq) + uleb(start) + uleb(0) + _text(message) + uleb(0) + uleb(len(columns))
    body += b"".join(uleb(spec) + uleb(len(data)) for spec, data in columns)
    return _chunk(CHANGE, body + b"".join(data for _, data in columns))


def genesis(kind: str, maps: list[str], texts: tuple[str, ...] = ()) -> bytes:
    """The first change of every document of a kind, from its row of nested fields in docs/documents.md."""
    nested = [(name, MAKE_TEXT if name in texts else MAKE_MAP, None) for name in maps]
    return change(bytes(12), 1, 1, [], "", [("kind", PUT, kind), *nested])


def read_chunk(data: bytes) -> tuple[int, bytes, bytes]:
    """Type, hash and inflated body of one whole chunk, its checksum compared."""
    assert data[:4] == MAGIC, data[:4]
    kind = data[8]
    size, at = _uleb_at(data, 9)
    body = data[at:]
    assert len(body) == size, "the whole chunk and nothing behind it"
    if kind == DEFLATED_CHANGE:
        kind, body = CHANGE, zlib.decompress(body, -15)
    digest = hashlib.sha256(bytes([kind]) + uleb(len(body)) + body).digest()
    assert data[4:8] == digest[:4], "the checksum"
    return kind, digest, body


def heads_of_document(body: bytes) -> list[bytes]:
    """The heads that a saved document names: behind its actors."""
    count, at = _uleb_at(body, 0)
    for _ in range(count):
        size, at = _uleb_at(body, at)
        at += size
    count, at = _uleb_at(body, at)
    return [body[at + 32 * n : at + 32 * n + 32] for n in range(count)]


def uleb(number: int) -> bytes:
    """Unsigned LEB128."""
    out = bytearray()
    while True:
        number, low = number >> 7, number & 127
        out.append(low | (128 if number else 0))
        if not number:
            return bytes(out)


def _chunk(kind: int, body: bytes) -> bytes:
    tail = bytes([kind]) + uleb(len(body)) + body
    return MAGIC + hashlib.sha256(tail).digest()[:4] + tail


def _text(text: str) -> bytes:
    return uleb(len(text.encode())) + text.encode()


def _value(value: object) -> tuple[int, bytes]:
    """What a value's entry in the two value columns is: length and type, and its bytes. None stands for null and for a new object."""
    if value is None:
        return 0, b""
    assert isinstance(value, str)
    raw = value.encode()
    return len(raw) << 4 | 6, raw


def _runs(entries: list[bytes]) -> bytes:
    """Runs as the page tells: of two and more equal entries their count and the entry once, of the others minus their count and all."""
    out, at, single = b"", 0, []
    while at < len(entries):
        end = at
        while end < len(entries) and entries[end] == entries[at]:
            end += 1
        if end - at > 1:
            out += _literals(single) + _sleb(end - at) + entries[at]
            single = []
        else:
            single.append(entries[at])
        at = end
    return out + _literals(single)


def _literals(entries: list[bytes]) -> bytes:
    return _sleb(-len(entries)) + b"".join(entries) if entries else b""


def _sleb(number: int) -> bytes:
    out = bytearray()
    while True:
        low = number & 127
        number >>= 7
        done = number == (-1 if low & 64 else 0)
        out.append(low if done else low | 128)
        if done:
            return bytes(out)


def _uleb_at(data: bytes, at: int) -> tuple[int, int]:
    number, shift = 0, 0
    while True:
        byte = data[at]
        at += 1
        number |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return number, at
