"""sluice-offsets dlq redrive: what real validate and limit have refused arrives in metrics.admitted once the policy or the
budget takes it, exactly once whatever is killed and however often it is run; nothing else goes."""
import collections
import json
import signal
import struct
import subprocess
import time

import confluent_kafka
import pytest

from deploy.local.places import ROOT, free_ports
from tests.fault import formats
from tests.fault.load import wait_caught_up
from tests.flow import batches, limit_oracle, messages, offsets_tool, otlp
from tests.flow.offsets_tool import BINARY, acts, produce, run
from tests.flow.stack import wait_for

VALID, ADMITTED = "metrics.valid", "metrics.admitted"
LABELS = {"allow": ["region", "shard_id", "queue"], "forbid": ["player_id"]}


def policy(budget=300, values=None, **labels):
    tenants = {name: {} for name in ("demo", "studio-a", "studio-b")}
    tenants["studio-b"] = {"limits": {"series_per_source": budget}}
    return {"labels": {**LABELS, "values": values or {}, **labels}, "tenants": tenants}


STRICT = policy(budget=3, values={"region": {"patterns": ["eu", "us"]}})
MILD = policy(allow=["region", "shard_id", "queue", "player_id"], forbid=[])


class Site:
    def __init__(self, stack, folder):
        self.stack = stack
        self.strict, self.mild, self.live = (folder / f"{name}.json" for name in ("strict", "mild", "live"))
        self.strict.write_text(json.dumps(STRICT))
        self.mild.write_text(json.dumps(MILD))
        self.live.write_text(json.dumps(STRICT))
        self.t0 = otlp.now_ms()
        for kind in ("validate", "limit"):
            stack.worker(kind, policy=str(self.live), commit_interval_ms=50, group=f"sluice-{kind}",
                         **({"dlq_samples_per_minute": 1_000_000}))

    def send(self, topic, *values, **options):
        produce(self.stack, topic, values, **options)
        self.settle()

    def settle(self):
        topics = [t for t in self.stack.admin.list_topics(timeout=10).topics if t.startswith("metrics.ingest")]
        wait_caught_up(self.stack, "sluice-validate", topics, 30)
        wait_for(self._is_judged, what="limit to have judged all")

    def _is_judged(self):
        """Behind the last record stands its transaction's marker; of an aborted one so does what no reader sees."""
        committed = self.stack.committed("sluice-limit", VALID)

        def behind(last):
            return any(offset >= 0 and committed.get(p, (0, ""))[0] <= offset for p, offset in last.items())

        return not behind({p: end - 2 for p, end in self.stack.ends(VALID).items()}) or not behind(
            {r.partition(): r.offset() for r in self.stack.read_committed(VALID)})

    def redrive(self, *arguments, policy=None, code=0, **options):
        done = run(self.stack, "dlq", "redrive", "--policy", str(policy or self.mild), "--yes", "--json", *arguments,
                   **options)
        assert done.returncode == code, done.stderr + done.stdout
        self.settle()
        return json.loads(done.stdout)

    def arrived(self, prefix):
        """{(metric, labels, time, value): how often}, of scalars."""
        found = collections.Counter()
        for record in self.stack.read_committed(ADMITTED):
            b = limit_oracle.Batch(record)
            for s, t, piece in zip(b.series, b.times(), b.data()):
                if s.metric.startswith(prefix):
                    found[s.metric, s.text[-1], t, struct.unpack("<d", piece)[0]] += 1
        return found

    def batches(self, topic, prefix):
        found = [limit_oracle.Batch(r) for r in self.stack.read_committed(topic)]
        return [b for b in found if any(s.metric.startswith(prefix) for s in b.series)]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with offsets_tool.cluster(tmp_path_factory, "redrive") as stack:
        stack.create_all_topics()
        yield Site(stack, tmp_path_factory.mktemp("policies"))


def value_of(found, **labels):
    """Of the one sample that has these labels among its own."""
    one, = [key for key in found if set(labels.items()) <= set(zip(key[1][::2], key[1][1::2]))]
    return one[3], found[one]


