"""A websocket (RFC 6455) over a plain socket: binary messages, pings answered, nothing else."""

from __future__ import annotations

import base64
import hashlib
import os
import socket
import struct
from urllib.parse import urlsplit

BINARY, CLOSE, PING, PONG = 2, 8, 9, 10


class WebSocket:
    """A connection that was upgraded."""

    def __init__(self, url: str, timeout: float = 60.0) -> None:
        parts = urlsplit(url)
        self._socket = socket.create_connection((parts.hostname, parts.port), timeout)
        self._data = b""
        self.closed: int | None = None
        key = base64.b64encode(os.urandom(16)).decode()
        self._socket.sendall(
            f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        while b"\r\n\r\n" not in self._data:
            self._more()
        head, self._data = self._data.split(b"\r\n\r\n", 1)
        lines = head.decode().split("\r\n")
        fields = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines[1:])}
        accept = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
        assert lines[0].split()[1] == "101", lines[0]
        assert fields["sec-websocket-accept"] == base64.b64encode(accept).decode()

    def send(self, message: bytes, kind: int = BINARY) -> None:
        """One message, masked as a client's must be."""
        size = len(message)
        if size < 126:
            head = bytes([0x80 | size])
        elif size < 1 << 16:
            head = bytes([0x80 | 126]) + struct.pack(">H", size)
        else:
            head = bytes([0x80 | 127]) + struct.pack(">Q", size)
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(message))
        self._socket.sendall(bytes([0x80 | kind]) + head + mask + masked)

    def receive(self) -> bytes | None:
        """The next binary message; None when the server has closed, `closed` is its status then."""
        message = b""
        while True:
            first, second = self._take(2)
            size = second & 127
            if size == 126:
                (size,) = struct.unpack(">H", self._take(2))
            elif size == 127:
                (size,) = struct.unpack(">Q", self._take(8))
            body, kind = self._take(size), first & 15
            if kind == CLOSE:
                self.closed = struct.unpack(">H", body[:2])[0] if len(body) >= 2 else 1005
                return None
            if kind == PING:
                self.send(body, PONG)
            elif kind in (0, BINARY):
                message += body
                if first & 0x80:
                    return message
            else:
                assert kind == PONG, kind

    def close(self) -> None:
        """Says goodbye with status 1000."""
        self.send(struct.pack(">H", 1000), CLOSE)
        self._socket.close()

    def _take(self, size: int) -> bytes:
        while len(self._data) < size:
            self._more()
        part, self._data = self._data[:size], self._data[size:]
        return part

    def _more(self) -> None:
        part = self._socket.recv(1 << 16)
        if not part:
            raise ConnectionError("the server hung up without a word")
        self._data += part
