"""The credentials chain against real endpoints on loopback: order, rotation, refresh, and what endpoints do wrong."""
import itertools
from urllib.parse import parse_qs

import pytest

from deploy.local.places import free_ports
from tests.flow.aws_endpoints import (SECRET, TOKEN, Client, cut_short, drips, endless, endpoints, hangs_up, imds,
                                      keys_json, silent, sts_error, sts_xml)
from tests.flow.stack import wait_for

ROLE = "arn:aws:iam::123456789012:role/sluice"
NO_IMDS = {"AWS_EC2_METADATA_DISABLED": "true"}


@pytest.fixture
def endpoint():
    with endpoints() as make:
        yield make


@pytest.fixture
def client(tmp_path):
    made = []

    def make(**env):
        made.append(Client(tmp_path, **env))
        return made[-1]

    yield make
    for one in made:
        one.close()


def web_identity(sts, token_file):
    return {"AWS_ROLE_ARN": ROLE, "AWS_WEB_IDENTITY_TOKEN_FILE": str(token_file), "AWS_ENDPOINT_URL_STS": sts.url}


def container(endpoint, path="/v1/credentials"):
    return {"AWS_CONTAINER_CREDENTIALS_FULL_URI": endpoint.url + path}


def write_shared(home, credentials="", config=""):
    (home / ".aws").mkdir()
    (home / ".aws/credentials").write_text(credentials)
    (home / ".aws/config").write_text(config)


def shared_keys(access):
    return f"aws_access_key_id={access}\naws_secret_access_key={SECRET}\naws_session_token={TOKEN}\n"


def test_order_of_the_sources(endpoint, client, tmp_path):
    """All are set up; each is taken away in turn."""
    token = tmp_path / "token"
    token.write_text("jwt")
    write_shared(tmp_path, "[default]\n" + shared_keys("AKIASHARED"))
    sts, pod = endpoint(lambda _: (200, sts_xml("ASIASTS"))), endpoint(lambda _: (200, keys_json("ASIAPOD")))
    node = endpoint(imds())
    steps = [("environment", "AKIAENV", {"AWS_ACCESS_KEY_ID": "AKIAENV", "AWS_SECRET_ACCESS_KEY": SECRET,
                                         "AWS_SESSION_TOKEN": TOKEN}),
             ("web identity", "ASIASTS", web_identity(sts, token)), ("shared files", "AKIASHARED", {}),
             ("container", "ASIAPOD", container(pod)),
             ("instance metadata", "ASIAIMDS", {"AWS_EC2_METADATA_SERVICE_ENDPOINT": node.url})]
    for i, (source, access, _) in enumerate(steps):
        if source == "container":
            (tmp_path / ".aws/credentials").unlink()
        one = client(**{k: v for _, _, env in steps[i:] for k, v in env.items()})
        got = one.get()
        assert (got["access"], got["secret"], got["token"]) == (access, SECRET, TOKEN)
        assert one.status()["source"] == source
    assert (len(sts.requests), len(pod.requests), len(node.requests)) == (1, 1, 3)


def test_nothing_set_up(client):
    got = client(**NO_IMDS).get()
    assert got["kind"] == "config" and "none set up" in got["error"]


@pytest.mark.parametrize("env, says", [
    ({"AWS_ACCESS_KEY_ID": "AKIA"}, "AWS_ACCESS_KEY_ID is set, but: the secret key is missing"),
    ({"AWS_ACCESS_KEY_ID": "AK IA", "AWS_SECRET_ACCESS_KEY": SECRET}, "the access key holds byte 0x20 at 2"),
    ({"AWS_WEB_IDENTITY_TOKEN_FILE": "/nowhere"}, "AWS_ROLE_ARN is not"),
    ({"AWS_WEB_IDENTITY_TOKEN_FILE": "/nowhere", "AWS_ROLE_ARN": ROLE}, "set AWS_REGION"),
    ({"AWS_WEB_IDENTITY_TOKEN_FILE": "/nowhere", "AWS_ROLE_ARN": ROLE, "AWS_REGION": "eu-west-1"}, "no such file"),
    ({"AWS_WEB_IDENTITY_TOKEN_FILE": "/nowhere", "AWS_ROLE_ARN": ROLE, "AWS_REGION": "e/x"}, "not the name of an AWS"),
    ({"AWS_PROFILE": "absent"}, 'no profile "absent"'),
    ({"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://203.0.113.1/v1"}, "http to 203.0.113.1: only to loopback"),
    ({"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1@203.0.113.1/"}, "holds a user name"),
    ({"AWS_CONTAINER_CREDENTIALS_FULL_URI": "file:///etc/passwd"}, "neither http nor https"),
    ({"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:1/", "AWS_CONTAINER_AUTHORIZATION_TOKEN": "a\r\nX: b"},
     "holds a line break"),
    ({"AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://203.0.113.1/"}, "http to 203.0.113.1"),
])
def test_wrong_setups_are_named(client, env, says):
    got = client(**env).get()
    assert got["kind"] == "config" and says in got["error"], got


