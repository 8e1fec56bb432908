"""sluice-loadgen send --gateway: what it sends over HTTP, whom it convinces of itself, how it waits when it is told to, and that its ledger
tells exactly what was acknowledged: verify holds the store against it."""
import contextlib
import gzip
import http.server
import json
import signal
import subprocess
import threading

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest, ExportMetricsServiceResponse

from deploy.local.certificates import Authority
from deploy.local.places import HOST, ROOT, free_ports
from tests.flow.gateway import Gateway
from tests.flow.stack import wait_for
from tests.flow.test_pipeline import metric
from tests.receiver.client import Receiver

LOADGEN = ROOT / "build/release/sluice-loadgen"
SERVERS, SERIES, MESSAGES = 10, 50, 200


def send_command(directory, url, *more):
    return [LOADGEN, "send", "--gateway", url, "--servers", str(SERVERS), "--series", str(SERIES), "--fast", "--messages", str(MESSAGES),
            "--manifest", directory / "manifest.json", "--json", *more]


def send(directory, url, *more):
    """(exit code, report, what it says)"""
    done = subprocess.run(send_command(directory, url, *more), capture_output=True, text=True, check=False, timeout=120)
    return done.returncode, json.loads(done.stdout or "{}"), done.stderr


def accepted(receiver):
    stats = receiver.stats()
    return stats["samples_accepted"] + stats["histograms_accepted"]


def verify(directory, receiver):
    done = subprocess.run([LOADGEN, "verify", "--manifest", directory / "manifest.json", "--receiver", receiver.url, "--no-repeats", "--json"],
                          capture_output=True, text=True, check=False, timeout=120)
    return done.returncode, json.loads(done.stdout)


@pytest.fixture
def receiver():
    with Receiver(keep_histograms=True) as one:
        yield one


@pytest.fixture
def say_report(say):
    return lambda r: say(f"{r['requests']} requests, first byte p50 {r['ttfb_p50_s'] * 1e3:.1f} ms, p99 {r['ttfb_p99_s'] * 1e3:.1f} ms; "
                         f"{r['held']} times told to wait, {r['repeated']} sent again without a clear answer")


def test_remote_write_arrives_as_the_model_says(receiver, tmp_path, say_report):
    receiver.set_rules(latency_ms=20)
    code, report, _ = send(tmp_path, receiver.url, "--format", "remote-write", "--connections", "4")
    assert code == 0 and report["samples"] == SERIES * MESSAGES == accepted(receiver)
    assert report["requests"] == MESSAGES and report["unacknowledged"] == report["repeated"] == report["held"] == 0
    assert 0.02 <= report["ttfb_p50_s"] <= report["ttfb_p99_s"]
    assert receiver.stats()["violations_total"] == 0                     # each series in order, one request at a time, its labels sorted
    code, found = verify(tmp_path, receiver)
    assert code == 0 and found["found"] == SERIES * MESSAGES and found["lost"] == found["duplicate"] == 0
    say_report(report)


def test_429_waits_and_doubts_are_told(receiver, tmp_path, say_report):
    """What is refused for now goes again when it was said; what may have been stored by a request without an answer, or with 503, is in the
    ledger as possibly there twice. Nothing else is."""
    receiver.set_plan([{"status": 429, "retry_after_s": 1, "times": 3}, {"status": 503, "retry_after_s": 1, "times": 2, "store": True},
                       {"reset": True, "times": 2, "store": True}, {"reset": True, "times": 2}])
    code, report, _ = send(tmp_path, receiver.url, "--format", "remote-write", "--connections", "4")
    assert code == 0 and report["samples"] == SERIES * MESSAGES and report["unacknowledged"] == 0
    stats = receiver.stats()
    assert report["held"] == 5 and report["seconds"] >= 1 and "retry_too_early" not in {k for k, n in stats["violations"].items() if n}
    assert 2 <= report["repeated"] <= 6 + 4                             # curl itself may send a broken request again
    code, found = verify(tmp_path, receiver)
    assert code == 0 and found["lost"] == found["duplicate"] == 0 and found["found"] > SERIES * MESSAGES, found
    # Without what the ledger says of repeats the same store holds too much.
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "repeated": []}))
    code, found = verify(tmp_path, receiver)
    assert code == 1 and found["duplicate"] > 0
    say_report(report)


