"""amp's end when the group has given its partitions up: what it had not delivered is not committed."""
import signal

from tests.flow import batches
from tests.flow.amp_setting import NOTHING, PARTITIONS, TOPIC, differences, expected, got, now_ms, scrape, setting  # noqa: F401 (a fixture)
from tests.flow.stack import wait_for

SERVERS = [f"gs-{i}" for i in range(4)]


def test_an_end_without_the_assignment_commits_nothing(setting):
    """SIGTERM while the store hangs; the process is stopped until the group is empty. Then the requests break."""
    setting.receiver.set_plan([{"action": "hang", "hang_ms": 12_000, "times": -1}])
    amp = setting.amp(shutdown_ms=112_000, request_timeout_ms=60_000)
    start = now_ms() - 30_000
    times = [start + 1000 * i for i in range(10)]
    for i, t in enumerate(times):
        for server in SERVERS:
            setting.put(server, scrape(server, i), t)
    setting.flush()
    wait_for(lambda: setting.receiver.stats()["requests"] > 0, what="a request that hangs")
    filled = {batches.partition_of(server, PARTITIONS) for server in SERVERS}
    wait_for(lambda: filled <= set(setting.stack.committed("sluice-amp", TOPIC)), what="where it began to be committed")
    amp.process.signal(signal.SIGTERM)
    wait_for(lambda: '"msg":"stopping"' in amp.process.log_text(), what="the end's begin")
    amp.process.signal(signal.SIGSTOP)
    wait_for(lambda: not setting.stack.admin.describe_consumer_groups(["sluice-amp"])["sluice-amp"].result().members,
             what="an empty group")
    amp.process.signal(signal.SIGCONT)
    wait_for(lambda: not amp.process.alive(), 90, "the end")
    setting.receiver.set_plan([])
    setting.amp(name="next")
    setting.wait_caught_up()
    assert "offset commit failed" not in amp.process.log_text()
    assert differences(expected(SERVERS, times), got(setting.receiver)) == NOTHING
