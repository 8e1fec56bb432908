"""SCRAM and mTLS to brokers, by librdkafka's own properties, and client.rack: whole workers and sluice-offsets through the secured
listeners of a real broker."""
import json
import subprocess

import pytest
from confluent_kafka import admin

from deploy.local.certificates import Authority
from deploy.local.places import HOST, ROOT, free_ports
from tests.flow import java_plugin, logged_in
from tests.flow.stack import StackUnderTest, wait_for
from tests.flow.test_pipeline import metric

USER, PASSWORD, RACK = "sluice", "a password, with = and \"quotes\"", "euc1-az2"


class SecuredBroker:
    """A stack whose broker has listeners for SCRAM over TLS and for clients with certificates besides the plain one, admits to
    its topics only those who came through these, and writes down who reads from which rack."""

    def __init__(self, directory, probe):
        self.stack = StackUnderTest(directory)
        self.authority = Authority(directory / "certificates")
        self.strangers = Authority(directory / "strangers")
        self.logins = {authority: authority.issue("sluice") for authority in (self.authority, self.strangers)}
        self.authority.issue("broker")
        first = free_ports(2)
        self.ports = {"SCRAM": first, "MTLS": first + 1}
        self.racks = directory / "racks"
        kafka = self.stack.kafka
        kafka.plugins = [probe]
        kafka.properties = "".join(f"{key}={value}\n" for key, value in self._properties(kafka))
        try:
            kafka.start()
            self.stack.admin.alter_user_scram_credentials([admin.UserScramCredentialUpsertion(
                USER, admin.ScramCredentialInfo(admin.ScramMechanism.SCRAM_SHA_512, 4096), PASSWORD.encode())])[USER].result()
        except BaseException:
            self.stack.stop()
            raise

    def _properties(self, kafka):
        plain = {"PLAINTEXT": kafka.port(0), "CONTROLLER": kafka.controller_port(0)}
        yield "listeners", ",".join(f"{name}://{HOST}:{port}" for name, port in {**plain, **self.ports}.items())
        yield "listener.security.protocol.map", "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SCRAM:SASL_SSL,MTLS:SSL"
        yield "ssl.keystore.type", "PEM"
        yield "ssl.keystore.location", self.authority.directory / "broker.both"
        yield "ssl.truststore.type", "PEM"
        yield "ssl.truststore.location", self.authority.path
        yield "listener.name.scram.sasl.enabled.mechanisms", "SCRAM-SHA-512"
        yield ("listener.name.scram.scram-sha-512.sasl.jaas.config",
               "org.apache.kafka.common.security.scram.ScramLoginModule required;")
        yield "listener.name.mtls.ssl.client.auth", "required"
        yield "authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer"
        yield "super.users", f"User:ANONYMOUS;User:{USER};User:CN=sluice"
        yield "replica.selector.class", "RackProbe"
        yield "rack.probe.log", self.racks

    def keys(self, login, authority=None):
        """kafka.* for a login; the password is in the environment."""
        keys = {"bootstrap.servers": f"{HOST}:{self.ports[login]}", "ssl.ca.location": str(self.authority.path)}
        if login == "SCRAM":
            return {**keys, "security.protocol": "sasl_ssl", "sasl.mechanism": "SCRAM-SHA-512", "sasl.username": USER}
        certificate, key = self.logins[authority or self.authority]
        return {**keys, "security.protocol": "ssl", "ssl.certificate.location": str(certificate), "ssl.key.location": str(key)}

    def worker(self, keys):
        return self.stack.new_worker("validate", **{f"kafka.{key}": value for key, value in keys.items()})

    def offsets(self, tmp_path, keys, verb, env):
        config = tmp_path / "offsets.json"
        config.write_text(json.dumps({"profile": "local", "tenants": ["demo"], "topics_file": str(ROOT / "deploy/topics.json"),
                                      **{f"kafka.{key}": value for key, value in keys.items()}}))
        return subprocess.run([self.stack.places.binary("sluice-offsets"), "topics", verb, "--config", str(config)],
                              env={"PATH": "/usr/bin:/bin", **env}, capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    probe = java_plugin.compiled(ROOT / "tests/flow/kafka_logins/RackProbe.java", tmp_path_factory.mktemp("classes"))
    made = SecuredBroker(tmp_path_factory.mktemp("secured"), probe)
    yield made
    made.stack.stop()


@pytest.fixture
def secured(broker):
    """The one broker; each test's workers end with it."""
    yield broker
    for worker in broker.stack.workers:
        worker.process.kill()


SECRET = {"SLUICE_KAFKA_SASL_PASSWORD": PASSWORD}


@pytest.mark.parametrize("login, env", [("SCRAM", SECRET), ("MTLS", {})])
def test_topics_and_a_worker_through_the_listener(secured, tmp_path, login, env):
    keys = secured.keys(login)
    for verb in ("apply", "check"):
        done = secured.offsets(tmp_path, keys, verb, env)
        assert done.returncode == 0, done.stdout + done.stderr
    rack = f"{RACK}-{login}"
    worker = secured.worker(keys)
    worker.start(env={**env, "SLUICE_KAFKA_CLIENT_RACK": rack})
    worker.wait_ready()
    logged_in.put_logins(secured.stack, 20)
    wait_for(lambda: metric(worker, "sluice_samples_out_total") == 20, what="20 samples")
    # The broker's word: this worker, from that rack.
    assert f"{worker.name} {rack}" in secured.racks.read_text().splitlines()
    worker.stop()
    assert worker.process.exit_code() == 0
    assert PASSWORD not in worker.process.log_text()


@pytest.mark.parametrize("login, env", [("SCRAM", SECRET), ("MTLS", {})])
def test_the_operators_tool_through_the_listener(secured, tmp_path, login, env):
    keys = secured.keys(login)
    assert secured.offsets(tmp_path, keys, "apply", env).returncode == 0
    logged_in.work_of_an_operator(secured.stack, tmp_path, keys, env)


@pytest.mark.parametrize("login, env, stranger, says", [
    ("SCRAM", {"SLUICE_KAFKA_SASL_PASSWORD": "wrong"}, False, "invalid credentials"),
    ("MTLS", {}, True, "certificate unknown"),
])
def test_a_refused_login_is_told(secured, tmp_path, login, env, stranger, says):
    keys = secured.keys(login, secured.strangers if stranger else None)
    worker = secured.worker(keys)
    worker.start(env=env)
    wait_for(lambda: says in worker.process.log_text(), 60, f'the log\'s "{says}"')
    assert not worker.ready()
    done = secured.offsets(tmp_path, {**keys, "socket.timeout.ms": "1000"}, "check", env)
    assert done.returncode != 0