def test_a_refusal_is_final(receiver, tmp_path):
    receiver.set_plan([{"match": 'shard_id="s000003"', "status": 400, "times": -1, "body": "not this one"}])
    code, report, said = send(tmp_path, receiver.url, "--format", "remote-write")
    n_refused = MESSAGES // SERVERS
    assert code == 1 and report["unacknowledged"] == n_refused and "status 400: not this one" in said
    assert report["samples"] == SERIES * (MESSAGES - n_refused) and report["requests"] == MESSAGES
    assert verify(tmp_path, receiver)[0] == 0                             # neither lost nor there


@pytest.mark.parametrize("stranger", [False, True], ids=["ours", "another authority's"])
def test_certificates(receiver, tmp_path, stranger):
    """nghttpx asks for a certificate of its authority; the load goes through HTTP/2, and its own answer is checked, too."""
    ours, theirs = Authority(tmp_path / "ours"), Authority(tmp_path / "theirs")
    logins = {authority: authority.issue("game") for authority in (ours, theirs)}
    certificate, key = ours.issue("front")
    port = free_ports(1)
    front = subprocess.Popen([
        "nghttpx", "--conf=/dev/null", f"--frontend={HOST},{port}", f"--backend={HOST},{receiver.port}", "--workers=1", "--single-process",
        "--verify-client", f"--verify-client-cacert={ours.path}", f"--errorlog-file={tmp_path / 'errors'}", "--log-level=INFO",
        str(key), str(certificate)])
    certificate, key = logins[theirs if stranger else ours]
    command = send_command(tmp_path, f"https://{HOST}:{port}", "--format", "remote-write", "--ca", ours.path, "--cert", certificate, "--key", key)
    try:
        loadgen = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if stranger:
            wait_for(lambda: "certificate verify failed" in ((tmp_path / "errors").read_text() if (tmp_path / "errors").exists() else "") or
                     loadgen.poll() is not None, 30, "a refused handshake")
            loadgen.send_signal(signal.SIGTERM)
        out, said = loadgen.communicate(timeout=60)
    finally:
        front.kill()
        front.wait()
    report = json.loads(out)
    if stranger:
        assert loadgen.returncode == 1 and report["samples"] == 0 == accepted(receiver), said
    else:
        assert loadgen.returncode == 0 and verify(tmp_path, receiver)[0] == 0, said


