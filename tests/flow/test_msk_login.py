"""kafka.sasl.mechanism=AWS_MSK_IAM on a real broker, whose OAUTHBEARER listener checks the token as MSK does
(msk/MskValidator.java): whole workers log in, and go on when their keys rotate."""
import itertools

import pytest

from deploy.local.places import HOST, ROOT, free_ports
from tests.flow import java_plugin, logged_in
from tests.flow.aws_endpoints import SECRET, TOKEN, Endpoint, keys_json
from tests.flow.stack import StackUnderTest, wait_for
from tests.flow.test_pipeline import metric

LIFETIME_S = 20


@pytest.fixture(scope="module")
def validator(tmp_path_factory):
    return java_plugin.compiled(ROOT / "tests/flow/msk/MskValidator.java", tmp_path_factory.mktemp("classes"))


class Msk:
    """A stack whose broker has a second listener, for IAM; sessions there end after 12 s unless they begin
    anew before (librdkafka asks at 90 % of that: a second is left, also to a slow machine)."""

    def __init__(self, directory, validator):
        self.stack = StackUnderTest(directory)
        self.keys, self.log = directory / "keys", directory / "validator.log"
        self.port = free_ports(1)
        kafka = self.stack.kafka
        listeners = (f"PLAINTEXT://{HOST}:{kafka.port(0)},CONTROLLER://{HOST}:{kafka.controller_port(0)},"
                     f"MSK://{HOST}:{self.port}")
        kafka.plugins = [validator]
        kafka.properties = (
            f"listeners={listeners}\n"
            "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,MSK:SASL_PLAINTEXT\n"
            "listener.name.msk.sasl.enabled.mechanisms=OAUTHBEARER\n"
            "listener.name.msk.oauthbearer.sasl.server.callback.handler.class=MskValidator\n"
            "listener.name.msk.oauthbearer.connections.max.reauth.ms=12000\n"
            "listener.name.msk.oauthbearer.sasl.jaas.config=org.apache.kafka.common.security.oauthbearer."
            f'OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker" keys="{self.keys}" '
            f'log="{self.log}";\n')
        try:
            kafka.start()
        except BaseException:
            self.stack.stop()
            raise
        self.stack.create_all_topics()

    def worker(self, pod, **keys):
        return self.stack.new_worker("validate", **{
            "kafka__bootstrap__servers": f"{HOST}:{self.port}", "kafka__sasl__mechanism": "AWS_MSK_IAM",
            "kafka__security__protocol": "sasl_plaintext", "kafka__aws__region": "eu-central-1", **keys}), {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": pod.url + "/v1"}

    def answers(self):
        return self.log.read_text().splitlines() if self.log.exists() else []


@pytest.fixture(scope="module")
def broker(tmp_path_factory, validator):
    made = Msk(tmp_path_factory.mktemp("msk"), validator)
    yield made
    made.stack.stop()


@pytest.fixture
def msk(broker):
    """The one broker, with an empty log; each test's workers end with it."""
    broker.log.unlink(missing_ok=True)
    yield broker
    for worker in broker.stack.workers:
        worker.process.kill()


@pytest.fixture
def pod():
    made = Endpoint(lambda _: (200, keys_json("ASIA1")))
    yield made
    made.stop()


def test_a_worker_logs_in_and_follows_rotating_keys(msk, pod, say):
    n = itertools.count(1)
    pod.answer = lambda _: (200, keys_json(f"ASIA{next(n)}", LIFETIME_S))
    msk.keys.write_text("".join(f"ASIA{i} {SECRET} {TOKEN}\n" for i in range(1, 1000)))
    worker, env = msk.worker(pod)
    worker.start(env=env)
    worker.wait_ready()
    logged_in.put_logins(msk.stack, 20)
    wait_for(lambda: metric(worker, "sluice_samples_out_total") == 20, what="20 samples")
    # librdkafka asks for tokens by itself, and the broker for new sessions.
    wait_for(lambda: len(set(msk.answers())) >= 3, 120, "logins by a third pair of keys")
    logged_in.put_logins(msk.stack, 20)
    wait_for(lambda: metric(worker, "sluice_samples_out_total") == 40, 60, "40 samples")
    assert worker.process.alive()
    assert {line.split()[0] for line in msk.answers()} == {"ok"}
    text = worker.process.log_text()
    assert "a new token for MSK" in text and '"credentials":"container"' in text.replace(": ", ":")
    assert SECRET not in text and TOKEN not in text
    say(f"{len(msk.answers())} logins and re-authentications by {len(set(msk.answers()))} pairs of keys")


def test_the_operators_tool_logs_in(msk, pod, tmp_path):
    msk.keys.write_text(f"ASIA1 {SECRET} {TOKEN}\n")
    keys = {"bootstrap.servers": f"{HOST}:{msk.port}", "sasl.mechanism": "AWS_MSK_IAM", "security.protocol": "sasl_plaintext",
            "aws.region": "eu-central-1"}
    logged_in.work_of_an_operator(msk.stack, tmp_path, keys, {"AWS_CONTAINER_CREDENTIALS_FULL_URI": pod.url + "/v1"})
    assert {line.split()[0] for line in msk.answers()} == {"ok"}


def test_credentials_that_come_late(msk, pod):
    """The endpoint fails at first: the worker waits, says why, and logs in once it can."""
    pod.answer = lambda _: (500, b"")
    msk.keys.write_text(f"ASIA1 {SECRET} {TOKEN}\n")
    worker, env = msk.worker(pod)
    worker.start(env=env)
    worker.process.wait_until(lambda: "no token for MSK" in worker.process.log_text(), 60, "says nothing")
    assert "AWS credentials: container: 127.0.0.1" in worker.process.log_text() and not worker.ready()
    pod.answer = lambda _: (200, keys_json("ASIA1"))
    worker.wait_ready(60)


def test_refusals_are_told(msk, pod):
    """The validator refuses an unknown key and a wrong secret, and the worker's log says so."""
    msk.keys.write_text(f"ASIA1 {SECRET}x {TOKEN}\n")
    worker, env = msk.worker(pod)
    worker.start(env=env)
    wait_for(lambda: "refused: signature" in msk.answers(), 60, "a refusal")
    msk.keys.write_text("")
    wait_for(lambda: "refused: unknown access key ASIA1" in msk.answers(), 60, "a refusal")
    wait_for(lambda: "invalid_token" in worker.process.log_text(), 60, "the worker's word")
    assert not worker.ready() and SECRET not in worker.process.log_text()


@pytest.mark.parametrize("keys, says", [
    ({"kafka__aws__region": "eu central"}, 'kafka.aws.region: \\"eu central\\" is not the name of an AWS region'),
    ({}, "kafka.aws.region is not set: no AWS region: set AWS_REGION"),
    ({"kafka__aws__region": "eu-west-1", "kafka__security__protocol": "sasl"}, "kafka.security.protocol"),
], ids=["region", "no region", "protocol"])
def test_wrong_settings_exit_with_2(tmp_path, pod, keys, says):
    stack = StackUnderTest(tmp_path / "none")
    worker = stack.new_worker("validate", **{"kafka__sasl__mechanism": "AWS_MSK_IAM", **keys})
    worker.start(env={"AWS_CONTAINER_CREDENTIALS_FULL_URI": pod.url, "HOME": str(tmp_path)})
    try:
        worker.process.wait(30)
        assert worker.process.exit_code() == 2
        assert says in worker.process.log_text()
    finally:
        stack.stop()
