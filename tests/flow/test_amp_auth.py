"""sluice-amp before a store that asks who it is: AWS's signatures as botocore's own signer makes them, keys that
rotate, expire and are refused; basic and bearer with a token file that changes. Everything arrives, nothing is
dead-lettered."""
import collections
import email.utils
import hashlib
import itertools
import json
import os
import re
import subprocess
import time
from pathlib import Path

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from deploy.local.places import ROOT
from tests.fault.formats import read_letters
from tests.flow.aws_endpoints import Endpoint, keys_json
from tests.flow.stack import StackUnderTest, wait_for
from tests.flow.amp_setting import (NOTHING, PARTITIONS, TOPIC, Setting, accounts_close, differences, expected, got,
                                 metric, now_ms, scrape)
from tests.receiver.client import Receiver

REGION = "eu-central-1"
PATH = "/workspaces/ws-1/api/v1/remote_write"
TRANSPORT = {"authorization", "user-agent", "accept", "content-length", "connection"}
SERVERS = ["gs-1", "gs-2", "gs-3"]
ORG = "studio-a"


def denied(status, text, type_="AccessDeniedException", ahead_s=0):
    """As AWS denies, by a server whose clock may be ahead of ours."""
    body = json.dumps({"message": text}).encode()
    date = email.utils.formatdate(time.time() + ahead_s, usegmt=True)
    head = (f"HTTP/1.1 {status} Denied\r\nDate: {date}\r\nx-amzn-ErrorType: {type_}\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n")
    return lambda connection: connection.sendall(head.encode() + body)


class Gate:
    """What stands before the receiver double: check(request) gives an answer that refuses, or None."""

    def __init__(self, receiver, check):
        self.receiver, self.check = receiver, check
        self.endpoint = Endpoint(self._answer)

    def _answer(self, r):
        refusal = self.check(r)
        if refusal is not None:
            return refusal
        answer = self.receiver.post_raw(r.body)
        return answer.status, answer.body

    @property
    def url(self):
        return self.endpoint.url + PATH


class Aws:
    """Issues keys as a pod's endpoint does, and admits who signs with them."""

    def __init__(self, lifetime_s=3600):
        self.lifetime_s = lifetime_s
        self.numbers = itertools.count(1)
        self.keys = {}  # access key: (secret, token, expires)
        self.up = True
        self.shut = False  # refuses all
        self.revoked = set()
        self.taken = collections.Counter()  # by access key
        self.denied = collections.Counter()  # by reason
        self.held = None  # body of the first request, when it is to be answered late and badly
        self.hold_s = 0
        self.seen = []  # (body, authorization)
        self.pod = Endpoint(self._issue)

    def env(self):
        return {"AWS_CONTAINER_CREDENTIALS_FULL_URI": self.pod.url + "/v1"}

    def _issue(self, _):
        if not self.up:
            return 500, b""
        n = next(self.numbers)
        access, secret, token = f"ASIA{n}", f"secret-of-{n}", f"token/{n}+of-a-session=="
        self.keys[access] = (secret, token, time.time() + self.lifetime_s)
        return 200, keys_json(access, self.lifetime_s, SecretAccessKey=secret, Token=token)

    def secrets(self):
        return [text for secret, token, _ in self.keys.values() for text in (secret, token)]

    def _deny(self, reason, text, **more):
        self.denied[reason] += 1
        return denied(403, text, **more)

    def check(self, r):
        authorization = r.headers["Authorization"] or ""
        self.seen.append((hashlib.sha256(r.body).digest(), authorization))
        scope = re.match(r"AWS4-HMAC-SHA256 Credential=([^/]+)/\d{8}/([^/]+)/([^/]+)/aws4_request, ", authorization)
        access, region, service = scope.groups() if scope else ("", "", "")
        secret, token, expires = self.keys.get(access, ("", "", 0))
        if authorization != expected_authorization(r, access, secret):
            return self._deny("signature", "The request signature we calculated does not match")
        if (region, service) != (REGION, "aps"):
            return self._deny("scope", "Credential should be scoped to a valid region.")
        if r.headers["X-Amz-Security-Token"] != token:
            return self._deny("token", "The security token included in the request is invalid.")
        if time.time() > expires or access in self.revoked or self.shut:
            return self._deny("expired", f"The security token {token} is expired", ahead_s=3600)
        if r.headers["X-Scope-OrgID"] != ORG:
            return self._deny("org", "no org id")
        if self.hold_s and self.held is None:
            self.held = self.seen[-1]
            time.sleep(self.hold_s)
            return 503, b"try again"
        self.taken[access] += 1
        return None


