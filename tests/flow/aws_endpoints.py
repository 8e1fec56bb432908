"""Real HTTP servers on loopback in the place of STS, the container endpoint and the instance's metadata, which
answer as the test says, also badly; and the program that fetches credentials from them."""
import contextlib
import datetime
import http.server
import json
import os
import socket
import subprocess
import threading
import time
from pathlib import Path

from deploy.local.places import ROOT

TOOL = Path(os.environ.get("SLUICE_BIN") or ROOT / "build/bin") / "tests/unit/aws/sluice-test-credentials"
SECRET = "wJalrXUtnFEMI/K7MDENG+secret"
TOKEN = "session/token+of=="


def expiration(seconds):
    when = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


def keys_json(access, seconds=3600, **more):
    return json.dumps({"AccessKeyId": access, "SecretAccessKey": SECRET, "Token": TOKEN,
                       "Expiration": expiration(seconds), **more}).encode()


def sts_xml(access, seconds=3600):
    return (f'<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
            f"<AssumeRoleWithWebIdentityResult><Audience>sts.amazonaws.com</Audience><Credentials>"
            f"<SessionToken>{TOKEN}</SessionToken><SecretAccessKey>{SECRET}</SecretAccessKey>"
            f"<Expiration>{expiration(seconds)}</Expiration><AccessKeyId>{access}</AccessKeyId></Credentials>"
            f"</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>").encode()


def sts_error(code):
    return (f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{SECRET}</Message></Error>"
            "</ErrorResponse>").encode()


class Request:
    def __init__(self, handler, body):
        self.method, self.path, self.headers, self.body = handler.command, handler.path, handler.headers, body
        self.peer = handler.client_address


@contextlib.contextmanager
def endpoints():
    """endpoint(answer) makes one; all end with the block."""
    made = []

    def make(answer):
        made.append(Endpoint(answer))
        return made[-1]

    yield make
    for one in made:
        one.stop()


class Endpoint:
    """answer(request) → (status, body[, headers]), or a callable that is given the socket to misbehave on."""

    def __init__(self, answer):
        self.answer = answer
        self.requests = []
        endpoint = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                request = Request(self, body)
                endpoint.requests.append(request)
                answer = endpoint.answer(request)
                if callable(answer):
                    self.close_connection = True
                    with contextlib.suppress(OSError):
                        answer(self.connection)
                    return
                status, content, headers = (*answer, {})[:3]
                with contextlib.suppress(OSError):
                    self.send_response(status)
                    for name, value in headers.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(content)))
                    self.end_headers()
                    self.wfile.write(content)

            do_PUT = do_POST = do_DELETE = do_GET

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_port}"

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def imds(access="ASIAIMDS", seconds=3600):
    """The second version, which answers nothing without its token."""
    role = "/latest/meta-data/iam/security-credentials/"

    def answer(r):
        if r.method == "PUT" and r.path == "/latest/api/token":
            known = r.headers.get("X-aws-ec2-metadata-token-ttl-seconds") == "21600"
            return (200, b"imds-token==") if known else (400, b"")
        if r.headers.get("X-aws-ec2-metadata-token") != "imds-token==":
            return 401, b""
        answers = {role: b"node-role@x+y\n", role + "node-role%40x%2By": keys_json(access, seconds, Code="Success")}
        return (200, answers[r.path]) if r.path in answers else (404, b"")

    return answer


# Ways of answering badly.

def silent(connection):
    connection.settimeout(20)
    connection.recv(1)


def drips(connection):
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    for _ in range(200):
        connection.sendall(b"x")
        time.sleep(0.1)


def hangs_up(connection):
    connection.shutdown(socket.SHUT_RDWR)


def cut_short(connection):
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + keys_json("ASIACUT"))
    connection.shutdown(socket.SHUT_RDWR)


def endless(connection):
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n")
    for _ in range(50):
        connection.sendall(b"[" * 1000000)


class Client:
    """sluice-test-credentials in an environment of its own."""

    def __init__(self, home, **env):
        self.said = []
        self.process = subprocess.Popen([TOOL], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        text=True, env={"HOME": str(home), **env})

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        self.said.append({k: v for k, v in answer.items() if k not in ("secret", "token")})
        return answer

    def get(self, wait_ms=15000):
        return self.ask(f"get {wait_ms}")

    def status(self):
        return self.ask("status")

    def close(self):
        """Ends it; whatever it said beside the keys themselves holds no secret."""
        _, errors = self.process.communicate(timeout=30)
        assert (self.process.returncode, errors) == (0, "")
        assert SECRET not in json.dumps(self.said) and TOKEN not in json.dumps(self.said)
