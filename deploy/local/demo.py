"""The demo: load, a live table, and the proof that every sample that was sent is in the store."""
import time

from deploy.local import parquet
from deploy.local.load import TOPIC, Load
from deploy.local.metrics import quantile
from deploy.local.places import StackError
from deploy.local.s3proxy import BUCKET
from deploy.local.table import Table, seconds
from deploy.local.verify import count_samples, metric_names, query
from deploy.local.workers import PARQUET_AGE_MS

RATE = 20000
SECONDS = 150  # a whole minute lies within, whenever it starts, and is closed before the end
HTTP_PART = 10
STALLED_S = 30
LATENESS_S = 15  # rollup's
ALIKE = 0.02


def run(stack, duration_s, rate, say):
    """True when all arrived. The stack is up; whoever started it stops it."""
    loads = _loads(stack, rate, duration_s, say)
    began_s = time.time()
    try:
        for load in loads:
            load.start()
        table = Table(stack)
        while any(load.running() for load in loads):
            stack.check_alive()
            table.tick()
            time.sleep(1)
        sent, ended_s = sum(load.sent() for load in loads), time.time()
        say(f"sent {sent:,} samples; waiting until they are delivered")
        last = _drain(stack, table, sent)
        if stack.needs_s3:
            say("waiting until the last files are due and stored")
            last = _drain_files(stack, table, last.admitted)
        return _judge(stack, loads, sent, last, (began_s, ended_s), say)
    finally:
        for load in loads:
            load.stop()


def _loads(stack, rate, duration_s, say):
    """A tenth goes through the gateway, where there is one."""
    by_http = rate // HTTP_PART if stack.has_doors else 0
    say(f"sending {rate - by_http:,} samples/s to {TOPIC}" + (f" and {by_http:,} to {stack.doors.url}" if by_http else "") + f" for {duration_s} s")
    return [Load(stack, rate - by_http, duration_s), *([Load(stack, by_http, duration_s, by_http=True)] if by_http else ())]


def _drain(stack, table, sent):
    """Until all is accounted for, or nothing has moved for a while."""
    moved_at, seen = time.monotonic(), -1
    while True:
        now = table.tick()
        if now.delivered + now.rejected >= sent and now.lag == 0:
            return now
        if now.delivered + now.rejected != seen:
            moved_at, seen = time.monotonic(), now.delivered + now.rejected
        if time.monotonic() - moved_at > STALLED_S:
            return now
        stack.check_alive()
        time.sleep(1)


def _drain_files(stack, table, admitted):
    """Until every row is in an object, or nothing has come for a while."""
    moved_at, seen = time.monotonic(), -1
    while True:
        now = table.tick()
        if now.rows_stored >= admitted and now.rows_open == 0:
            return now
        if now.rows_stored != seen:
            moved_at, seen = time.monotonic(), now.rows_stored
        if time.monotonic() - moved_at > STALLED_S:
            return now
        stack.check_alive()
        time.sleep(1)


def _judge_files(stack, last, say):
    """What is wrong with the objects, as DuckDB reads them."""
    answers = parquet.ask(stack.places, stack.places.data / "s3" / BUCKET)
    rows, series, files = answers["counts"][0]
    say(f"in S3      {rows:12,}   rows of {series:,} series in {files} Parquet files, {last.bytes_stored:,.0f} bytes: "
        f"{last.bytes_stored / max(rows, 1):.2f} bytes per sample, in files of only {PARQUET_AGE_MS // 1000} s")
    say("  SELECT metric, count(*), count(DISTINCT source), min(value), max(value) … WHERE kind = 'counter', by DuckDB:")
    for metric, n, sources, low, high in answers["answer"]:
        say(f"  {metric:<40} {n:10,} samples of {sources} servers, from {low:,.0f} to {high:,.0f}")
    problems = []
    if rows != last.admitted:
        problems.append(f"rows in S3 - admitted = {rows - last.admitted:+,.0f}")
    if answers["double"][0][0]:
        problems.append(f"{answers['double'][0][0]} samples are in S3 more than once")
    return problems


