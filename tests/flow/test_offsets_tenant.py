"""sluice-offsets topics tenant create, with brokers that ask who it is: the tenant may write to its topic, and nobody else;
its samples pass validate, whose policy has changed under it. And what apply says of series topics."""
import json
import os

import confluent_kafka
import confluent_kafka.admin
import pytest

from deploy.local.places import HOST, ROOT, free_ports
from tests.flow import offsets_tool, otlp
from tests.flow.offsets_tool import run
from tests.flow.stack import StackUnderTest, wait_for

PASSWORDS = {"studio-x": "one", "studio-y": "two", "validate": "three", "plain": "four"}


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    """A broker with an authorizer and a second listener with passwords; the first one's clients may do all."""
    stack = StackUnderTest(tmp_path_factory.mktemp("tenant") / "stack")
    kafka, stack.login_port = stack.kafka, free_ports(1)
    users = " ".join(f'user_{name}="{word}"' for name, word in PASSWORDS.items())
    kafka.properties = (
        "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\nsuper.users=User:ANONYMOUS\n"
        f"listeners=PLAINTEXT://{HOST}:{kafka.port(0)},CONTROLLER://{HOST}:{kafka.controller_port(0)},"
        f"LOGIN://{HOST}:{stack.login_port}\n"
        "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,LOGIN:SASL_PLAINTEXT\n"
        "listener.name.login.sasl.enabled.mechanisms=PLAIN\n"
        "listener.name.login.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required "
        f"{users};\n")
    try:
        kafka.start()
        stack.create_all_topics()
        yield stack
    finally:
        stack.stop()


def login(stack, user):
    return {"bootstrap.servers": f"{HOST}:{stack.login_port}", "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanism": "PLAIN", "sasl.username": user, "sasl.password": PASSWORDS[user]}


def write(stack, user, topic, value):
    """None, or why not."""
    told = []
    producer = confluent_kafka.Producer({**login(stack, user), "message.timeout.ms": 20000})
    producer.produce(topic, value, on_delivery=lambda error, _: told.append(error))
    assert producer.flush(30) == 0
    return told[0] and told[0].code()


def create(stack, *arguments, **keys):
    return run(stack, "topics", "tenant", "create", *arguments, topics_file=ROOT / "deploy/topics.json", profile="local",
               **keys)


def rows(done):
    assert done.returncode == 0, done.stderr
    return {(row["what"], row["detail"].split(" may ")[-1] if row["what"] == "acl" else ""): row
            for row in json.loads(done.stdout)}


def test_a_tenant_is_made_at_once_and_once(stack, tmp_path):
    policy = tmp_path / "policy.json"
    policy.write_text(json.dumps({"limits": {"series_per_source": 300}, "tenants": {"demo": {}}}))
    worker = stack.worker("validate", policy=str(policy))
    keys = {"policy": policy, "validate_principal": "User:validate"}
    quota = ["--series", "20000", "--samples-per-second", "5000"]
    before = policy.read_text()

    states = {row["state"] for row in rows(create(stack, "studio-x", *quota, "--dry-run", "--json", **keys)).values()}
    assert states == {"missing"}
    assert policy.read_text() == before and "metrics.ingest.studio-x" not in stack.admin.list_topics(timeout=10).topics
    assert "dry run: nothing was changed" in create(stack, "studio-x", "--dry-run", **keys).stdout

    made = rows(create(stack, "studio-x", *quota, "--json", "--who", "ana", **keys))
    assert [(a["who"], a["act"], a["id"]) for a in offsets_tool.acts(stack)] == [("ana", "tenant create", "studio-x")]
    assert {what for what, _ in made} == {"topic", "acl", "policy"} and {r["state"] for r in made.values()} == {"created"}
    assert ("acl", "write") in made and ("acl", "read") in made
    assert json.loads(policy.read_text())["tenants"] == {
        "demo": {}, "studio-x": {"limits": {"series_per_tenant": 20000, "samples_per_second": 5000}}}
    assert json.loads(policy.read_text())["limits"] == {"series_per_source": 300}
    after = policy.read_text()
    again = rows(create(stack, "studio-x", *quota, "--json", **keys))
    assert {r["state"] for r in again.values()} == {"ok"} and policy.read_text() == after

    server = otlp.resource()
    otlp.counter(server, "hits_total", 5, otlp.now_ms())
    topic, denied = "metrics.ingest.studio-x", confluent_kafka.KafkaError.TOPIC_AUTHORIZATION_FAILED
    assert write(stack, "studio-y", topic, b"forged") == denied
    wait_for(lambda: "a new policy is in force" in worker.process.log_text(), what="the new policy")
    assert write(stack, "studio-x", topic, otlp.message(server)) is None
    wait_for(lambda: any(r["value"]["tenant"] == "studio-x" for r in
                         offsets_tool.lines(run(stack, "cat", "metrics.valid", "--metric", "hits*"))), 60, "its samples")
    reader = confluent_kafka.Consumer({**login(stack, "validate"), "group.id": "x"})
    assert reader.get_watermark_offsets(confluent_kafka.TopicPartition(topic, 0), timeout=20)
    reader.close()


