/* Messages that go on unjudged, in parts by source. */
#include <stdio.h>

#include "batch/batch.h"
#include "door.h"
#include "edge/parts.h"
#include "runner.h"

enum { N_PARTITIONS = 12, OTHER_PARTITION = 5, MESSAGE_BYTES = 1 << 20 };

static const struct slice wanted[] = {SLICE_LITERAL("service.instance.id"),
                                      SLICE_LITERAL("host.name")};
static const struct text_list attributes = {2, wanted};
static const struct message_point point = {
    .metric = "hits", .temporality = MSG_CUMULATIVE, .value = 1, .time_ms = NOW_MS};

static struct parts_route route(void)
{
    return (struct parts_route){.tenant = SLICE_LITERAL("t"),
                                .attributes = &attributes,
                                .other_source = OTHER_PARTITION,
                                .n_partitions = N_PARTITIONS};
}

static int32_t partition_of(const char *source)
{
    return batch_partition(source_id(SLICE_LITERAL("t"), slice_str(source)), N_PARTITIONS);
}

static void split(struct parts *p, struct slice message)
{
    const struct parts_route r = route();
    struct err e = ERR_INIT;
    size_t n_bytes = 0;
    ck_assert_msg(parts_split(p, &r, message, &e), "%s", e.text);
    ck_assert_uint_ge(p->n, 1);
    for (uint32_t i = 0; i < p->n; i++) {
        n_bytes += p->items[i].value.len;
        ck_assert(i == 0 || p->items[i].partition > p->items[i - 1].partition);
    }
    ck_assert_uint_eq(n_bytes, message.len); /* nothing is left out, nothing twice */
}

/* The only part's partition for one resource. */
static int32_t partition_for(const char *resource)
{
    struct parts p;
    struct buf message;
    parts_init(&p);
    buf_init(&message, MESSAGE_BYTES);
    message_resource(&message, resource, &point, 1);
    split(&p, buf_slice(&message));
    ck_assert_uint_eq(p.n, 1);
    ck_assert_ptr_eq(p.items[0].value.ptr, message.ptr); /* not copied */
    int32_t partition = p.items[0].partition;
    buf_fini(&message);
    parts_fini(&p);
    return partition;
}

START_TEST(a_source_goes_where_its_judged_batches_go)
{
    struct door d;
    door_open(&d, NULL, 0);
    for (int i = 0; i < 40; i++) {
        char resource[80];
        (void)snprintf(resource, sizeof resource, "shard_id=s,service.instance.id=gs-%d", i);
        door_judge_points(&d, resource, &point, 1);
        ck_assert_uint_eq(d.answer.n_batches, 1);
        ck_assert_int_eq(partition_for(resource),
                         batch_partition(d.answer.batches[0].source, N_PARTITIONS));
    }
    door_close(&d);
}
END_TEST

START_TEST(the_attribute_that_comes_first_in_the_policy_names_the_source)
{
    ck_assert_int_eq(partition_for("host.name=h,service.instance.id=gs-1"), partition_of("gs-1"));
    ck_assert_int_eq(partition_for("service.instance.id=gs-1,host.name=h"), partition_of("gs-1"));
    ck_assert_int_eq(partition_for("region=eu,host.name=h"), partition_of("h"));
    ck_assert_int_eq(partition_for("region=eu"), OTHER_PARTITION);
    ck_assert_int_eq(partition_for("service.instance.id=,region=eu"), OTHER_PARTITION);
}
END_TEST

START_TEST(each_partition_gets_its_sources_in_their_order)
{
    struct parts p;
    struct buf message;
    struct buf expected[N_PARTITIONS];
    parts_init(&p);
    buf_init(&message, MESSAGE_BYTES);
    for (int i = 0; i < N_PARTITIONS; i++) {
        buf_init(&expected[i], MESSAGE_BYTES);
    }
    for (int i = 0; i < 100; i++) {
        char name[16];
        char resource[48];
        struct message_point own = point;
        own.value = i;
        (void)snprintf(name, sizeof name, "gs-%d", i % 17);
        (void)snprintf(resource, sizeof resource, "service.instance.id=%s", name);
        message_resource(&message, resource, &own, 1);
        message_resource(&expected[partition_of(name)], resource, &own, 1);
    }
    for (int round = 0; round < 2; round++) {
        split(&p, buf_slice(&message));
        ck_assert_uint_gt(p.n, 3);
        for (uint32_t i = 0; i < p.n; i++) {
            ck_assert(slice_eq(p.items[i].value, buf_slice(&expected[p.items[i].partition])));
        }
    }
    for (int i = 0; i < N_PARTITIONS; i++) {
        buf_fini(&expected[i]);
    }
    buf_fini(&message);
    parts_fini(&p);
}
END_TEST

START_TEST(what_cant_be_read_goes_on_as_one)
{
    struct parts p;
    struct buf message;
    parts_init(&p);
    buf_init(&message, MESSAGE_BYTES);
    message_resource(&message, "service.instance.id=gs-1", &point, 1);
    size_t n_first = message.len;
    message_resource(&message, "service.instance.id=gs-2", &point, 1);
    for (size_t n = 0; n <= message.len; n++) {
        split(&p, slice_of(message.ptr, n));
        bool is_whole = n == n_first || n == message.len;
        ck_assert(is_whole || (p.n == 1 && p.items[0].partition == OTHER_PARTITION));
    }
    ck_assert_uint_eq(p.n, 2);
    for (size_t i = 0; i < message.len; i++) { /* whatever stands there */
        for (int bit = 0; bit < 8; bit++) {
            message.ptr[i] ^= (uint8_t)(1 << bit);
            split(&p, buf_slice(&message));
            message.ptr[i] ^= (uint8_t)(1 << bit);
        }
    }
    buf_fini(&message);
    parts_fini(&p);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("parts");
    TCase *t = tcase_create("parts");
    tcase_add_test(t, a_source_goes_where_its_judged_batches_go);
    tcase_add_test(t, the_attribute_that_comes_first_in_the_policy_names_the_source);
    tcase_add_test(t, each_partition_gets_its_sources_in_their_order);
    tcase_add_test(t, what_cant_be_read_goes_on_as_one);
    suite_add_tcase(suite, t);
    return run_suite(suite);
}
