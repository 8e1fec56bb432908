"""The workers of the local stack: one row each, its configuration, and how to tell that it is ready."""
import json
import urllib.error
import urllib.request
from pathlib import Path

from deploy.local import s3proxy
from deploy.local.places import HOST, StackError, port_is_free
from deploy.local.process import Process

POLICY = Path(__file__).with_name("policy.json")

# name: the keys of its config file besides the common ones. s is the Stack. The program is sluice-<name up to the first _>.
WORKERS = {
    "gateway": lambda s: {"policy": str(POLICY), **s.doors.keys()},
    "validate": lambda s: {"policy": str(POLICY)},
    "limit": lambda s: {"policy": str(POLICY)},
    "amp": lambda s: {"topics": ["metrics.admitted"], "url": s.prometheus.write_url},
    "rollup": lambda s: {},
    "rollup_1h": lambda s: {"window": "1h", "topics": ["metrics.rollup.5m"]},
    "amp_warm": lambda s: {"group": "sluice-amp-warm", "url": s.prometheus_warm.write_url,
                           "topics": ["metrics.rollup.1m", "metrics.rollup.5m", "metrics.rollup.1h"],
                           "rollup_columns": ["delta", "min", "max"]},
    "parquet": lambda s: {"bucket": s3proxy.BUCKET, "endpoint": s.s3proxy.url, "path_style": True, "aws.region": "local",
                          "start": "earliest", "raw_max_age_ms": PARQUET_AGE_MS},
}
PARQUET_AGE_MS = 20_000
# What besides is in the environment: secrets.
ENVIRONMENTS = {"parquet": {"AWS_ACCESS_KEY_ID": s3proxy.IDENTITY, "AWS_SECRET_ACCESS_KEY": s3proxy.SECRET,
                            "AWS_EC2_METADATA_DISABLED": "true"}}


class Worker:
    """One process of sluice-<kind>; name tells it from its twins."""

    def __init__(self, places, kind, name=None, port=None, die_with_parent=True):
        self.places = places
        self.kind = kind
        self.name = name or kind
        self.port = port or places.port(kind)
        self.die_with_parent = die_with_parent
        self.env = ENVIRONMENTS.get(kind)
        self.process = Process(self.name, places.run, places.logs / f"{self.name}.log")
        self.config_path = places.config / f"{self.name}.json"

    @property
    def url(self):
        return f"http://{HOST}:{self.port}"

    def configure(self, bootstrap, keys):
        common = {"kafka.bootstrap.servers": bootstrap, "instance": self.name, "http_port": self.port}
        self.config_path.write_text(json.dumps({**common, **keys}, indent=2) + "\n")

    def check(self):
        """Is its program there, and its port free? The path of the program."""
        if not port_is_free(self.port):
            raise StackError(f"port {self.port} (sluice-{self.name}) is in use; {self.places.hint(self.kind)}")
        return self.places.binary(f"sluice-{self.kind.partition('_')[0]}")

    def start(self, arguments=(), env=None):
        """Runs it on the configuration file that was written."""
        self.process.start([self.check(), "--config", str(self.config_path), *arguments],
                           self.die_with_parent, {**(self.env or {}), **(env or {})} or None)

    def get(self, path):
        """(status, text) of an admin page; (0, "") when it does not answer."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=2) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as e:
            return e.code, e.read().decode(errors="replace")
        except OSError:
            return 0, ""

    def ready(self):
        return self.get("/ready")[0] == 200

    def wait_ready(self, timeout_s=30):
        self.process.wait_until(self.ready, timeout_s, "is not ready")

    def metrics(self):
        return self.get("/metrics")[1]

    def stop(self):
        self.process.stop()
