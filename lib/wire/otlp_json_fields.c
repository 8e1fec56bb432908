#include "wire/otlp_json_fields.h"

#include <stddef.h>

#define ONE(name, number, type) {name, number, type, false, false, NULL}
#define MANY(name, number, type) {name, number, type, true, false, NULL}
#define CHOICE(name, number, type) {name, number, type, false, true, NULL}
#define ONE_OF(name, number, message) {name, number, FIELD_MESSAGE, false, false, &message}
#define MANY_OF(name, number, message) {name, number, FIELD_MESSAGE, true, false, &message}
#define CHOICE_OF(name, number, message) {name, number, FIELD_MESSAGE, false, true, &message}
#define END {NULL, 0, 0, false, false, NULL}

/* ---- common.proto ---- */

static const struct json_message any_value;
static const struct json_field key_value_fields[] = {
    ONE("key", 1, FIELD_STRING), ONE_OF("value", 2, any_value), END};
static const struct json_message key_value = {key_value_fields};
static const struct json_field array_value_fields[] = {MANY_OF("values", 1, any_value), END};
static const struct json_message array_value = {array_value_fields};
static const struct json_field key_value_list_fields[] = {MANY_OF("values", 1, key_value), END};
static const struct json_message key_value_list = {key_value_list_fields};
static const struct json_field any_value_fields[] = {
    CHOICE("stringValue", 1, FIELD_STRING),
    CHOICE("boolValue", 2, FIELD_BOOL),
    CHOICE("intValue", 3, FIELD_INT64),
    CHOICE("doubleValue", 4, FIELD_DOUBLE),
    CHOICE_OF("arrayValue", 5, array_value),
    CHOICE_OF("kvlistValue", 6, key_value_list),
    CHOICE("bytesValue", 7, FIELD_BYTES),
    END};
static const struct json_message any_value = {any_value_fields};
static const struct json_field scope_fields[] = {
    ONE("name", 1, FIELD_STRING), ONE("version", 2, FIELD_STRING), MANY_OF("attributes", 3, key_value),
    ONE("droppedAttributesCount", 4, FIELD_UINT32), END};
static const struct json_message scope = {scope_fields};

/* ---- metrics.proto ---- */

static const struct json_field number_point_fields[] = {
    ONE("startTimeUnixNano", 2, FIELD_FIXED64),
    ONE("timeUnixNano", 3, FIELD_FIXED64),
    CHOICE("asDouble", 4, FIELD_DOUBLE),
    CHOICE("asInt", 6, FIELD_SFIXED64),
    MANY_OF("attributes", 7, key_value),
    ONE("flags", 8, FIELD_UINT32),
    END};
static const struct json_message number_point = {number_point_fields};
static const struct json_field histogram_point_fields[] = {
    ONE("startTimeUnixNano", 2, FIELD_FIXED64),
    ONE("timeUnixNano", 3, FIELD_FIXED64),
    ONE("count", 4, FIELD_FIXED64),
    ONE("sum", 5, FIELD_DOUBLE),
    MANY("bucketCounts", 6, FIELD_FIXED64),
    MANY("explicitBounds", 7, FIELD_DOUBLE),
    MANY_OF("attributes", 9, key_value),
    ONE("flags", 10, FIELD_UINT32),
    ONE("min", 11, FIELD_DOUBLE),
    ONE("max", 12, FIELD_DOUBLE),
    END};
static const struct json_message histogram_point = {histogram_point_fields};
static const struct json_field buckets_fields[] = {
    ONE("offset", 1, FIELD_SINT32), MANY("bucketCounts", 2, FIELD_UINT64), END};