def test_shared_files(client, endpoint, tmp_path):
    (tmp_path / "token").write_text("jwt-of-profile")
    sts = endpoint(lambda _: (200, sts_xml("ASIAPROFILE")))
    write_shared(tmp_path, f"[dev]\n{shared_keys('AKIADEV')}[broken]\naws_access_key_id\n",
                 f"[profile irsa]\nrole_arn = {ROLE}\nrole_session_name = me\n"
                 f"web_identity_token_file = {tmp_path}/token\n[profile sso]\nsso_session = s\n")
    env = {"AWS_ENDPOINT_URL_STS": sts.url, **NO_IMDS}
    assert client(AWS_PROFILE="dev", **env).get()["access"] == "AKIADEV"
    assert client(AWS_PROFILE="irsa", **env).get()["access"] == "ASIAPROFILE"
    assert parse_qs(sts.requests[0].body.decode())["RoleSessionName"] == ["me"]
    assert 'profile "sso": sso_session is not supported' in client(AWS_PROFILE="sso", **env).get()["error"]
    assert ".aws/credentials: line 6: neither a section" in client(AWS_PROFILE="broken", **env).get()["error"]
    assert "none set up" in client(**env).get()["error"]


def test_web_identity_rereads_the_rotated_token(client, endpoint, tmp_path):
    token = tmp_path / "token"
    token.write_text("first.jwt")
    sts = endpoint(lambda r: (200, sts_xml("ASIA" + parse_qs(r.body.decode())["WebIdentityToken"][0][:5].upper(), 8)))
    one = client(**web_identity(sts, token), AWS_ROLE_SESSION_NAME="pod-1")
    assert one.get()["access"] == "ASIAFIRST"
    token.write_text("later.jwt/+=")
    wait_for(lambda: one.get().get("access") == "ASIALATER", what="the rotated token's keys")
    first, last = sts.requests[0], sts.requests[-1]
    form = parse_qs(first.body.decode())
    assert form == {"Action": ["AssumeRoleWithWebIdentity"], "Version": ["2011-06-15"], "RoleArn": [ROLE],
                    "RoleSessionName": ["pod-1"], "WebIdentityToken": ["first.jwt"]}
    assert parse_qs(last.body.decode())["WebIdentityToken"] == ["later.jwt/+="]
    assert first.method == "POST" and "Authorization" not in first.headers


def test_web_identity_refused(client, endpoint, tmp_path):
    (tmp_path / "token").write_text("jwt")
    codes = ["IDPCommunicationError", "IDPCommunicationError"]
    sts = endpoint(lambda _: (400, sts_error(codes.pop())) if codes else (200, sts_xml("ASIASTS")))
    assert client(**web_identity(sts, tmp_path / "token")).get()["access"] == "ASIASTS"
    assert len(sts.requests) == 3
    bad = endpoint(lambda _: (403, sts_error("AccessDenied")))
    pod = endpoint(lambda _: (200, keys_json("ASIAPOD")))
    one = client(**web_identity(bad, tmp_path / "token"), **container(pod))
    wait_for(lambda: one.status()["failed"] > 0, what="a failure")
    assert "AWS credentials: web identity: 127.0.0.1: AccessDenied: status 403" in one.get(0)["error"]
    assert not pod.requests  # another identity is not a way out


def test_container_token_is_reread_and_sent_as_it_is(client, endpoint, tmp_path):
    token = tmp_path / "pod-token"
    token.write_text("first")
    pod = endpoint(lambda r: (200, keys_json("ASIA" + r.headers["Authorization"].upper(), 8)))
    one = client(**container(pod), AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=str(token))
    assert one.get()["access"] == "ASIAFIRST"
    token.write_text("later")
    wait_for(lambda: one.get().get("access") == "ASIALATER", what="the rotated token's keys")
    token.write_text("broken\n")
    wait_for(lambda: "byte 0x0a at 6 is not of a token" in one.status()["failure"], what="the refusal")


def test_metadata_only_by_the_second_version(client, endpoint):
    node = endpoint(lambda r: (403, b"") if r.method == "PUT" else (200, keys_json("ASIAV1")))
    one = client(AWS_EC2_METADATA_SERVICE_ENDPOINT=node.url)
    wait_for(lambda: "instance metadata: 127.0.0.1" in one.status()["failure"], what="the refusal")
    assert {r.method for r in node.requests} == {"PUT"}


def test_no_proxy_for_what_is_near(client, endpoint):
    proxy = f"http://127.0.0.1:{free_ports(1)}"
    near = {"http_proxy": proxy, "all_proxy": proxy}
    assert client(**container(endpoint(lambda _: (200, keys_json("ASIAPOD")))), **near).get()["access"] == "ASIAPOD"
    node = endpoint(imds())
    assert client(AWS_EC2_METADATA_SERVICE_ENDPOINT=node.url, **near).get()["access"] == "ASIAIMDS"


