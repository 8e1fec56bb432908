-- Views over tables.sql. Each passes conditions on dt, tenant, metric and series on to the table: name dt in every query.

-- By how much a cumulative counter grew since the sample before it. A fall is a reset: all of the value is new. The first
-- sample of a series in a day has no one before it (increase is NULL), so that a query on one day reads one day.
CREATE OR REPLACE VIEW samples_increase AS
SELECT tenant, metric, unit, class, series, source, labels, region, az, cluster, shard_id, instance_type, build_id, queue,
       asn_bucket, ts, ts_ms, value, dt, hour,
       CASE WHEN value < value_before THEN value ELSE value - value_before END AS increase,
       (ts_ms - ts_ms_before) / 1e3 AS seconds
FROM (SELECT *, lag(value) OVER (PARTITION BY tenant, metric, series, dt ORDER BY ts_ms) AS value_before,
             lag(ts_ms) OVER (PARTITION BY tenant, metric, series, dt ORDER BY ts_ms) AS ts_ms_before
      FROM samples
      WHERE kind = 'counter' AND temporality = 'cumulative' AND NOT stale) counters;

-- The latest truth about each window: one row per series and window with all revisions merged, and its rate.
-- revisions says how many rows came after the window had closed. total never falls within a window: the largest is the newest.
CREATE OR REPLACE VIEW rollup_1m_latest AS
SELECT tenant, metric, kind, unit, class, series, source, labels, region, az, cluster, shard_id, instance_type, build_id, queue,
       asn_bucket, le, ts, ts_ms, dt, hour, revisions, total, delta, delta / 60 AS rate, sum, count, sum / count AS mean,
       min, max, last, ended
FROM (SELECT tenant, metric, series, ts_ms, dt, arbitrary(kind) AS kind, arbitrary(unit) AS unit, arbitrary(class) AS class,
             arbitrary(source) AS source, arbitrary(labels) AS labels, arbitrary(region) AS region, arbitrary(az) AS az,
             arbitrary(cluster) AS cluster, arbitrary(shard_id) AS shard_id, arbitrary(instance_type) AS instance_type,
             arbitrary(build_id) AS build_id, arbitrary(queue) AS queue, arbitrary(asn_bucket) AS asn_bucket,
             arbitrary(le) AS le, arbitrary(ts) AS ts, arbitrary(hour) AS hour,
             count(CASE WHEN revision > 0 THEN 1 END) AS revisions, max(total) AS total,
             sum(delta) - sum(coalesce(late, 0)) AS delta, sum(sum) AS sum, sum(count) AS count, min(min) AS min,
             max(max) AS max, max_by(last, last_ts_ms) AS last, max_by(ended, last_ts_ms) AS ended
      FROM rollup_1m
      GROUP BY tenant, metric, series, ts_ms, dt) windows;

-- 5 m and 1 h rows have no revisions of their own: what came late is in the revisions at 1 m, and is added here.
CREATE OR REPLACE VIEW rollup_5m_latest AS
SELECT tenant, metric, kind, unit, class, series, source, labels, region, az, cluster, shard_id, instance_type, build_id, queue,
       asn_bucket, le, ts, ts_ms, dt, hour, total, delta + coalesce(late_delta, 0) - coalesce(late, 0) AS delta,
       (delta + coalesce(late_delta, 0) - coalesce(late, 0)) / 300 AS rate,
       sum + coalesce(late_sum, 0) AS sum, count + coalesce(late_count, 0) AS count,
       least(min, coalesce(late_min, min)) AS min, greatest(max, coalesce(late_max, max)) AS max, last, ended
FROM rollup_5m
LEFT JOIN (SELECT tenant AS late_tenant, metric AS late_metric, series AS late_series, dt AS late_dt,
                  ts_ms - 1 - mod(ts_ms - 1, 300000) + 300000 AS late_end_ms, sum(delta) AS late_delta, sum(sum) AS late_sum,
                  sum(count) AS late_count, min(min) AS late_min, max(max) AS late_max
           FROM rollup_1m
           WHERE revision > 0
           GROUP BY tenant, metric, series, dt, ts_ms - 1 - mod(ts_ms - 1, 300000) + 300000) amends
  ON tenant = late_tenant AND metric = late_metric AND series = late_series AND dt = late_dt AND ts_ms = late_end_ms;

CREATE OR REPLACE VIEW rollup_1h_latest AS
SELECT tenant, metric, kind, unit, class, series, source, labels, region, az, cluster, shard_id, instance_type, build_id, queue,
       asn_bucket, le, ts, ts_ms, dt, hour, total, delta + coalesce(late_delta, 0) - coalesce(late, 0) AS delta,
       (delta + coalesce(late_delta, 0) - coalesce(late, 0)) / 3600 AS rate,
       sum + coalesce(late_sum, 0) AS sum, count + coalesce(late_count, 0) AS count,
       least(min, coalesce(late_min, min)) AS min, greatest(max, coalesce(late_max, max)) AS max, last, ended
FROM rollup_1h
LEFT JOIN (SELECT tenant AS late_tenant, metric AS late_metric, series AS late_series, dt AS late_dt,
                  ts_ms - 1 - mod(ts_ms - 1, 3600000) + 3600000 AS late_end_ms, sum(delta) AS late_delta, sum(sum) AS late_sum,
                  sum(count) AS late_count, min(min) AS late_min, max(max) AS late_max
           FROM rollup_1m
           WHERE revision > 0
           GROUP BY tenant, metric, series, dt, ts_ms - 1 - mod(ts_ms - 1, 3600000) + 3600000) amends
  ON tenant = late_tenant AND metric = late_metric AND series = late_series AND dt = late_dt AND ts_ms = late_end_ms;
