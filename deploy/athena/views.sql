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

-- The latest truth about each window: one row per series (of a source and class) and window with all revisions merged, and
-- its rate. revisions says how many rows came after the window had closed. total and last are those of revision 0: later
-- rows have none, and what came late is in the next window's total. delta_count and delta_sum are the histograms'; their buckets
-- are in the table.
CREATE OR REPLACE VIEW rollup_1m_latest AS
SELECT tenant, metric, kind, temporality, unit, class, series, source, labels, region, az, cluster, shard_id, instance_type,
       build_id, queue, asn_bucket, le, ts, ts_ms, dt, hour, revisions, total, delta, delta / 60 AS rate, sum, count,
       sum / nullif(count, 0) AS mean, min, max, last, ended, delta_count, delta_sum
FROM (SELECT tenant, metric, kind, temporality, class, series, source, ts_ms, dt, hour, arbitrary(unit) AS unit,
             arbitrary(labels) AS labels, arbitrary(region) AS region, arbitrary(az) AS az, arbitrary(cluster) AS cluster,
             arbitrary(shard_id) AS shard_id, arbitrary(instance_type) AS instance_type, arbitrary(build_id) AS build_id,
             arbitrary(queue) AS queue, arbitrary(asn_bucket) AS asn_bucket, arbitrary(le) AS le, arbitrary(ts) AS ts,
             sum(CASE WHEN revision > 0 THEN 1 ELSE 0 END) AS revisions, max(total) AS total,
             sum(delta) - sum(coalesce(late, 0)) AS delta, sum(sum) AS sum, sum(count) AS count, min(min) AS min,
             max(max) AS max, max(last) AS last, bool_or(ended) AS ended,
             sum(delta_count) - sum(coalesce(late_count, 0)) AS delta_count,
             sum(delta_sum) - sum(coalesce(late_sum, 0)) AS delta_sum
      FROM rollup_1m
      GROUP BY tenant, metric, kind, temporality, class, series, source, ts_ms, dt, hour) windows;

-- 5 m and 1 h rows have no revisions of their own: what came late is in the revisions at 1 m, and is added here, also to windows
-- of which nothing else is known.
CREATE OR REPLACE VIEW rollup_5m_latest AS
SELECT tenant, metric, kind, temporality, unit, class, series, source, labels, region, az, cluster, shard_id, instance_type,
       build_id, queue, asn_bucket, le, ts, ts_ms, dt, hour, revisions, total, delta, delta / 300 AS rate, sum, count,
       sum / nullif(count, 0) AS mean, min, max, last, ended, delta_count, delta_sum
FROM (SELECT tenant, metric, kind, temporality, class, series, source, ts_ms, dt, hour, arbitrary(unit) AS unit,
             arbitrary(labels) AS labels, arbitrary(region) AS region, arbitrary(az) AS az, arbitrary(cluster) AS cluster,
             arbitrary(shard_id) AS shard_id, arbitrary(instance_type) AS instance_type, arbitrary(build_id) AS build_id,
             arbitrary(queue) AS queue, arbitrary(asn_bucket) AS asn_bucket, arbitrary(le) AS le, arbitrary(ts) AS ts,
             sum(CASE WHEN revision > 0 THEN 1 ELSE 0 END) AS revisions, max(total) AS total,
             sum(delta) - sum(coalesce(late, 0)) AS delta, sum(sum) AS sum, sum(count) AS count, min(min) AS min,
             max(max) AS max, max(last) AS last, bool_or(ended) AS ended,
             sum(delta_count) - sum(coalesce(late_count, 0)) AS delta_count,
             sum(delta_sum) - sum(coalesce(late_sum, 0)) AS delta_sum
      FROM (SELECT tenant, metric, kind, temporality, unit, class, series, source, labels, region, az, cluster, shard_id,
                   instance_type, build_id, queue, asn_bucket, le, ts, ts_ms, dt, hour, revision, total,
                   delta, late, sum, count, min, max, last, ended, delta_count, late_count, delta_sum, late_sum
            FROM rollup_5m
            UNION ALL
            SELECT tenant, metric, kind, temporality, unit, class, series, source, labels, region, az, cluster, shard_id,
                   instance_type, build_id, queue, asn_bucket, le,
                   ts + (ts_ms - 1 - mod(ts_ms - 1, 300000) + 300000 - ts_ms) / 1000 * INTERVAL '1' SECOND AS ts,
                   ts_ms - 1 - mod(ts_ms - 1, 300000) + 300000 AS ts_ms, dt, hour, revision, total,
                   delta, late, sum, count, min, max, last, ended, delta_count, late_count, delta_sum, late_sum
            FROM rollup_1m
            WHERE revision > 0) both_kinds
      GROUP BY tenant, metric, kind, temporality, class, series, source, ts_ms, dt, hour) windows;

CREATE OR REPLACE VIEW rollup_1h_latest AS
SELECT tenant, metric, kind, temporality, unit, class, series, source, labels, region, az, cluster, shard_id, instance_type,
       build_id, queue, asn_bucket, le, ts, ts_ms, dt, hour, revisions, total, delta, delta / 3600 AS rate, sum, count,
       sum / nullif(count, 0) AS mean, min, max, last, ended, delta_count, delta_sum
FROM (SELECT tenant, metric, kind, temporality, class, series, source, ts_ms, dt, hour, arbitrary(unit) AS unit,
             arbitrary(labels) AS labels, arbitrary(region) AS region, arbitrary(az) AS az, arbitrary(cluster) AS cluster,
             arbitrary(shard_id) AS shard_id, arbitrary(instance_type) AS instance_type, arbitrary(build_id) AS build_id,
             arbitrary(queue) AS queue, arbitrary(asn_bucket) AS asn_bucket, arbitrary(le) AS le, arbitrary(ts) AS ts,
             sum(CASE WHEN revision > 0 THEN 1 ELSE 0 END) AS revisions, max(total) AS total,
             sum(delta) - sum(coalesce(late, 0)) AS delta, sum(sum) AS sum, sum(count) AS count, min(min) AS min,
             max(max) AS max, max(last) AS last, bool_or(ended) AS ended,
             sum(delta_count) - sum(coalesce(late_count, 0)) AS delta_count,
             sum(delta_sum) - sum(coalesce(late_sum, 0)) AS delta_sum
      FROM (SELECT tenant, metric, kind, temporality, unit, class, series, source, labels, region, az, cluster, shard_id,
                   instance_type, build_id, queue, asn_bucket, le, ts, ts_ms, dt, hour, revision, total,
                   delta, late, sum, count, min, max, last, ended, delta_count, late_count, delta_sum, late_sum
            FROM rollup_1h
            UNION ALL
            SELECT tenant, metric, kind, temporality, unit, class, series, source, labels, region, az, cluster, shard_id,
                   instance_type, build_id, queue, asn_bucket, le,
                   ts + (ts_ms - 1 - mod(ts_ms - 1, 3600000) + 3600000 - ts_ms) / 1000 * INTERVAL '1' SECOND AS ts,
                   ts_ms - 1 - mod(ts_ms - 1, 3600000) + 3600000 AS ts_ms, dt, hour, revision, total,
                   delta, late, sum, count, min, max, last, ended, delta_count, late_count, delta_sum, late_sum
            FROM rollup_1m
            WHERE revision > 0) both_kinds
      GROUP BY tenant, metric, kind, temporality, class, series, source, ts_ms, dt, hour) windows;