def test_a_forbidden_label_that_is_allowed_by_now(site):
    """Only the points that were refused go, with the origin that they had; a second run sends nothing."""
    server = otlp.resource("gs-1", region="eu")
    otlp.counter(server, "hits_total", 1, site.t0, queue="ranked")
    otlp.counter(server, "hits_total", 2, site.t0, player_id="ana")
    otlp.counter(server, "hits_total", 3, site.t0 + 1, player_id="bob")
    otlp.counter(server, "hits_other_total", 4, site.t0, queue="ranked")
    site.send("metrics.ingest.demo", otlp.message(server), partition=3)
    assert sum(site.arrived("hits_").values()) == 2
    ends = site.stack.ends(VALID)
    told = site.redrive("--metric", "hits_*", "--dry-run")
    assert (told["dry_run"], told["redriven"], told["samples"]) == (True, 1, 2) and site.stack.ends(VALID) == ends
    assert site.arrived("hits_").total() == 2 and "dlq redrive" not in [a["act"] for a in acts(site.stack)]
    told = site.redrive("--metric", "hits_*", "--who", "olga")
    assert (told["letters"], told["redriven"], told["samples"], told["samples_refused"]) == (1, 1, 2, {})
    found = site.arrived("hits_")
    assert set(found.values()) == {1} and len(found) == 4
    assert value_of(found, player_id="ana") == (2.0, 1) and value_of(found, player_id="bob") == (3.0, 1)
    first, *again = sorted(site.batches(VALID, "hits_"), key=lambda b: b.row["redriven"] != 0)
    for b in again:
        assert b.row["redriven"] != 0 and b.origin[:3] == first.origin[:3] == ("metrics.ingest.demo", 3, 0)
        assert (b.row["received_ms"], b.partition, b.source) == (first.row["received_ms"], first.partition, first.source)
        assert b.row["origin"]["topic_id"] == first.row["origin"]["topic_id"]
    act, = [a for a in acts(site.stack) if a["act"] == "dlq redrive"]
    assert act["who"] == "olga" and act["detail"]["letters"] == 1
    ends = site.stack.ends(VALID)
    told = site.redrive("--metric", "hits_*")
    assert (told["redriven_before"], told["samples"]) == (1, 0) and site.stack.ends(VALID) == ends


def test_what_passed_at_once_does_not_go_again(site):
    """One value of a label is refused and one is not: same metric, label and time, and no ids in the letter."""
    for region, value in (("eu", 1.0), ("mars", 2.0)):
        server = otlp.resource(f"gs-{region}", region=region)
        otlp.counter(server, "regions_total", value, site.t0)
        site.send("metrics.ingest.demo", otlp.message(server), partition=1)
    both = [otlp.resource(f"gs-{n}", region=region) for n, region in enumerate(("us", "moon", "eu"))]
    for n, server in enumerate(both):
        otlp.counter(server, "regions_total", 10.0 + n, site.t0)
    site.send("metrics.ingest.demo", otlp.message(*both), partition=1)
    assert len(site.arrived("regions_")) == 3
    told = site.redrive("--metric", "regions_*")
    assert (told["letters"], told["samples"]) == (2, 2)
    found = site.arrived("regions_")
    assert set(found.values()) == {1} and {key[3] for key in found} == {1.0, 2.0, 10.0, 11.0, 12.0}


def test_other_formats_and_whole_records(site):
    """A tenant's Avro; remote write, which its headers tell; a record whose tenant was unknown then."""
    site.send("metrics.ingest.studio-a", messages.tenant_record(
        [{"metric": "avro_total", "kind": "COUNTER", "unit": "", "labels": {"player_id": "eve"}, "value": 60.5,
          "time_ms": site.t0, "start_ms": 0}], labels={"shard_id": "s1"}))
    block = messages.snappy(messages.write_1(
        [({"__name__": "avro_frames_total", "player_id": "mia", "shard_id": "s1"}, [(9.0, site.t0)])]))
    site.send("metrics.ingest.studio-a", block, headers={
        "content-type": "application/x-protobuf;proto=prometheus.WriteRequest", "content-encoding": "snappy"})
    told = site.redrive("--tenant", "studio-a", "--reason", "label_forbidden")
    assert (told["letters"], told["samples"]) == (2, 2)
    assert {key[3]: n for key, n in site.arrived("avro_").items()} == {60.5: 1, 9.0: 1}

    server = otlp.resource("gs-new", region="eu")
    otlp.counter(server, "whole_a_total", 1, site.t0)
    otlp.counter(server, "whole_b_total", 2, site.t0)
    site.send("metrics.ingest", otlp.message(server), headers={"sluice-tenant": "studio-new"})
    for path, before in ((site.mild, MILD), (site.live, STRICT)):
        path.write_text(json.dumps({**before, "tenants": {**before["tenants"], "studio-new": {}}}))
    assert site.redrive("--tenant", "studio-new")["samples"] == 2
    assert set(site.arrived("whole_").values()) == {1} and len(site.arrived("whole_")) == 2
    assert site.redrive("--tenant", "studio-new")["redriven_before"] == 1


