#include "key.h"

#include <inttypes.h>

#include "base/hash.h"

enum { HOUR_MS = 3600000, DAY_MS = 24 * HOUR_MS, MAX_TENANT = 200 };

/* 0001-01-01T00:00Z and the last ms of year 9999. */
static const int64_t first_ms = INT64_C(-62135596800000);
static const int64_t last_ms = INT64_C(253402300799999);

static int64_t floor_to(int64_t v, int64_t step)
{
    int64_t rest = v % step;
    return v - rest - (rest < 0 ? step : 0);
}

int64_t key_slot(int64_t ts_ms, int hours)
{
    int64_t t = ts_ms < first_ms ? first_ms : ts_ms > last_ms ? last_ms : ts_ms;
    return floor_to(t, (int64_t)hours * HOUR_MS);
}

/* Year, month, day of days since the epoch, proleptic Gregorian: Howard Hinnant's "days to civil":
 * the year begins in March, so that the leap day is its last. */
static void date_put(int64_t days, struct buf *out)
{
    int64_t z = days + 719468;
    int64_t era = floor_to(z, 146097) / 146097;
    int64_t day_of_era = z - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month_from_march = (5 * day_of_year + 2) / 153;
    int64_t day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    int64_t month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
    int64_t year = year_of_era + era * 400 + (month <= 2);
    buf_printf(out, "%04" PRId64 "-%02" PRId64 "-%02" PRId64, year, month, day);
}

static bool is_plain(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
}

static void tenant_put(struct slice tenant, struct buf *out)
{
    size_t start = out->len;
    for (size_t i = 0; i < tenant.len; i++) {
        if (out->len - start > MAX_TENANT) {
            struct hash128 h = hash128(tenant);
            buf_printf(out, "~%016" PRIx64 "%016" PRIx64, h.hi, h.lo);
            return;
        }
        if (is_plain(tenant.ptr[i])) {
            buf_u8(out, tenant.ptr[i]);
        } else {
            buf_printf(out, "%%%02X", tenant.ptr[i]);
        }
    }
}

void key_put(const struct layout *l, enum table_id table, const struct key_range *range,
             int64_t slot, struct slice tenant, struct buf *out)
{
    buf_printf(out, "%s%s%s/", l->prefix, l->prefix[0] == '\0' ? "" : "/", table_name(table));
    if (l->tenant_level) {
        buf_put_slice(out, SLICE_LITERAL("tenant="));
        tenant_put(tenant, out);
        buf_u8(out, '/');
    }
    int64_t day = floor_to(slot, DAY_MS);
    buf_put_slice(out, SLICE_LITERAL("dt="));
    date_put(day / DAY_MS, out);
    buf_printf(out, "/hour=%02" PRId64 "/%s-%s-%" PRId32 "-%" PRId64 "-%" PRId64 ".parquet",
               (slot - day) / HOUR_MS, range->topic, range->topic_id, range->partition,
               range->first, range->last);
}