def _judge_rollups(stack, began_s, ended_s, say):
    """What is wrong with the last whole minute in the warm store, beside what PromQL makes of the raw samples."""
    end_s = int((ended_s - LATENESS_S - 5) // 60 * 60)
    if end_s - 70 < began_s:
        say("rollups    no whole minute lies within the load, so that there is nothing to compare")
        return []
    names = [name for name in metric_names(stack.prometheus.url) if name.endswith("_total")]

    def increases():
        # The raw one's window is open at its left end and extrapolated to both; the rollup's is [end - 60 s, end).
        raw = {n: query(stack.prometheus.url, f"sum(increase({n}[1m]))", end_s) for n in names}
        return {n: (raw[n], query(stack.prometheus_warm.url, f'sum({{__name__="{n}:1m:delta"}})', end_s)) for n in names}

    deadline = time.monotonic() + STALLED_S
    while True:
        found = increases()
        apart = sorted(abs(rolled - raw) / raw if raw > 0 else 1 for raw, rolled in found.values())
        middle = apart[len(apart) // 2]
        if middle <= ALIKE or time.monotonic() > deadline:
            break
        stack.check_alive()
        time.sleep(1)
    say(f"rollups    the minute that ended {time.strftime('%H:%M', time.gmtime(end_s))} UTC, {len(found)} counters: what increase(…[1m]) makes of "
        f"raw samples and the 1 m rows' delta are {middle:.2%} apart (median)")
    for name in names[:3]:
        say("  {:<40} {:15,.0f} by raw samples, {:15,.0f} by the rows".format(name, *found[name]))
    return [] if middle <= ALIKE else [f"rollups and raw samples are {middle:.1%} apart in that minute"]


def _judge(stack, loads, sent, last, span_s, say):
    by_metric = count_samples(stack.prometheus.url, span_s[0] - 120, time.time() + 60)
    stored = sum(by_metric.values())
    verdicts = [load.verify() for load in loads]
    say("")
    say(f"sent       {sent:12,}")
    say(f"rejected   {last.rejected:12,.0f}" + "".join(f"  {r}: {n:,.0f}" for r, n in last.reasons.items() if n))
    say(f"admitted   {last.admitted:12,.0f}   (counted by sluice-limit)")
    for tenant, n in sorted(last.series.items()):
        if n > 0:
            say(f"  {tenant}: {n:,.0f} active series, {last.completeness[tenant]:.2%} of them seen in the last 5 minutes")
    say(f"delivered  {last.delivered:12,.0f}   (counted by sluice-amp)")
    say(f"stored     {stored:12,}   (counted in Prometheus by PromQL: {len(by_metric)} metrics)")
    p50, p99 = (seconds(quantile(q, last.freshness)) for q in (0.5, 0.99))
    say(f"freshness  p50 {p50}, p99 {p99}   (from the append to the ingest topic to the store's answer)")
    for load in loads:
        if load.by_http:
            ended = load.closing()
            say(f"gateway    answers p50 {seconds(ended['ttfb_p50_s'])}, p99 {seconds(ended['ttfb_p99_s'])} (first byte), {ended['requests']:,} requests, {ended['samples']:,} samples")
    for load, (_, report) in zip(loads, verdicts):
        say(f"sluice-loadgen verify ({'HTTP' if load.by_http else 'Kafka'}): " + (report or "no output"))
    problems = _judge_files(stack, last, say) if stack.needs_s3 else []
    if len(stack.stores) > 1:
        problems += _judge_rollups(stack, *span_s, say)
    if last.delivered + last.rejected != sent:
        problems.append(f"delivered + rejected - sent = {last.delivered + last.rejected - sent:+,.0f}")
    if stored + last.rejected != sent:
        problems.append(f"stored + rejected - sent = {stored + last.rejected - sent:+,.0f}")
    if not all(matches for matches, _ in verdicts):
        problems.append("sluice-loadgen verify found differences")
    if problems:
        raise StackError("not all samples arrived as sent: " + "; ".join(problems))
    say("every sample that was sent is in Prometheus" + (", and once in S3" if stack.needs_s3 else ""))
