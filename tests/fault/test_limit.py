"""sluice-limit under disturbance: kill -9, SIGTERM, zombies, joins, leaves, a broker's death; 12 of them here, tests/soak
has the long form. The oracle replays metrics.valid and must agree on every series of every batch."""
import json
import os

from tests.fault import counter
from tests.fault.chaos import Chaos
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


def run(stack, n_disturbances, start, n_workers=3, **options):
    """The oracle's verdict on what was written meanwhile, and the chaos."""
    stack.create_all_topics()
    load = LimitLoad(stack, PARTITIONS, ACTIVE_MS, seed=23)
    chaos = Chaos(stack, start, n_workers, SESSION_S, seed=17, **{"pause_s": (1.0, 2.0), **options})
    load.start()
    chaos.run(n_disturbances)
    load.stop()
    wait_caught_up(stack, "sluice-limit", ["metrics.valid"])
    chaos.finish()
    return limit_oracle.check(stack, ACTIVE_MS, lambda tenant: BUDGET), chaos


def test_limit_survives_disturbances(stack3, say):
    verdict, chaos = run(stack3, DISTURBANCES, lambda name: start_limit(stack3, name))
    say(f"{verdict}; {chaos.summary(counter.metric)}")
    assert verdict.problems == []
    assert min(verdict.n_duplicates, verdict.n_admitted, verdict.n_refused) > 100
    assert set(chaos.exit_codes) <= {-9, 0, 3}


def test_state_that_is_not_restored_shows(stack, say):
    """The same with a fault switched on, which the oracle must see."""
    verdict, _ = run(stack, 3, lambda name: start_limit(stack, name, "faults", **{"fault.no_restore": True}), 2,
                     pause_s=(1.0, 1.5))
    say(str(verdict)[:300])
    assert verdict.problems
