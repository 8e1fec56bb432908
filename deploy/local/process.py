"""One process of the stack: started in a group of its own, remembered in a pid file together with
its start time, so that a number used again by the system is never mistaken for it."""
import ctypes
import json
import os
import re
import signal
import subprocess
import time

from deploy.local.places import StackError

_libc = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1
_TELLING = re.compile(r"\b(ERROR|FATAL|error|fatal)\b|[a-z]Exception\b|ERROR: ")
_ENDING = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}


def end_with_parent():
    """In a child before exec: the system kills it when its parent's thread ends."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _in_child(die_with_parent):
    if die_with_parent:
        end_with_parent()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)


def _start_ticks(pid):
    """When the process started, in clock ticks; None for one that is gone or a zombie."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
            fields = f.read().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


class Process:
    """grace_s: how long an orderly end may take before kill -9; 0 = kill -9 at once."""

    def __init__(self, name, run_dir, log_path, grace_s=15.0):
        self.name = name
        self.grace_s = grace_s
        self.pid_file = run_dir / f"{name}.json"
        self.log_path = log_path
        self.pid = None
        self.ticks = None
        self.popen = None

    @classmethod
    def known(cls, run_dir):
        """The processes that pid files in run_dir speak of, dead ones too; last started first."""
        found = []
        for path in run_dir.glob("*.json"):
            try:
                note = json.loads(path.read_text())
                process = cls(note["name"], run_dir, note["log"], note["grace_s"])
                process.pid, process.ticks = note["pid"], note["ticks"]
            except (ValueError, KeyError, OSError):
                path.unlink(missing_ok=True)
                continue
            found.append((path.stat().st_mtime_ns, process))
        return [p for _, p in sorted(found, key=lambda pair: -pair[0])]

    def start(self, argv, die_with_parent, env=None):
        """No signal comes between the start and the note of it, so that nothing is left running."""
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
        try:
            self._spawn(argv, die_with_parent, env)
            self.pid_file.write_text(json.dumps({
                "name": self.name, "pid": self.pid, "ticks": self.ticks, "log": str(self.log_path),
                "grace_s": self.grace_s}))
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def _spawn(self, argv, die_with_parent, env):
        with open(self.log_path, "ab") as log:
            try:
                self.popen = subprocess.Popen(
                    argv, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                    start_new_session=True, env={**os.environ, **(env or {})},
                    preexec_fn=lambda: _in_child(die_with_parent))
            except OSError as e:
                raise StackError(f"{self.name}: cannot run {argv[0]}: {e.strerror}") from e
        self.pid = self.popen.pid
        self.ticks = _start_ticks(self.pid)

    def alive(self):
        if self.popen is not None:
            return self.popen.poll() is None  # a zombie's threads may still hold its ports
        return self.ticks is not None and _start_ticks(self.pid) == self.ticks

    def signal(self, number):
        """To the process and all that it started."""
        if self.alive():
            try:
                os.killpg(self.pid, number)
            except ProcessLookupError:
                pass

    def wait(self, timeout_s):
        """True when it has ended within the time."""
        deadline = time.monotonic() + timeout_s
        while self.alive():
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.02)
        return True

    def stop(self):
        stop_all([self])

    def kill(self):
        """kill -9; the pid file stays, so that status shows it as dead."""
        self.signal(signal.SIGKILL)
        self.wait(5.0)

    def exit_code(self):
        return None if self.popen is None else self.popen.poll()

    def log_text(self, since=0):
        try:
            with open(self.log_path, encoding="utf-8", errors="replace") as f:
                f.seek(since)
                return f.read()
        except OSError:
            return ""

    def death(self):
        """One line on how it ended: the last telling line of its log."""
        lines = [line.strip() for line in self.log_text().splitlines() if line.strip()]
        telling = [line for line in lines if _TELLING.search(line)]
        last = (telling or lines or ["its log is empty"])[-1]
        code = self.exit_code()
        how = "" if code is None else f" by signal {-code}" if code < 0 else f" with exit code {code}"
        return f"{self.name} died{how}; its last word: {last[:300]} (log: {self.log_path})"

    def wait_until(self, ready, timeout_s, what):
        """Polls ready() until true; a death or the timeout is a StackError."""
        deadline = time.monotonic() + timeout_s
        while not ready():
            if not self.alive():
                raise StackError(self.death())
            if time.monotonic() >= deadline:
                raise StackError(f"{self.name}: {what} after {timeout_s:.0f} s (log: {self.log_path})")
            time.sleep(0.05)


def stop_all(processes):
    """Asks all of them at once to end, waits for each in turn, and forgets them."""
    for process in processes:
        process.signal(signal.SIGTERM if process.grace_s > 0 else signal.SIGKILL)
    for process in processes:
        if not process.wait(process.grace_s):
            process.signal(signal.SIGKILL)
            process.wait(5.0)
        process.pid_file.unlink(missing_ok=True)
