"""sluice-control against a real cluster: every command, what it leaves on the topics, what it says when it can't."""
import itertools
import json
import os
import re
import struct
import subprocess
import time

import pytest
import xxhash

from deploy.local.places import ROOT
from tests.flow import batches
from tests.flow.stack import StackUnderTest, wait_for

BINARY = f"{os.environ.get('SLUICE_BIN', ROOT / 'build/bin')}/sluice-control"
HOUR_MS = 3_600_000
KILL = ["kill", "--tenant", "demo", "--metric", "debug_*", "--drop", "--ttl", "2h", "--reason", "a flood"]
LIMIT = ["limit", "set", "--tenant", "demo", "--ttl", "1h", "--reason", "an event"]


def create_topic(stack, name, partitions, **config):
    """And waits until the brokers know it: the tool takes their word."""
    stack.create_topic(name, partitions, **config)
    wait_for(lambda: stack.admin.list_topics(name, timeout=10).topics[name].error is None, what=f"topic {name}")


class Topics:
    """A set of topics of its own on the cluster that the tests of this file share."""

    numbers = itertools.count()

    def __init__(self, stack):
        self.stack, n = stack, next(self.numbers)
        self.keys = {f"{name}_topic": f"{name}-{n}" for name in ("control", "audit", "valid")}
        create_topic(stack, self.keys["control_topic"], 1, cleanup_policy="compact")
        create_topic(stack, self.keys["audit_topic"], 1)
        create_topic(stack, self.keys["valid_topic"], 12)

    def __getattr__(self, name):
        return getattr(self.stack, name)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    stack = StackUnderTest(tmp_path_factory.mktemp("control") / "stack")
    try:
        stack.kafka.start()
        yield stack
    finally:
        stack.stop()


@pytest.fixture
def control(cluster):
    return Topics(cluster)


def topic(stack, name):
    """Its name on a stack of the test's own is the default."""
    defaults = {"control": "sluice.control", "audit": "sluice.audit", "valid": "metrics.valid"}
    return getattr(stack, "keys", {}).get(f"{name}_topic", defaults[name])


def now_ms():
    return time.time_ns() // 1_000_000


def run(stack, *arguments, **keys):
    sets = [f"--set={key}={value}" for key, value in {**getattr(stack, "keys", {}), **keys}.items()]
    servers = [f"--set=kafka.bootstrap.servers={stack.bootstrap}"] if stack else []
    env = {**{k: v for k, v in os.environ.items() if k != "SUDO_USER"}, "USER": "ana"}
    return subprocess.run([BINARY, *arguments, *servers, *sets], capture_output=True, text=True, check=False,
                          timeout=60, env=env)


def act(stack, *arguments, **keys):
    """The id that it printed."""
    done = run(stack, *arguments, **keys)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.split()[0]


def listed(stack, *arguments):
    done = run(stack, "list", "--json", *arguments)
    assert done.returncode == 0, done.stderr
    return {rule["id"]: rule for rule in json.loads(done.stdout)}


def records(stack, name="control"):
    return [(r.key().decode(), r.value() and json.loads(r.value())) for r in stack.read_committed(topic(stack, name))]


def audit(stack):
    return [value for _, value in records(stack, "audit")]


def put(stack, *pairs):
    """What another tool, another version or a mistake wrote."""
    producer = stack.producer()
    for key, value in pairs:
        raw = value if value is None or isinstance(value, bytes) else json.dumps(value)
        producer.produce(topic(stack, "control"), raw, key=key)
    assert producer.flush(30) == 0


def rule(id_, created_ms, expires_ms, **rest):
    return (id_, {"kind": "kill", "id": id_, "tenant": "demo", "metric": "x_*", "action": "drop", "who": "bob",
                  "reason": "r", "created_ms": created_ms, "expires_ms": expires_ms, **rest})


