"""The topics of deploy/topics.json on the local brokers, by sluice-offsets."""
import json
import os
import subprocess

from deploy.local import topics_by_socket
from deploy.local.places import ROOT, StackError

TENANTS = ("demo", "studio-a", "studio-b")


def apply(places, kafka):
    """Creates what is missing."""
    profile = "local" if kafka.n_brokers == 1 else "local3"
    program = places.binaries / "sluice-offsets"
    if not os.access(program, os.X_OK):
        topics_by_socket.create(kafka.port(0), topics_by_socket.defined(profile, TENANTS))
        return
    config = places.config / "offsets.json"
    config.write_text(json.dumps({
        "kafka.bootstrap.servers": kafka.bootstrap, "profile": profile, "tenants": list(TENANTS),
        "topics_file": str(ROOT / "deploy/topics.json")}, indent=2) + "\n")
    done = subprocess.run([str(program), "topics", "apply", "--config", str(config)],
                          capture_output=True, text=True, check=False, timeout=120)
    if done.returncode != 0:
        words = (done.stderr.strip() or done.stdout.strip() or "no word").splitlines()
        raise StackError(f"sluice-offsets topics apply: {words[-1]}")
