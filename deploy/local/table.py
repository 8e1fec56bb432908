"""The live table of the demo: one row a second, from the workers' /metrics pages."""
import collections
import sys
import time

from deploy.local.metrics import Page, quantile

WINDOW_S = 10
HEAD = (f"{'time':>6} {'validate/s':>11} {'admitted':>11} {'rejected':>9} {'series':>8} {'complete':>8} {'amp/s':>9} {'delivered':>11} {'in S3':>11} {'objects':>7} {'1 m rows':>8} {'lag':>8}"
        f" {'fresh p50':>10} {'p99':>8}")


class Reading:
    def __init__(self, workers, at_s):
        self.at_s = at_s
        pages = {kind: Page(worker.metrics()) for kind, worker in workers.items()}
        empty = Page("")
        validate, limit, amp = (pages.get(kind, empty) for kind in ("validate", "limit", "amp"))
        self.taken_in = validate.total("sluice_samples_in_total")
        self.rejected = sum(p.total("sluice_samples_rejected_total") for p in (validate, limit, amp))
        self.reasons = collections.Counter()
        for page in (validate, limit, amp):
            self.reasons.update(page.by("sluice_samples_rejected_total", "reason"))
        self.admitted = limit.total("sluice_samples_out_total")
        self.series = limit.by("sluice_active_series", "tenant")
        self.completeness = limit.by("sluice_completeness_ratio", "tenant")
        self.delivered = amp.total("sluice_samples_out_total")
        self.lag = sum(p.total("sluice_lag_records") for p in pages.values())
        parquet = pages.get("parquet", empty)
        self.rows_stored = parquet.total("sluice_s3_rows_total")
        self.rows_open = parquet.total("sluice_range_rows")
        self.bytes_stored = parquet.total("sluice_s3_bytes_total")
        self.objects = parquet.total("sluice_s3_objects_total", outcome="stored")
        self.rows_1m = pages.get("rollup", empty).total("sluice_records_out_total", topic="metrics.rollup.1m")
        self.freshness = amp.buckets("sluice_freshness_seconds")


def seconds(value):
    return "-" if value is None else f"{value * 1000:.0f} ms" if value < 1 else f"{value:.2f} s"


class Table:
    """On a terminal the head stays above the rows that scroll; elsewhere a row every 5 s."""

    def __init__(self, stack, out=sys.stdout):
        self.workers = stack.workers
        self.out = out
        self.every_s = 1 if out.isatty() else 5
        self.began = time.monotonic()
        self.readings = collections.deque(maxlen=WINDOW_S + 1)
        self.rows = 0
        self.printed_at = -self.every_s

    def tick(self):
        """Takes a reading; prints a row when it is time."""
        now = Reading(self.workers, time.monotonic() - self.began)
        self.readings.append(now)
        if now.at_s - self.printed_at >= self.every_s - 0.5:
            self.printed_at = now.at_s
            self._print(now)
        return now

    def _print(self, now):
        if self.rows % 20 == 0:
            print(HEAD, file=self.out)
        self.rows += 1
        before = self.readings[0]
        last = self.readings[max(len(self.readings) - 1 - self.every_s, 0)]
        span = max(now.at_s - last.at_s, 0.001)
        p50, p99 = (quantile(q, now.freshness, before.freshness) for q in (0.5, 0.99))
        complete = min((now.completeness[t] for t, n in now.series.items() if n > 0), default=1)
        print(f"{now.at_s:5.0f}s {(now.taken_in - last.taken_in) / span:11,.0f} {now.admitted:11,.0f} {now.rejected:9,.0f}"
              f" {sum(now.series.values()):8,.0f} {complete:8.2%}"
              f" {(now.delivered - last.delivered) / span:9,.0f} {now.delivered:11,.0f} {now.rows_stored:11,.0f} {now.objects:7,.0f} {now.rows_1m:8,.0f} {now.lag:8,.0f}"
              f" {seconds(p50):>10} {seconds(p99):>8}", file=self.out, flush=True)
