"""sluice-validate --explain and --reasons: the verdict of each series and the rule that decided, without Kafka. And the
policy's schema: a stock validator and sluice take and refuse the same policies."""
import json
import os
import subprocess
from pathlib import Path

import jsonschema
import pytest

from deploy.local.places import ROOT
from tests.flow import messages, otlp

TOOL = Path(os.environ.get("SLUICE_BIN") or ROOT / "build/bin") / "sluice-validate"
NOW_MS = 1_780_000_000_000
SCHEMA = jsonschema.Draft202012Validator(json.loads((ROOT / "schemas/policy.schema.json").read_text()))
TABLE = json.loads((ROOT / "tests/vectors/policy_table.json").read_text())
EXAMPLE = ROOT / "schemas/policy.example.json"


def run(*arguments):
    return subprocess.run([TOOL, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def explain(tmp_path):
    """(message, policy or its path, options…) → (exit code, what --json says)."""
    def call(message, policy=EXAMPLE, *options):
        path = policy
        if isinstance(policy, dict):
            path = tmp_path / "policy.json"
            path.write_text(json.dumps(policy))
        (tmp_path / "message").write_bytes(message)
        done = run("--explain", "--set", f"policy={path}", tmp_path / "message", "--at", NOW_MS, "--json", *options)
        return done.returncode, json.loads(done.stdout) if done.stdout else done.stderr
    return call


def test_the_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(SCHEMA.schema)


@pytest.mark.parametrize("row", TABLE, ids=lambda r: r["name"])
def test_schema_and_sluice_take_and_refuse_the_same(row, explain):
    assert SCHEMA.is_valid(row["policy"]) == row.get("schema", row["ok"])
    if isinstance(row["policy"], dict) and "tenants" not in row["policy"]:
        row["policy"]["tenants"] = {"t": {}}
    code, said = explain(b"", row["policy"] if isinstance(row["policy"], dict) else {"tenants": row["policy"]})
    assert (code == 0) == row["ok"], said
    assert code in (0, 2)


POLICIES = [EXAMPLE, ROOT / "deploy/local/policy.json", *sorted((ROOT / "tests/vectors/policy").glob("good*.json"))]


@pytest.mark.parametrize("path", POLICIES, ids=lambda p: p.name)
def test_the_files_are_policies(path, tmp_path):
    errors = [f"{list(e.path)}: {e.message}" for e in SCHEMA.iter_errors(json.loads(path.read_text()))]
    assert not errors
    (tmp_path / "none").write_bytes(b"")
    tenant = next(iter(json.loads(path.read_text())["tenants"]))
    assert run("--explain", "--set", f"policy={path}", "--tenant", tenant, tmp_path / "none").returncode == 0


def game_message():
    """(OTLP, {metric: what must be said})."""
    r = otlp.resource("gs-1", **{"cloud.region": "eu-west-1"})
    otlp.counter(r, "game.logins", 7.0, NOW_MS, unit="{login}", queue="ranked")
    otlp.counter(r, "game.debug.spawns", 1.0, NOW_MS)
    otlp.counter(r, "game.leaks", 1.0, NOW_MS, player_id="4711-secret")
    otlp.counter(r, "game.peers", 1.0, NOW_MS, queue="203.0.113.7")
    otlp.counter(r, "game.odd", 1.0, NOW_MS, colour="red")
    otlp.counter(r, "game.old", 1.0, NOW_MS - 2 * 3_600_000)
    otlp.gauge(r, "game.load", 0.5, NOW_MS)
    return otlp.message(r)


def by_metric(said):
    return {s["metric"]: s for s in said["series"]}


def test_each_series_has_its_verdict_and_the_rule_that_decided(explain):
    code, said = explain(game_message(), EXAMPLE, "--tenant", "studio-a")
    assert code == 1
    series = by_metric(said)
    assert series["game.logins"]["series"] == \
        'game_logins_total{queue="ranked",region="eu-west-1",shard_id="gs-1"}'
    assert series["game.logins"] | {"accepted": True, "class": "critical", "rule": "classes.rules[0]", "source": "gs-1",
                                    "help": "Logins that succeeded."} == series["game.logins"]
    assert series["game.debug.spawns"]["rule"] == "classes.rules[1]"
    refused = {m: (s["reason"], s.get("label"), s["rule"]) for m, s in series.items() if not s["accepted"]}
    assert refused == {"game.leaks": ("label_forbidden", "player_id", "labels.forbid[0]"),
                       "game.peers": ("personal_data", "queue", "labels.detectors.ipv4 (default)"),
                       "game.odd": ("label_not_allowed", "colour", "labels.allow"),
                       "game.load": ("kind_not_allowed", None, "kinds.allow")}
    assert all(s["what"].strip() for s in series.values() if not s["accepted"])
    assert (said["samples"], said["samples_refused"]) == (7, 5)
    too_old = [r for r in said["refused"] if r["reason"] == "too_old"]
    assert [(r["metric"], r["samples"]) for r in too_old] == [("game.old", 1)]
    assert "4711-secret" not in json.dumps(said) and "203.0.113.7" not in json.dumps(said)


def test_all_labels_that_are_refused_are_told_at_once(explain, tmp_path):
    r = otlp.resource()
    otlp.counter(r, "m", 1.0, NOW_MS, player_id="4711-secret", raw_ip="203.0.113.7", colour="red")
    one = explain(otlp.message(r), {"tenants": {"t": {}}})[1]["series"][0]
    assert (one["reason"], one["label"]) == ("label_forbidden", "player_id") and one["more_labels"] == [
        {"label": "raw_ip", "reason": "label_forbidden"}, {"label": "colour", "reason": "label_not_allowed"}]
    (tmp_path / "m").write_bytes(otlp.message(r))
    text = run("--explain", "--set", f"policy={EXAMPLE}", "--tenant", "studio-a", "--at", NOW_MS, tmp_path / "m").stdout
    assert "also raw_ip (label_forbidden), colour (label_not_allowed)" in text and "secret" not in text and "203" not in text


def test_a_tenants_own_rule_is_named_as_such(explain):
    policy = {"labels": {"forbid": ["a"]}, "tenants": {"t": {"labels": {"forbid": ["x", "queue"]}}, "u": {}}}
    r = otlp.resource()
    otlp.counter(r, "m", 1.0, NOW_MS, queue="q")
    assert explain(otlp.message(r), policy, "--tenant", "t")[1]["series"][0]["rule"] == "tenants.t.labels.forbid[1]"
    assert explain(otlp.message(r), policy, "--tenant", "u")[0] == 0


def test_exit_codes_and_people(explain, tmp_path):
    r = otlp.resource()
    otlp.counter(r, "m", 1.0, NOW_MS)
    one = {"tenants": {"t": {}}}
    assert explain(otlp.message(r), one)[0] == 0, "the policy's only tenant need not be named"
    assert explain(otlp.message(r), EXAMPLE)[0] == 2
    assert explain(otlp.message(r), EXAMPLE, "--tenant", "nobody")[0] == 2
    assert explain(otlp.message(r), tmp_path / "absent")[0] == 2
    code, said = explain(otlp.message(r)[:-3], one)
    assert code == 1 and said["reason"] == "malformed" and said["what"]
    assert run("--explain", "--set", f"policy={EXAMPLE}").returncode == 2
    assert run("--explain", "--set", f"policy={EXAMPLE}", "/nonexistent").returncode == 2
    (tmp_path / "m").write_bytes(game_message())
    text = run("--explain", "--set", f"policy={EXAMPLE}", "--tenant", "studio-a", "--at", NOW_MS, tmp_path / "m")
    assert text.returncode == 1
    assert "refused   game.leaks  counter  reason label_forbidden  label player_id  by labels.forbid[0]" in text.stdout
    assert "2 series" not in text.stdout and "3 series accepted, 4 refused; of 7 samples 5 refused" in text.stdout


SERIES = [({"__name__": "game_logins_total", "shard_id": "1"}, [(5.0, NOW_MS)]),
          ({"__name__": "game_hub_seconds_bucket", "shard_id": "1", "le": "5"}, [(5.0, NOW_MS)]),
          ({"__name__": "up", "shard_id": "1"}, [(1.0, NOW_MS)])]


@pytest.mark.parametrize("message, format", [(messages.write_1(SERIES), "remote write 1.0"),
                                             (messages.write_2(SERIES), "remote write 2.0")])
def test_remote_write_takes_kinds_from_the_dictionary(message, format, explain):
    code, said = explain(messages.snappy(message), EXAMPLE, "--tenant", "studio-a")
    series = by_metric(said)
    assert (code, said["format"]) == (1, format)
    assert (series["game_logins_total"]["kind"], series["game_logins_total"]["unit"]) == ("counter", "{login}")
    assert series["game_hub_seconds_bucket"]["accepted"] and series["game_hub_seconds_bucket"]["unit"] == "s"
    assert series["up"]["reason"] == "kind_not_allowed"


def test_the_other_formats(explain):
    point = {"metric": "a", "kind": "COUNTER", "value": 1.0, "time_ms": NOW_MS}
    code, said = explain(messages.tenant_record([point], labels={"shard_id": "1"}), {"tenants": {"t": {}}})
    assert (code, said["format"]) == (0, "avro")
    code, said = explain((ROOT / "tests/vectors/otlp_json/example.json").read_bytes(), {"tenants": {"t": {"mode": "open"}}})
    assert said["format"] == "otlp-json" and all(s["accepted"] for s in said["series"]) and len(said["series"]) == 4
    folder = ROOT / "tests/vectors/tenant_schemas"
    newer = (folder / "newer.bin").read_bytes()
    schemas = ("--set", f"tenant_schemas={folder / 'older.avsc'},{folder / 'newer.avsc'}")
    assert explain(newer, {"tenants": {"t": {}}})[1]["reason"] == "malformed"
    code, said = explain(newer, {"tenants": {"t": {}}}, *schemas)
    assert (code, len(said["series"])) == (0, 2)
    code, said = explain((folder / "newer_kind.bin").read_bytes(), {"tenants": {"t": {}}}, *schemas)
    assert code == 1 and "does not fit the current schema" in said
    assert explain(b"{}", {"tenants": {"t": {}}}, "--format", "otlp")[0] == 1, "a format that is given is not guessed"


def test_reasons_are_the_readmes():
    table = run("--reasons")
    assert table.returncode == 0
    assert table.stdout in (ROOT / "README.md").read_text(), "paste what sluice-validate --reasons prints into README.md"
    rows = json.loads(run("--reasons", "--json").stdout)
    assert len(rows) == len(table.stdout.splitlines()) - 2
    assert {r["kind"] for r in rows} <= {"redrivable", "counted", "told"}
