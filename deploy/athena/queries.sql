-- Examples over tables.sql and views.sql. Each names dt, tenant and metric: the files are sorted so that only what is
-- asked for is read.

-- name: logins per minute and region
SELECT date_trunc('minute', ts) AS minute, region, sum(increase) AS logins
FROM samples_increase
WHERE dt = '2026-05-29' AND hour = '12' AND tenant = 'demo' AND metric = 'game_logins_total'
GROUP BY date_trunc('minute', ts), region
ORDER BY minute, region;

-- name: the queues that grew most
SELECT queue, sum(increase) / (max(ts_ms) - min(ts_ms)) * 1000 AS per_second
FROM samples_increase
WHERE dt = '2026-05-29' AND tenant = 'demo' AND metric = 'game_matchmaking_requests_total'
GROUP BY queue
ORDER BY per_second DESC
LIMIT 10;

-- name: one server's last word before it ended
SELECT metric, series, max_by(value, ts_ms) AS last_value, max(ts) AS at
FROM samples
WHERE dt = '2026-05-29' AND hour = '12' AND tenant = 'demo' AND source = 'gs-1' AND kind IN ('counter', 'gauge') AND NOT stale
GROUP BY metric, series
ORDER BY metric, series;

-- name: a native histogram's buckets over all servers
-- Cumulative histograms: each server's latest one; add up its buckets. upper is the bucket's upper bound.
SELECT pow(2e0, index * pow(2e0, -exp_schema)) AS upper, sum(n) AS observations
FROM (SELECT exp_schema, exp_positive_index, exp_positive_count,
             row_number() OVER (PARTITION BY series ORDER BY ts_ms DESC) AS age
      FROM samples
      WHERE dt = '2026-05-29' AND hour = '12' AND tenant = 'demo' AND metric = 'game_tick_seconds' AND NOT stale) latest
CROSS JOIN UNNEST(exp_positive_index, exp_positive_count) AS bucket (index, n)
WHERE age = 1
GROUP BY exp_schema, index
ORDER BY upper;

-- name: samples per label that has no column of its own
SELECT element_at(labels, 'map') AS map, count(*) AS samples, count(DISTINCT series) AS series
FROM samples
WHERE dt = '2026-05-29' AND hour = '12' AND tenant = 'demo' AND metric = 'game_logins_total'
GROUP BY element_at(labels, 'map')
ORDER BY map;

-- name: no row twice
SELECT count(*) AS samples, count(DISTINCT (kafka_partition, kafka_offset, series)) AS different
FROM samples
WHERE dt = '2026-05-29';

-- name: rates of a day from five-minute rollups
SELECT ts, queue, sum(rate) AS per_second
FROM rollup_5m_latest
WHERE dt = '2026-05-29' AND tenant = 'demo' AND metric = 'game_matchmaking_requests_total'
GROUP BY ts, queue
ORDER BY ts, queue;

-- name: a gauge by the minute, late samples merged in
SELECT ts, sum(mean) AS players, max(max) AS most
FROM rollup_1m_latest
WHERE dt = '2026-05-29' AND tenant = 'demo' AND metric = 'game_players_online'
GROUP BY ts
ORDER BY ts;