@pytest.mark.parametrize("more", [("--gzip",), ("--format", "remote-write")], ids=["otlp", "remote write"])
def test_through_the_gateway(stack, tmp_path, say_report, more):
    """What it acknowledged is behind validate, once and in order, without what has a forbidden label."""
    stack.create_all_topics()
    policy = json.loads((ROOT / "deploy/local/policy.json").read_text())
    door = Gateway(stack, tmp_path / "gateway", {"demo": {}}, {k: v for k, v in policy.items() if k != "tenants"}).start()
    (tmp_path / "token").write_text(door.tokens["demo"] + "\n")
    validate = stack.worker("validate", policy=str(door.policy_path))
    code, report, said = send(tmp_path, f"http://{HOST}:{door.port}", "--token-file", tmp_path / "token", "--forbidden", "0.2", *more)
    assert code == 0 and report["unacknowledged"] == 0, said
    n_rejected = door.metric("sluice_samples_rejected_total", reason="label_forbidden")
    assert n_rejected > 0 and (report["rejected_samples"] == n_rejected or "remote-write" in more)
    wait_for(lambda: metric(validate, "sluice_samples_out_total") >= SERIES * MESSAGES - n_rejected, 60, "validate to be done")
    done = subprocess.run([LOADGEN, "verify", "--manifest", tmp_path / "manifest.json", "--topic", "metrics.valid", "--brokers", stack.bootstrap],
                          capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    say_report(report)


class OtlpDoor:
    """What a gateway does with OTLP, as far as the load generator can see: answers by a list, then 200."""

    def __init__(self, token, answers):
        self.token, self.answers, self.messages, self.strangers, self.encodings = token, list(answers), [], 0, set()
        door, lock = self, threading.Lock()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *_):
                pass

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with lock:
                    status, headers, answer = door.judge(self.path, self.headers, body)
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(answer))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer)

        self.server = http.server.ThreadingHTTPServer((HOST, 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://{HOST}:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def judge(self, path, headers, body):
        if headers["Authorization"] != f"Bearer {self.token}":
            self.strangers += 1
            return 401, {}, b"who are you?"
        assert path == "/v1/metrics" and headers["Content-Type"] == "application/x-protobuf"
        if self.answers:
            return self.answers.pop(0)
        self.encodings.add(headers["Content-Encoding"])
        plain = gzip.decompress(body) if headers["Content-Encoding"] == "gzip" else body
        self.messages.append(ExportMetricsServiceRequest.FromString(plain))
        return 200, {}, b""

    def points(self):
        """[(source, time of the message, points in it)], as they came"""
        found = []
        for message in self.messages:
            resource, = message.resource_metrics
            source = next(a.value.string_value for a in resource.resource.attributes if a.key == "service.instance.id")
            points = [p for m in resource.scope_metrics[0].metrics for p in getattr(m, m.WhichOneof("data")).data_points]
            found.append((source, points[0].time_unix_nano, len(points)))
        return found


@pytest.fixture
def new_door():
    with contextlib.ExitStack() as ending:
        def make(*arguments):
            door = OtlpDoor(*arguments)
            ending.callback(door.server.shutdown)
            return door
        yield make


@pytest.mark.parametrize("more, encoding", [((), None), (("--gzip",), "gzip")], ids=["plain", "gzip"])
def test_otlp_with_a_token(new_door, tmp_path, more, encoding):
    partial = ExportMetricsServiceResponse()
    partial.partial_success.rejected_data_points = 7
    door = new_door("open-sesame", [(429, {"Retry-After": "1"}, b""), (200, {}, partial.SerializeToString()), (503, {"Retry-After": "1"}, b"")])
    (tmp_path / "token").write_text("open-sesame\n")
    code, report, said = send(tmp_path, door.url + "/", "--token-file", tmp_path / "token", *more)
    assert code == 0, said
    assert (report["held"], report["rejected_samples"], report["repeated"], report["unacknowledged"]) == (2, 7, 1, 0)
    assert report["requests"] == MESSAGES + 2 and report["seconds"] >= 1
    points = door.points()
    assert len(points) == len(set(points)) == MESSAGES - 1 and {n for _, _, n in points} == {SERIES} and door.encodings == {encoding}
    for source in {source for source, _, _ in points}:
        times = [t for s, t, _ in points if s == source]
        assert times == sorted(times)


def test_a_wrong_token_is_told(new_door, tmp_path):
    door = new_door("open-sesame", [])
    (tmp_path / "token").write_text("open-barley")
    code, report, said = send(tmp_path, door.url, "--token-file", tmp_path / "token")
    assert code == 1 and "200 messages are not acknowledged: status 401: who are you?" in said
    assert report["samples"] == 0 and report["unacknowledged"] == door.strangers == MESSAGES


@pytest.mark.parametrize("more, says", [
    (("--format", "avro"), '--format: "avro" is neither otlp nor remote-write'), (("--cert", "x"), "--cert and --key want each other"),
    (("--token-file", "/nowhere"), "--token-file /nowhere: No such file"), (("--unkeyed",), "--unkeyed: a gateway keys by source itself"),
    (("--gateway", "ftp://a b"), "--gateway"), (("--connections", "0"), "--connections"),
], ids=lambda x: x[0] if isinstance(x, tuple) else "")
def test_wrong_options_exit_with_2(tmp_path, more, says):
    code, _, said = send(tmp_path, "http://127.0.0.1:1", *more)
    assert code == 2 and says in said
