"""A tenant's budget over all partitions: six processes, 30,000 series that want in, room for 10,000. The union of what
is active never exceeds it and is nearly reached, also when demand moves to other partitions, when the budget is lowered,
and while processes are killed. tests/soak has the long form of the disturbances."""
import json
import os
import threading
import time

from tests.fault import counter
from tests.fault.chaos import SOUND_EXITS, Chaos
from tests.fault.formats import decode
from tests.flow import batches
from tests.flow.lease_oracle import ActiveSeries
from tests.flow.stack import wait_for
from tests.flow.test_pipeline import metric

PARTITIONS = 12
ACTIVE_MS = 8000
BUDGET, LOWERED = 10_000, 6000
N_SOURCES, N_SERIES = 100, 300
SCRAPE_S = 2
GOAL_MS = 30_000  # of log time
DISTURBANCES = int(os.environ.get("SLUICE_DISTURBANCES", "12"))
NONE_LEFT_MS = 10_000  # nobody who stopped sending is active any more


class Servers(threading.Thread):
    """Sources with series of their own, scraped every two seconds, as far as they are switched on."""

    def __init__(self, stack):
        super().__init__(daemon=True)
        self.stack = stack
        self.partition = {f"gs-{i}": batches.partition_of(f"gs-{i}", PARTITIONS) for i in range(N_SOURCES)}
        self.templates = {}
        for name in self.partition:
            points = [batches.counter(f"m_{k}_total", 1.0, server=name) for k in range(N_SERIES)]
            self.templates[name] = decode("batch", batches.batch(name, points, 1))
        self.on = set()
        self.swings = False  # half of the partitions, then the other half, and so on
        self.n_scrapes = 0
        self.ending = threading.Event()

    def switch_on(self, wanted):
        """From now on these alone; when that is."""
        self.on = {name for name, p in self.partition.items() if wanted(p)}
        return now_ms()

    def scrape(self, producer, name):
        row = self.templates[name]
        row["received_ms"] = row["times"]["base"] = now_ms()
        row["origin"]["offset"] = self.n_scrapes
        self.n_scrapes += 1
        producer.produce("metrics.valid", batches.encode("batch", row), key=name.encode(),
                         partition=self.partition[name])
        producer.poll(0)

    def run(self):
        producer = self.stack.producer(message_timeout_ms=0)
        while not self.ending.is_set():
            began = time.monotonic()
            if self.swings:
                self.switch_on(lambda p, turn=int(began / 12): p % 2 == turn % 2)
            for name in self.partition:
                if name in self.on:
                    self.scrape(producer, name)
                time.sleep(SCRAPE_S / N_SOURCES / 2)
            self.ending.wait(max(0.0, began + SCRAPE_S - time.monotonic()))
        assert producer.flush(60) == 0


def now_ms():
    return int(time.time() * 1000)


def used(workers):
    """Of the tenant's budget, as the holders tell."""
    return max(metric(w, "sluice_budget_used", tenant="demo", budget="tenant") for w in workers)


def used_since(stack, budget, from_ms):
    """When, in log time, the series let through used the budget first; None: not yet."""
    return ActiveSeries(ACTIVE_MS).take_topic(stack).first_at_least("demo", 0.98 * budget, from_ms)


class Fleet:
    """Processes of one group, started again when they were killed."""

    def __init__(self, stack, **keys):
        self.stack = stack
        self.policy = stack.places.dir / "policy.json"
        self.keys = {"active_ms": ACTIVE_MS, "heartbeat_ms": 1000, "session_timeout_ms": 6000, "fenced_backoff_ms": 500,
                     **keys}
        self.set_budget(BUDGET)
        self.workers = []

    def start_one(self, name):
        return self.stack.worker("limit", name=name, ready=False, policy=str(self.policy), **self.keys)

    def start(self, n):
        self.workers = [self.start_one(f"w{i}") for i in range(n)]
        for worker in self.workers:
            worker.wait_ready()

    def set_budget(self, n_series):
        self.policy.write_text(json.dumps({"tenants": {"demo": {"limits": {"series_per_tenant": n_series}}}}))

    def budgets(self):
        """What the processes have by their policy."""
        return {metric(w, "sluice_series_budget", tenant="demo", budget="tenant") for w in self.workers}

    def kill_the_largest(self):
        victim = max(self.workers, key=lambda w: metric(w, "sluice_active_series", tenant="demo"))
        victim.process.kill()
        victim.start()