def test_check_finds_access_that_was_taken_away_and_apply_gives_it_back(stack):
    def topics(verb):
        done = run(stack, "topics", verb, "--json", topics_file=ROOT / "deploy/topics.json", profile="local", tenants="studio-z",
                   validate_principal="User:validate")
        return done.returncode, {(row["topic"], row["detail"]): row["state"] for row in json.loads(done.stdout) if row["what"] == "acl"}

    topic = "metrics.ingest.studio-z"
    writes, reads = (topic, "User:studio-z may write"), (topic, "User:validate may read")
    assert topics("apply") == (0, {writes: "created", reads: "created"})
    wait_for(lambda: topics("check") == (0, {writes: "ok", reads: "ok"}), what="the ACLs to be known")
    mine = confluent_kafka.admin.AclBindingFilter(
        confluent_kafka.admin.ResourceType.TOPIC, topic, confluent_kafka.admin.ResourcePatternType.LITERAL, "User:studio-z", None,
        confluent_kafka.admin.AclOperation.ANY, confluent_kafka.admin.AclPermissionType.ANY)
    for future in stack.admin.delete_acls([mine]).values():
        assert len(future.result(timeout=30)) == 1
    wait_for(lambda: topics("check") == (1, {writes: "missing", reads: "ok"}), what="check to find it")
    assert topics("apply") == (0, {writes: "created", reads: "ok"})


def test_the_tool_logs_in_as_the_workers_do(stack):
    """And is told when it may not: what a login lacks is no secret."""
    keys = {"kafka__bootstrap__servers": f"{HOST}:{stack.login_port}", "kafka__security__protocol": "sasl_plaintext",
            "kafka__sasl__mechanism": "PLAIN", "kafka__sasl__username": "plain"}
    done = run(None, "cat", "metrics.valid", env={"SLUICE_KAFKA_SASL_PASSWORD": PASSWORDS["plain"]}, **keys)
    assert done.returncode != 0 and "uthoriz" in done.stderr, done
    done = run(None, "status", env={"SLUICE_KAFKA_SASL_PASSWORD": "wrong"}, connect_timeout_ms=3000, **keys)
    assert done.returncode == 3 and "the network and the login" in done.stderr and "wrong" not in done.stderr
    allow(stack, "User:plain", "metrics.valid")
    done = run(None, "cat", "metrics.valid", "--limit", "1", env={"SLUICE_KAFKA_SASL_PASSWORD": PASSWORDS["plain"]}, **keys)
    assert done.returncode == 0, done.stderr


def allow(stack, principal, topic):
    acl = confluent_kafka.admin.AclBinding(
        confluent_kafka.admin.ResourceType.TOPIC, topic, confluent_kafka.admin.ResourcePatternType.LITERAL, principal, "*",
        confluent_kafka.admin.AclOperation.READ, confluent_kafka.admin.AclPermissionType.ALLOW)
    for future in stack.admin.create_acls([acl]).values():
        future.result()


def test_what_is_there_already_stays(stack, tmp_path):
    policy = tmp_path / "policy.json"
    policy.write_text('{"tenants": {"studio-y": {"limits": {"series_per_tenant": 7}}}}')
    row = rows(create(stack, "studio-y", "--series", "8", "--json", policy=policy))["policy", ""]
    assert row["state"] == "ok" and "other limits, which stay" in row["detail"]
    assert json.loads(policy.read_text())["tenants"]["studio-y"]["limits"] == {"series_per_tenant": 7}


def test_refusals_change_nothing(stack, tmp_path):
    bad = tmp_path / "bad.json"
    bad.write_text('{"tenants": {"a": {"limits": {"series_per_tenant": "many"}}}}')
    for arguments, keys, words in (
            (["a b"], {}, "a tenant's name has 1 to 128 letters"), (["new-one"], {"policy": bad}, "series_per_tenant"),
            (["new-one"], {"policy": tmp_path / "none.json"}, "none.json"),
            (["new-one", "--series", "x"], {}, "--series x: must be a number"),
            (["new-one", "--principal", "nobody"], {}, "nobody"), ([], {}, "topics: of what?")):
        done = create(stack, *arguments, **keys)
        assert done.returncode == 2 and words in done.stderr, (arguments, done)
    assert "metrics.ingest.new-one" not in stack.admin.list_topics(timeout=10).topics


def test_a_policy_that_cannot_be_written_says_what_else_to_do(stack, tmp_path):
    if os.geteuid() == 0:
        folder = "/proc/self"  # where nobody makes files
        policy = f"{folder}/environ"
        done = create(stack, "other", policy=policy)
        assert done.returncode == 2 and "policy /proc/self/environ" in done.stderr
    else:
        policy = tmp_path / "policy.json"
        policy.write_text("{}")
        tmp_path.chmod(0o500)
        done = create(stack, "other", policy=policy)
        tmp_path.chmod(0o700)
        assert done.returncode == 2 and "no file can be made beside it" in done.stderr


def test_brokers_without_an_authorizer_are_told(new_stack):
    stack = new_stack()
    offsets_tool.create_topic(stack, "sluice.audit", 1)
    done = create(stack, "studio-z")
    assert done.returncode == 2 and "no authorizer" in done.stderr and "--no-acls" in done.stderr
    assert "metrics.ingest.studio-z" not in stack.admin.list_topics(timeout=10).topics
    made = rows(create(stack, "studio-z", "--no-acls", "--json"))
    assert {what for what, _ in made} == {"topic"}


def test_a_series_topics_partitions_are_not_changed_and_why(stack, tmp_path):
    definition = json.loads((ROOT / "deploy/topics.json").read_text())
    definition["profiles"]["local"]["partitions"] = 24
    path = tmp_path / "topics.json"
    path.write_text(json.dumps(definition))
    done = run(stack, "topics", "apply", "--json", topics_file=path, profile="local", tenants="demo")
    told = {row["topic"]: row["detail"] for row in json.loads(done.stdout) if row["state"] == "differs"}
    assert done.returncode == 1
    for topic in ("metrics.valid", "metrics.admitted", "metrics.rollup.1m", "sluice.limit"):
        assert "12 partitions (wanted 24)" in told[topic] and "rollup state would stay behind" in told[topic]
    assert "lose their order" in told["metrics.ingest.demo"]
    assert len(stack.ends("metrics.valid")) == 12
