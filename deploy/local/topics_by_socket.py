"""Creates the topics of deploy/topics.json on the local brokers without sluice-offsets (CreateTopics v4,
by a socket): for a tree in which it is not built."""
import json
import socket
import struct

from deploy.local.places import HOST, ROOT, StackError

CREATE_TOPICS, VERSION = 19, 4
TOPIC_ALREADY_EXISTS = 36


def defined(profile, tenants):
    """[(name, partitions, replication, config)] of deploy/topics.json."""
    definition = json.loads((ROOT / "deploy/topics.json").read_text())
    base = {**definition["defaults"], **definition["profiles"][profile]}
    topics = []
    for topic in definition["topics"]:
        t = {**base, **topic, "config": {**base["config"], **topic.get("config", {})}}
        config = {**t["config"], "min.insync.replicas": str(t["min_insync_replicas"])}
        for tenant in tenants if "{tenant}" in t["name"] else ("",):
            topics.append((t["name"].replace("{tenant}", tenant), t["partitions"], t["replication"], config))
    return topics


def _string(text):
    raw = text.encode()
    return struct.pack(">h", len(raw)) + raw


def _request(topics):
    body = struct.pack(">hhi", CREATE_TOPICS, VERSION, 1) + _string("deploy-local")
    body += struct.pack(">i", len(topics))
    for name, partitions, replication, config in topics:
        body += _string(name) + struct.pack(">ihi", partitions, replication, 0)
        body += struct.pack(">i", len(config))
        body += b"".join(_string(k) + _string(v) for k, v in config.items())
    body += struct.pack(">i?", 30000, False)
    return struct.pack(">i", len(body)) + body


def _receive(connection, n):
    data = b""
    while len(data) < n:
        piece = connection.recv(n - len(data))
        if not piece:
            raise StackError("Kafka closed the connection while topics were created")
        data += piece
    return data


def _failures(answer):
    n, at = struct.unpack_from(">i", answer, 8)[0], 12
    for _ in range(n):
        length = struct.unpack_from(">h", answer, at)[0]
        name = answer[at + 2:at + 2 + length].decode()
        code, text_length = struct.unpack_from(">hh", answer, at + 2 + length)
        at += 6 + length
        text = answer[at:at + max(text_length, 0)].decode()
        at += max(text_length, 0)
        if code not in (0, TOPIC_ALREADY_EXISTS):
            yield f"topic {name}: {text or f'error {code}'}"


def create(port, topics):
    with socket.create_connection((HOST, port), 60) as connection:
        connection.sendall(_request(topics))
        answer = _receive(connection, struct.unpack(">i", _receive(connection, 4))[0])
    failures = list(_failures(answer))
    if failures:
        raise StackError(failures[0])
