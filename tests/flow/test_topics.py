"""sluice-offsets topics apply | check against a real cluster."""
import json
import subprocess

import confluent_kafka.admin as admin

from deploy.local.places import ROOT

OFFSETS = ROOT / "build/bin/sluice-offsets"


def run(stack, verb, *arguments):
    done = subprocess.run([str(OFFSETS), "topics", verb, "--json", "--set", f"kafka.bootstrap.servers={stack.bootstrap}",
                           "--set", f"topics_file={ROOT}/deploy/topics.json", "--set", "profile=local",
                           "--set", "tenants=demo,studio-a", *arguments], capture_output=True, text=True, check=False)
    rows = {row["topic"]: row for row in json.loads(done.stdout)} if done.stdout.startswith("[") else {}
    return done.returncode, rows, done.stderr


def test_apply_creates_check_agrees_and_drift_is_named(stack):
    code, rows, _ = run(stack, "check")
    assert code == 1 and {row["state"] for row in rows.values()} == {"missing"}
    code, rows, _ = run(stack, "apply")
    assert code == 0 and {row["state"] for row in rows.values()} == {"created"}
    assert {"metrics.ingest", "metrics.ingest.demo", "metrics.ingest.studio-a", "metrics.valid", "sluice.limit"} <= set(rows)
    code, rows, _ = run(stack, "check")
    assert code == 0 and {row["state"] for row in rows.values()} == {"ok"}, rows

    resource = admin.ConfigResource(admin.ResourceType.TOPIC, "metrics.valid", incremental_configs=[
        admin.ConfigEntry("retention.ms", "1000", incremental_operation=admin.AlterConfigOpType.SET)])
    stack.admin.incremental_alter_configs([resource])[resource].result()
    code, rows, _ = run(stack, "check")
    assert code == 1 and rows["metrics.valid"]["state"] == "differs"
    assert "retention.ms is 1000, wanted 86400000" in rows["metrics.valid"]["detail"]
    code, rows, _ = run(stack, "apply")
    assert code == 0 and rows["metrics.valid"]["state"] == "changed"
    assert run(stack, "check")[0] == 0


def test_a_number_of_partitions_is_never_changed(stack):
    stack.create_topic("metrics.dlq", 3)
    code, rows, _ = run(stack, "apply")
    assert code == 1 and rows["metrics.dlq"]["state"] == "differs"
    assert "3 partitions (wanted 12)" in rows["metrics.dlq"]["detail"]


def test_bad_input_is_named(stack, tmp_path):
    bad = tmp_path / "topics.json"
    bad.write_text('{"defaults": {"partitions": 1}, "profiles": {"local": {}}, "topics": [{"name": "x"}]}')
    code, _, errors = run(stack, "check", "--set", f"topics_file={bad}")
    assert code == 2 and "topic x: replication" in errors
    code, _, errors = run(stack, "check", "--set", "profile=moon")
    assert code == 2 and 'no profile "moon"' in errors
