"""Signatures as botocore makes them, and MSK tokens as AWS's own signer does: same key, time and request → the
same bytes. Our side is sluice-test-sigv4; its input is described in tests/unit/aws/sigv4_case.h."""
import datetime
import os
import random
import string
import subprocess
from pathlib import Path
from urllib.parse import quote, urlsplit

import aws_msk_iam_sasl_signer
import botocore.auth
import pytest
from aws_msk_iam_sasl_signer import MSKAuthTokenProvider
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from deploy.local.places import ROOT

TOOL = Path(os.environ.get("SLUICE_BIN") or ROOT / "build/bin") / "tests/unit/aws/sluice-test-sigv4"
USER = ("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", None)
ROLE = ("ASIAEXAMPLE", "+/secret/+EXAMPLE", "FwoGZXIvYXdzE///////////wEaDExample+/=token==")
WHEN = 1790000000
APS = "https://aps-workspaces.eu-central-1.amazonaws.com/workspaces/ws-1f2e/api/v1/"
S3 = "https://bucket.s3.eu-central-1.amazonaws.com"
SSE = {"x-amz-server-side-encryption": "aws:kms", "x-amz-server-side-encryption-aws-kms-key-id": "arn:aws:kms:k/1-2",
       "x-amz-server-side-encryption-bucket-key-enabled": "true", "if-none-match": "*"}
KEYS = ["dt=2026-11-25/hour=07/metrics.admitted-3-1-99.parquet", "a b/c+d.parquet", "ключ/日本語=€", "a//b/./../c", "~-_.!*'()",
        "100%25/percent", "plain"]

# name: (method, service, url, headers, body)
TABLE = {
    "aps write": ("POST", "aps", APS + "remote_write", {"content-type": "application/x-protobuf",
                  "content-encoding": "snappy", "x-prometheus-remote-write-version": "0.1.0"}, b"body"),
    "aps query": ("GET", "aps", APS + "query?query=up%7Ba%3D%22b%22%7D&time=5", {}, b""),
    "aps dots": ("GET", "aps", APS + "a/./b/../c//d/", {}, b""),
    "list": ("GET", "s3", S3 + "/?list-type=2&prefix=dt%3D2026%2F&max-keys=1000&delimiter=%2F", {}, b""),
    "list of uploads": ("GET", "s3", S3 + "/?uploads=", {}, b""),
    **{f"{method} {key}": (method, "s3", f"{S3}/{quote(key)}", SSE if method == "PUT" else {}, body)
       for method, body in (("GET", b""), ("HEAD", b""), ("PUT", b"PAR1")) for key in KEYS},
    **{f"multipart {key}": ("POST", "s3", f"{S3}/{quote(key)}?uploads=", {}, b"") for key in KEYS},
    **{f"part of {key}": ("PUT", "s3", f"{S3}/{quote(key)}?partNumber=7&uploadId=aB%2B%2F.-_~", {}, b"x" * 100)
       for key in KEYS},
}


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    now = datetime.datetime.fromtimestamp(WHEN, datetime.timezone.utc)
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda remove_tzinfo=True: now.replace(tzinfo=None))


def request_of(method, url, headers, body):
    request = AWSRequest(method=method, url=url, data=body, headers={**headers, "host": urlsplit(url).netloc})
    return request


def case(name, keys, scope, request, body, expires=0, unsigned=False):
    parts = urlsplit(request.url)
    method = request.method
    lines = [f"case {name}", "keys " + " ".join(k for k in keys if k), f"scope {' '.join(scope)}",
             f"time {WHEN * 1000 + 987}", f"rules {'s3' if scope[1] == 's3' else 'normal'}",
             f"request {method} {parts.path}", f"query {parts.query}"]
    lines += [f"header {k}: {v}" for k, v in request.headers.items()]
    lines += ["payload UNSIGNED-PAYLOAD"] if unsigned else [f"body {body}"] if body else []
    lines += [f"want_query {expires} -"] if expires else []
    return "\n".join(lines) + "\n\n"


