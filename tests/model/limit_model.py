"""Executable model of budgets that span partitions (workers/limit): leases in Kafka, several scopes of one tenant.

Run: python3 -m tests.model.limit_model [RUNS] [BREAK]; the protocol is in leases.py. Random crashes, stops, zombies, rebalances, aborts, late
transaction markers, stale and compacted copies, an upstream that hangs, policy files that differ between workers, control records that expire.
Invariants are checked after every commit (the auditor): no partition uses more than its lease; the leases' sum never grows over the budget in force;
state, offset and output go together, once. At the end: all room is used where demand is; nothing is refused while there is room.
Each BREAK undoes one rule, and must fail.
Scopes: T the tenant's series, M0 to M3 those of its metrics (a series counts in T and in its metric's), R the tenant's samples/s.
Not modelled: weights above 1, shadow mode, a budget where there was none, the bound of refused sets, growth of the partition count, loss of broker data.
"""
import random
import sys

from tests.model import leases
from tests.model.leases import IDLE, METRICS, PARTITIONS, SCOPES, Process, metric

WORKERS, COLD, STEPS = 3, 1500, 8000


class Log:
    """One topic partition. A transaction's records become readable, in order of offset, when its marker is written here."""
    def __init__(self):
        self.entries, self.stable, self.table, self.newest, self.stale = [], 0, {}, {}, []   # entries: (transaction or None, key, value)

    def lso(self):
        while self.stable < len(self.entries):
            txn, key, value = self.entries[self.stable]
            if txn and self not in txn.marked:
                break
            if not txn or txn.committed:                       # table: the compacted log up to the last stable offset
                self.stale += [self.newest[key]] if key in self.newest else []
                self.table[key], self.newest[key] = value, self.stable
            self.stable += 1
        return self.stable

    def compact(self):
        for offset in self.stale:
            self.entries[offset] = (None, None, None)
        self.stale = []

    def read(self, start, end):
        return [(i, e[1], e[2]) for i, e in enumerate(self.entries[start:end], start) if e[1] and (not e[0] or e[0].committed)]


class Txn:
    def __init__(self, generation):
        self.generation, self.phase, self.committed = generation, 'open', False    # open -> pending (offsets accepted) -> done
        self.offsets, self.written, self.outputs, self.logs, self.marked = {}, {}, {}, {}, set()   # dicts keep their order: a seed is one run

    def write(self, log, key, value):
        log.entries.append((self, key, value))
        self.logs[log] = True


