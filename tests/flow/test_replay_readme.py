"""The commands of README.md's section "Replay", as they stand there: each example finds the trouble that it is for, and mends
it."""
import json
import os
import re
import shlex
import shutil
import subprocess

from deploy.local.places import ROOT
from deploy.local.workers import ENVIRONMENTS
from tests.flow import batches
from tests.flow.amp_setting import NOTHING, PARTITIONS, differences, expected, got, metric, now_ms, scrape
from tests.flow.parquet_audit import Audit, Bucket, start_worker
from tests.flow.stack import wait_for
from tests.receiver.client import Receiver

TOPIC = "metrics.admitted"
SERVERS = ["gs-1", "gs-2", "gs-3"]
RULES = {"out_of_order_ms": 600_000}


def examples():
    """[(plan, apply)], each a list of words."""
    section = (ROOT / "README.md").read_text().partition("\n## Replay\n")[2].partition("\n## ")[0]
    commands = re.findall(r"^    (sluice-offsets .*)$", section.replace("\\\n", " "), re.M)
    assert len(commands) == 6, commands
    return list(zip(commands[::2], commands[1::2]))


def caught_up(stack, group):
    done = stack.committed(group, TOPIC)
    return all(done.get(p, (0, ""))[0] >= end for p, end in stack.ends(TOPIC).items() if end > 0)


def test_the_examples(stack, tmp_path, say):
    stack.create_topic(TOPIC, PARTITIONS)
    for topic in ("metrics.dlq", "sluice.gaps", "sluice.replay"):
        stack.create_topic(topic, 1)
    times, producer = [now_ms() - 300_000 + i * 10_000 for i in range(24)], stack.producer()
    for i, t in enumerate(times):
        for server in SERVERS:
            producer.produce(TOPIC, batches.batch(server, scrape(server, i), t), partition=batches.partition_of(server, PARTITIONS))
    assert producer.flush(30) == 0
    bucket = Bucket(stack)
    with Receiver(keep_histograms=True, rules=RULES) as store, Receiver(keep_histograms=True, rules=RULES) as new_store:
        amp = stack.worker("amp", url=store.write_url, topics=[TOPIC], max_sample_age_ms=150_000, batch_deadline_ms=50)
        parquet = start_worker(stack, bucket, topics=[TOPIC], file_max_rows=200)
        wait_for(lambda: caught_up(stack, "sluice-amp") and caught_up(stack, "sluice-parquet"), 60, "the workers")
        assert metric(amp, "sluice_samples_rejected_total", reason="too_old_to_send") > 0
        before = {key: bucket.read(key) for key in bucket.keys()}
        for key in list(before)[::2]:
            bucket.boto.delete_object(Bucket=bucket.name, Key=key)
        keys = json.loads(amp.config_path.read_text())
        del keys["max_sample_age_ms"]  # a store takes an hour
        (tmp_path / "amp.json").write_text(json.dumps(keys))
        shutil.copy(parquet.config_path, tmp_path / "parquet.json")
        path = f"{os.path.dirname(stack.places.binary('sluice-offsets'))}:{os.environ['PATH']}"
        env = {**os.environ, **ENVIRONMENTS["parquet"], "PATH": path, "NEW_STORE": new_store.write_url}
        for commands in examples():
            for command in commands:
                words = [word.replace("$NEW_STORE", new_store.write_url) for word in shlex.split(command)]
                done = subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120, check=False)
                say(f"$ {command}\n    " + "\n    ".join(done.stdout.splitlines()[-3:]))
                assert done.returncode == 0, done
        assert {key: bucket.read(key) for key in bucket.keys()} == before and Audit(stack, bucket, TOPIC).problems == []
        want = expected(SERVERS, times)
        assert differences(want, got(store)) == NOTHING
        logins = {key: points for key, points in want.items() if dict(key)["__name__"].startswith("logins_")}
        assert differences(logins, got(new_store)) == NOTHING