def ours(text, *arguments):
    done = subprocess.run([TOOL, *arguments], input=text.encode(), capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return [block.split("\n") for block in done.stdout.decode().split("\n\n") if block]


def headers_of(block):
    return {name.lower(): value for name, value in (line.split(": ", 1) for line in block)}


def sign(name, keys, method, service, url, headers, body):
    """(our input, botocore's added headers)"""
    request = request_of(method, url, headers, body)
    text = case(name, keys, ("eu-central-1", service), request, body.decode())
    oracle = (S3SigV4Auth if service == "s3" else SigV4Auth)(Credentials(*keys), service, "eu-central-1")
    oracle.add_auth(request)
    added = {k.lower(): v for k, v in request.headers.items() if k.lower() not in headers and k.lower() != "host"}
    return text, added


def compare(cases):
    for (text, wanted), got in zip(cases, ours("".join(text for text, _ in cases)), strict=True):
        assert headers_of(got) == wanted, text


@pytest.mark.parametrize("keys", [USER, ROLE], ids=["user", "role"])
def test_headers_of_the_requests_that_we_send(keys, say):
    cases = [sign(name, keys, *row) for name, row in TABLE.items()]
    assert len(cases) >= 40
    compare(cases)
    say(f"{len(cases)} requests signed as botocore does")


def random_text(random_, alphabet, most):
    return "".join(random_.choice(alphabet) for _ in range(random_.randint(1, most)))


def random_request(r):
    service = r.choice(["s3", "aps", "execute-api"])
    text = string.ascii_letters + string.digits + " -._~!$&'()*+,;=:@/%#?<>[]{}|^`\"\\äß€日\U0001f600"
    path = "/" + quote(random_text(r, text, 40), safe="/" if r.random() < 0.8 else "/-_.~")
    pairs = [quote(random_text(r, text, 8), safe="-_.~") + "=" + quote(random_text(r, text, 8), safe="-_.~")
             for _ in range(r.randint(0, 6))]
    headers = {"x-" + random_text(r, string.ascii_lowercase + string.digits + "-", 12):
               random_text(r, string.ascii_letters + "  =,;:\"'", 30).strip() or "v" for _ in range(r.randint(0, 6))}
    body = random_text(r, string.ascii_letters, 50).encode() if r.random() < 0.5 else b""
    url = f"https://host-{r.randint(1, 9)}.example.com{path}" + ("?" + "&".join(pairs) if pairs else "")
    return r.choice(["GET", "PUT", "POST", "DELETE"]), service, url, headers, body


def test_headers_of_random_requests(say):
    r = random.Random(4)
    cases = [sign(f"random {i}", r.choice([USER, ROLE]), *random_request(r)) for i in range(2000)]
    compare(cases)
    say("2000 random requests signed as botocore does")


@pytest.mark.parametrize("keys", [USER, ROLE], ids=["user", "role"])
def test_presigned_urls(keys):
    r = random.Random(5)
    texts, wanted = [], []
    for i in range(500):
        method, service, url, _, _ = random_request(r)
        request = request_of("GET", url, {}, b"")
        texts.append(case(f"{i}", keys, ("eu-central-1", service), request, "", 60 + i, service == "s3"))
        oracle = S3SigV4QueryAuth if service == "s3" else SigV4QueryAuth
        oracle(Credentials(*keys), service, "eu-central-1", expires=60 + i).add_auth(request)
        wanted.append(request.url)
    for want, got in zip(wanted, ours("".join(texts)), strict=True):
        assert sorted(got[0].split("&")) == sorted(urlsplit(want).query.split("&"))


@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1", "cn-north-1"])
@pytest.mark.parametrize("keys", [USER, ROLE], ids=["user", "role"])
def test_msk_token_equals_that_of_awss_signer(keys, region, monkeypatch):
    monkeypatch.setattr(MSKAuthTokenProvider, "__load_default_credentials__", lambda: Credentials(*keys))
    token, expires_ms = aws_msk_iam_sasl_signer.MSKAuthTokenProvider.generate_auth_token(region)
    agent = MSKAuthTokenProvider.__get_user_agent__()
    got = ours(f"case {agent}\nkeys {' '.join(k for k in keys if k)}\nscope {region} kafka-cluster\n"
               f"time {WHEN * 1000 + 987}\n\n", "msk")
    assert got == [[token, str(expires_ms)]]
