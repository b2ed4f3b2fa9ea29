"""The part of CBOR (RFC 8949) that docs/protocol.md uses: integers, byte and text strings, arrays, null, booleans; lengths definite."""

from __future__ import annotations


def encode(item: object) -> bytes:
    """One item, integers in their shortest form."""
    if item is None:
        return b"\xf6"
    if isinstance(item, bool):
        return b"\xf5" if item else b"\xf4"
    if isinstance(item, int):
        return _head(0, item) if item >= 0 else _head(1, -1 - item)
    if isinstance(item, bytes):
        return _head(2, len(item)) + item
    if isinstance(item, str):
        return _head(3, len(item.encode())) + item.encode()
    if isinstance(item, (list, tuple)):
        return _head(4, len(item)) + b"".join(encode(each) for each in item)
    raise TypeError(type(item))


def sequence(data: bytes) -> list:
    """All items of a CBOR sequence (RFC 8742)."""
    items, at = [], 0
    while at < len(data):
        item, at = _decode(data, at)
        items.append(item)
    return items


def _head(major: int, number: int) -> bytes:
    if number < 24:
        return bytes([major << 5 | number])
    for more, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if number < 1 << 8 * size:
            return bytes([major << 5 | more]) + number.to_bytes(size, "big")
    raise OverflowError(number)


def _decode(data: bytes, at: int) -> tuple[object, int]:
    major, more = data[at] >> 5, data[at] & 31
    at += 1
    if major == 7:
        return {20: False, 21: True, 22: None}[more], at
    if more < 24:
        number = more
    else:
        size = {24: 1, 25: 2, 26: 4, 27: 8}[more]
        number, at = int.from_bytes(data[at : at + size], "big"), at + size
    if major == 0:
        return number, at
    if major == 1:
        return -1 - number, at
    if major in (2, 3):
        if at + number > len(data):
            raise ValueError("a string that is cut off")
        part = data[at : at + number]
        return (part if major == 2 else part.decode()), at + number
    if major == 4:
        items = []
        for _ in range(number):
            item, at = _decode(data, at)
            items.append(item)
        return items, at
    raise ValueError(f"major type {major}")