def test_a_kill_switch_is_signed_written_listed_and_revoked(stack):
    stack.create_all_topics()
    control = stack
    before = now_ms()
    done = run(control, *KILL, "--label", "queue=rank*", "--label=az=b")
    after = now_ms()
    assert done.returncode == 0, done.stderr
    id_ = done.stdout.split()[0]
    assert re.fullmatch(r"k-[0-9a-z]{6}", id_)
    assert f"{id_} is in force: drops demo, metric debug_*, queue=rank*, az=b" in done.stdout
    assert "until 20" in done.stdout and "for 2h 0m" in done.stdout and f"sluice-control revoke {id_}" in done.stdout

    (key, value), = records(control)
    created = value["created_ms"]
    assert before <= created <= after
    assert (key, value) == (id_, {
        "kind": "kill", "id": id_, "tenant": "demo", "metric": "debug_*", "labels": {"queue": "rank*", "az": "b"},
        "action": "drop", "who": "ana", "reason": "a flood", "created_ms": created, "expires_ms": created + 2 * HOUR_MS})
    signed, = audit(control)
    assert before <= signed["time_ms"] and signed["time"].endswith("Z")
    assert (signed["who"], signed["act"], signed["id"], signed["reason"], signed["rule"]) == (
        "ana", "kill", id_, "a flood", value)

    row = listed(control)[id_]
    assert row["live"] and 0 < row["left_ms"] <= 2 * HOUR_MS and row["labels"] == value["labels"]
    text = run(control, "list").stdout
    assert id_ in text and "for 1h 59m" in text and "ana on " in text and ": a flood" in text

    done = run(control, "revoke", id_, "--reason", "fixed in 42", "--who", "bob")
    assert done.returncode == 0 and f"{id_} is revoked: drops demo" in done.stdout
    assert records(control)[-1] == (id_, None)
    signed = audit(control)[-1]
    assert (signed["who"], signed["act"], signed["id"], signed["reason"]) == ("bob", "revoke", id_, "fixed in 42")
    assert signed["rule"] == value
    assert listed(control) == {} and run(control, "list").stdout == "no rule is in force\n"
    again = run(control, "revoke", id_, "--reason", "fixed in 42")
    assert again.returncode == 1 and f"there is no rule {id_}" in again.stderr


def test_sampling_shedding_and_what_takes_everything(control):
    sample = act(control, "kill", "--tenant", "demo", "--metric", "tick_*", "--sample", "1/10", "--ttl", "90s",
                 "--reason", "r")
    total = act(control, "kill", "--tenant", "demo", "--drop", "--ttl", "30m", "--reason", "r", "--force")
    verbose = act(control, "shed", "--class", "verbose", "--ttl", "7d", "--reason", "r", "--force")
    standard = act(control, "shed", "--class", "standard", "--tenant", "demo", "--ttl", "1h", "--reason", "r")
    rows = listed(control)
    assert list(rows) == [sample, total, standard, verbose]  # what ends first comes first
    assert (rows[sample]["action"], rows[sample]["sample_n"]) == ("sample", 10)
    assert rows[sample]["expires_ms"] - rows[sample]["created_ms"] == 90_000
    assert rows[total]["action"] == "drop" and "metric" not in rows[total] and "labels" not in rows[total]
    assert rows[verbose]["class"] == "verbose" and "tenant" not in rows[verbose]
    assert (rows[standard]["class"], rows[standard]["tenant"]) == ("standard", "demo")
    assert [a["act"] for a in audit(control)] == ["kill", "kill", "shed", "shed"]
    assert verbose.startswith("s-") and standard.startswith("s-")


def test_a_budget_has_one_temporary_value(control):
    tenant = act(control, *LIMIT, "--budget", "tenant", "--value", "5000")
    metric = act(control, *LIMIT, "--budget", "metric", "--metric", "tick_seconds", "--value", "100")
    source = act(control, *LIMIT, "--budget", "source", "--value", "200")
    rate = act(control, *LIMIT, "--budget", "samples_per_second", "--value", "9000")
    assert tenant.startswith("l-") and len({tenant, metric, source, rate}) == 4
    done = run(control, *LIMIT, "--budget", "tenant", "--value", "8000")
    assert done.returncode == 0 and done.stdout.startswith(f"{tenant} is in force") and "before: 5000" in done.stdout
    rows = listed(control)
    assert {i: (r["budget"], r["value"], r.get("metric")) for i, r in rows.items()} == {
        tenant: ("tenant", 8000, None), metric: ("metric", 100, "tick_seconds"), source: ("source", 200, None),
        rate: ("samples_per_second", 9000, None)}
    assert audit(control)[-1]["replaces"]["value"] == 5000

    done = run(control, "limit", "clear", metric, "--reason", "over")
    assert done.returncode == 0 and records(control)[-1] == (metric, None)
    done = run(control, "limit", "clear", "--tenant", "demo", "--budget", "source", "--reason", "over")
    assert done.returncode == 0 and set(listed(control)) == {tenant, rate}
    done = run(control, "limit", "clear", "--tenant", "demo", "--reason", "over")
    assert done.returncode == 0 and listed(control) == {}
    assert [a["act"] for a in audit(control)[-4:]] == ["revoke"] * 4
    done = run(control, "limit", "clear", "--tenant", "demo", "--reason", "over")
    assert done.returncode == 1 and "there is no limit demo" in done.stderr


