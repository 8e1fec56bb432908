"""Workers of one stage under random disturbances, restarted as a supervisor would."""
import random
import signal
import threading
import time

# Killed, stopped, stopped but for the alarm at the end of shutdown_ms (brokers away), fenced by the coordinator after a stall.
SOUND_EXITS = {-signal.SIGKILL, 0, -signal.SIGALRM, 3}


class Chaos:
    """start(name) gives a started worker. Each disturbance is one row of KINDS; every 2 to 4 s one."""

    KINDS = ("kill", "kill", "term", "stop", "join", "leave", "broker")

    def __init__(self, stack, start, n_workers, session_s, seed, pause_s=(1.5, 3.0)):
        self.stack = stack
        self.start_worker = start
        self.session_s = session_s
        self.random = random.Random(seed)
        self.pause_s = pause_s
        self.n_started = 0
        self.workers = []
        self.counts = {}
        self.exit_codes = {}
        self.supervising = True
        self.lock = threading.Lock()
        for _ in range(n_workers):
            self._join()
        self.supervisor = threading.Thread(target=self._supervise, daemon=True)
        self.supervisor.start()
        stack.at_stop.append(self.finish)  # of a test that fails, too: nobody is restarted behind its end

    def _join(self):
        self.n_started += 1
        worker = self.start_worker(f"w{self.n_started}")
        worker.leaving = False
        with self.lock:
            self.workers.append(worker)

    def _supervise(self):
        """Restarts what died, as a pod would be; notes the exit codes."""
        while self.supervising:
            with self.lock:
                dead = [w for w in self.workers if not w.process.alive() and not w.leaving]
            for worker in dead:
                code = worker.process.exit_code()
                self.exit_codes[code] = self.exit_codes.get(code, 0) + 1
                try:
                    worker.start()
                except Exception as e:  # the port may still be taken for a moment
                    print(f"restart of {worker.name}: {e}")
            time.sleep(0.2)

    def run(self, n):
        for i in range(n):
            # The first round has each kind once.
            kind = self.KINDS[1:][i] if i < len(self.KINDS) - 1 else self.random.choice(self.KINDS)
            getattr(self, "_do_" + kind)()
            self.counts[kind] = self.counts.get(kind, 0) + 1
            time.sleep(self.random.uniform(*self.pause_s))

    def _victim(self):
        with self.lock:
            return self.random.choice([w for w in self.workers if not w.leaving])

    def _do_kill(self):
        self._victim().process.signal(signal.SIGKILL)

    def _do_term(self):
        self._victim().process.signal(signal.SIGTERM)

    def _do_stop(self):
        """A zombie: silent beyond the session, then back."""
        process = self._victim().process
        process.signal(signal.SIGSTOP)
        time.sleep(self.session_s + 2)
        process.signal(signal.SIGCONT)

    def _do_join(self):
        self._join()

    def _do_leave(self):
        with self.lock:
            staying = [w for w in self.workers if not w.leaving]
        if len(staying) < 3:
            return self._do_join()
        worker = self.random.choice(staying)
        worker.leaving = True
        worker.stop()

    def _do_broker(self):
        if self.stack.kafka.n_brokers < 3:
            return self._do_kill()
        i = self.random.randrange(3)
        self.stack.kafka.kill(i)
        time.sleep(self.random.uniform(0.5, 3))
        self.stack.kafka.restart(i)

    def finish(self):
        self.supervising = False
        self.supervisor.join()

    def running(self):
        with self.lock:
            return [w for w in self.workers if w.process.alive()]

    def summary(self, metric):
        """Disturbances, and what the workers still running counted (a killed one's counts are gone)."""
        names = ("sluice_rebalances_total", "sluice_transactions_total{outcome=\"aborted\"}",
                 "sluice_producers_recreated_total", "sluice_records_in_total")
        totals = {name: int(sum(metric(w, name) for w in self.running())) for name in names}
        return f"disturbances {self.counts}, exit codes {self.exit_codes}, {totals}"