def expected_authorization(r, access, secret):
    """By botocore, over all headers that aren't the transport's."""
    headers = {k: v for k, v in r.headers.items() if k.lower() not in TRANSPORT}
    request = AWSRequest(method=r.method, url=f"http://{r.headers['Host']}{r.path}", data=r.body, headers=headers)
    signer = SigV4Auth(Credentials(access, secret), "aps", REGION)
    request.context["timestamp"] = r.headers["X-Amz-Date"] or ""
    to_sign = signer.string_to_sign(request, signer.canonical_request(request))
    return (f"AWS4-HMAC-SHA256 Credential={signer.scope(request)}, "
            f"SignedHeaders={signer.signed_headers(signer.headers_to_sign(request))}, "
            f"Signature={signer.signature(to_sign, request)}")


class Guarded(Setting):
    """The topic, a worker that has to say who it is, and what was put in."""

    def __init__(self, stack, receiver, gate):
        self.stack, self.receiver, self.gate = stack, receiver, gate
        self.producer = stack.producer()
        self.n_samples = 0
        self.start_ms = now_ms() - 60_000
        self.times = []

    def guarded_amp(self, env=None, name=None, **keys):
        base = {"url": self.gate.url, "org_id": ORG, "batch_deadline_ms": 50, "min_backoff_ms": 20,
                "max_backoff_ms": 300, "auth_refresh_ms": 500, "session_timeout_ms": 6000, "shutdown_ms": 1000,
                "topics": [TOPIC]}
        return self.stack.worker("amp", name=name, env=env, **{**base, **keys})

    def feed(self, n=1):
        for _ in range(n):
            t = self.start_ms + 100 * len(self.times)
            for server in SERVERS:
                self.put(server, scrape(server, len(self.times)), t)
            self.times.append(t)
        self.flush()

    def check_delivered(self, amp):
        self.wait_caught_up()
        assert differences(expected(SERVERS, self.times), got(self.receiver)) == NOTHING
        assert read_letters(self.stack, "metrics.dlq") == []
        assert accounts_close(amp)
        assert metric(amp, "sluice_remote_write_denied") == 0


def log_of(amp):
    return amp.process.log_path.read_text()


@pytest.fixture(scope="module")
def broker(tmp_path_factory, request):
    """One for all: each test goes on where the group's offsets are."""
    stack = StackUnderTest(tmp_path_factory.mktemp("auth"))
    failed_before = request.session.testsfailed
    try:
        stack.kafka.start()
        stack.create_topic(TOPIC, PARTITIONS)
        stack.create_topic("metrics.dlq", 2)
        stack.create_topic("sluice.gaps", 1)
        yield stack
    finally:
        stack.stop()
        if request.session.testsfailed > failed_before:
            print("\n".join(stack.log_tails()))


@pytest.fixture
def guarded(broker):
    made = []

    def make(check):
        receiver = Receiver(keep_histograms=True)
        made.append((receiver, Gate(receiver, check)))
        return Guarded(broker, *made[-1])

    yield make
    for worker in broker.workers:
        worker.stop()
    for receiver, gate in made:
        gate.endpoint.stop()
        receiver.stop()


@pytest.fixture
def aws():
    made = []

    def make(**options):
        made.append(Aws(**options))
        return made[-1]

    yield make
    for one in made:
        one.pod.stop()


