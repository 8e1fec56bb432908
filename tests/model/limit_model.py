"""Executable model of budgets that span partitions (workers/limit): leases in Kafka, several scopes of one tenant.

Run: python3 limit_model.py [RUNS] [BREAK]. Random crashes, zombies, rebalances, aborts, late transaction markers, stale and compacted copies, policy
files that differ between workers, control records that expire; invariants are checked after every commit (the auditor), and at the end that all room is used
where demand is, and that nothing is refused while there is room. Scopes: T the tenant's series, M0 to M2 those of its metrics (a series counts in T and
in its metric's), R the tenant's samples/s. Each BREAK undoes one rule, and must fail; BREAKS says which and how.

  sluice.limit   one Log per partition: records by key, written in the transaction that admits, and only when changed
                   'partition' (version, position, log time) · 'series' {series: (last seen, lapsed)} · ('holder', scope) (granted, returned)
                   in partition 0 also ('scope', scope) (number, value, grants, base): the allocator's; (number, value) is the budget in force
  sluice.leases  copies: ('grants', scope) the word of the allocator · ('report', scope, p) (returned, demand) · 'tick'
"""
import random
import sys
from collections import namedtuple
from types import SimpleNamespace

BREAKS = {
    'last_record_wins': 'a lease is the last absolute value on sluice.leases, instead of granted - returned',
    'grants_from_copy': "a new allocator trusts its copy of sluice.leases, instead of partition 0's state",
    'grants_not_in_same_transaction': 'the copy of the grants is sent on its own, not in the transaction that makes them state',
    'returned_not_in_state': 'a new holder takes returned from its copy of sluice.leases',
    'counters_forgotten': 'a holder that has nothing active and no lease deletes its counters',
    'read_to_lso': 'recovery reads the state to the last stable offset, instead of to the high watermark',
    'unstable_offset': "recovery takes the committed offset while a former owner's commit is under way",
    'no_own_offset': 'a transaction without new input commits no offset of the partition it speaks for',
    'newest_generation': 'a transaction carries the generation at commit time, not the one its records were polled under',
    'lost_keeps_memory': 'a process that missed a rebalance keeps the memory of partitions that it still, or again, has',
    'keeps_box_on_abort': 'after an abort the partitions go on from memory',
    'snapshot_at_commit': 'the records of state are taken when the transaction is sent, not when its box was closed',
    'reuse_when_over': 'after the budget was lowered, holders give freed room to new series (the leases never come down)',
    'budget_by_change': "the budget in force follows a change that this process saw, instead of any difference from its policy and control",
    'ttl_from_record': 'a control record that has expired still counts',
    'partition_time': "idle series leave by their partition's own log time only (a silent partition keeps its lease)",
    'tick_while_lagging': 'the tick counts as time while input is left',
    'lapsed_not_in_state': 'which series have lapsed is not restored',
    'lapsed_returns_freely': 'a lapsed series that returns passes without the budgets of tenant and metric',
    'base_ignores_budget_in_force': "a metric's base comes from the local policy file at once",
    'base_follows_budget': "the tenant's base moves when its metric budget does",
    'base_not_returned': 'the base is kept when room is short',
    'headroom_when_short': 'holders keep their headroom when room is short',
    'tenant_hoards': "the tenant's demand counts all refused series, those too that their metric has no room for",
    'demand_without_refused': 'demand is what is active, and a headroom',
    'no_lease_wait': 'what exceeds the lease is refused at once',
    'wanted_is_what_lacks': 'of a batch that waits, only what exceeds the lease counts in demand',
    'short_with_headroom': 'room counts as short when headrooms and bases do not fit',
    'waiting_says_nothing': 'a partition that waits takes no part in transactions',
    'silent_takeover': 'after a takeover sluice.leases is written only once something changes',
    'no_fair_share': 'a rate lease is kept while there is demand (a partition that comes late gets none)',
}
BREAK = ''
PARTITIONS, WORKERS, IDLE, WAIT, HEADROOM, STEPS = 4, 3, 500, 400, 2, 9000
METRICS, SCOPES = ('M0', 'M1', 'M2'), ('T', 'M0', 'M1', 'M2', 'R')
SHORT, TIGHT, ROOM = range(3)                                  # demand > budget; it fits, but not with headroom and bases; all fits
Scope = namedtuple('Scope', 'number value grants base')        # the allocator's record
Word = namedtuple('Word', 'grants base over level fair offset')   # what a holder knows of it


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
        self.offsets, self.written, self.logs, self.marked = {}, {}, {}, set()    # dicts keep their order: a seed is one run

    def write(self, log, key, value):
        log.entries.append((self, key, value))
        self.logs[log] = True


