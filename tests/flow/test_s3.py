"""The S3 client against S3Proxy, with boto3 as the independent peer, and against a stub that asserts what S3Proxy
doesn't know and answers badly."""
import base64
import concurrent.futures
import json
import os
import subprocess
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import boto3
import botocore.config
import pytest

from deploy.local.places import ROOT, free_ports, private_places
from deploy.local.s3proxy import IDENTITY, SECRET, S3Proxy
from tests.flow.aws_endpoints import endpoints, hangs_up, keys_json

TOOL = Path(os.environ.get("SLUICE_BIN") or ROOT / "build/bin") / "tests/unit/aws/sluice-test-s3"
KEYS = ["dt=2026-11-25/hour=07/metrics.admitted-3-1-99.parquet", "a b/c+d.parquet", "ключ/日本語=€", "~-_.!*'()", "100%25", "plain"]
PART = 5 << 20


class Client:
    """sluice-test-s3 on one endpoint."""

    def __init__(self, url, attempts=4, limit=16 << 20, **env):
        env = env or {"AWS_ACCESS_KEY_ID": IDENTITY, "AWS_SECRET_ACCESS_KEY": SECRET}
        self.process = subprocess.Popen([TOOL, url, "bucket", "eu-central-1", str(attempts), str(limit)], env=env,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def ask(self, what, key, *words):
        self.process.stdin.write(" ".join([what, quote(key, safe="/"), *map(str, words)]) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        _, errors = self.process.communicate(timeout=60)
        assert (self.process.returncode, errors) == (0, "")


@pytest.fixture(scope="module")
def proxy(tmp_path_factory):
    subprocess.run([ROOT / "deploy/deps/s3proxy"], check=True, timeout=300)
    places = private_places(tmp_path_factory.mktemp("s3"), os.environ.get("SLUICE_BIN"))
    places.make()
    made = S3Proxy(places, free_ports(1))
    made.start(["bucket"])
    yield made
    made.stop()


@pytest.fixture(scope="module")
def boto(proxy):
    return boto3.client("s3", endpoint_url=proxy.url, aws_access_key_id=IDENTITY, aws_secret_access_key=SECRET,
                        region_name="eu-central-1", config=botocore.config.Config(s3={"addressing_style": "path"}))


@pytest.fixture
def client():
    made = []

    def make(url, **options):
        made.append(Client(url, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def stub():
    with endpoints() as make:
        yield make


@pytest.fixture
def file(tmp_path):
    def make(content, name="body"):
        (tmp_path / name).write_bytes(content)
        return tmp_path / name
    return make


def error(code):
    return f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>m</Message></Error>".encode()


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return base64.b64encode((crc ^ 0xFFFFFFFF).to_bytes(4, "big")).decode()


@pytest.mark.parametrize("key", KEYS)
def test_objects_as_boto3_sees_them(proxy, boto, client, file, tmp_path, key):
    s3, body = client(proxy.url), os.urandom(100_001)
    assert s3.ask("put", key, file(body), "first=5", "topic=metrics.admitted")["existed"] is False
    seen = boto.get_object(Bucket="bucket", Key=key)
    assert seen["Body"].read() == body and seen["Metadata"] == {"first": "5", "topic": "metrics.admitted"}
    assert s3.ask("head", key, "first", "absent", "topic") == {
        "ok": True, "found": True, "bytes": len(body), "values": ["5", None, "metrics.admitted"]}
    for first, n in ((0, 0), (0, 10), (99_990, 0), (1000, 50_000)):
        assert s3.ask("get", key, first, n, tmp_path / "got")["found"]
        assert (tmp_path / "got").read_bytes() == body[first:first + n if n else None]
    boto.put_object(Bucket="bucket", Key=key, Body=b"by boto3")
    assert s3.ask("get", key, 0, 0, tmp_path / "got")["ok"] and (tmp_path / "got").read_bytes() == b"by boto3"
    prefix = key[:len(key) // 2]
    assert [key, 8] in s3.ask("list", prefix)["keys"]
    boto.delete_object(Bucket="bucket", Key=key)
    assert s3.ask("head", key)["found"] is False and s3.ask("get", key, 0, 0, "-")["found"] is False


def test_in_parts(proxy, boto, client, file):
    s3, body = client(proxy.url), os.urandom(2 * PART + 12345)
    assert s3.ask("parts", "large", file(body), PART, "rows=7")["ok"]
    seen = boto.get_object(Bucket="bucket", Key="large")
    assert seen["Body"].read() == body and seen["Metadata"] == {"rows": "7"}
    assert not boto.list_multipart_uploads(Bucket="bucket").get("Uploads")
    refused = s3.ask("parts", "large", file(body), 1000)
    assert not refused["ok"] and "not 5 MiB or more" in refused["error"]


def test_racing_writers(proxy, client, boto, tmp_path, say):
    """S3 lets one of them win. S3Proxy (2.9.0 to 3.1.0) looks first and writes then, so several may: the stand-in is
    truthful for writers one after the other only, which tests that rest on If-None-Match have to know."""
    writers = [client(proxy.url) for _ in range(20)]
    bodies, n_winners = [], []
    for i in range(20):
        bodies.append(tmp_path / f"body-{i}")
        bodies[-1].write_bytes(bytes([i]) * 200_000)
    for round_ in range(5):
        with concurrent.futures.ThreadPoolExecutor(20) as pool:
            answers = list(pool.map(lambda i: writers[i].ask("put", f"race-{round_}", bodies[i], "if-none-match=1"), range(20)))
        assert all(a["ok"] for a in answers), answers
        winners = [bodies[i].read_bytes() for i, a in enumerate(answers) if not a["existed"]]
        assert boto.get_object(Bucket="bucket", Key=f"race-{round_}")["Body"].read() in winners
        late = [w.ask("put", f"race-{round_}", bodies[0], "if-none-match=1") for w in writers]
        assert all(a["existed"] and not a["maybe_own"] for a in late)
        n_winners.append(len(winners))
    say(f"20 racing writers, 5 times: S3Proxy let {n_winners} win; 20 one after the other: none overwrote")


def test_wrong_keys_and_absent_servers(proxy, client, file, stub):
    refused = client(proxy.url, AWS_ACCESS_KEY_ID=IDENTITY, AWS_SECRET_ACCESS_KEY="wrong").ask("put", "k", file(b"x"))
    assert "S3: PUT k: status 403 SignatureDoesNotMatch" in refused["error"]
    gone = client(f"http://127.0.0.1:{free_ports(1)}").ask("put", "k", file(b"x"))
    assert "S3: PUT k: no answer" in gone["error"]


def test_a_restart_is_ridden_out(proxy, boto, client, file):
    s3 = client(proxy.url, attempts=1000)
    assert s3.ask("put", "before", file(b"1"))["ok"]
    proxy.stop()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(s3.ask, "put", "meanwhile", file(b"2", "other"))
        proxy.start()
        answer = waiting.result(90)
    assert answer["ok"] and answer["attempts"] > 1
    assert boto.get_object(Bucket="bucket", Key="meanwhile")["Body"].read() == b"2"


# --- a stub ---

def test_headers_that_s3proxy_does_not_know(stub, client, file):
    s3 = stub(lambda _: (200, b"", {"ETag": '"e"'}))
    one = client(s3.url)
    assert one.ask("put", "k", file(b"123456789"), "kms=arn:aws:kms:k/1", "tagging=a=b&c=d", "lock-mode=COMPLIANCE",
                   "lock-until=2027-01-01T00:00:00Z", "class=STANDARD_IA", "if-none-match=1")["ok"]
    sent = {k.lower(): v for k, v in s3.requests[0].headers.items()}
    expected = {"x-amz-server-side-encryption": "aws:kms", "x-amz-server-side-encryption-aws-kms-key-id": "arn:aws:kms:k/1",
                "x-amz-server-side-encryption-bucket-key-enabled": "true", "x-amz-tagging": "a=b&c=d",
                "x-amz-object-lock-mode": "COMPLIANCE", "x-amz-object-lock-retain-until-date": "2027-01-01T00:00:00Z",
                "x-amz-storage-class": "STANDARD_IA", "if-none-match": "*", "x-amz-sdk-checksum-algorithm": "CRC32C",
                "x-amz-checksum-crc32c": "4waSgw=="}
    assert {k: sent.get(k) for k in expected} == expected
    signed = sent["authorization"].split("SignedHeaders=")[1].split(",")[0].split(";")
    assert set(expected) <= set(signed)
    body = os.urandom(1003)
    one.ask("put", "k", file(body))
    assert s3.requests[1].headers["x-amz-checksum-crc32c"] == crc32c(body) and s3.requests[1].body == body


@pytest.mark.parametrize("bad", [(503, error("SlowDown")), (500, b""), (400, error("RequestTimeout")), (429, b""),
                                 (409, error("ConditionalRequestConflict")), hangs_up], ids=str)
def test_tries_again(stub, client, file, bad):
    left = [bad, bad]
    s3 = stub(lambda _: left.pop() if left else (200, b"", {"ETag": '"e"'}))
    answer = client(s3.url).ask("put", "k", file(b"body"))
    assert answer["ok"] and answer["attempts"] >= 2 and len(s3.requests) == 3
    assert [r.body for r in s3.requests] == [b"body"] * 3


def test_gives_up_with_the_reason(stub, client, file):
    s3 = stub(lambda _: (503, error("SlowDown")))
    answer = client(s3.url).ask("put", "k", file(b"body"))
    assert "S3: PUT k: status 503 SlowDown" in answer["error"] and len(s3.requests) == 4


@pytest.mark.parametrize("bad, says", [
    ((403, error("AccessDenied")), "status 403 AccessDenied"), ((404, error("NoSuchBucket")), "status 404 NoSuchBucket"),
    ((301, error("PermanentRedirect"), {"x-amz-bucket-region": "us-west-2"}), "in another region, us-west-2"),
    ((403, b"<Error><Code>a\nb</Code>"), "status 403"), ((400, b"\xff\x00garbage"), "status 400")])
def test_what_will_not_pass_is_not_tried_again(stub, client, file, bad, says):
    s3 = stub(lambda _: bad)
    answer = client(s3.url).ask("put", "k", file(b"body"))
    assert not answer["ok"] and says in answer["error"] and len(s3.requests) == 1


def test_stored_although_the_answer_was_lost(stub, client, file):
    """The second attempt meets what the first has stored: 412, and it is told that this may be its own."""
    answers = [(412, error("PreconditionFailed")), hangs_up]
    s3 = stub(lambda _: answers.pop())
    assert client(s3.url).ask("put", "k", file(b"body"), "if-none-match=1") == {
        "ok": True, "existed": True, "maybe_own": True, "attempts": 2}
    s3 = stub(lambda _: (412, error("PreconditionFailed")))
    assert client(s3.url).ask("put", "k", file(b"body"), "if-none-match=1")["maybe_own"] is False


def test_expired_keys_are_renewed(stub, client, file):
    n = iter(range(1, 100))
    pod = stub(lambda _: (200, keys_json(f"ASIA{next(n)}")))
    s3 = stub(lambda r: (400, error("ExpiredToken")) if "ASIA1/" in r.headers["Authorization"] else (200, b"", {"ETag": '"e"'}))
    one = client(s3.url, attempts=100, AWS_CONTAINER_CREDENTIALS_FULL_URI=pod.url + "/v1")
    assert one.ask("put", "k", file(b"body"))["ok"]
    assert "ASIA2/" in s3.requests[-1].headers["Authorization"]


class Parts:
    """Multipart uploads, badly: what fails(request) gives is answered."""

    def __init__(self, fails):
        self.fails, self.open = fails, set()

    def __call__(self, r):
        query = parse_qs(urlsplit(r.path).query, keep_blank_values=True)
        bad = self.fails(r, query)
        if bad is not None:
            return bad
        if "uploads" in query:
            self.open.add("id+/=")
            return 200, b"<InitiateMultipartUploadResult><UploadId>id+/=</UploadId></InitiateMultipartUploadResult>"
        assert query["uploadId"] == ["id+/="]
        if r.method in ("DELETE", "POST"):
            self.open.discard("id+/=")
            return (204, b"") if r.method == "DELETE" else (200, b"<CompleteMultipartUploadResult/>")
        return 200, b"", {"ETag": f'"{query["partNumber"][0]}"'}


@pytest.mark.parametrize("fails, says", [
    (lambda r, q: (403, error("AccessDenied")) if q.get("partNumber") == ["2"] else None, "AccessDenied"),
    (lambda r, q: (500, b"") if q.get("partNumber") == ["3"] else None, "status 500"),
    (lambda r, q: (200, b"") if q.get("partNumber") == ["1"] else None, "no ETag"),
    (lambda r, q: (404, error("NoSuchUpload")) if r.method == "POST" and "uploadId" in q else None, "status 404"),
    (lambda r, q: (200, error("InternalError")) if r.method == "POST" and "uploadId" in q else None, "InternalError"),
], ids=["part denied", "part fails", "no etag", "upload gone", "error in a 200"])
def test_a_failed_upload_leaves_no_part(stub, client, file, fails, says):
    parts = Parts(fails)
    s3 = stub(parts)
    answer = client(s3.url).ask("parts", "k", file(bytes(3 * PART)), PART)
    assert not answer["ok"] and says in answer["error"], answer
    assert s3.requests[-1].method == "DELETE" and not parts.open


def test_parts_are_stored_only_if_absent(stub, client, file):
    """The condition goes with the end of the upload; 412 is told as for a whole PUT, and the parts go."""
    parts = Parts(lambda r, q: (412, error("PreconditionFailed")) if r.method == "POST" and "uploadId" in q else None)
    s3 = stub(parts)
    answer = client(s3.url).ask("parts", "k", file(bytes(PART + 1)), PART, "if-none-match=1", "rows=7")
    assert answer["ok"] and answer["existed"] and not answer["maybe_own"]
    assert s3.requests[-1].method == "DELETE" and not parts.open
    conditions = {r.method + urlsplit(r.path).query[:8]: r.headers.get("If-None-Match") for r in s3.requests}
    assert conditions == {"POSTuploads=": None, "PUTpartNumb": None, "POSTuploadId": "*", "DELETEuploadId": None}
    assert s3.requests[0].headers["x-amz-meta-rows"] == "7"


def test_connections_are_used_again(stub, client, file):
    s3 = stub(lambda _: (200, b"", {"ETag": '"e"'}))
    one = client(s3.url)
    for _ in range(5):
        assert one.ask("put", "k", file(b"body"))["ok"]
    assert len(s3.requests) == 5 and len({r.peer for r in s3.requests}) == 1


def test_a_200_that_holds_an_error_is_tried_again(stub, client, file):
    left = [(200, error("InternalError"))]
    s3 = stub(Parts(lambda r, q: left.pop() if left and r.method == "POST" and "uploadId" in q else None))
    assert client(s3.url).ask("parts", "k", file(bytes(PART + 1)), PART)["ok"]
    assert [r.method for r in s3.requests].count("POST") == 3


@pytest.mark.parametrize("half", [b"", b"<?xml version='1.0'?>\n   ", b" " * 70_000 + error("InternalError"), b"<html>Welcome</html>",
                                  b"<CompleteMultipartUploadResult><Key>k"], ids=["nothing", "cut", "late error", "another's", "cut later"])
def test_an_end_that_is_not_confirmed_is_no_success(stub, client, file, half):
    """S3 sends the 200 before it knows; a proxy that loses the rest of the answer must not let rows go."""
    ends = []
    s3 = stub(Parts(lambda r, q: ends.append(r) or (200, half) if r.method == "POST" and "uploadId" in q else None))
    answer = client(s3.url).ask("parts", "k", file(bytes(PART + 1)), PART)
    assert not answer["ok"] and len(ends) >= 1, answer
    assert s3.requests[-1].method == "DELETE"


def test_a_put_that_s3_did_not_answer_is_no_success(stub, client, file):
    s3 = stub(lambda _: (200, b"<html>Log in to the network</html>"))
    answer = client(s3.url).ask("put", "k", file(b"body"))
    assert not answer["ok"] and "no ETag" in answer["error"], answer
    s3.answer = lambda _: (304, b"", {"ETag": '"e"'})
    answer = client(s3.url).ask("put", "k", file(b"body"))
    assert not answer["ok"] and "status 304" in answer["error"], answer


def page(keys, token=None):
    rows = "".join(f"<Contents><Key>{k}</Key><Size>{i}</Size></Contents>" for i, k in enumerate(keys))
    more = f"<IsTruncated>true</IsTruncated><NextContinuationToken>{token}</NextContinuationToken>" if token else ""
    return f"<ListBucketResult>{more}{rows}</ListBucketResult>".encode()


def test_lists_page_by_page(stub, client):
    def answer(r):
        query = parse_qs(urlsplit(r.path).query)
        assert query["prefix"] == ["p/ü"]
        token = query.get("continuation-token", [None])[0]
        return 200, {None: page(["p/a&amp;b", "p/b"], "t+1/="), "t+1/=": page(["p/c"], "t2"), "t2": page(["p/d"])}[token]
    assert client(stub(answer).url).ask("list", "p/ü")["keys"] == [["p/a&b", 0], ["p/b", 1], ["p/c", 0], ["p/d", 0]]


@pytest.mark.parametrize("body, says", [
    (b"<ListBucketResult><Contents><Key>k</Key>", "ends too soon"), (b"not xml", "outside of the root"),
    (b"<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>", "no token"),
    (b"<ListBucketResult>" + b" " * 2_000_000, "an answer of more than 1000000 bytes"), (b"<html>Welcome</html>", "no list"),
    (page(["k"], "t"), "the same token")],
    ids=["cut", "text", "token", "huge", "another's", "endless"])
def test_bad_lists(stub, client, body, says):
    answer = client(stub(lambda _: (200, body)).url, limit=1_000_000).ask("list", "")
    assert not answer["ok"] and says in answer["error"], answer