def env_of(aws):
    return {**os.environ, **aws.env()}


def test_signed_through_rotation(guarded, aws, say):
    """Keys that live for 4 s; a request that is sent again is signed anew."""
    store = aws(lifetime_s=4)
    store.hold_s = 1.2
    setting = guarded(store.check)
    amp = setting.guarded_amp(env_of(store), url=setting.gate.url + "?tenant=a%20b&x", auth="sigv4", aws__region=REGION)

    def rotated():
        setting.feed()
        return len(store.taken) >= 3

    wait_for(rotated, 60, "three different keys")
    setting.check_delivered(amp)
    body, authorization = store.held
    again = [a for b, a in store.seen if b == body and a != authorization]
    assert again, "the request that was refused by 503 was not signed anew"
    assert not set(store.denied) - {"expired"}
    say(f"{sum(store.taken.values())} requests by {len(store.taken)} keys, {sum(store.denied.values())} denied")


def test_keys_that_are_missing_then_refused(guarded, aws):
    """No endpoint at the start, then keys that are revoked, then a store that denies whoever asks."""
    store = aws()
    store.up, store.shut = False, True
    store.revoked.add("ASIA1")
    setting = guarded(store.check)
    setting.feed(5)
    amp = setting.guarded_amp(env_of(store), auth="sigv4", aws__region=REGION)
    wait_for(lambda: metric(amp, "sluice_remote_write_denied") == 1, 30, "the alarm")
    assert not store.seen and "there are no credentials for the store" in log_of(amp)
    store.up = True
    wait_for(lambda: store.denied["expired"] >= 10, 30, "a row of denials")
    assert "is expired" in log_of(amp) and re.search(r"our clock is 3[56]\d\d s behind the store's", log_of(amp))
    assert metric(amp, "sluice_remote_write_denied") == 1
    assert metric(amp, "sluice_samples_out_total") == 0
    store.shut = False
    setting.feed(5)
    setting.check_delivered(amp)
    assert "ASIA1" not in store.taken and set(store.denied) == {"expired"}
    assert not [s for s in store.secrets() if s in log_of(amp)]


def test_the_wrong_region_is_told_and_nothing_is_lost(guarded, aws):
    store = aws()
    setting = guarded(store.check)
    setting.feed(3)
    amp = setting.guarded_amp(env_of(store), name="amp-wrong", auth="sigv4", aws__region="us-east-1")
    wait_for(lambda: store.denied["signature"] + store.denied["scope"] >= 5, 30, "a row of denials")
    wait_for(lambda: "the store refuses our credentials" in log_of(amp), 10, "the log line")
    amp.stop()
    assert not store.taken and got(setting.receiver) == {}
    # AWS_REGION names it this time.
    right = setting.guarded_amp({**env_of(store), "AWS_REGION": REGION}, name="amp-right", auth="sigv4")
    setting.check_delivered(right)


def test_bearer_and_basic(guarded, tmp_path):
    """The token's file is replaced while the store refuses the old one; then another worker comes with a password."""
    wanted, refused = ["Bearer token-of-day-1"], collections.Counter()

    def check(r):
        if r.headers["X-Scope-OrgID"] == ORG and r.headers["Authorization"] == wanted[0]:
            return None
        refused[r.headers["Authorization"]] += 1
        return denied(401, f"not {r.headers['Authorization']}")

    setting = guarded(check)
    token = tmp_path / "token"
    token.write_text("token-of-day-1\n")
    setting.feed(3)
    amp = setting.guarded_amp(name="amp-bearer", auth="bearer", bearer_token_file=str(token))
    setting.check_delivered(amp)
    assert not refused
    wanted[0] = "Bearer token-of-day-2"
    setting.feed(3)
    wait_for(lambda: refused["Bearer token-of-day-1"] >= 3, 30, "denials of the old token")
    assert metric(amp, "sluice_remote_write_denied") == 1
    (tmp_path / "new").write_text("token-of-day-2")
    (tmp_path / "new").rename(token)
    setting.check_delivered(amp)
    assert set(refused) == {"Bearer token-of-day-1"} and "token-of-day" not in log_of(amp)
    amp.stop()
    wanted[0] = "Basic dXNlcjpwYXNzOndvcmQ="
    setting.feed(3)
    secret = tmp_path / "password"
    secret.write_text("pass:word\n")
    basic = setting.guarded_amp(name="amp-basic", auth="basic", username="user", password_file=str(secret))
    setting.check_delivered(basic)
    assert set(refused) == {"Bearer token-of-day-1"}


