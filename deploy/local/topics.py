"""The topics of deploy/topics.json on the local brokers, by sluice-offsets."""
import json
import subprocess

from deploy.local.places import ROOT, StackError

TENANTS = ("demo", "studio-a", "studio-b")


def apply(places, kafka):
    """Creates what is missing."""
    profile = "local" if kafka.n_brokers == 1 else "local3"
    program = places.binary("sluice-offsets")
    config = places.config / "offsets.json"
    config.write_text(json.dumps({
        "kafka.bootstrap.servers": kafka.bootstrap, "profile": profile, "tenants": list(TENANTS),
        "topics_file": str(ROOT / "deploy/topics.json")}, indent=2) + "\n")
    done = subprocess.run([program, "topics", "apply", "--config", str(config)],
                          capture_output=True, text=True, check=False, timeout=120)
    if done.returncode != 0:
        words = (done.stderr.strip() or done.stdout.strip() or "no word").splitlines()
        raise StackError(f"sluice-offsets topics apply: {words[-1]}")
