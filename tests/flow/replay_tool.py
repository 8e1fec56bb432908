"""`sluice-offsets plan replay` and `apply`, as an operator calls them: with the worker's own configuration."""
import dataclasses
import json
import os
import subprocess
import time

import xxhash

from deploy.local.places import ROOT


@dataclasses.dataclass
class Told:
    code: int
    out: str
    err: str
    seconds: float

    @property
    def json(self):
        assert self.code == 0, self
        return json.loads(self.out)


class Operator:
    """config: the worker's configuration file. env: its secrets."""

    def __init__(self, places, config, stage, topic, env=None, build=None):
        self.places, self.stage, self.topic, self.config = places, stage, topic, str(config)
        self.env = {**os.environ, **(env or {})}
        self.binary = str(ROOT / "build" / build / "sluice-offsets") if build else places.binary("sluice-offsets")

    def command(self, *words, **keys):
        sets = [f"{key.replace('__', '.')}={value}" for key, value in keys.items()]
        return [self.binary, *words, "--config", self.config, *(word for s in sets for word in ("--set", s))]

    def run(self, *words, timeout_s=120, **keys):
        began = time.monotonic()
        done = subprocess.run(self.command(*words, **keys), capture_output=True, text=True, timeout=timeout_s,
                              check=False, env=self.env)
        return Told(done.returncode, done.stdout, done.stderr, time.monotonic() - began)

    def start(self, *words, **keys):
        return subprocess.Popen(self.command(*words, **keys), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                env=self.env)

    def plan(self, path, *words, topic=None, from_="earliest", **keys):
        return self.run("plan", "replay", "--stage", self.stage, "--topic", topic or self.topic, "--from", from_,
                        "--out", str(path), "--json", *words, **keys)

    def apply(self, path, *words, **keys):
        return self.run("apply", str(path), "--json", *words, **keys)


def signed(content):
    """A plan's content with the digest and the id that belong to it."""
    rest = {k: v for k, v in content.items() if k not in ("plan", "digest")}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    digest = xxhash.xxh3_128(text.encode()).hexdigest()
    return {**rest, "plan": digest[:16], "digest": digest}


def plan_file(path, **changes):
    """A plan of nothing, in the form that apply takes."""
    path.write_text(json.dumps(signed({
        "version": 1, "cluster_id": "c", "stage": "amp", "group": "g", "sink": "s", "topic": "t", "topic_id": "A" * 22,
        "tenant": "", "metric": "", "rate": 0, "made_ms": 1, "samples": 0, "pieces": [], **changes})))
    return path


def adds_up(told):
    """Of an apply that came to its end."""
    report = told.json
    assert report["state"] == "done" and report["pieces_done"] == report["pieces"], report
    assert report["done"] + report["skipped"] + report["refused"] == report["samples"], report
    return report
