-- sluice's tables for Athena (engine version 3). Put your bucket and prefix in, and run it statement by statement:
--
--   sed 's#S3_LOCATION#s3://my-bucket/metrics#' deploy/athena/tables.sql
--
-- Partitions are projected from the path, so there is nothing to crawl or repair: name dt (and hour) in every query, both by
-- the time of the samples, UTC. hour is the first of the hours that share a folder: with layout hours=3 set
-- projection.hour.interval to 3 (6, 24 the same way). The columns behind `labels` up to `le` are the labels that the
-- worker's label_columns names; keep the two lists alike. All labels are in the map, element_at(labels, 'name').
-- With the tenant level on, take the column tenant out of the list above and add to each table
--   PARTITIONED BY (tenant string, dt string, hour string), 'projection.tenant.type' = 'injected',
--   and tenant=${tenant}/ in the template; odd characters of a tenant are %XX there.

-- Raw samples, a row each, within a file in the order of tenant, metric, series, ts_ms. kafka_partition and kafka_offset
-- tell the record of the topic in the file's name that a row came from.
-- value: counters and gauges; histograms have count and sum, native ones exp_*, those of explicit buckets bucket_*.
-- stale: the series ended here; value and sum are NaN then.
-- exp_*: bucket i of exp_positive_index holds (2^((i-1) * 2^-exp_schema), 2^(i * 2^-exp_schema]].
-- bucket_counts has one more than bucket_bounds, what is above all of them; not cumulated.
CREATE EXTERNAL TABLE IF NOT EXISTS samples (
  tenant string, metric string, kind string, temporality string, unit string, class string, series string, source string,
  labels map<string,string>,
  ts timestamp, ts_ms bigint, value double, stale boolean, count bigint, sum double,
  exp_schema int, exp_zero_threshold double, exp_zero_count bigint,
  exp_positive_index array<int>, exp_positive_count array<bigint>,
  exp_negative_index array<int>, exp_negative_count array<bigint>,
  bucket_bounds array<double>, bucket_counts array<bigint>,
  kafka_partition int, kafka_offset bigint,
  region string, az string, cluster string, shard_id string, instance_type string, build_id string, queue string,
  asn_bucket string, le string)
PARTITIONED BY (dt string, hour string)
STORED AS PARQUET
LOCATION 'S3_LOCATION/samples/'
TBLPROPERTIES (
  'projection.enabled' = 'true',
  'projection.dt.type' = 'date', 'projection.dt.format' = 'yyyy-MM-dd', 'projection.dt.range' = '2026-01-01,NOW+1DAYS',
  'projection.dt.interval' = '1', 'projection.dt.interval.unit' = 'DAYS',
  'projection.hour.type' = 'integer', 'projection.hour.range' = '0,23', 'projection.hour.interval' = '1',
  'projection.hour.digits' = '2',
  'storage.location.template' = 'S3_LOCATION/samples/dt=${dt}/hour=${hour}/');

