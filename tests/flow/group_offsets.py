"""Committed offsets with their metadata, by the protocol itself (OffsetFetch v5): the Python client reads metadata
past its end. Asks each broker until the group's coordinator answers."""
import socket
import struct
import time

NOT_NOW = {14, 15, 16}  # loading, coordinator not available, not coordinator


def _string(text):
    return struct.pack(">h", len(text)) + text.encode()


def _ask(address, group, topic, partitions):
    host, port = address.rsplit(":", 1)
    body = _string(group) + struct.pack(">i", 1) + _string(topic) + struct.pack(">i", len(partitions))
    body += b"".join(struct.pack(">i", p) for p in partitions)
    request = struct.pack(">hhi", 9, 5, 1) + _string("tests") + body
    with socket.create_connection((host, int(port)), 10) as connection:
        connection.settimeout(10)
        connection.sendall(struct.pack(">i", len(request)) + request)
        size = struct.unpack(">i", _read(connection, 4))[0]
        return _read(connection, size)[4:]


def _read(connection, n):
    data = b""
    while len(data) < n:
        part = connection.recv(n - len(data))
        if not part:
            raise OSError("closed")
        data += part
    return data


def _parse(data):
    """(error, {partition: (offset, metadata)})"""
    at = 4
    found = {}
    n_topics, = struct.unpack_from(">i", data, at)
    at += 4
    for _ in range(n_topics):
        length, = struct.unpack_from(">h", data, at)
        at += 2 + length
        n, = struct.unpack_from(">i", data, at)
        at += 4
        for _ in range(n):
            partition, offset, _, length = struct.unpack_from(">iqih", data, at)
            at += 18
            metadata = data[at:at + max(length, 0)]
            at += max(length, 0) + 2
            if offset >= 0:
                found[partition] = (offset, metadata.decode())
    return struct.unpack_from(">h", data, at)[0], found


def committed(bootstrap, group, topic, partitions, timeout_s=30):
    deadline = time.monotonic() + timeout_s
    while True:
        for address in bootstrap.split(","):
            try:
                error, found = _parse(_ask(address, group, topic, partitions))
            except OSError:
                continue
            if error == 0:
                return found
            assert error in NOT_NOW, f"OffsetFetch: error {error}"
        assert time.monotonic() < deadline, "no coordinator"
        time.sleep(0.2)