def test_what_is_refused_still_is_told_and_may_go_later(site):
    server = otlp.resource("gs-2", region="eu")
    otlp.counter(server, "still_total", 2, site.t0, player_id="ana")
    site.send("metrics.ingest.demo", otlp.message(server))
    told = site.redrive("--metric", "still_*", policy=site.strict, code=1)
    assert (told["redriven"], told["samples"], told["samples_refused"]) == (0, 0, {"label_forbidden": 1})
    assert site.arrived("still_") == {}
    assert site.redrive("--metric", "still_*")["samples"] == 1
    assert list(site.arrived("still_").values()) == [1]


def gateway_batch(source, points, t_ms, tenant):
    """As the gateway puts it: validate fills in origin and received_ms."""
    row = formats.decode("batch", batches.batch(source, points, t_ms, tenant=tenant))
    origin = {"topic": "", "topic_id": b"\0" * 16, "partition": 0, "offset": 0, "index": 0}
    return batches.encode("batch", {**row, "received_ms": 0, "origin": origin})


def test_over_budget_and_the_budget_is_raised(site):
    """Redriven too early they are refused again, which is another letter: that goes when there is room. So does the
    last series, a histogram, of a batch of the gateway."""
    points = [batches.counter(f"gw_{i}_total", float(i), shard_id="s1") for i in range(3)]
    points.append(batches.native("gw_native", [(2, 5), (3, 7)], 33.0, shard_id="s1"))
    site.send("metrics.ingest", gateway_batch("gs-gw", points, site.t0, "studio-b"), headers={"sluice-tenant": "studio-b"})
    live = json.loads(site.live.read_text())
    server = otlp.resource("gs-3", region="eu")
    for i in range(5):
        otlp.counter(server, f"budget_{i}_total", float(i), site.t0)
    site.send("metrics.ingest.studio-b", otlp.message(server))
    assert len(site.arrived("budget_")) == 3
    first = ("--stage", "limit", "--tenant", "studio-b", "--metric", "budget_*")
    told = site.redrive(*first)
    assert told["samples"] == 2 and len(site.arrived("budget_")) == 3
    live["tenants"]["studio-b"]["limits"]["series_per_source"] = 300
    site.live.write_text(json.dumps(live))

    def has_room():  # the limiter has read its policy again
        probe = otlp.resource("gs-3", region="eu")
        otlp.counter(probe, "probe_total", 1, otlp.now_ms())
        site.send("metrics.ingest.studio-b", otlp.message(probe))
        return site.arrived("probe_")

    wait_for(has_room, what="the raised budget")
    told = site.redrive(*first)
    assert told["redriven_before"] == 2 and told["samples"] == 2
    found = site.arrived("budget_")
    assert {key[3]: n for key, n in found.items()} == {float(i): 1 for i in range(5)}
    assert site.redrive(*first)["redriven_before"] == 4
    assert site.redrive("--metric", "gw_*")["samples"] == 1
    assert [[s.metric for s in b.series] for b in site.batches(ADMITTED, "gw_")] == [
        ["gw_0_total", "gw_1_total", "gw_2_total"], ["gw_native"]]
    first, again = site.batches(VALID, "gw_")
    assert again.data() == first.data()[3:] and again.row["redriven"] != 0


N_RECORDS = 100