-- Rollups: a row per series and window, ts is the window's end (its samples lie in [end - window, end)); dt and hour are those
-- of its samples, so that a window ending at midnight lies in the day before. revision 0 is the window as it closed. Samples
-- that came later make further rows of the same window at 1 m, of a revision above 0 that tells them apart: they hold the late
-- amounts alone, to be added (delta, sum, count) or compared (min, max). `late` of revision 0 is the part of delta that belongs to
-- earlier windows. Read rollups through the views, which merge all of that.
-- Counters: total, the increase since the series was first seen; delta, within the window; both corrected for resets; last, the
-- newest raw value, and last_ts_ms its time, which may lie before the window. Gauges: sum, min, max, last. count: the samples.
-- ended: the newest point in the window is a stale marker.
-- Histograms have total, delta, late and last as columns of their own, as the samples have theirs: total_count and total_sum,
-- native ones total_exp_*, those of explicit buckets total_bucket_counts, with bucket_bounds for all four.
CREATE EXTERNAL TABLE IF NOT EXISTS rollup_1m (
  tenant string, metric string, kind string, temporality string, unit string, class string, series string, source string,
  labels map<string,string>,
  ts timestamp, ts_ms bigint, revision bigint,
  total double, delta double, late double, sum double, count bigint, min double, max double,
  last double, last_ts_ms bigint, ended boolean,
  total_count bigint, total_sum double, total_exp_schema int, total_exp_zero_threshold double, total_exp_zero_count bigint,
  total_exp_positive_index array<int>, total_exp_positive_count array<bigint>,
  total_exp_negative_index array<int>, total_exp_negative_count array<bigint>, total_bucket_counts array<bigint>,
  delta_count bigint, delta_sum double, delta_exp_schema int, delta_exp_zero_threshold double, delta_exp_zero_count bigint,
  delta_exp_positive_index array<int>, delta_exp_positive_count array<bigint>,
  delta_exp_negative_index array<int>, delta_exp_negative_count array<bigint>, delta_bucket_counts array<bigint>,
  late_count bigint, late_sum double, late_exp_schema int, late_exp_zero_threshold double, late_exp_zero_count bigint,
  late_exp_positive_index array<int>, late_exp_positive_count array<bigint>,
  late_exp_negative_index array<int>, late_exp_negative_count array<bigint>, late_bucket_counts array<bigint>,
  last_count bigint, last_sum double, last_exp_schema int, last_exp_zero_threshold double, last_exp_zero_count bigint,
  last_exp_positive_index array<int>, last_exp_positive_count array<bigint>,
  last_exp_negative_index array<int>, last_exp_negative_count array<bigint>, last_bucket_counts array<bigint>,
  bucket_bounds array<double>,
  kafka_partition int, kafka_offset bigint,
  region string, az string, cluster string, shard_id string, instance_type string, build_id string, queue string,
  asn_bucket string, le string)
PARTITIONED BY (dt string, hour string)
STORED AS PARQUET
LOCATION 'S3_LOCATION/rollup_1m/'
TBLPROPERTIES (
  'projection.enabled' = 'true',
  'projection.dt.type' = 'date', 'projection.dt.format' = 'yyyy-MM-dd', 'projection.dt.range' = '2026-01-01,NOW+1DAYS',
  'projection.dt.interval' = '1', 'projection.dt.interval.unit' = 'DAYS',
  'projection.hour.type' = 'integer', 'projection.hour.range' = '0,23', 'projection.hour.interval' = '1',
  'projection.hour.digits' = '2',
  'storage.location.template' = 'S3_LOCATION/rollup_1m/dt=${dt}/hour=${hour}/');

CREATE EXTERNAL TABLE IF NOT EXISTS rollup_5m (
  tenant string, metric string, kind string, temporality string, unit string, class string, series string, source string,
  labels map<string,string>,
  ts timestamp, ts_ms bigint, revision bigint,
  total double, delta double, late double, sum double, count bigint, min double, max double,
  last double, last_ts_ms bigint, ended boolean,
  total_count bigint, total_sum double, total_exp_schema int, total_exp_zero_threshold double, total_exp_zero_count bigint,
  total_exp_positive_index array<int>, total_exp_positive_count array<bigint>,
  total_exp_negative_index array<int>, total_exp_negative_count array<bigint>, total_bucket_counts array<bigint>,
  delta_count bigint, delta_sum double, delta_exp_schema int, delta_exp_zero_threshold double, delta_exp_zero_count bigint,
  delta_exp_positive_index array<int>, delta_exp_positive_count array<bigint>,
  delta_exp_negative_index array<int>, delta_exp_negative_count array<bigint>, delta_bucket_counts array<bigint>,
  late_count bigint, late_sum double, late_exp_schema int, late_exp_zero_threshold double, late_exp_zero_count bigint,
  late_exp_positive_index array<int>, late_exp_positive_count array<bigint>,
  late_exp_negative_index array<int>, late_exp_negative_count array<bigint>, late_bucket_counts array<bigint>,
  last_count bigint, last_sum double, last_exp_schema int, last_exp_zero_threshold double, last_exp_zero_count bigint,
  last_exp_positive_index array<int>, last_exp_positive_count array<bigint>,
  last_exp_negative_index array<int>, last_exp_negative_count array<bigint>, last_bucket_counts array<bigint>,
  bucket_bounds array<double>,
  kafka_partition int, kafka_offset bigint,
  region string, az string, cluster string, shard_id string, instance_type string, build_id string, queue string,
  asn_bucket string, le string)
