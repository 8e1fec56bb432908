"""A listener that asks who comes: samples for who has logged in, and sluice-offsets there, with the keys that the workers have."""
import json
import os
import subprocess

from tests.flow import batches, otlp
from tests.flow.offsets_tool import commit
from tests.flow.replay_tool import adds_up, Told
from tests.receiver.client import Receiver

TOPIC, N = "metrics.admitted", 30


def put_logins(stack, n):
    """n points of one series into the ingest topic, by the plain listener."""
    producer = stack.producer()
    for i in range(n):
        r = otlp.resource("gs-1", region="eu-1", az="a")
        otlp.counter(r, "game.logins", float(i), otlp.now_ms() - 1000 + i, unit="{login}")
        producer.produce("metrics.ingest.demo", otlp.message(r), key=b"gs-1")
    assert producer.flush(30) == 0


def work_of_an_operator(stack, folder, keys, env):
    """Looks, plans and applies a replay into a store, moves a group and puts it back, by these kafka.* keys. The records come by the
    plain listener."""
    t0, producer = otlp.now_ms() - 60_000, stack.producer()
    for n in range(N):
        producer.produce(TOPIC, batches.batch("gs-1", [batches.counter("hits_total", n)], t0 + n, offset=n), partition=0)
    assert producer.flush(30) == 0
    commit(stack, "sluice-amp", TOPIC, {0: stack.ends(TOPIC)[0]})
    config = folder / "amp.json"

    def tool(*words, code=0):
        done = subprocess.run([stack.places.binary("sluice-offsets"), *words, "--config", str(config)], capture_output=True,
                              text=True, check=False, timeout=120, cwd=folder,
                              env={"PATH": os.environ["PATH"], **env})
        assert done.returncode == code, (words, done)
        return Told(done.returncode, done.stdout, done.stderr, 0)

    login = {f"kafka.{key}": value for key, value in keys.items()}
    with Receiver() as receiver:
        config.write_text(json.dumps({**login, "url": receiver.write_url, "topics": [TOPIC]}))
        report = tool("plan", "replay", "--stage", "amp", "--topic", TOPIC, "--from", "earliest", "--out", "p", "--json").json
        assert report["samples"] == report["to_do"] >= N
        assert adds_up(tool("apply", "p", "--json"))["done"] == report["to_do"]
        assert len(receiver.samples()) >= N
    config.write_text(json.dumps(login))
    group, = tool("status", "--group", "sluice-amp", "--json").json["groups"]
    ours = next(p for p in group["partitions"] if p["partition"] == 0)
    assert ours["lag_records"] == 0 and ours["committed"] > 0
    line = tool("cat", f"{TOPIC}/0", "--limit", "1").json
    assert line["kind"] == "batch"
    moved = tool("reset", "sluice-amp", "--to", "earliest", "--yes", "--json").json
    assert stack.committed("sluice-amp", TOPIC)[0][0] == moved["moves"][0]["to"] == 0
    tool("restore", moved["snapshot"], "--yes", "--json")
    assert stack.committed("sluice-amp", TOPIC)[0][0] == ours["committed"]
