"""sluice-offsets dlq: letters that a real validate wrote, found by filter, and what they refer to, decoded and masked."""
import hashlib
import hmac
import io
import json
import re

import confluent_kafka
import fastavro
import pytest
from fastavro.schema import fingerprint, to_parsing_canonical_form

from deploy.local.places import ROOT
from tests.flow import offsets_tool, otlp
from tests.flow.offsets_tool import lines, produce, run
from tests.flow.stack import wait_for
from tests.receiver import client

KEY = "a key of 24 characters.."
SECRET = {"env": {"SLUICE_MASK_KEY": KEY}}


def tenant_avro(points, shared):
    schema = fastavro.parse_schema(json.loads((ROOT / "schemas/tenant_metrics.avsc").read_text()))
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema, {"source": "gs-9", "labels": shared, "points": points})
    return b"\xc3\x01" + bytes.fromhex(fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO")) + out.getvalue()


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    """Refused: two labels of OTLP, one of Avro, one of remote write, and a record that is nothing."""
    with offsets_tool.cluster(tmp_path_factory, "dlq") as stack:
        stack.create_all_topics()
        stack.t0 = otlp.now_ms()
        server = otlp.resource("gs-1", region="eu")
        otlp.counter(server, "hits_total", 5, stack.t0, queue="ranked")
        otlp.counter(server, "hits_total", 7, stack.t0 + 1, player_id="ana-1")
        otlp.counter(server, "kills_total", 3, stack.t0, player_id="bob-2", raw_ip="joe-5")
        produce(stack, "metrics.ingest.demo", [otlp.message(server)], partition=3)
        produce(stack, "metrics.ingest.studio-a",
                [tenant_avro([{"metric": "fps_total", "kind": "COUNTER", "unit": "", "labels": {"player_id": "eve-3"},
                               "value": 60.5, "time_ms": stack.t0, "start_ms": 0}], {"shard_id": "s1"})], partition=1)
        series = client.series({"__name__": "frames_total", "player_id": "mia-4", "shard_id": "s1"}, [(stack.t0, 9.0)])
        produce(stack, "metrics.ingest.studio-b", [client.snappy_block(client.request(series))],
                headers={"content-type": "application/x-protobuf;proto=prometheus.WriteRequest",
                         "content-encoding": "snappy"})
        produce(stack, "metrics.ingest.demo", [b"\xff\xff nothing"], partition=5)
        stack.worker("validate", env=SECRET["env"])
        wait_for(lambda: len(lines(run(stack, "dlq", "list", "--json"))) >= 5, what="five letters")
        yield stack


def letters(stack, *filters):
    return lines(run(stack, "dlq", "list", "--json", *filters))


def place(letter):
    return f"{letter['partition']}/{letter['offset']}"


def test_letters_are_found_by_each_filter(stack):
    everything = letters(stack)
    assert {(r["value"]["tenant"], r["value"]["metric"]) for r in everything} == {
        ("demo", "hits_total"), ("demo", "kills_total"), ("studio-a", "fps_total"), ("studio-b", "frames_total"), ("demo", "")}
    assert {r["value"]["metric"] for r in letters(stack, "--tenant", "demo")} == {"hits_total", "kills_total", ""}
    assert [r["value"]["metric"] for r in letters(stack, "--metric", "k*")] == ["kills_total"]
    reason = letters(stack, "--metric", "hits*")[0]["value"]["reason"]
    assert {r["value"]["metric"] for r in letters(stack, "--reason", reason)} == {
        "hits_total", "kills_total", "fps_total", "frames_total"}
    assert len(letters(stack, "--stage", "validate")) == 5 and letters(stack, "--stage", "limit") == []
    assert len(letters(stack, "--limit", "2")) == 2 and letters(stack, "--to", "2001-01-01") == []
    assert len(letters(stack, "--from", "-1h")) == 5 and letters(stack, "--from", "end") == []
    table = run(stack, "dlq", "list", "--tenant", "studio-a").stdout.splitlines()
    assert table[0].startswith("SHOW") and len(table) == 2 and "fps_total player_id" in table[1]
    assert table[1].split()[0] == place(letters(stack, "--tenant", "studio-a")[0])


def shown(stack, letter, code=0, **options):
    done = run(stack, "dlq", "show", place(letter), "--json", **options)
    assert done.returncode == code, done.stderr
    for secret in ("ana-1", "bob-2", "eve-3", "mia-4", "joe-5", "ranked", "gs-1"):
        assert secret not in done.stdout and secret not in run(stack, "dlq", "show", place(letter), **options).stdout
    return json.loads(done.stdout)


def masked(value):
    return "hmac:" + hmac.new(KEY.encode(), value.encode(), hashlib.sha256).hexdigest()[:32]


def test_what_was_refused_is_shown_as_it_was_sent_but_for_labels(stack):
    letter = letters(stack, "--metric", "hits_total")[0]
    answer = shown(stack, letter)
    assert answer["letter"] == letter and answer["origin"]["state"] == "there"
    assert answer["origin"]["format"] == "otlp" and answer["origin"]["n_points"] == 3
    point, = answer["origin"]["points"]  # not the good one of the same metric, which has another time
    assert point["metric"] == "hits_total" and point["value"] == 7.0 and point["time_ms"] == stack.t0 + 1
    assert set(point["labels"]) == {"service.name", "service.instance.id", "shard_id", "region", "player_id"}
    assert set(point["labels"].values()) == {"***"}
    text = run(stack, "dlq", "show", place(letter)).stdout
    assert "reason " in text and "metrics.ingest.demo/3/0: 1 of its 3 points fit the letter" in text


def test_with_the_key_a_value_that_one_knows_is_found(stack):
    letter = letters(stack, "--metric", "kills_total")[0]
    point, = shown(stack, letter, **SECRET)["origin"]["points"]
    assert point["labels"]["player_id"] == masked("bob-2")
    assert letter["value"]["masked_value"] == masked("bob-2").removeprefix("hmac:")
    other, = letter["value"]["more_labels"]
    assert other == {"label": "raw_ip", "reason": "label_forbidden", "masked_value": masked("joe-5").removeprefix("hmac:")}
    text = run(stack, "dlq", "show", place(letter)).stdout
    assert re.search(rf"^and label +raw_ip +label_forbidden +{other['masked_value']}$", text, re.M), text
    done = run(stack, "dlq", "show", place(letter), mask_key="secret")
    assert done.returncode == 2 and "mask_key" in done.stderr  # not from the command line


@pytest.mark.parametrize("tenant, format_, metric, value, labels", [
    ("studio-a", "avro", "fps_total", 60.5, {"player_id", "shard_id"}),
    ("studio-b", "remote_write_1", "frames_total", 9.0, {"player_id", "shard_id"})])
def test_other_formats(stack, tenant, format_, metric, value, labels):
    origin = shown(stack, letters(stack, "--tenant", tenant)[0])["origin"]
    point, = origin["points"]
    assert (origin["format"], point["metric"], point["value"]) == (format_, metric, value)
    assert set(point["labels"]) == labels


def test_a_record_that_is_nothing_says_why(stack):
    letter = next(r for r in letters(stack, "--tenant", "demo") if r["value"]["metric"] == "")
    origin = shown(stack, letter, code=1)["origin"]
    assert origin["state"] == "unreadable" and origin["why"] and origin["bytes"] == 10


def test_export_writes_a_file_whole_or_not_at_all(stack, tmp_path):
    out = tmp_path / "letters.jsonl"
    assert run(stack, "dlq", "export", "--tenant", "demo", "--out", str(out)).returncode == 0
    assert [json.loads(line) for line in out.read_text().splitlines()] == letters(stack, "--tenant", "demo")
    done = run(stack, "dlq", "export", "--out", str(out))
    assert done.returncode == 2 and "is there already" in done.stderr
    assert len(lines(run(stack, "dlq", "export"))) == 5
    done = run(stack, "dlq", "export", "--out", str(tmp_path / "x"), dlq_topic="nothing")
    assert done.returncode == 2 and "topic nothing does not exist" in done.stderr and list(tmp_path.iterdir()) == [out]


def test_places_that_hold_no_letter_are_told(stack):
    for word, code, words in (("0/99", 1, "holds no dead letter"), ("x", 2, "is not PARTITION/OFFSET"),
                              ("1", 2, "is not PARTITION/OFFSET"), ("99/0", 2, "there is no 99")):
        done = run(stack, "dlq", "show", word)
        assert done.returncode == code and words in done.stderr, (word, done.stderr)


def test_an_origin_that_is_gone_is_told(stack):
    """Last: it takes the records away, then the topic."""
    letter = letters(stack, "--metric", "hits_total")[0]
    at = confluent_kafka.TopicPartition("metrics.ingest.demo", 3, 1)
    stack.admin.delete_records([at])[at].result()
    origin = shown(stack, letter, code=1)["origin"]
    assert origin["state"] == "past_retention" and "log begins at 1, it lay at 0" in origin["why"]
    letter = letters(stack, "--tenant", "studio-b")[0]
    stack.admin.delete_topics(["metrics.ingest.studio-b"])["metrics.ingest.studio-b"].result()
    wait_for(lambda: shown_state(stack, letter) == "gone", what="no topic")
    stack.create_topic("metrics.ingest.studio-b", 12)
    wait_for(lambda: shown_state(stack, letter) == "other_topic", what="another topic")


def shown_state(stack, letter):
    return json.loads(run(stack, "dlq", "show", place(letter), "--json").stdout)["origin"]["state"]
