"""The protocol of limit_model.py: what a process holds of its partitions (Holder), and what it reads, decides and writes (Process).

  sluice.limit   one Log per partition: records by key, written in the transaction that admits, and only when changed
                   'partition' (version, position, log time) · 'series' {series: (last seen, lapsed)} · ('holder', scope) (granted, returned)
                   in partition 0 also ('scope', scope) (number, value, grants, base): the allocator's; (number, value) is the budget in force
  sluice.leases  copies: ('grants', scope) the word of the allocator · ('report', scope, p) (returned, demand) · 'tick'

A lease is granted - returned. A metric's lease begins at the tenant's base on every partition: granted starts there, for allocator and holder alike; the
base is fixed when the tenant's first record is made. Without BREAK: taking the maximum of copies (a smaller granted only understates the lease), granted in
the holder's state (likewise), granting what is needed rather than what is missing (holders give it back), waiting again and again for one word (no series
is lost, only time), a metric without word admitting up to its base after its budget was lowered (its claim is the base either way).
"""
from collections import namedtuple

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
    'short_with_headroom': 'room counts as short when headrooms and bases do not fit',
    'waiting_says_nothing': 'a partition that waits takes no part in transactions',
    'silent_takeover': 'after a takeover sluice.leases is written only once something changes',
    'no_fair_share': 'a rate lease is kept while there is demand (a partition that comes late gets none)',
}
BREAK = ''
PARTITIONS, IDLE, WAIT, HEADROOM = 4, 500, 400, 2
METRICS, SCOPES = ('M0', 'M1', 'M2', 'M3'), ('T', 'M0', 'M1', 'M2', 'M3', 'R')
SHORT, TIGHT, ROOM = range(3)                                  # demand > budget; it fits, but not with headroom and bases; all fits
Scope = namedtuple('Scope', 'number value grants base')        # the allocator's record
Word = namedtuple('Word', 'grants base over level fair offset')   # what a holder knows of it


def metric(series):
    return METRICS[series % 4]


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
        self.waits_since, self.gave_up, self.seen_budget, self.n_taken = None, {}, {}, 0
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
        kept, self.generation = self.world.generation == self.generation + 1, self.world.generation
        if BREAK == 'newest_generation':
            return self.forget([])
        aborted = self.txn and self.txn.phase == 'open'
        self.world.finish(self.txn, False) if aborted else None
        if BREAK == 'lost_keeps_memory' and not kept:
            self.box, self.txn = set(), None if aborted else self.txn
            return self.forget([])
        self.forget([] if kept and not aborted and not self.box else range(PARTITIONS))

    def restore(self):
        for p, end in list(self.restoring.items()):
            w = self.world
            if end is None and (not w.pending[p] or BREAK == 'unstable_offset'):   # pending: UNSTABLE_OFFSET_COMMIT
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
        if rng.random() < 0.05:
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
            if not known:                                      # wanted: all that is new in the batch, also what there is room for
                h.refused[metric(s)][s] = h.time
            if not known and min(left[scope] for scope in scopes) <= 0:
                lacking.append(s)
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
        h.waits_since, h.position, h.n_taken = None, h.position + 1, h.n_taken + 1
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
        self.txn.written[h.p], self.txn.outputs[h.p], h.n_taken = changed, h.n_taken, 0
        if h.position != w.offset[h.p] or BREAK != 'no_own_offset':
            self.txn.offsets[h.p] = h.position                 # even when unchanged

    def begin(self, rng):
        self.txn = self.last = self.world.begin(self.box_generation)
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
                late = dict(self.holders[p].records())
                self.txn.written[p].update(late)
                self.holders[p].state.update(late)
                for key, value in late.items():
                    self.txn.write(self.world.state[p], key, value)
        self.world.advance(self.txn, self.generation if BREAK == 'newest_generation' else self.txn.generation)
        if self.txn.phase == 'done' and not self.txn.committed and BREAK != 'keeps_box_on_abort':
            self.forget(range(PARTITIONS))                     # both boxes
        self.txn = None if self.txn.phase == 'done' else self.txn