def test_killed_in_the_middle_it_goes_on(site):
    """SIGKILL when some have gone: the same call sends the rest, and nothing twice."""
    producer = site.stack.producer()
    for i in range(N_RECORDS):
        server = otlp.resource(f"gs-{i % 7}", region="eu")
        otlp.counter(server, "killed_total", float(i), site.t0 + i, player_id="p")
        producer.produce("metrics.ingest.demo", otlp.message(server), partition=i % 12)
    assert producer.flush(30) == 0
    site.settle()
    start = sum(site.stack.ends(VALID).values())
    for n_kills in (1, 2):
        with subprocess.Popen([BINARY, "dlq", "redrive", "--policy", str(site.mild), "--yes", "--metric", "killed_*",
                               "--set", f"kafka.bootstrap.servers={site.stack.bootstrap}"],
                              stdout=subprocess.DEVNULL) as tool:
            wait_for(lambda: tool.poll() is not None or sum(site.stack.ends(VALID).values()) > start + 30 * n_kills,
                     what="some redriven batches")
            tool.send_signal(signal.SIGKILL)
            assert tool.wait() == -signal.SIGKILL
    told = site.redrive("--metric", "killed_*")
    assert told["redriven_before"] >= 2 and told["redriven"] >= 1, told
    assert told["redriven_before"] + told["redriven"] == told["letters"] == N_RECORDS
    found = site.arrived("killed_")
    assert set(found.values()) == {1} and {key[3] for key in found} == set(map(float, range(N_RECORDS)))


def test_a_limit_that_is_sent_back_lets_nothing_in_twice(site, tmp_path):
    """Neither what came by the door nor what was redriven."""
    server = otlp.resource("gs-9", region="eu")
    otlp.counter(server, "back_total", 1, site.t0, queue="ranked")
    otlp.counter(server, "back_total", 2, site.t0, player_id="ana")
    otlp.counter(server, "back_total", 3, site.t0 + 1, player_id="bob")
    site.send("metrics.ingest.demo", otlp.message(server))
    assert site.redrive("--metric", "back_*")["samples"] == 2
    before = len(site.batches(ADMITTED, ""))
    assert list(site.arrived("back_").values()) == [1, 1, 1]
    done = run(site.stack, "reset", "sluice-limit", "--to", "earliest", "--drain", "--yes", snapshot_dir=str(tmp_path))
    assert done.returncode == 0, done.stderr
    site.settle()
    assert list(site.arrived("back_").values()) == [1, 1, 1] and len(site.batches(ADMITTED, "")) == before
    # It judges what comes then, and what is redriven then.
    server = otlp.resource("gs-9", region="eu")
    otlp.counter(server, "behind_total", 4, site.t0 + 2, player_id="ana")
    site.send("metrics.ingest.demo", otlp.message(server))
    assert site.redrive("--metric", "behind_*")["samples"] == 1
    assert list(site.arrived("behind_").values()) == [1]


def test_without_marks_the_check_of_once_fails(site):
    """The faults build forgets them: what arrives twice is seen."""
    server = otlp.resource("gs-4", region="eu")
    otlp.counter(server, "twice_total", 2, site.t0, player_id="ana")
    site.send("metrics.ingest.demo", otlp.message(server))
    for _ in range(2):
        command = [str(ROOT / "build/faults/sluice-offsets"), "dlq", "redrive", "--policy", str(site.mild), "--yes",
                   "--metric", "twice_*", "--set", f"kafka.bootstrap.servers={site.stack.bootstrap}",
                   "--set", "fault.forget_marks=true"]
        assert subprocess.run(command, check=False, stdout=subprocess.DEVNULL, timeout=60).returncode == 0
    site.settle()
    assert list(site.arrived("twice_").values()) == [2]