class World:
    def __init__(self, rng):
        self.rng, self.now, self.generation, self.next_series, self.calm, self.sent = rng, 0, 0, 0, True, {}
        self.input, self.state, self.leases = [[] for _ in range(PARTITIONS)], [Log() for _ in range(PARTITIONS)], Log()
        self.held, self.stalled = [[] for _ in range(PARTITIONS)], {}   # what an upstream that hangs has not sent on yet
        self.offset, self.pending, self.unmarked = [0] * PARTITIONS, [set() for _ in range(PARTITIONS)], []
        self.truth, self.commits, self.fenced, self.errors, self.refusals = [{} for _ in range(PARTITIONS)], 0, 0, [], 0
        self.policies, self.control = [], []
        self.set_policy(rng.randint(38, 60), rng.randint(36, 60))
        self.set_policy(rng.randint(38, 60), rng.randint(36, 60))   # a rollout: processes start with either file
        self.n_metrics = 2
        self.set_demand(36)
        self.members = [Process(self) for _ in range(WORKERS)]
        self.asleep = None                                     # a member that is stopped; it comes back with all it knew
        self.owner, self.zombies = [rng.choice(self.members) for _ in range(PARTITIONS)], []

    def set_policy(self, tenant, metric):
        self.policies.append({'T': tenant, 'R': 40, **dict.fromkeys(METRICS, metric)})

    def set_control(self, scope, value, ttl):
        self.control.append((scope, value, self.now + ttl))

    def set_demand(self, n, partitions=range(PARTITIONS)):
        """All old series fall silent and new ones appear, in some partitions and metrics."""
        self.demand, weights = [[] for _ in range(PARTITIONS)], [self.rng.random() for _ in range(self.n_metrics)]
        for _ in range(n):
            self.next_series += 4
            self.demand[self.rng.choice(partitions)].append(self.next_series + self.rng.choices(range(self.n_metrics), weights)[0])

    @staticmethod
    def begin(generation):
        return Txn(generation)

    def advance(self, txn, generation):
        if txn.phase == 'pending' or (txn.offsets and generation != self.generation) or (not self.calm and self.rng.random() < 0.02):
            self.fenced += txn.phase == 'open'
            return self.finish(txn, txn.phase == 'pending')
        txn.phase = 'pending'
        for p in txn.offsets:
            self.pending[p].add(txn)

    def finish(self, txn, commit):
        if txn and txn.phase != 'done':
            txn.phase, txn.committed, self.commits = 'done', commit, self.commits + commit
            self.unmarked += [(txn, where) for where in [*txn.logs, *txn.offsets]]
            self.check(txn) if commit else None

    def marking(self, txn):
        """CONCURRENT_TRANSACTIONS: a producer's next transaction begins when all markers of its last one are written."""
        return txn and len(txn.marked) < len(txn.logs) + len(txn.offsets)

    def mark(self, txn, where):
        """One marker of a decided transaction is written: each partition learns of the commit at its own time."""
        txn.marked.add(where)
        if not isinstance(where, Log):
            self.pending[where].discard(txn)
            self.offset[where] = txn.offsets[where] if txn.committed else self.offset[where]

    # --- the auditor ---

    def lease(self, scope):
        """What each partition may use, in truth: as committed in the writers' own states."""
        tenant, record = self.truth[0].get(('scope', 'T')), self.truth[0].get(('scope', scope))
        start = tenant.base if tenant and scope in METRICS else 0
        return [(record.grants[p] if record else start) - t.get(('holder', scope), (0, 0))[1] for p, t in enumerate(self.truth)]

    def check(self, txn):
        before = {scope: sum(self.lease(scope)) for scope in SCOPES}
        for p, changed in txn.written.items():
            t, (version, position, _) = self.truth[p], changed['partition']
            if version != t.get('partition', (0,))[0] + 1:
                self.errors.append(f'partition {p}: state {version} follows {t.get("partition")}: not the owner, or a stale recovery')
            if position != t.get('partition', (0, 0))[1] + txn.outputs[p]:
                self.errors.append(f'partition {p}: {txn.outputs[p]} outputs bring {t.get("partition")} to {position}: lost or twice')
            if any(key[0] == 'scope' and key in t and t[key].number > record.number for key, record in changed.items()):
                self.errors.append('an older budget came back')
            t.update(changed)
            used = [s for s, (_, lapsed) in t.get('series', {}).items() if not lapsed]
            t['use'] = {'T': len(used), 'R': 0, **{m: sum(metric(s) == m for s in used) for m in METRICS}}
            newest = max([last for last, _ in t.get('series', {}).values()], default=0)
            ahead = position < len(self.input[p]) and newest > max([0] + [time for time, _ in self.input[p][max(0, position - 1):position]])
            self.errors += [f'partition {p}: a state ahead of its offset {position}'] if ahead else []
        for scope in SCOPES:
            leases, record = self.lease(scope), self.truth[0].get(('scope', scope))
            if record and sum(leases) > max(before[scope], record.value):
                self.errors.append(f'{scope}: leases grew to {sum(leases)}, over the budget of {record.value}')
            self.errors += [f'{scope}: partition {p} uses {t["use"][scope]} of a lease of {leases[p]}'
                            for p, t in enumerate(self.truth) if 'use' in t and t['use'][scope] > max(0, leases[p])]

    def check_used(self, when):
        """Every budget is used to 98 % by demand of now, or its demand is met, or the tenant's is the narrower one."""
        live = {scope: 0 for scope in SCOPES}
        for t, series in zip(self.truth, self.demand):
            for s in series:
                active = not t.get('series', {}).get(s, (0, True))[1]
                live[metric(s)] += active
                live['T'] += active
        policy, records = self.policies[-1], self.truth[0]
        value = {s: records[('scope', s)].value if ('scope', s) in records else policy[s] for s in SCOPES}
        self.errors += [f'{when}: in force is {value}, and not {policy}'] if value != policy else []
        wanted = {m: min(value[m], sum(metric(s) == m for series in self.demand for s in series)) for m in METRICS}
        wanted['T'] = min(value['T'], sum(wanted.values()))
        if live['T'] < 0.98 * wanted['T'] or any(live[scope] > value[scope] for scope in ('T', *METRICS)):
            self.errors.append(f'{when}: {live} are used of {value}, wanted were {wanted}')
        rates = self.lease('R')
        if sum(map(bool, self.demand)) > 1 and not all(3 * rates[p] > value['R'] / PARTITIONS for p in range(PARTITIONS) if self.demand[p]):
            self.errors.append(f'{when}: the rate is shared as {rates}')

    def step(self, calm):
        rng, self.now, self.calm = self.rng, self.now + 1, calm
        p = rng.randrange(PARTITIONS)
        if self.demand[p] and rng.random() < 0.4:
            series = rng.sample(self.demand[p], min(len(self.demand[p]), 20))
            self.held[p].append((self.now, series))
        self.stalled = {p: until for p, until in self.stalled.items() if self.now < until and not calm}
        for p in [p for p in range(PARTITIONS) if self.held[p] and p not in self.stalled]:
            self.sent.update({(p, s): time for time, series in self.held[p] for s in series})
            self.input[p] += self.held[p]
            self.held[p] = []
        member = rng.choice([m for m in self.members if m is not self.asleep])
        if member.generation != self.generation and (calm or rng.random() < 0.2):
            member.learn()
        for process in [member] + [z for z in self.zombies if rng.random() < 0.5]:
            process.step(rng)
        while self.unmarked and rng.random() < 0.6:
            self.mark(*self.unmarked.pop(rng.randrange(len(self.unmarked))))
        if self.zombies and (calm or rng.random() < 0.02):
            self.finish(self.zombies.pop(rng.randrange(len(self.zombies))).txn, False)   # dead at last: the coordinator aborts
        if rng.random() < 0.01:
            self.leases.compact()
        if not calm and rng.random() < 0.01:
            self.disturb(rng, member)
        elif calm:
            self.asleep = None
            self.rebalance() if self.now > STEPS and self.now % IDLE == 60 else None

    def rebalance(self):
        self.generation += 1
        self.owner = [self.rng.choice([m for m in self.members if m is not self.asleep]) for _ in range(PARTITIONS)]

    def disturb(self, rng, member):
        if rng.random() < 0.4:                                 # thought dead, but it lingers on; a new process takes its place
            self.zombies.append(member)
            self.members[self.members.index(member)] = Process(self)
        self.asleep = None if self.asleep else member if rng.random() < 0.2 else None
        if rng.random() < 0.7 or self.zombies or self.asleep:
            self.rebalance()
        if rng.random() < 0.2:
            self.set_demand(rng.randint(20, 90), rng.sample(range(PARTITIONS), rng.randint(1, PARTITIONS)))
        if rng.random() < 0.3:
            self.stalled[rng.randrange(PARTITIONS)] = self.now + rng.randint(100, 2 * IDLE)
        if rng.random() < 0.2:
            self.set_policy(rng.randint(20, 70), rng.randint(12, 60))
        if rng.random() < 0.2:
            self.set_control(rng.choice(SCOPES), rng.randint(10, 70), rng.randint(100, 2 * IDLE))