PARTITIONED BY (dt string, hour string)
STORED AS PARQUET
LOCATION 'S3_LOCATION/rollup_5m/'
TBLPROPERTIES (
  'projection.enabled' = 'true',
  'projection.dt.type' = 'date', 'projection.dt.format' = 'yyyy-MM-dd', 'projection.dt.range' = '2026-01-01,NOW+1DAYS',
  'projection.dt.interval' = '1', 'projection.dt.interval.unit' = 'DAYS',
  'projection.hour.type' = 'integer', 'projection.hour.range' = '0,23', 'projection.hour.interval' = '1',
  'projection.hour.digits' = '2',
  'storage.location.template' = 'S3_LOCATION/rollup_5m/dt=${dt}/hour=${hour}/');

CREATE EXTERNAL TABLE IF NOT EXISTS rollup_1h (
  tenant string, metric string, kind string, temporality string, unit string, class string, series string, source string,
  labels map<string,string>,
  ts timestamp, ts_ms bigint, revision bigint,
  total double, delta double, late double, sum double, count bigint, min double, max double,
  last double, last_ts_ms bigint, ended boolean,
  total_count bigint, total_sum double, total_exp_schema int, total_exp_zero_threshold double, total_exp_zero_count bigint,
  total_exp_positive_index array<int>, total_exp_positive_count array<bigint>,
  total_exp_negative_index array<int>, total_exp_negative_count array<bigint>, total_bucket_counts array<bigint>,
  delta_count bigint, delta_sum double, delta_exp_schema int, delta_exp_zero_threshold double, delta_exp_zero_count bigint,
  delta_exp_positive_index array<int>, delta_exp_positive_count array<bigint>,
  delta_exp_negative_index array<int>, delta_exp_negative_count array<bigint>, delta_bucket_counts array<bigint>,
  late_count bigint, late_sum double, late_exp_schema int, late_exp_zero_threshold double, late_exp_zero_count bigint,
  late_exp_positive_index array<int>, late_exp_positive_count array<bigint>,
  late_exp_negative_index array<int>, late_exp_negative_count array<bigint>, late_bucket_counts array<bigint>,
  last_count bigint, last_sum double, last_exp_schema int, last_exp_zero_threshold double, last_exp_zero_count bigint,
  last_exp_positive_index array<int>, last_exp_positive_count array<bigint>,
  last_exp_negative_index array<int>, last_exp_negative_count array<bigint>, last_bucket_counts array<bigint>,
  bucket_bounds array<double>,
  kafka_partition int, kafka_offset bigint,
  region string, az string, cluster string, shard_id string, instance_type string, build_id string, queue string,
  asn_bucket string, le string)
PARTITIONED BY (dt string, hour string)
STORED AS PARQUET
LOCATION 'S3_LOCATION/rollup_1h/'
TBLPROPERTIES (
  'projection.enabled' = 'true',
  'projection.dt.type' = 'date', 'projection.dt.format' = 'yyyy-MM-dd', 'projection.dt.range' = '2026-01-01,NOW+1DAYS',
  'projection.dt.interval' = '1', 'projection.dt.interval.unit' = 'DAYS',
  'projection.hour.type' = 'integer', 'projection.hour.range' = '0,23', 'projection.hour.interval' = '1',
  'projection.hour.digits' = '2',
  'storage.location.template' = 'S3_LOCATION/rollup_1h/dt=${dt}/hour=${hour}/');
