"""Budgets that span partitions, judged from metrics.admitted alone: how many series of a tenant (or of its metric) were
active over all partitions at each moment.

A moment is the time at which a broker appended a batch to metrics.admitted: whoever let it in had heard of all that
made room for it, which happened earlier by the same clock. Batches must carry real times as received_ms."""
import collections

from tests.flow.limit_oracle import STEPS_ACTIVE, Batch


def by_tenant(batch, series):
    return batch.row["tenant"]


def by_metric(batch, series):
    return (batch.row["tenant"], series.metric)


class ActiveSeries:
    def __init__(self, active_ms, scope_of=by_tenant):
        self.step_ms = active_ms // STEPS_ACTIVE
        self.scope_of = scope_of
        self.log_ms = collections.Counter()  # of each partition
        self.seen = {}  # (partition, source, series): (step, weight)
        self.by_step = collections.defaultdict(collections.Counter)  # {scope: {step: weight}}
        self.active = collections.Counter()
        self.history = collections.defaultdict(list)  # {scope: [(at_ms, active, weight that came in, received_ms)]}

    def expire(self, step):
        """Series whose step lies more than STEPS_ACTIVE back are gone."""
        for scope, steps in self.by_step.items():
            for old in [s for s in steps if step - s > STEPS_ACTIVE]:
                self.active[scope] -= steps.pop(old)

    def take(self, batch, at_ms=None):
        """Batches in the order of at_ms, by default when they were appended."""
        at_ms = batch.append_ms if at_ms is None else at_ms
        step = at_ms // self.step_ms
        self.expire(step)
        self.log_ms[batch.partition] = max(self.log_ms[batch.partition], batch.row["received_ms"])
        seen = min(self.log_ms[batch.partition] // self.step_ms, step)
        came = collections.Counter()
        for s in batch.series:
            scope = self.scope_of(batch, s)
            key = (batch.partition, batch.row["source"], s.id)
            last, weight = self.seen.get(key, (None, s.weight))
            if last is not None and step - last <= STEPS_ACTIVE:
                self.by_step[scope][last] -= weight
                self.active[scope] -= weight
            else:
                weight = s.weight
                came[scope] += weight
            self.seen[key] = (seen, weight)
            self.by_step[scope][seen] += weight
            self.active[scope] += weight
        for scope in {self.scope_of(batch, s) for s in batch.series}:
            self.history[scope].append((at_ms, self.active[scope], came[scope], batch.row["received_ms"]))

    def take_topic(self, stack, topic="metrics.admitted"):
        found = [Batch(r) for r in stack.read_committed(topic, timeout_s=120)]
        for batch in sorted(found, key=lambda b: (b.append_ms, b.partition, b.offset)):
            if not batch.is_heartbeat:
                self.take(batch)
        return self

    # what is asked

    def peak(self, scope, from_ms=0, to_ms=1 << 62):
        return max((n for at_ms, n, *_ in self.history[scope] if from_ms <= at_ms <= to_ms), default=0)

    def grown_over(self, scope, budget, from_ms=0, to_ms=1 << 62):
        """[(at_ms, active)] where series came in and left the scope above its budget: none may ever be. (One that was
        lowered may be exceeded by those that are in already.)"""
        return [(at_ms, n) for at_ms, n, came, _ in self.history[scope]
                if came > 0 and n > budget and from_ms <= at_ms <= to_ms]

    def first_at_least(self, scope, n_wanted, from_ms=0):
        """The log time of the first batch received from then on that found so many active; None: never."""
        return next((received_ms for _, n, _, received_ms in self.history[scope]
                     if n >= n_wanted and received_ms >= from_ms), None)

    def first_at_most(self, scope, n_wanted, from_ms=0):
        """The moment of the first batch received from then on that found no more than so many active; None: never."""
        return next((at_ms for at_ms, n, _, received_ms in self.history[scope]
                     if n <= n_wanted and received_ms >= from_ms), None)