static const struct json_message buckets = {buckets_fields};
static const struct json_field exp_point_fields[] = {
    MANY_OF("attributes", 1, key_value),
    ONE("startTimeUnixNano", 2, FIELD_FIXED64),
    ONE("timeUnixNano", 3, FIELD_FIXED64),
    ONE("count", 4, FIELD_FIXED64),
    ONE("sum", 5, FIELD_DOUBLE),
    ONE("scale", 6, FIELD_SINT32),
    ONE("zeroCount", 7, FIELD_FIXED64),
    ONE_OF("positive", 8, buckets),
    ONE_OF("negative", 9, buckets),
    ONE("flags", 10, FIELD_UINT32),
    ONE("min", 12, FIELD_DOUBLE),
    ONE("max", 13, FIELD_DOUBLE),
    ONE("zeroThreshold", 14, FIELD_DOUBLE),
    END};
static const struct json_message exp_point = {exp_point_fields};
static const struct json_field quantile_fields[] = {
    ONE("quantile", 1, FIELD_DOUBLE), ONE("value", 2, FIELD_DOUBLE), END};
static const struct json_message quantile = {quantile_fields};
static const struct json_field summary_point_fields[] = {
    ONE("startTimeUnixNano", 2, FIELD_FIXED64),
    ONE("timeUnixNano", 3, FIELD_FIXED64),
    ONE("count", 4, FIELD_FIXED64),
    ONE("sum", 5, FIELD_DOUBLE),
    MANY_OF("quantileValues", 6, quantile),
    MANY_OF("attributes", 7, key_value),
    ONE("flags", 8, FIELD_UINT32),
    END};
static const struct json_message summary_point = {summary_point_fields};
static const struct json_field gauge_fields[] = {MANY_OF("dataPoints", 1, number_point), END};
static const struct json_message gauge = {gauge_fields};
static const struct json_field sum_fields[] = {
    MANY_OF("dataPoints", 1, number_point), ONE("aggregationTemporality", 2, FIELD_TEMPORALITY),
    ONE("isMonotonic", 3, FIELD_BOOL), END};
static const struct json_message sum = {sum_fields};
static const struct json_field histogram_fields[] = {
    MANY_OF("dataPoints", 1, histogram_point), ONE("aggregationTemporality", 2, FIELD_TEMPORALITY), END};
static const struct json_message histogram = {histogram_fields};
static const struct json_field exp_fields[] = {
    MANY_OF("dataPoints", 1, exp_point), ONE("aggregationTemporality", 2, FIELD_TEMPORALITY), END};
static const struct json_message exp_histogram = {exp_fields};
static const struct json_field summary_fields[] = {MANY_OF("dataPoints", 1, summary_point), END};
static const struct json_message summary = {summary_fields};
static const struct json_field metric_fields[] = {
    ONE("name", 1, FIELD_STRING),
    ONE("description", 2, FIELD_STRING),
    ONE("unit", 3, FIELD_STRING),
    CHOICE_OF("gauge", 5, gauge),
    CHOICE_OF("sum", 7, sum),
    CHOICE_OF("histogram", 9, histogram),
    CHOICE_OF("exponentialHistogram", 10, exp_histogram),
    CHOICE_OF("summary", 11, summary),
    MANY_OF("metadata", 12, key_value),
    END};
static const struct json_message metric = {metric_fields};
static const struct json_field scope_metrics_fields[] = {
    ONE_OF("scope", 1, scope), MANY_OF("metrics", 2, metric), ONE("schemaUrl", 3, FIELD_STRING), END};
static const struct json_message scope_metrics = {scope_metrics_fields};
static const struct json_field resource_fields[] = {
    MANY_OF("attributes", 1, key_value), ONE("droppedAttributesCount", 2, FIELD_UINT32), END};
static const struct json_message resource = {resource_fields};
static const struct json_field resource_metrics_fields[] = {
    ONE_OF("resource", 1, resource), MANY_OF("scopeMetrics", 2, scope_metrics),
    ONE("schemaUrl", 3, FIELD_STRING), END};
static const struct json_message resource_metrics = {resource_metrics_fields};
static const struct json_field root_fields[] = {MANY_OF("resourceMetrics", 1, resource_metrics), END};
const struct json_message otlp_json_root = {root_fields};
