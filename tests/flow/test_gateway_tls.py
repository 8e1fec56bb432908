"""The gateway over TLS: who a client certificate is, what is refused, and certificates that change."""
import http.client
import shutil
import socket
import ssl

import pytest

from deploy.local.places import HOST, free_ports
from tests.flow import otlp
from deploy.local.certificates import Authority
from tests.flow.gateway import Gateway, exchange, now_ms
from tests.flow.stack import StackUnderTest, wait_for

TENANTS = {"demo": {"principals": ["spiffe://games.example/demo"]}, "other": {"principals": ["CN=other-exporter"]}}


def scrape():
    r = otlp.resource("gs-tls")
    otlp.counter(r, "game_hits", 1.0, now_ms())
    return otlp.message(r)


class Setting:
    def __init__(self, directory, stack):
        self.ca, self.wrong_ca = Authority(directory / "ca"), Authority(directory / "wrong")
        self.certificate, self.key = (directory / name for name in ("server.pem", "server.key"))
        self.client_ca = directory / "client-ca.pem"
        shutil.copy(self.ca.path, self.client_ca)
        self.renew("first")
        self.gateway = Gateway(stack, directory / "gateway", TENANTS, tls_port=free_ports(1),
                               tls_certificate=str(self.certificate), tls_key=str(self.key),
                               tls_client_ca=str(self.client_ca))
        self.port = self.gateway.keys["tls_port"]
        self.gateway.start()

    def renew(self, cn):
        """Another certificate for the server: the key first, as a careless tool would."""
        path, key = self.ca.issue(f"server-{cn}", cn)
        shutil.copy(key, self.key)
        shutil.copy(path, self.certificate)

    def connect(self, client=None, trust=None, **context):
        c = ssl.create_default_context(cafile=str(trust or self.ca.path))
        if client:
            c.load_cert_chain(*map(str, client))
        for name, value in context.items():
            setattr(c, name, value)
        return http.client.HTTPSConnection(HOST, self.port, timeout=20, context=c)

    def post(self, client=None, headers=None, connection=None):
        """OSError: no connection, or no answer."""
        own = connection or self.connect(client)
        try:
            return exchange(own, "POST", "/v1/metrics", scrape(), {"Content-Type": "application/x-protobuf", **(headers or {})})
        finally:
            if connection is None:
                own.close()

    def bearer(self, tenant):
        return {"Authorization": f"Bearer {self.gateway.tokens[tenant]}"}

    def server_name(self):
        """The common name of the certificate that new connections get."""
        connection = self.connect()
        try:
            connection.connect()
            return dict(pair[0] for pair in connection.sock.getpeercert()["subject"])["commonName"]
        finally:
            connection.close()


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    stack = StackUnderTest(tmp_path_factory.mktemp("stack"))
    stack.kafka.start()
    stack.create_all_topics()
    yield Setting(tmp_path_factory.mktemp("tls"), stack)
    stack.stop()


def last_tenant(tls):
    newest = max(tls.gateway.records(), key=lambda r: r.timestamp()[1])
    return dict(newest.headers())["sluice-tenant"]


def test_a_certificate_says_whose_it_is(tls):
    by_uri = tls.ca.issue("uri", "whoever", "URI:spiffe://games.example/demo", "clientAuth")
    by_cn = tls.ca.issue("cn", "other-exporter", None, "clientAuth")
    behind_others = tls.ca.issue("others", "whoever", f"URI:x://{'y' * 400},RID:1.2.3.4,IP:{HOST},URI:spiffe://games.example/demo",
                                 "clientAuth")
    for client, tenant in ((by_uri, b"demo"), (by_cn, b"other"), (behind_others, b"demo")):
        assert tls.post(client).status == 200
        assert last_tenant(tls) == tenant
    named = tls.post(by_uri, {"X-Scope-OrgID": "other"})
    assert named.status == 403 and named.reason == "other_tenant", named
    both = tls.post(by_uri, tls.bearer("other"))
    assert both.status == 403 and both.reason == "other_tenant", both
    assert tls.post(by_uri, tls.bearer("demo")).status == 200
    assert tls.post(None, tls.bearer("other")).status == 200  # a token alone will do
    assert tls.post().status == 401


def test_certificates_that_are_refused(tls):
    rows = [
        ("expired", tls.ca.issue("old", "x", "URI:spiffe://games.example/demo", "clientAuth", expired=True), 401),
        ("of another CA", tls.wrong_ca.issue("wrong", "x", "URI:spiffe://games.example/demo", "clientAuth"), 401),
        ("a server's", tls.ca.issue("srv", "x", "URI:spiffe://games.example/demo", "serverAuth"), 401),
        ("nobody's", tls.ca.issue("nobody", "nobody", "URI:spiffe://games.example/nobody", "clientAuth"), 403),
    ]
    ends = tls.gateway.stack.ends("metrics.ingest")
    for why, client, status in rows:
        try:
            answer = tls.post(client)
        except OSError:
            assert status == 401, why  # refused in the handshake
            continue
        assert answer.status == status and answer.text, (why, answer)
        assert "client certificate" in answer.text, (why, answer)
    good = tls.ca.issue("good", "x", "URI:spiffe://games.example/demo", "clientAuth")
    # A good token does not make up for a bad certificate.
    assert tls.post(rows[1][1], tls.bearer("demo")).status == 401
    assert tls.gateway.stack.ends("metrics.ingest") == ends
    assert tls.post(good).status == 200


def test_old_protocols_and_plain_text_are_refused(tls):
    with pytest.raises(OSError):
        tls.connect(maximum_version=ssl.TLSVersion.TLSv1_1, minimum_version=ssl.TLSVersion.MINIMUM_SUPPORTED).connect()
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        connection = tls.connect(maximum_version=version, minimum_version=version)
        assert tls.post(None, tls.bearer("demo"), connection).status == 200
        connection.close()
    with socket.create_connection((HOST, tls.port), 10) as s:
        s.sendall(b"POST /v1/metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"HTTP/1.1 2" not in s.recv(1000)


def test_a_new_certificate_comes_without_a_break(tls):
    kept = tls.connect()
    assert tls.post(None, tls.bearer("demo"), kept).status == 200
    tls.renew("second")
    wait_for(lambda: tls.server_name() == "second", what="the new certificate")
    answer = tls.post(None, tls.bearer("demo"), kept)  # the old connection goes on
    assert answer.status == 200 and answer.headers["Connection"] == "close"
    kept.close()
    errors = tls.gateway.metric("sluice_gateway_reload_errors_total", what="certificates")
    tls.key.write_text("nonsense")
    tls.gateway.wait_metric("sluice_gateway_reload_errors_total", errors + 1, what="certificates")
    assert tls.post(None, tls.bearer("demo")).status == 200 and tls.server_name() == "second"
    tls.renew("third")
    wait_for(lambda: tls.server_name() == "third", what="the third certificate")
    assert tls.gateway.metric("sluice_gateway_certificate_expires_seconds") > now_ms() / 1000


def test_a_new_client_ca_counts_for_new_connections(tls):
    client = tls.wrong_ca.issue("moved", "x", "URI:spiffe://games.example/demo", "clientAuth")
    shutil.copy(tls.wrong_ca.path, tls.client_ca)

    def is_taken():
        try:
            return tls.post(client).status == 200
        except OSError:
            return False

    wait_for(is_taken, what="the new CA")
    shutil.copy(tls.ca.path, tls.client_ca)
    wait_for(lambda: not is_taken(), what="the old CA")
