/* The tables that objects on S3 are of: raw samples, and rollups by their window. */
#pragma once

enum table_id { TABLE_SAMPLES, TABLE_ROLLUP_1M, TABLE_ROLLUP_5M, TABLE_ROLLUP_1H, N_TABLES };

/* As in keys: "samples", "rollup_1m" … */
const char *table_name(enum table_id table);
