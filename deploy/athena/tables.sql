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
-- of its samples, so that a window ending at midnight lies in the day before. revision 0 is the window as it closed. What came
-- later makes further rows of the same window, with revisions above 0 (the offset at which it left, and one), which hold the
-- late amounts alone, to be added (delta, sum, count) or compared (min, max); `late` is the part of delta that belongs to
-- earlier windows and is in their revisions. Read them through the views, which merge all of that.
-- total: the increase since the series was first seen; delta: within the window; both corrected for resets. Gauges: sum, count,
-- min, max, last. Histograms: count, sum and buckets of the window, as in samples.
CREATE EXTERNAL TABLE IF NOT EXISTS rollup_1m (
  tenant string, metric string, kind string, temporality string, unit string, class string, series string, source string,
  labels map<string,string>,
  ts timestamp, ts_ms bigint, revision bigint,
  total double, delta double, late double, sum double, count bigint, min double, max double,
  last double, last_ts_ms bigint, ended boolean,
  exp_schema int, exp_zero_threshold double, exp_zero_count bigint,
  exp_positive_index array<int>, exp_positive_count array<bigint>,
  exp_negative_index array<int>, exp_negative_count array<bigint>,
  bucket_bounds array<double>, bucket_counts array<bigint>,
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
  exp_schema int, exp_zero_threshold double, exp_zero_count bigint,
  exp_positive_index array<int>, exp_positive_count array<bigint>,
  exp_negative_index array<int>, exp_negative_count array<bigint>,
  bucket_bounds array<double>, bucket_counts array<bigint>,
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
  exp_schema int, exp_zero_threshold double, exp_zero_count bigint,
  exp_positive_index array<int>, exp_positive_count array<bigint>,
  exp_negative_index array<int>, exp_negative_count array<bigint>,
  bucket_bounds array<double>, bucket_counts array<bigint>,
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