def metric(series):
    return METRICS[series % 3]


class Holder:
    """What the owner of partition p has in memory. Rebuilt from the partition's state, and from nothing else."""
    def __init__(self, p, table, position):
        self.p, self.position, self.state, self.told = p, position, dict(table), {}      # state, told: as last written to sluice.limit, sluice.leases
        self.version, _, self.time = table.get('partition', (0, 0, 0))
        self.series = {s: (t, lapsed and BREAK != 'lapsed_not_in_state') for s, (t, lapsed) in table.get('series', {}).items()}
        self.granted = {s: table.get(('holder', s), (0, 0))[0] for s in SCOPES}
        self.returned = {s: table.get(('holder', s), (0, 0))[1] for s in SCOPES}
        self.scopes = {s: table[('scope', s)] for s in SCOPES if ('scope', s) in table}
        self.refused, self.rate, self.tick = {m: {} for m in METRICS}, [], 0
        self.waits_since, self.gave_up, self.seen_budget = None, {}, {}
        self.count()

    def count(self):
        self.use = dict.fromkeys(SCOPES, 0)
        for s, (_, lapsed) in self.series.items():
            self.use[metric(s)] += not lapsed
            self.use['T'] += not lapsed

    def room(self, scope):
        return self.granted[scope] - self.returned[scope] - self.use[scope]

    def expire(self, world):
        """Series leave by log time; by the tick they leave the budgets of tenant and metric, and stay in their source's."""
        now = max(self.time, self.tick)
        for s, (t, lapsed) in list(self.series.items()):
            if self.time - t > IDLE:
                del self.series[s]
            elif self.tick - t > IDLE and not lapsed:
                self.series[s] = (t, True)
                world.errors += [f'series {s} lapsed while active'] if self.tick - world.sent.get((self.p, s), 0) <= IDLE else []
        self.count()
        for m in METRICS:
            self.refused[m] = {s: t for s, t in self.refused[m].items() if now - t <= IDLE // 4}
        self.rate = [(t, n) for t, n in self.rate if now - t <= IDLE // 4]

    def demand(self, scope, words):
        """What is active and was lately refused. For the tenant: of the refused, those that their metric has room for, or will have."""
        if scope == 'R':
            return sum(n for _, n in self.rate)
        waiting = 0
        for m in METRICS if scope == 'T' else [scope]:
            n, word = len(self.refused[m]), words.get(m)
            hopeless = scope == 'T' and word and (word.over or word.level == SHORT) and BREAK != 'tenant_hoards'
            waiting += min(n, max(0, self.room(m))) if hopeless else n
        return self.use[scope] + (0 if BREAK == 'demand_without_refused' else waiting)

    def keep(self, scope, word, demand):
        """The lease that a holder does not give back."""
        if scope == 'R':
            return min(demand, word.fair) if word and BREAK != 'no_fair_share' else demand
        if word and word.over and BREAK != 'reuse_when_over':
            return self.use[scope]
        roomy = not word or word.level == ROOM
        base = 0 if scope not in METRICS else self.granted[scope] if not word else word.base if roomy or BREAK == 'base_not_returned' else 0
        return max(demand + HEADROOM * (roomy or BREAK == 'headroom_when_short'), base)

    def records(self):
        yield from ((('holder', s), (self.granted[s], self.returned[s])) for s in SCOPES)
        yield from ((('scope', s), record) for s, record in self.scopes.items())
        yield 'series', dict(self.series)


def fair_share(demands, value):
    """The largest share f such that everybody can have min(demand, f)."""
    fair, left = 0, sorted(demands)
    while left and fair < value:
        if left[0] * len(left) <= value:
            value, fair = value - left[0], max(fair, left[0])
            left = left[1:]
        else:
            return value // len(left)
    return 10**6 if not left else fair


class Process:
    def __init__(self, world):
        self.world, self.generation = world, -1
        self.txn, self.last, self.box, self.box_generation = None, None, set(), -1   # the running transaction; the partitions of the box being filled
        self.holders, self.restoring = {}, {}                  # partition -> Holder; partition being restored -> high watermark
        self.read, self.words, self.reports, self.tick = 0, {}, {}, 0   # copies of sluice.leases, however stale
        self.policy, self.control_read, self.control = world.rng.choice(world.policies[-2:]), 0, {}

    def forget(self, partitions):
        """Memory that may be ahead of what was committed: rebuilt from the state."""
        mine = {p for p in range(PARTITIONS) if self.world.owner[p] is self}
        self.box -= set(partitions)
        self.holders = {p: h for p, h in self.holders.items() if p in mine and p not in partitions}
        self.restoring = {p: None for p in mine if p not in self.holders}

    def learn(self):
        """The rebalance reaches this process: the open box is given up, the running transaction finished or aborted. Missing one loses all memory."""
        kept = self.world.generation == self.generation + 1 or BREAK == 'lost_keeps_memory'
        self.generation = self.world.generation
        if BREAK == 'newest_generation':
            return self.forget([])
        aborted = self.txn and self.txn.phase == 'open'
        self.world.finish(self.txn, False) if aborted else None
        self.forget([] if kept and not aborted and not self.box else range(PARTITIONS))

    def restore(self):
        for p, end in list(self.restoring.items()):
            w = self.world
            if end is None and (not w.pending[p] or BREAK == 'unstable_offset'):               # pending: UNSTABLE_OFFSET_COMMIT, a former owner's commit is under way
                self.restoring[p] = end = len(w.state[p].entries)   # the high watermark, taken only once the offset is stable
            if end is not None and (w.state[p].lso() >= end or BREAK == 'read_to_lso'):
                w.state[p].lso()
                self.holders[p] = h = Holder(p, w.state[p].table, w.offset[p])
                if BREAK == 'returned_not_in_state':
                    h.returned = {s: self.reports.get((s, p), (0, 0))[0] for s in SCOPES}
                if BREAK == 'grants_from_copy':
                    h.scopes = {s: r._replace(grants=self.words[s].grants if s in self.words else r.grants) for s, r in h.scopes.items()}
                del self.restoring[p]

    def budget(self, scope):
        """What control, else the policy file, says: as far as this process has read either."""
        value, expires = self.control.get(scope, (0, 0))
        return value if self.world.now < expires or (value and BREAK == 'ttl_from_record') else self.policy[scope]

    def read_copies(self, rng):
        w = self.world
        if rng.random() < 0.02:
            self.policy = w.policies[-1]
        end = rng.randint(self.control_read, len(w.control))
        for scope, value, expires in w.control[self.control_read:end]:
            self.control[scope] = (value, expires)
        end, self.control_read = min(w.leases.lso(), self.read + rng.choice([0, 0, 6, 600])), end
        for offset, key, value in w.leases.read(self.read, end) if end > self.read else []:
            if key[0] == 'grants':
                word = Word(*value, offset)
                if key[1] in self.words and BREAK != 'last_record_wins':
                    word = word._replace(grants=tuple(map(max, word.grants, self.words[key[1]].grants)))
                self.words[key[1]] = word
            elif key[0] == 'report':
                self.reports[key[1:]] = max(value[0], self.reports.get(key[1:], (0, 0))[0]), value[1]
            else:
                self.tick = max(self.tick, value)
        self.read = max(self.read, end)

    def base(self, scope):
        """Where a metric's lease begins, on every partition; 0 as long as nothing was heard of the tenant."""
        if scope not in METRICS:
            return 0
        if BREAK == 'base_ignores_budget_in_force':
            return self.policy[scope] // (2 * PARTITIONS)
        return self.words['T'].base if 'T' in self.words else 0

    def limit(self, h, scope):
        """How many more series the scope admits on this partition."""
        word = self.words.get(scope)
        if word and word.over and BREAK != 'reuse_when_over':
            return 0
        room = h.room(scope)                                   # without word: a lowered budget holds although the base stays
        return room if word or scope not in METRICS else min(room, self.budget(scope) // (2 * PARTITIONS) - h.use[scope])

    def may_wait(self, h, scope):
        """The demand fits, so that a grant will come; but once a wait was in vain, only after a newer word."""
        word = self.words.get(scope)
        heard = word.offset if word else -1
        if BREAK == 'no_lease_wait' or h.gave_up.get(scope) == heard or (word and word.level == SHORT):
            return False
        if self.world.now - h.waits_since > WAIT:
            h.gave_up[scope] = heard
        return self.world.now - h.waits_since <= WAIT

    def take(self, h, time, series):
        """One batch. False: it waits for a lease."""
        h.time, h.tick = max(h.time, time), 0
        h.expire(self.world)
        left = {s: self.limit(h, s) for s in SCOPES}
        admitted, lacking, lacked = [], [], set()
        for s in series:
            scopes = (metric(s), 'T')
            known = s in h.series and (not h.series[s][1] or BREAK == 'lapsed_returns_freely')
            if not known and BREAK != 'wanted_is_what_lacks':  # wanted: all that is new in the batch, also what there is room for
                h.refused[metric(s)][s] = h.time
            if not known and min(left[scope] for scope in scopes) <= 0:
                lacking.append(s)
                h.refused[metric(s)][s] = h.time
                lacked |= {scope for scope in scopes if left[scope] <= 0}
                continue
            admitted.append(s)
            for scope in () if known else scopes:
                left[scope] -= 1
        h.waits_since = self.world.now if lacking and h.waits_since is None else h.waits_since
        if lacking and all([self.may_wait(h, scope) for scope in sorted(lacked)]):
            return False
        self.world.refusals += len(lacking)
        for s in admitted:
            h.series[s] = (h.time, False)
            h.refused[metric(s)].pop(s, None)
        h.count()
        h.rate.append((h.time, len(series)))
        h.waits_since, h.position = None, h.position + 1
        return True

    def process(self, p, rng):
        h, log = self.holders[p], self.world.input[p]
        for scope in SCOPES:
            word = self.words.get(scope)
            if word and BREAK == 'last_record_wins':
                h.granted[scope] = word.grants[p] + h.returned[scope]
            else:
                h.granted[scope] = max(h.granted[scope], word.grants[p] if word else self.base(scope))
        for time, series in log[h.position:h.position + rng.randint(1, 15)]:
            if not self.take(h, time, series):
                break
        if (h.position == len(log) or BREAK == 'tick_while_lagging') and BREAK != 'partition_time':
            h.tick = self.tick                                 # caught up after the tick was read: it is time, until more input is taken
        h.expire(self.world)
        for scope in SCOPES:
            kept = h.keep(scope, self.words.get(scope), h.demand(scope, self.words))
            h.returned[scope] = max(h.returned[scope], h.granted[scope] - max(kept, h.use[scope]))
        self.box_generation = self.box_generation if self.box else self.generation
        if h.waits_since is None or BREAK != 'waiting_says_nothing':
            self.box.add(p)

    def allocate(self, h, scope):
        """Partition 0's owner: the budget in force, and grants up to what holders ask for. Returns the word to be told."""
        record, value = h.scopes.get(scope), self.budget(scope)
        if not record and not any((scope, p) in self.reports for p in range(PARTITIONS)):
            return None
        if not record and scope in METRICS and 'T' not in h.scopes:
            return None
        base = self.budget('M0') // (2 * PARTITIONS) if scope == 'T' else h.scopes['T'].base if scope in METRICS else 0
        start = base if scope in METRICS else 0
        record = record or Scope(1, value, (start,) * PARTITIONS, base)
        if value != (h.seen_budget.get(scope, value) if BREAK == 'budget_by_change' else record.value):
            record = record._replace(number=record.number + 1, value=value)
        h.seen_budget[scope] = value
        if scope == 'T' and BREAK == 'base_follows_budget':
            record = record._replace(base=base)
        reports = [self.reports.get((scope, p), (0, 0)) for p in range(PARTITIONS)]
        if BREAK == 'last_record_wins':
            reports = [(g - r if (scope, p) in self.reports else 0, d) for p, (g, (r, d)) in enumerate(zip(record.grants, reports))]
        grants, demands = list(record.grants), [demand for _, demand in reports]
        leases = [g - returned for g, (returned, _) in zip(grants, reports)]   # a stale return only overstates the lease
        start, value, free = record.base if scope in METRICS else 0, record.value, record.value - sum(leases)
        fair, over = fair_share(demands, value), free < 0
        full = sum(max(d + HEADROOM, start) for d in demands)
        level = ROOM if full <= value else TIGHT if sum(demands) <= value and BREAK != 'short_with_headroom' else SHORT
        wanted = [max(0, (min(d, fair) if scope == 'R' else d + HEADROOM * (level == ROOM)) - lease) for d, lease in zip(demands, leases)]
        for p in sorted(range(PARTITIONS), key=lambda p: wanted[p]):
            grants[p] += max(0, min(wanted[p], free))
            free -= max(0, min(wanted[p], free))
        h.scopes[scope] = record._replace(grants=tuple(grants))
        told = [g - returned for g, (returned, _) in zip(grants, reports)] if BREAK == 'last_record_wins' else grants
        return tuple(told), record.base, over, level, fair

    def tell(self, h, key, value):
        """To sluice.leases, when it is not what was told last."""
        if value is not None and BREAK == 'silent_takeover' and key != ('tick',):
            h.told.setdefault(key, value)
        if value is not None and h.told.get(key) != value:
            h.told[key] = value
            if key[0] == 'grants' and BREAK == 'grants_not_in_same_transaction':
                self.world.leases.entries.append((None, key, value))
            else:
                self.txn.write(self.world.leases, key, value)
            return True
        return False

    def close(self, h, rng):
        """The partition's part of the box that is being closed: what changed in its state and on sluice.leases, and its offset, the fence."""
        w, spoke = self.world, False
        if h.p == 0:
            spoke = any([self.tell(h, ('grants', scope), self.allocate(h, scope)) for scope in SCOPES])
            spoke |= rng.random() < 0.3 and self.tell(h, ('tick',), w.now)
        for scope in SCOPES:
            demand = h.demand(scope, self.words)               # a metric within its base has nothing to say
            if scope in self.words or demand > self.base(scope) or h.returned[scope]:
                returned = h.granted[scope] - h.returned[scope] if BREAK == 'last_record_wins' else h.returned[scope]
                spoke |= self.tell(h, ('report', scope, h.p), (returned, demand))
        changed = {key: value for key, value in h.records() if h.state.get(key) != value}
        if BREAK == 'counters_forgotten':
            changed.update({('holder', s): (0, 0) for s in SCOPES if h.granted[s] == h.returned[s] and not h.use[s]})
        if not changed and not spoke and h.position == h.state.get('partition', (0, 0, 0))[1]:
            return
        h.version += 1
        changed['partition'] = (h.version, h.position, h.time)
        h.state.update(changed)
        self.txn.written[h.p] = changed
        if h.position != w.offset[h.p] or BREAK != 'no_own_offset':
            self.txn.offsets[h.p] = h.position                 # even when unchanged

    def begin(self, rng):
        self.txn = self.last = Txn(self.box_generation)
        for p in sorted(self.box & set(self.holders)):
            self.close(self.holders[p], rng)
        for p, changed in self.txn.written.items():
            for key, value in changed.items():
                self.txn.write(self.world.state[p], key, value)
        self.box = set()

    def step(self, rng):
        self.restore()
        self.read_copies(rng)
        for p in [p for p in self.holders if rng.random() < 0.5]:
            self.process(p, rng)                               # also while a transaction is under way: into the other box
        if self.txn is None:
            return self.begin(rng) if self.box and not self.world.marking(self.last) else None
        if BREAK == 'snapshot_at_commit' and self.txn.phase == 'open':
            for p in set(self.txn.written) & set(self.holders):
                late = {key: value for key, value in self.holders[p].records()}
                self.txn.written[p].update(late)
                self.holders[p].state.update(late)
                for key, value in late.items():
                    self.txn.write(self.world.state[p], key, value)
        self.world.advance(self.txn, self.generation if BREAK == 'newest_generation' else self.txn.generation)
        if self.txn.phase == 'done' and not self.txn.committed and BREAK != 'keeps_box_on_abort':
            self.forget(range(PARTITIONS))                     # both boxes
        self.txn = None if self.txn.phase == 'done' else self.txn


class World:
    def __init__(self, rng):
        self.rng, self.now, self.generation, self.next_series, self.calm, self.sent = rng, 0, 0, 0, True, {}
        self.input, self.state, self.leases = [[] for _ in range(PARTITIONS)], [Log() for _ in range(PARTITIONS)], Log()
        self.held, self.stalled = [[] for _ in range(PARTITIONS)], {}   # what an upstream that hangs has not sent on yet
        self.offset, self.pending, self.unmarked = [0] * PARTITIONS, [set() for _ in range(PARTITIONS)], []
        self.truth, self.commits, self.fenced, self.errors, self.refusals = [{} for _ in range(PARTITIONS)], 0, 0, [], 0
        self.policies, self.control = [], []
        self.set_policy(rng.randint(50, 70), rng.randint(36, 60))
        self.set_policy(rng.randint(50, 70), rng.randint(36, 60))   # a rollout: processes start with either file
        self.set_demand(36, metrics=2)
        self.members = [Process(self) for _ in range(WORKERS)]
        self.owner, self.zombies = [rng.choice(self.members) for _ in range(PARTITIONS)], []

    def set_policy(self, tenant, metric):
        self.policies.append({'T': tenant, 'R': 40, **dict.fromkeys(METRICS, metric)})

    def set_control(self, scope, value, ttl):
        self.control.append((scope, value, self.now + ttl))

    def set_demand(self, n, partitions=range(PARTITIONS), metrics=3):
        """All old series fall silent and new ones appear, in some partitions and metrics."""
        self.demand, weights = [[] for _ in range(PARTITIONS)], [self.rng.random() for _ in range(metrics)]
        for _ in range(n):
            self.next_series += 3
            self.demand[self.rng.choice(partitions)].append(self.next_series + self.rng.choices(range(metrics), weights)[0])

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
            self.errors += ['an older budget came back'] if any(k[0] == 'scope' and k in t and t[k][0] > r[0] for k, r in changed.items()) else []
            t.update(changed)
            used = [s for s, (_, lapsed) in t.get('series', {}).items() if not lapsed]
            t['use'] = {'T': len(used), 'R': 0, **{m: sum(metric(s) == m for s in used) for m in METRICS}}
            self.errors += [f'partition {p}: a state of {position} without its input'] if position != txn.offsets.get(p, position) else []
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
        value, policy = {s: self.truth[0][('scope', s)].value if ('scope', s) in self.truth[0] else self.policies[-1][s] for s in SCOPES}, self.policies[-1]
        self.errors += [f'{when}: in force is {value}, and not {policy}'] if value != policy else []
        wanted = {m: min(value[m], sum(metric(s) == m for series in self.demand for s in series)) for m in METRICS}
        wanted['T'] = min(value['T'], sum(wanted.values()))
        if live['T'] < 0.98 * wanted['T'] or live['T'] > value['T'] or any(live[m] > value[m] for m in METRICS):
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
        member = rng.choice(self.members)
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

    def rebalance(self):
        self.generation += 1
        self.owner = [self.rng.choice(self.members) for _ in range(PARTITIONS)]

    def disturb(self, rng, member):
        if rng.random() < 0.4:                                 # thought dead, but it lingers on; a new process takes its place
            self.zombies.append(member)
            self.members[self.members.index(member)] = Process(self)
        if rng.random() < 0.7 or self.zombies:
            self.rebalance()
        if rng.random() < 0.2:
            self.set_demand(rng.randint(20, 90), rng.sample(range(PARTITIONS), rng.randint(1, PARTITIONS)), 2 + (self.now > STEPS // 2))   # M2 is young
        if rng.random() < 0.3:
            self.stalled[rng.randrange(PARTITIONS)] = self.now + rng.randint(100, 2 * IDLE)
        if rng.random() < 0.2:
            self.set_policy(rng.randint(20, 70), rng.randint(12, 60))
        if rng.random() < 0.2:
            self.set_control(rng.choice(SCOPES), rng.randint(10, 70), rng.randint(100, 2 * IDLE))


def run(seed):
    w = World(random.Random(seed))
    rng = w.rng
    some = [lambda: rng.sample(range(PARTITIONS), rng.randint(1, 3)), lambda: range(PARTITIONS)]
    # Turmoil between two calms. First a cold start, where nothing may be refused. At last the budgets fall, demand moves and partitions fall silent; then
    # all is silent, and new series come that fit.
    plan = {
        1500: lambda: w.errors.append(f'a cold start refused {w.refusals}') if w.refusals else None,
        STEPS: lambda: (w.set_policy(w.policies[-1]['T'] // 2, rng.randint(12, 36)), [w.set_control(scope, 14, IDLE) for scope in SCOPES], w.set_demand(90), w.rebalance()),
        STEPS + IDLE: lambda: w.set_demand(90, some[0]()),
        STEPS + 7 * IDLE: lambda: (w.check_used('moved'), w.set_policy(rng.randint(40, 60), 40), w.rebalance(), w.set_demand(90)),
        STEPS + 12 * IDLE: lambda: (w.check_used('raised'), w.set_demand(0)),
        STEPS + 15 * IDLE: lambda: (setattr(w, 'refusals', 0), w.set_demand(39, some[rng.randrange(2)]())),
        STEPS + 18 * IDLE: lambda: (w.check_used('fitting'), w.errors.append(f'{w.refusals} refused while there was room') if w.refusals else None),
    }
    for i in range(max(plan) + 1):
        plan.get(i, lambda: None)()
        w.step(i < 1500 or i >= STEPS)
        if w.errors:
            break
    return w.errors, [w.now, w.commits, w.fenced, w.generation]


def main():
    global BREAK
    runs, BREAK = int((sys.argv[1:] or [100])[0]), (sys.argv[2:] or [BREAK])[0]
    results = [run(seed) for seed in range(runs)]
    wrong, sums = [errors[0] for errors, _ in results if errors], [sum(column) for column in zip(*[n for _, n in results])]
    print(runs, 'runs; steps, commits, fenced or aborted, rebalances:', *sums, f': {len(wrong)} runs wrong', *wrong[:1])
    return bool(wrong)


if __name__ == '__main__':
    sys.exit(main())
