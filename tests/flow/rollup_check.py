"""The real worker's output against the oracle: reads the topics, works the rows out again, tells what differs."""
import collections

from tests.flow import batches, rollup_oracle, rollup_records, rollup_rows

ADMITTED, ROLLUPS = "metrics.admitted", ("metrics.rollup.1m", "metrics.rollup.5m", "metrics.rollup.1h")
RECORDS_A_TRANSACTION = 40


def create_topics(stack, partitions):
    """Logs are of a time of their own, which retention must not measure by today's."""
    stack.create_topic(ADMITTED, partitions)
    for topic in ROLLUPS:
        stack.create_topic(topic, partitions, message_timestamp_type="CreateTime", retention_ms=-1)


def put(stack, messages, partitions, end_s=0):
    """Writes a log to metrics.admitted in transactions, as limit does: markers take offsets, too. end_s: heartbeats of
    so much log time behind it. The last record of each partition is a heartbeat, which tells that all is through."""
    last_ms = max(m.received_ms for m in messages)
    values = [(m.partition, rollup_records.record(m, i)) for i, m in enumerate(messages)]
    for ahead_s in (*range(60, end_s + 60, 60), end_s):
        values += [(p, batches.heartbeat(last_ms + ahead_s * 1000)) for p in range(partitions)]
    producer = stack.producer(transactional_id="limit-of-the-test")
    producer.init_transactions(30)
    for begin in range(0, len(values), RECORDS_A_TRANSACTION):
        producer.begin_transaction()
        for partition, value in values[begin:begin + RECORDS_A_TRANSACTION]:
            producer.produce(ADMITTED, value, partition=partition)
        producer.commit_transaction(30)


def by_partition(stack, topic):
    """{partition: [(offset, Kafka timestamp, value)]}"""
    found = collections.defaultdict(list)
    for r in stack.read_committed(topic, timeout_s=120):
        found[r.partition()].append((r.offset(), r.timestamp()[1], r.value()))
    return found


class Verdict:
    """problems, and what was compared."""

    def __init__(self):
        self.problems, self.n_rows, self.n_heartbeats = [], 0, 0

    def __str__(self):
        return f"{self.n_rows} rows, {self.n_heartbeats} heartbeats, {len(self.problems)} problems {self.problems[:5]}"

    def compare(self, partition, want, records):
        got = [r.row for r in records if r.row]
        self.n_rows += len(got)
        self.problems += [f"partition {partition}: {d}" for d in rollup_rows.differences(want, got)]
        self.problems += [f"partition {partition}: the bytes at {r.offset} are not canonical"
                          for r in records if not r.is_canonical]


def entries_of(stack):
    """{partition: [Entry]} of metrics.admitted"""
    return {p: [rollup_records.entry(offset, value) for offset, _, value in own]
            for p, own in by_partition(stack, ADMITTED).items()}


def records_of(stack, topic):
    """{partition: [Record]} of a rollup topic"""
    return {p: rollup_records.records(own) for p, own in by_partition(stack, topic).items()}


def check_minutes(stack):
    """All rows of 1 m and 5 m, each once, and the heartbeats in .5m, each once and in order."""
    v = Verdict()
    found = [records_of(stack, topic) for topic in ROLLUPS[:2]]
    for p, entries in entries_of(stack).items():
        ones, fives = (f.get(p, []) for f in found)
        v.compare(p, rollup_oracle.rows(entries), ones + fives)
        beats = [r.heartbeat_at for r in fives if not r.row]
        v.n_heartbeats += len(beats)
        if beats != [e.offset for e in entries if e.stream is None]:
            v.problems.append(f"partition {p}: heartbeats {beats[:10]}… were passed on")
        v.problems += [f"partition {p} of {topic}: {problem}" for topic, own in zip(ROLLUPS, (ones, fives))
                       for problem in _time_problems(own)]
    return v


def check_hours(stack):
    """All rows of 1 h, from what metrics.rollup.5m holds; and how the resolutions hang together."""
    v = Verdict()
    ones, fives, hours = (records_of(stack, topic) for topic in ROLLUPS)
    for p, own in fives.items():
        v.compare(p, rollup_oracle.hour_rows(rollup_records.hour_entries(own)), hours.get(p, []))
        rows = [r.row for records in (ones.get(p, []), own, hours.get(p, [])) for r in records if r.row]
        v.problems += [f"partition {p}: {problem}" for problem in rollup_rows.resolution_problems(rows)]
    return v


def _time_problems(records):
    return [f"log time falls at {b.offset}" for a, b in zip(records, records[1:]) if b.at_ms < a.at_ms]


def is_through(stack):
    """The last heartbeat of each partition has come out into .5m."""
    ends = {p: own[-1][0] for p, own in by_partition(stack, ADMITTED).items()}
    seen = {p: [r.heartbeat_at for r in own] for p, own in records_of(stack, ROLLUPS[1]).items()}
    return all(end in seen.get(p, []) for p, end in ends.items())


def hours_are_through(stack, group="sluice-rollup-1h"):
    """All of .5m is in, by the group's commits."""
    committed = stack.committed(group, ROLLUPS[1])
    last = {p: own[-1][0] for p, own in by_partition(stack, ROLLUPS[1]).items()}
    return all(p in committed and int(committed[p][1].split()[3]) > end for p, end in last.items())
