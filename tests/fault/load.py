"""The load generator under test conditions, and its verification of a topic."""
import json
import signal
import subprocess
import time

from deploy.local.places import ROOT
from deploy.local.process import end_with_parent

LOADGEN = ROOT / "build/release/sluice-loadgen"


class Load:
    """sluice-loadgen send in the background."""

    def __init__(self, stack, folder, topic="metrics.ingest.demo", **options):
        self.stack = stack
        self.manifest = folder / "load.manifest"
        self.log = open(folder / "loadgen.log", "w", encoding="utf-8")
        arguments = [str(LOADGEN), "send", "--brokers", stack.bootstrap, "--topic", topic, "--manifest",
                     str(self.manifest), "--json"]
        for key, value in options.items():
            arguments += ["--" + key.replace("_", "-")] + ([] if value is True else [str(value)])
        self.process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=self.log, text=True,
                                        preexec_fn=end_with_parent)
        stack.at_stop.append(self.process.kill)

    def stop(self):
        """Ends it in order; its closing report."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self, timeout_s=120):
        out, _ = self.process.communicate(timeout=timeout_s)
        assert self.process.returncode in (0, 1), f"loadgen: exit {self.process.returncode}"
        return json.loads(out.strip().splitlines()[-1])

    def verify(self, *arguments, timeout_s=300):
        """(exit code, report)."""
        done = subprocess.run([str(LOADGEN), "verify", "--manifest", str(self.manifest), "--json", *arguments],
                              capture_output=True, text=True, timeout=timeout_s, check=False)
        try:
            report = json.loads(done.stdout.strip().splitlines()[-1])
        except (IndexError, ValueError):
            report = {"output": done.stdout[-2000:], "errors": done.stderr[-2000:]}
        return done.returncode, report


def wait_caught_up(stack, group, topics, timeout_s=120):
    """Until the group has committed all that the topics hold."""
    deadline = time.monotonic() + timeout_s
    while True:
        behind = {}
        for topic in topics:
            committed = stack.committed(group, topic)
            for p, end in stack.ends(topic).items():
                if end > 0 and committed.get(p, (0, ""))[0] < end:
                    behind[topic, p] = (committed.get(p), end)
        if not behind:
            return
        assert time.monotonic() < deadline, f"{group} is behind: {behind}"
        time.sleep(0.3)