def run(seed):
    w = World(random.Random(seed))
    rng = w.rng
    def change(tenant, metric, demand=None, control=None, metrics=4, partitions=range(PARTITIONS)):
        w.n_metrics = metrics
        w.set_policy(tenant, metric) if tenant else None
        [w.set_control(scope, *control) for scope in SCOPES if control]
        w.set_demand(demand, partitions) if demand is not None else None

    def fits(when):
        w.errors += [f'{when}: {w.refusals} were refused while there was room'] if w.refusals else []

    # Turmoil between two calms. First a cold start, where nothing may be refused; later metrics are born under budgets that have just changed.
    # At last the budgets fall, demand moves, the budgets rise; then all is silent, and new series come that fit.
    end, subset = STEPS, rng.sample(range(PARTITIONS), rng.randint(1, 3))
    plan = {
        COLD: lambda: fits('a cold start'),
        4000: lambda: change(70, 100, metrics=2), 4100: lambda: change(0, 0, 80, metrics=3),
        6000: lambda: change(50, 12, metrics=3), 6100: lambda: change(0, 0, 80),
        end: lambda: change(rng.randint(20, 40), rng.randint(12, 30), 90, (14, IDLE)),
        end + 1 * IDLE: lambda: change(0, 0, 90),
        end + 4 * IDLE: lambda: (w.check_used('lowered'), change(0, 0, 90, partitions=subset)),
        end + 8 * IDLE: lambda: (w.check_used('moved'), change(rng.randint(40, 60), 40, 90)),
        end + 11 * IDLE: lambda: (w.check_used('raised'), change(0, 0, 0)),
        end + 13 * IDLE: lambda: (setattr(w, 'refusals', 0), change(0, 0, 39, partitions=subset if rng.random() < 0.5 else range(PARTITIONS))),
        end + 16 * IDLE: lambda: (w.check_used('fitting'), fits('in the end')),
    }
    for i in range(max(plan) + 1):
        plan.get(i, lambda: None)()
        w.step(i < COLD or i >= STEPS)
        if w.errors:
            break
    return w.errors, [w.now, w.commits, w.fenced, w.generation]


def main():
    runs, leases.BREAK = int((sys.argv[1:] or [100])[0]), (sys.argv[2:] or [''])[0]
    results = [run(seed) for seed in range(runs)]
    wrong, sums = [errors[0] for errors, _ in results if errors], [sum(column) for column in zip(*[n for _, n in results])]
    print(runs, 'runs; steps, commits, fenced or aborted, rebalances:', *sums, f': {len(wrong)} runs wrong', *wrong[:1])
    return bool(wrong)


if __name__ == '__main__':
    sys.exit(main())