def test_clear_leaves_other_kinds_and_tenants_alone(control):
    kill = act(control, *KILL)
    other = act(control, *LIMIT[:2], "--tenant", "studio-a", *LIMIT[4:], "--budget", "tenant", "--value", "5")
    act(control, *LIMIT, "--budget", "tenant", "--value", "5")
    assert run(control, "limit", "clear", kill, "--reason", "x").returncode == 1
    act(control, "limit", "clear", "--tenant", "demo", "--reason", "x")
    assert set(listed(control)) == {kill, other}


def test_rules_that_are_over_are_not_listed_and_leave_the_topic_later(control):
    now = now_ms()
    put(control, rule("k-live", now - HOUR_MS, now + HOUR_MS), rule("k-late", now - 3 * HOUR_MS, now - HOUR_MS // 2),
        rule("k-old", now - 5 * HOUR_MS, now - 2 * HOUR_MS), rule("k-older", now - 5 * HOUR_MS, now - 3 * HOUR_MS))
    assert set(listed(control)) == {"k-live"}
    rows = listed(control, "--all")
    assert set(rows) == {"k-live", "k-late", "k-old", "k-older"}
    assert not rows["k-old"]["live"] and rows["k-old"]["left_ms"] == 0
    assert "over, until" in run(control, "list", "--all").stdout

    done = run(control, *KILL)
    assert done.returncode == 0 and "2 rules whose time was over" in done.stdout
    id_ = done.stdout.split()[0]
    assert {key for key, value in records(control) if value is None} == {"k-old", "k-older"}
    assert set(listed(control, "--all")) == {"k-live", "k-late", id_}
    assert [(a["act"], a["id"]) for a in audit(control)[:1]] == [("kill", id_)]  # what was asked for comes first
    assert {(a["act"], a["id"], a["rule"]["who"]) for a in audit(control)[1:]} == {
        ("expired", "k-old", "bob"), ("expired", "k-older", "bob")}
    assert "whose time was over" not in run(control, "revoke", "k-live", "--reason", "x").stdout


def test_a_rule_that_is_over_can_be_revoked_once(control):
    now = now_ms()
    put(control, rule("k-old", now - 5 * HOUR_MS, now - 2 * HOUR_MS))
    done = run(control, "revoke", "k-old", "--reason", "x")
    assert done.returncode == 0 and "k-old is taken off, it was over" in done.stdout
    assert [value for _, value in records(control)[1:]] == [None]
    assert [a["act"] for a in audit(control)] == ["revoke"]


def test_what_is_no_rule_is_named_and_can_be_taken_off(control):
    now = now_ms()
    put(control, rule("k-1", now, now + HOUR_MS, reason="\x1b[2Jgone\u009b", who="b\r\nb"),
        rule("k-2", now, now + 31 * 24 * HOUR_MS), ("p-1", {"kind": "reroute", "group": "amp"}), ("k-4", b"{"),
        rule("k-5", now, now + HOUR_MS, ticket="OPS-1"), ("k-6", b"{"), rule("k-6", now, now + HOUR_MS))
    done = run(control, "list")
    assert done.returncode == 0
    assert "k-1" in done.stdout and "k-5" in done.stdout and "k-6" in done.stdout
    assert "b??b on" in done.stdout and "?[2Jgone?" in done.stdout and "\x1b" not in done.stdout
    warnings = done.stderr.splitlines()
    assert len(warnings) == 3
    assert any("k-2 is no rule: offset 1: k-2: expires_ms: must be after" in w for w in warnings)
    assert any("p-1 is no rule: of a kind that this version does not know" in w for w in warnings)
    assert any("k-4 is no rule: offset 3: k-4: not a JSON object" in w for w in warnings)
    done = run(control, "revoke", "k-4", "--reason", "a slip")
    last = control.read_committed(topic(control, "control"))[-1]
    assert done.returncode == 0 and (last.key(), last.value()) == (b"k-4", None)
    assert audit(control)[-1]["id"] == "k-4" and "rule" not in audit(control)[-1]
    assert len(run(control, "list").stderr.splitlines()) == 2


WRONG = {
    "nothing": ([], "usage:"),
    "no such command": (["lsit"], '"lsit" is no command'),
    "an option first": (["--tenant", "x"], '"--tenant" is no command'),
    "limit what": (["limit", "--tenant", "x"], "limit: set or clear?"),
    "no tenant": (["kill", "--drop"], "kill: --tenant is needed"),
    "no value": (["kill", "--tenant"], "kill: --tenant needs a value"),
    "no such option": (["kill", "--tennant", "x"], "kill: --tennant is not understood"),
    "an option of another command": ([*KILL, "--class", "verbose"], "kill: --class does not go with this command"),
    "no action": (["kill", "--tenant", "x", "--metric", "m"], "say one of --drop, --sample 1/N or --dry-run"),
    "two actions": ([*KILL, "--sample", "1/2"], "say one of --drop"),
    "everything": (["kill", "--tenant", "x", "--drop", "--ttl", "1h", "--reason", "r"], "say --force"),
    "everything by a star": (["kill", "--tenant", "x", "--metric", "**", "--drop", "--ttl", "1h", "--reason", "r"],
                             "say --force"),
    "no ttl": (KILL[:6], "kill: --ttl is needed"),
    "no reason": (KILL[:8], "kill: --reason is needed"),
    "a ttl without unit": ([*KILL[:7], "90", *KILL[8:]], "--ttl must be a number with s, m, h or d"),
    "a ttl too long": ([*KILL[:7], "31d", *KILL[8:]], "30d at most"),
    "a ttl of nothing": ([*KILL[:7], "0s", *KILL[8:]], "--ttl must be"),
    "a sample of all": ([*KILL[:5], "--sample", "1/1", *KILL[6:]], "--sample must be 1/N"),
    "a label without a pattern": ([*KILL, "--label", "queue"], "--label must be name=pattern"),
    "a label twice": ([*KILL, "--label", "a=b", "--label", "a=c"], "--label names a label twice"),
    "an option twice": ([*KILL, "--ttl", "1h"], "--ttl is given twice"),
    "a bad tenant": (["kill", "--tenant", "a b", *KILL[3:]], "tenant: a tenant's name has"),
    "a long reason": ([*KILL[:9], "x" * 513], "reason: must be a string of 1 to 512 bytes"),
    "shed critical": (["shed", "--class", "critical", "--ttl", "1h", "--reason", "r"], "critical is never shed"),
    "shed every tenant": (["shed", "--class", "verbose", "--ttl", "1h", "--reason", "r"], "say --force"),
    "no such budget": ([*LIMIT, "--budget", "bytes", "--value", "1"], "--budget must be source, metric"),
    "a budget of nothing": ([*LIMIT, "--budget", "tenant", "--value", "0"], "value: must be an integer from 1"),
    "a value that is no number": ([*LIMIT, "--budget", "tenant", "--value", "5k"], "--value must be a whole number"),
    "by metric without one": ([*LIMIT, "--budget", "metric", "--value", "1"], "--metric is needed"),
    "a metric for all": ([*LIMIT, "--budget", "tenant", "--value", "1", "--metric", "m"], "with --budget metric only"),
    "a pattern for a budget": ([*LIMIT, "--budget", "metric", "--value", "1", "--metric", "m*"], "an exact name"),
    "revoke what": (["revoke", "--reason", "r"], "give the id"),
    "revoke two": (["revoke", "k-1", "k-2", "--reason", "r"], "revoke: k-2 is not understood"),
    "revoke without a reason": (["revoke", "k-1"], "--reason is needed"),
    "clear what": (["limit", "clear", "--reason", "r"], "say which by its id"),
    "a key that is not there": (["list", "--set", "control_topik=x"], "control_topik"),
    "no brokers": (["list"], "kafka.bootstrap.servers is not set"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_usage_is_named(name):
    arguments, want = WRONG[name]
    done = run(None, *arguments)
    assert done.returncode == 2 and want in done.stderr and done.stdout == ""


def test_without_a_name_nothing_is_signed():
    done = subprocess.run([BINARY, *KILL], capture_output=True, text=True, check=False,
                          env={"PATH": os.environ["PATH"]}, timeout=60)
    assert done.returncode == 2 and "--who is needed" in done.stderr


def test_help_says_how_and_with_what_exit_code():
    done = run(None, "kill", "--help")
    assert done.returncode == 0 and "exit codes: 0 done; 1 failed; 2 usage" in done.stdout
    assert "control_topic" in done.stdout and "librdkafka" in run(None, "--version").stdout


def test_topics_that_do_not_fit_are_named_and_nothing_is_written(stack):
    done = run(stack, *KILL)
    assert done.returncode == 2 and "topic sluice.control does not exist" in done.stderr
    assert "sluice-offsets topics apply" in done.stderr
    create_topic(stack, "sluice.control", 1)
    done = run(stack, *KILL)
    assert done.returncode == 2 and "topic sluice.audit does not exist" in done.stderr
    assert records(stack) == []
    create_topic(stack, "wide", 2)
    for arguments in (KILL, ["list"]):
        done = run(stack, *arguments, control_topic="wide")
        assert done.returncode == 2 and "wide has 2 partitions, and must have 1" in done.stderr


def test_an_audit_topic_that_refuses_keeps_the_rule_from_being_written(control):
    create_topic(control, "small", 1, max_message_bytes=50)
    done = run(control, *KILL, audit_topic="small")
    assert done.returncode == 1 and "nothing was changed: small: not written" in done.stderr
    assert records(control) == [] and done.stdout == ""


def test_an_open_transaction_is_told_not_overlooked(control):
    id_ = act(control, *KILL)
    producer = control.producer(transactional_id="somebody")
    producer.init_transactions()
    producer.begin_transaction()
    producer.produce(topic(control, "control"), b"{}", key=b"x")
    producer.flush()
    done = run(control, "list", timeout_ms=1500)
    assert done.returncode == 1 and "could not be read to its end" in done.stderr and done.stdout == ""
    producer.abort_transaction()
    assert set(listed(control)) == {id_}


def test_brokers_that_are_away_give_an_error(stack):
    create_topic(stack, "sluice.control", 1)
    create_topic(stack, "sluice.audit", 1)
    create_topic(stack, "metrics.valid", 12)
    stack.kafka.stop()
    for arguments in (["list"], KILL, ["revoke", "k-1", "--reason", "r"], [*KILL[:5], "--dry-run"]):
        done = run(stack, *arguments, timeout_ms=2000)  # bounded: run gives up after a while
        assert done.returncode == 1 and done.stdout == ""
        assert re.search(r"topic (sluice.control|metrics.valid): the brokers did not answer", done.stderr), done.stderr


# dry run

def points(n_debug=3, n_tick=2):
    return [batches.counter("debug_x", 1, queue=f"q{i}") for i in range(n_debug)] + [
        batches.gauge("tick", 2, queue=f"q{i}") for i in range(n_tick)]


def produce(stack, rows, **config):
    """rows: (source, batch's bytes[, append time])."""
    producer = stack.producer(**config)
    for source, value, *time_ms in rows:
        producer.produce(topic(stack, "valid"), value, partition=batches.partition_of(source, 12),
                         **({"timestamp": time_ms[0]} if time_ms else {}))
    assert producer.flush(30) == 0


def dry(stack, *arguments, **keys):
    done = run(stack, "kill", "--tenant", "demo", *arguments, "--dry-run", "--window", "10m", **keys)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return done.stdout


def test_a_dry_run_counts_what_it_would_hit_and_writes_nothing(control):
    t0 = now_ms()
    rows = [(f"gs-{s}", batches.batch(f"gs-{s}", points(n_debug=3 if s < 4 else 0), t0 + 10_000 * k))
            for s in range(10) for k in range(6)]
    rows += [("gs-1", batches.batch("gs-1", points(), t0, tenant="studio-a"))]
    rows += [("gs-1", batches.heartbeat(t0)), ("gs-2", b"no batch")]
    produce(control, rows)
    text = dry(control, "--metric", "debug_*")
    # Each of 4 sources has the same 3 series of debug_x (of one tenant, they are the same series).
    assert "series    3 (60.0 % of the tenant's 5)" in text
    assert "sources   4 (40.0 % of the tenant's 10)" in text
    assert "samples   72, 0.1/s (37.5 % of the tenant's 192)" in text
    assert "0.1 samples/s, 3 series: debug_x" in text and "tick" not in text
    assert "1 records are no batches" in text
    text = dry(control, "--label", "queue=q1")
    assert "series    2 (40.0 %" in text and "samples   84," in text and "sources   10 (100.0 %" in text
    assert text.index("series: tick") < text.index("series: debug_x")  # 60 samples, 24 samples
    assert "series    0 (0.0 %" in dry(control, "--metric", "nothing_*")
    assert "the tenant sent nothing" in run(control, "kill", "--tenant", "x", "--metric", "m", "--dry-run").stdout
    assert records(control) == [] and audit(control) == []


def test_a_dry_run_of_sampling_leaves_out_the_batches_that_pass(control):
    t0 = now_ms()
    times = [t0 + 10_000 * k for k in range(40)]
    produce(control, [("gs-1", batches.batch("gs-1", points(), t)) for t in times])
    source = batches.source_id("gs-1")
    n_passing = sum(xxhash.xxh3_64_intdigest(struct.pack("<Qq", source, t)) % 4 == 0 for t in times)
    assert 0 < n_passing < 40
    text = dry(control, "--metric", "debug_*", "--sample", "1/4")
    assert f"samples   {3 * (40 - n_passing)}, " in text and "series    3 " in text


def test_a_dry_run_shows_the_five_metrics_hit_most(control):
    t0 = now_ms()
    for n in range(1, 8):
        produce(control, [("gs-1", batches.batch("gs-1", [batches.counter(f"m{n}", 1), batches.counter("other", 1)],
                                                 t0 + 1000 * n + k)) for k in range(n)])
    shown = re.findall(r"series: (\w+)", dry(control, "--metric", "m*"))
    assert shown == ["m7", "m6", "m5", "m4", "m3"]


def test_a_dry_run_counts_up_to_a_cap_and_says_so(control):
    t0 = now_ms()
    produce(control, [("gs-1", batches.batch("gs-1", points(50, 0), t0))])
    text = dry(control, "--metric", "debug_*", dry_run_max_series=20)
    assert "series    at least 20" in text and "samples   50, " in text
    assert "at least" not in dry(control, "--metric", "debug_*", dry_run_max_series=50)


def test_a_dry_run_sees_the_window_and_what_is_committed(stack):
    create_topic(stack, "metrics.valid", 12, message_timestamp_type="CreateTime")
    t0 = now_ms()
    produce(stack, [(f"gs-{s}", batches.batch(f"gs-{s}", points(), t0 - 3_600_000), t0 - 3_600_000) for s in range(5)])
    assert "the tenant sent nothing" in dry(stack, "--metric", "debug_*")
    produce(stack, [("gs-1", batches.batch("gs-1", points(), t0), t0)])
    assert "samples   3, " in dry(stack, "--metric", "debug_*")
    producer = stack.producer(transactional_id="validate")
    producer.init_transactions()
    for end in (producer.abort_transaction, producer.commit_transaction):
        producer.begin_transaction()
        producer.produce(topic(stack, "valid"), batches.batch("gs-1", points(), t0 + 1),
                         partition=batches.partition_of("gs-1", 12))
        producer.flush()
        assert "samples   3, " in dry(stack, "--metric", "debug_*")  # not what is open
        end()
    assert "samples   6, " in dry(stack, "--metric", "debug_*")