@pytest.mark.parametrize("answer, says", [
    ((500, SECRET.encode()), "status 500"),
    ((404, b""), "status 404"),
    ((200, b"<html>" + SECRET.encode()), "not JSON at byte"),
    ((200, b""), "not JSON at byte"),
    ((200, b"[" * 60000), "not JSON at byte"),
    ((200, b"[" * 70000), "an answer of more than 65536 bytes"),
    ((200, keys_json("ASIA", Code="AssumeRoleUnauthorizedAccess")), "code is AssumeRoleUnauthorizedAccess"),
    ((200, keys_json("ASIA", -60)), "those that came have expired"),
    ((200, keys_json("A\r\nX: y")), "the access key holds byte 0x0d"),
    ((302, b"", {"Location": "http://203.0.113.1/"}), "status 302"),
    (hangs_up, "no answer"),
    (cut_short, "no answer"),
    (drips, "no answer"),
    (endless, "an answer of more than 65536 bytes"),
], ids=lambda v: v.__name__ if callable(v) else None if isinstance(v, tuple) else v)
def test_bad_answers_then_good_ones(client, endpoint, answer, says):
    """A clear error, bounded memory, and the keys as soon as the endpoint has them."""
    pod = endpoint(lambda _: answer)
    one = client(**container(pod))
    wait_for(lambda: one.status()["failed"] > 0, what="a failure")
    assert says in one.status()["failure"], one.status()
    got = one.get(0)
    assert not got["ok"] and got["kind"] == "retry" and says in got["error"]
    pod.answer = lambda _: (200, keys_json("ASIAGOOD"))
    wait_for(lambda: one.get()["ok"], what="the keys")
    assert one.status()["failure"] == ""
    with open(f"/proc/{one.process.pid}/status", encoding="ascii") as f:
        peak_kb = next(int(line.split()[1]) for line in f if line.startswith("VmHWM"))
    assert peak_kb < 40000 or "asan" in str(one.process.args)


@pytest.mark.parametrize("source", ["web identity", "container", "instance metadata"])
def test_every_endpoint_may_be_dead_at_first_and_is_asked_again_before_its_keys_expire(client, endpoint, tmp_path, source):
    n = itertools.count(1)
    (tmp_path / "token").write_text("jwt")
    place = endpoint(lambda _: hangs_up)
    env = {"web identity": web_identity(place, tmp_path / "token"), "container": container(place),
           "instance metadata": {"AWS_EC2_METADATA_SERVICE_ENDPOINT": place.url}}[source]
    one = client(**env)
    wait_for(lambda: one.status()["failed"] > 0, what="a failure")
    assert f"AWS credentials: {source}: 127.0.0.1" in one.get(0)["error"], one.get(0)
    place.answer = {"web identity": lambda _: (200, sts_xml(f"ASIA{next(n)}", 6)),
                    "container": lambda _: (200, keys_json(f"ASIA{next(n)}", 6)),
                    "instance metadata": lambda r: imds(f"ASIA{next(n)}", 6)(r)}[source]
    wait_for(lambda: one.get(0)["ok"], what="the first keys")
    first = one.get()["access"]
    wait_for(lambda: one.get(0).get("access", first) != first, what="keys after those")
    assert one.status()["failure"] == ""


def test_a_silent_endpoint_blocks_neither_the_asker_nor_the_end(client, endpoint):
    one = client(**container(endpoint(lambda _: silent)))
    got = one.get(50)
    assert got == {"ok": False, "kind": "retry", "error": "AWS credentials: the first are still being fetched"}


def test_old_keys_serve_until_they_expire(client, endpoint):
    pod = endpoint(lambda _: (200, keys_json("ASIAOLD", 10)))
    one = client(**container(pod))
    assert one.get()["access"] == "ASIAOLD"
    pod.answer = lambda _: (500, b"")
    one.ask("refresh")
    wait_for(lambda: one.status()["failed"] > 0, what="a failed refresh")
    got = one.get()
    assert got["access"] == "ASIAOLD" and got["expires_ms"] == one.status()["expires_ms"]
    wait_for(lambda: not one.get(0)["ok"], what="the end of the old keys")
    assert "expired; AWS credentials: container" in one.get(0)["error"]
    pod.answer = lambda _: (200, keys_json("ASIANEW"))
    wait_for(lambda: one.get(0)["ok"], 60, "the new keys")
    assert one.get()["access"] == "ASIANEW"


def test_refresh_on_request(client, endpoint):
    n = iter(range(1, 100))
    pod = endpoint(lambda _: (200, keys_json(f"ASIA{next(n)}")))
    one = client(**container(pod))
    assert one.get()["access"] == "ASIA1"
    one.ask("refresh")
    wait_for(lambda: one.get()["access"] == "ASIA2", what="the refreshed keys")
    assert len(pod.requests) == 2


def test_the_endpoints_are_as_strict_as_the_real_ones():
    """What the tests rest on: no metadata without its token."""
    class Bare:
        method, path, headers = "GET", "/latest/meta-data/iam/security-credentials/", {}
    assert imds()(Bare)[0] == 401