class Course:
    """What happened when, for the check afterwards."""

    def __init__(self, stack, n_processes, **keys):
        self.stack, self.fleet, self.servers = stack, Fleet(stack, **keys), Servers(stack)
        self.fleet.start(n_processes)
        self.began_ms = {}

    def demand(self, name, wanted, budget):
        """Only the partitions wanted send from now on; until their series fill the budget, by what was let through (what
        the holders report may be a dead one's last word). By then all others have left, of which the first nine seconds
        may still see some."""
        self.began_ms[name] = self.servers.switch_on(wanted)
        if not self.servers.is_alive():
            self.servers.start()
        time.sleep(NONE_LEFT_MS / 1000)
        wait_for(lambda: used_since(self.stack, budget, self.began_ms[name] + NONE_LEFT_MS), 60,
                 f"{name}: use of the budget")

    def end(self):
        self.servers.ending.set()
        self.servers.join()

    def lower(self, budget):
        self.fleet.set_budget(budget)
        wait_for(lambda: self.fleet.budgets() == {budget}, 30, "the lower budget in all processes")

    def reached_after_ms(self, active, name, budget):
        reached_ms = active.first_at_least("demo", 0.98 * budget, self.began_ms[name] + NONE_LEFT_MS)
        assert reached_ms is not None, f"{name}: {0.98 * budget:.0f} active series were never reached"
        return reached_ms - self.began_ms[name]


def test_a_tenants_budget_holds_over_all_partitions(stack, say):
    stack.create_all_topics()
    course = Course(stack, 6)
    course.demand("all", lambda p: True, BUDGET)
    course.fleet.kill_the_largest()
    course.demand("half of the partitions", lambda p: p % 2 == 0, BUDGET)
    course.demand("the other half", lambda p: p % 2 == 1, BUDGET)
    course.fleet.kill_the_largest()
    course.lower(LOWERED)
    course.began_ms["few"] = course.servers.switch_on(lambda p: p == 1)
    wait_for(lambda: used(course.fleet.workers) <= LOWERED, 60, "the lower budget")
    course.demand("all again", lambda p: True, LOWERED)
    course.end()
    active = ActiveSeries(ACTIVE_MS).take_topic(stack)
    after = {name: course.reached_after_ms(active, name, LOWERED if name == "all again" else BUDGET)
             for name in course.began_ms if name != "few"}
    low_ms = active.first_at_most("demo", LOWERED, course.began_ms["few"])
    say(f"active {active.peak('demo')} of {BUDGET}, {active.peak('demo', low_ms)} of {LOWERED} from "
        f"{low_ms - course.began_ms['few']} ms after others had left; 98 % reached (ms of log time): {after}; "
        f"first in {active.first_at_least('demo', 0.98 * BUDGET) - course.began_ms['all']} ms")
    assert active.grown_over("demo", BUDGET) == []
    assert active.grown_over("demo", LOWERED, low_ms) == []
    assert max(after.values()) <= GOAL_MS
    assert len(course.servers.partition) * N_SERIES == 30_000


def test_leases_that_are_lost_with_a_worker_show(stack, say):
    """Without its state whoever takes partitions over knows nobody there, and lets others in: the check must see it."""
    active_ms = 10 * ACTIVE_MS  # all of this test lies within it
    stack.create_all_topics()
    course = Course(stack, 2, build="faults", active_ms=active_ms, **{"fault.no_restore": True})
    course.demand("some", lambda p: p % 3 > 0, BUDGET)
    for worker in course.fleet.workers:
        worker.stop()
    course.servers.switch_on(lambda p: p % 3 == 0)
    for worker in course.fleet.workers:
        worker.start()
        worker.wait_ready()
    found = {}

    def is_over():
        found["active"] = ActiveSeries(active_ms).take_topic(stack)
        return found["active"].grown_over("demo", BUDGET)

    try:
        wait_for(is_over, 60, "more than the budget")
    finally:
        course.end()
        say(f"without restore: {found['active'].peak('demo')} active of {BUDGET}")


def test_a_tenants_budget_holds_under_disturbances(stack3, say):
    stack3.create_all_topics()
    fleet, servers = Fleet(stack3), Servers(stack3)
    chaos = Chaos(stack3, fleet.start_one, 6, 6, seed=29, pause_s=(1.0, 2.0))
    servers.swings = True
    servers.start()
    chaos.run(DISTURBANCES)
    servers.swings = False
    calm_ms = servers.switch_on(lambda p: True)
    wait_for(lambda: used_since(stack3, BUDGET, calm_ms), 90, "use of the budget when all is over")
    servers.ending.set()
    servers.join()
    chaos.finish()
    active = ActiveSeries(ACTIVE_MS).take_topic(stack3)
    say(f"active {active.peak('demo')} of {BUDGET} in {servers.n_scrapes} scrapes; {chaos.summary(counter.metric)}")
    assert active.grown_over("demo", BUDGET) == []
    assert active.peak("demo") >= 0.98 * BUDGET
    assert set(chaos.exit_codes) <= SOUND_EXITS