AMP_URL = "https://aps-workspaces.eu-central-1.amazonaws.com" + PATH
KEYS = {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "s3cr3t-key"}


@pytest.mark.parametrize("keys, env, says", [
    ({}, {}, None),
    ({"auth": "sigv4"}, KEYS, None),
    ({"auth": "sigv4"}, {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://169.254.170.23/v1"}, None),
    ({"auth": "sigv4"}, {}, "none set up"),
    ({"auth": "sigv4"}, {"AWS_ACCESS_KEY_ID": "AKIA"}, "the secret key is missing"),
    ({"auth": "sigv4"}, {"AWS_WEB_IDENTITY_TOKEN_FILE": "/nowhere"}, "AWS_ROLE_ARN is not"),
    ({"auth": "sigv4", "aws.region": "us-east-1"}, KEYS, "aws.region is us-east-1, but the url is of eu-central-1"),
    ({"auth": "sigv4", "url": "https://gateway/w"}, KEYS, "set AWS_REGION"),
    ({"auth": "sigv4", "username": "u"}, KEYS, "username is given, but auth is not basic"),
    ({"auth": "aws"}, {}, 'auth: "aws" is not none, sigv4, basic or bearer'),
    ({"auth": "basic"}, {}, "auth=basic needs username"),
    ({"auth": "basic", "username": "u"}, {}, "auth=basic needs password"),
    ({"auth": "basic", "username": "u:v"}, {"SLUICE_PASSWORD": "s3cr3t-key"}, "must not hold a colon"),
    ({"auth": "basic", "username": "u", "password": "p"}, {}, "secret"),
    ({"auth": "basic", "username": "u"}, {"SLUICE_PASSWORD": "s3cr3t-key"}, None),
    ({"auth": "bearer"}, {}, "needs one of bearer_token_file and bearer_token"),
    ({"auth": "bearer", "bearer_token_file": "/nowhere"}, {}, "/nowhere: no such file"),
    ({"auth": "bearer"}, {"SLUICE_BEARER_TOKEN": "s3cr3t-key"}, None),
    ({"auth": "bearer"}, {"SLUICE_BEARER_TOKEN": "s3cr3t key"}, "byte 0x20 at 6 is not of a token"),
    ({"auth": "bearer", "bearer_token_file": "/x"}, {"SLUICE_BEARER_TOKEN": "s3cr3t-key"}, "needs only one of"),
    ({"bearer_token_file": "/x"}, {}, "bearer_token_file is given, but auth is not bearer"),
    ({"org_id": "a b"}, {}, "org_id: not 1 to 150"),
])
def test_check_says_what_is_missing(tmp_path, keys, env, says):
    """Exit 2 with the reason, before anything is asked of the network; and no secret is shown."""
    amp = Path(os.environ.get("SLUICE_BIN") or ROOT / "build/bin") / "sluice-amp"
    sets = [f"--set={k}={v}" for k, v in {"url": AMP_URL, **keys}.items()]
    base = {"HOME": str(tmp_path), "AWS_EC2_METADATA_DISABLED": "true"}
    for action in ("--check",) if says else ("--check", "--print-config"):
        done = subprocess.run([amp, action, "--set=kafka.bootstrap.servers=127.0.0.1:1", *sets], env={**base, **env},
                              capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, says or "") == (2 if says else 0, says if says and says in done.stderr else ""), done
        assert "s3cr3t" not in done.stdout + done.stderr