def test_what_it_does_not_do(site):
    assert site.redrive("--tenant", "nobody")["letters"] == 0
    server = otlp.resource("gs-5", region="eu")
    otlp.counter(server, "asked_total", 2, site.t0, player_id="ana")
    site.send("metrics.ingest.demo", otlp.message(server))
    ends = site.stack.ends(VALID)
    for arguments, words in (((), "through which policy"), (("--policy", "/nowhere"), "/nowhere"),
                             (("--policy", str(site.mild), "--stage", "amp"), "plan replay --stage amp"),
                             (("--policy", str(site.mild), "--stage", "rollup"), "validate or limit"),
                             (("--policy", str(site.mild), "--metric", "asked_*"), "nobody said yes")):
        done = run(site.stack, "dlq", "redrive", *arguments)
        assert done.returncode == 2 and words in done.stderr, done.stderr
    assert site.stack.ends(VALID) == ends


def test_brokers_that_are_away(site):
    began = time.monotonic()
    done = run(None, "dlq", "redrive", "--policy", str(site.mild), "--yes",
               kafka__bootstrap__servers=f"127.0.0.1:{free_ports(1)}", connect_timeout_ms=2000)
    assert done.returncode == 1 and "nothing was changed" in done.stderr and time.monotonic() - began < 10


MOST_LETTERS = 20_000  # of one run


def test_more_letters_than_one_run_takes(site):
    """What went before is not in the way of what lies behind it: the same call comes to the end."""
    def refused(metric):
        server = otlp.resource("gs-8", region="eu")
        otlp.counter(server, metric, 2, site.t0, player_id="ana")
        site.send("metrics.ingest.demo", otlp.message(server))
        return [r for r in site.stack.read_committed("metrics.dlq") if metric.encode() in r.value()]
    letter, = refused("many_1_total")
    produce(site.stack, "metrics.dlq", [letter.value()] * MOST_LETTERS, partition=letter.partition())
    refused("many_2_total")
    for redriven, more in ((1, True), (1, False), (0, False)):
        told = site.redrive("--metric", "many_*", code=int(more))
        assert (told["redriven"], told["more"]) == (redriven, more), told
    assert told["letters"] == told["redriven_before"] == MOST_LETTERS + 2
    assert list(site.arrived("many_").values()) == [1, 1]


def test_what_passed_at_once_is_past_retention(site):
    """Then points go only if they are as many as the letter counts."""
    servers = [otlp.resource(f"gs-{region}", region=region) for region in ("eu", "moon")]
    for server in servers:
        otlp.counter(server, "unclear_total", 1, site.t0)
        otlp.counter(server, "clear_total", 2, site.t0, player_id=server.resource.attributes[-1].value.string_value)
    site.send("metrics.ingest.demo", otlp.message(*servers))
    ends = [confluent_kafka.TopicPartition(VALID, p, -1) for p in site.stack.ends(VALID)]
    for future in site.stack.admin.delete_records(ends).values():
        future.result()
    told = site.redrive("--metric", "unclear_*", code=1)
    assert (told["unclear"], told["samples"]) == (1, 0) and list(site.arrived("unclear_").values()) == [1]
    told = site.redrive("--metric", "clear_*", "--reason", "label_forbidden")
    assert told["samples"] == 2 and set(site.arrived("clear_").values()) == {1}


def test_records_that_are_gone(site):
    """Last: it takes the records away, then the topic."""
    server = otlp.resource("gs-6", region="eu")
    otlp.counter(server, "gone_total", 2, site.t0, player_id="ana")
    site.send("metrics.ingest.studio-b", otlp.message(server), partition=2)
    at = confluent_kafka.TopicPartition("metrics.ingest.studio-b", 2, 1)
    site.stack.admin.delete_records([at])[at].result()
    told = site.redrive("--metric", "gone_*", code=1)
    assert (told["past_retention"], told["samples"]) == (1, 0)
    for worker in site.stack.workers:
        worker.process.kill()
    site.stack.admin.delete_topics(["metrics.ingest.studio-b"])["metrics.ingest.studio-b"].result()
    command = ("dlq", "redrive", "--policy", str(site.mild), "--yes", "--json", "--metric", "gone_*")
    wait_for(lambda: json.loads(run(site.stack, *command).stdout)["gone"] == 1, what="no topic")
    site.stack.create_topic("metrics.ingest.studio-b", 12)
    wait_for(lambda: json.loads(run(site.stack, *command).stdout)["other_topic"] == 1, what="another topic")
    assert site.arrived("gone_") == {}
