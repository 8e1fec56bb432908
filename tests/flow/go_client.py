"""Builds the peers that are written in Go (Prometheus's own client libraries), by the compiler that pip brings."""
import hashlib
import os
import subprocess
import sys
from pathlib import Path

from deploy.local.places import ROOT

CACHE = ROOT / "build/deps/go"


def built(name):
    """The program of tests/flow/NAME; built once for its sources and its modules' sums."""
    source = ROOT / "tests/flow" / name
    digest = hashlib.sha256(b"".join(f.read_bytes() for f in sorted(source.iterdir()))).hexdigest()[:16]
    binary = CACHE / f"{name}-{digest}"
    if not binary.exists():
        go = Path(sys.executable).parent / "go"
        environment = {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "-modcacherw -mod=readonly",
                       "GOMODCACHE": str(CACHE / "mod"), "GOCACHE": str(CACHE / "cache")}
        fresh = binary.with_suffix(".new")
        done = subprocess.run([go, "build", "-gcflags=all=-N -l", "-ldflags=-s -w", "-o", fresh, "."], cwd=source,
                              env=environment, capture_output=True, text=True, timeout=600, check=False)
        assert done.returncode == 0, done.stderr
        fresh.rename(binary)
    return binary
