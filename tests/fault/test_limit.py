"""sluice-limit under disturbance: kill -9, SIGTERM, zombies, joins, leaves, a broker's death; 12 of them here,
tests/soak has the long form. The oracle replays metrics.valid and must agree on every series of every batch."""
import json
import os

from tests.fault import counter
from tests.fault.chaos import SOUND_EXITS, Chaos
from tests.fault.limit_load import LimitLoad
from tests.fault.load import wait_caught_up
from tests.flow import limit_oracle

SESSION_S = 6
PARTITIONS = 12
ACTIVE_MS = 80_000
BUDGET = 14
DISTURBANCES = int(os.environ.get("SLUICE_DISTURBANCES", "12"))


def start_limit(stack, name, build=None, **keys):
    policy = stack.places.dir / "policy.json"
    if not policy.exists():
        limits = {"limits": {"series_per_source": BUDGET}}
        policy.write_text(json.dumps({"tenants": {"demo": limits, "studio-b": limits}}))
    return stack.worker("limit", name=name, build=build, ready=False, session_timeout_ms=SESSION_S * 1000,
                        fenced_backoff_ms=500, policy=str(policy), active_ms=ACTIVE_MS, heartbeat_ms=1000,
                        dlq_samples_per_minute=1_000_000, **keys)


def check(stack):
    wait_caught_up(stack, "sluice-limit", ["metrics.valid"])
    return limit_oracle.check(stack, ACTIVE_MS, lambda tenant: BUDGET)


def test_limit_survives_disturbances(stack3, say):
    stack3.create_all_topics()
    load = LimitLoad(stack3, PARTITIONS, ACTIVE_MS, seed=23)
    chaos = Chaos(stack3, lambda name: start_limit(stack3, name), 3, SESSION_S, seed=17, pause_s=(1.0, 2.0))
    load.start()
    chaos.run(DISTURBANCES)
    load.stop()
    verdict = check(stack3)
    chaos.finish()
    say(f"{verdict}; {chaos.summary(counter.metric)}")
    assert verdict.problems == []
    assert min(verdict.n_duplicates, verdict.n_admitted, verdict.n_refused) > 100
    assert set(chaos.exit_codes) <= SOUND_EXITS


def test_state_that_is_lost_with_a_worker_shows(stack, say):
    """Killed and started again between two loads: the oracle must see that the state is not restored."""
    stack.create_all_topics()
    worker = start_limit(stack, "w1", "faults", **{"fault.no_restore": True})
    load, producer = LimitLoad(stack, PARTITIONS, ACTIVE_MS, seed=5), stack.producer()
    for _ in range(2):
        load.put(producer, 500)
        assert producer.flush(60) == 0
        wait_caught_up(stack, "sluice-limit", ["metrics.valid"])
        worker.stop()
        worker.start()
    verdict = check(stack)
    say(str(verdict)[:250])
    assert verdict.problems
