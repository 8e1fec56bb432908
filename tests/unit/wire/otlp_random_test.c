/* Random and mutated messages: the walk reads what protobuf-c reads. */
#include "unit/runner.h"

#include <stdio.h>

#include "unit/wire/otlp_oracle.h"
#include "unit/wire/otlp_random.h"

enum { MAX_BYTES = 64 << 20 };

static const struct otlp_caps wide_caps = {.max_message_bytes = 64 << 20,
                                           .max_points = 1 << 30,
                                           .max_buckets = 1 << 20,
                                           .max_attributes = 1 << 20};

/* What protobuf-c takes and we refuse: field number 0 or beyond 2^29-1, varints over 64 bits (in a
 * packed field too), a bool of any wire type; and the same inside attributes. */
static bool known_to_be_stricter(const struct err *e)
{
    static const char *const texts[] = {"field number ", "bad or cut off value", "not varint",
                                        "attributes: bad or cut off",
                                        "Buckets: bad or cut off contents"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (strstr(e->text, texts[i]) != NULL) {
            return true;
        }
    }
    return false;
}

enum outcome { BOTH_REFUSE, ONLY_WALK, ONLY_ORACLE, SAME };

static enum outcome compare(struct slice message, const char *name)
{
    struct err e = ERR_INIT;
    struct buf ours;
    struct buf theirs;
    buf_init(&ours, MAX_BYTES);
    buf_init(&theirs, MAX_BYTES);
    bool we = otlp_dump_walk(message, &wide_caps, &ours, &e);
    bool they = otlp_dump_protobuf_c(message, &theirs);
    if (!we) {
        ck_assert_msg(e.kind == ERR_BAD_INPUT && e.text[0] != 0,
                      "%s: an error without kind or text", name);
    }
    if (we && they && !slice_eq(buf_slice(&ours), buf_slice(&theirs))) {
        size_t at = 0;
        while (at < ours.len && at < theirs.len && ours.ptr[at] == theirs.ptr[at]) {
            at++;
        }
        size_t from = at < 100 ? 0 : at - 100;
        ck_abort_msg("%s: read differently\nwalk:       %.200s\nprotobuf-c: %.200s", name,
                     buf_c_str(&ours) + from, buf_c_str(&theirs) + from);
    }
    ck_assert_msg(we || !they || known_to_be_stricter(&e), "%s: protobuf-c takes it: %s", name,
                  e.text);
    buf_fini(&ours);
    buf_fini(&theirs);
    return we ? (they ? SAME : ONLY_WALK) : (they ? ONLY_ORACLE : BOTH_REFUSE);
}

START_TEST(random_messages_read_as_by_protobuf_c)
{
    uint64_t random = 1;
    struct buf message;
    buf_init(&message, MAX_BYTES);
    for (unsigned i = 0; i < 2000; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "random message %u", i);
        buf_reset(&message);
        otlp_random_message(&random, &message);
        ck_assert_msg(compare(buf_slice(&message), name) == SAME, "%s: one of them refuses it",
                      name);
    }
    buf_fini(&message);
}
END_TEST

static void mutate(struct buf *b, uint64_t *random)
{
    for (uint64_t n = 1 + random_next(random) % 3; n > 0 && b->len > 0; n--) {
        size_t at = (size_t)(random_next(random) % b->len);
        switch (random_next(random) % 4) {
        case 0:
            b->ptr[at] = (uint8_t)random_next(random);
            break;
        case 1:
            b->ptr[at] ^= (uint8_t)(1U << (random_next(random) % 8));
            break;
        case 2:
            memmove(b->ptr + at, b->ptr + at + 1, b->len - at - 1);
            b->len--;
            break;
        default:
            b->len = at + 1;
            break;
        }
    }
}

START_TEST(mutated_messages_read_as_by_protobuf_c)
{
    uint64_t random = 2;
    unsigned counts[4] = {0};
    struct buf message;
    buf_init(&message, MAX_BYTES);
    for (unsigned i = 0; i < 20000; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "mutated message %u", i);
        do {
            buf_reset(&message);
            otlp_random_message(&random, &message);
        } while (message.len > 20000);
        mutate(&message, &random);
        if (otlp_nests_shallowly(buf_slice(&message)) &&
            !otlp_repeats_a_message(buf_slice(&message))) {
            counts[compare(buf_slice(&message), name)]++;
        }
    }
    buf_fini(&message);
    printf("mutations: %u same, %u both refuse, %u only the walk takes, %u only protobuf-c takes\n",
           counts[SAME], counts[BOTH_REFUSE], counts[ONLY_WALK], counts[ONLY_ORACLE]);
    ck_assert_uint_gt(counts[SAME], 5000);
    ck_assert_uint_gt(counts[BOTH_REFUSE], 5000);
    ck_assert_uint_lt(counts[ONLY_WALK],
                      400); /* faults in what the walk leaves unread: exemplars, metadata */
    ck_assert_uint_lt(counts[ONLY_ORACLE], 60);
}
END_TEST

START_TEST(every_prefix_decodes_or_is_bad_input)
{
    uint64_t random = 3;
    struct buf message;
    buf_init(&message, MAX_BYTES);
    for (unsigned i = 0; i < 40; i++) {
        do {
            buf_reset(&message);
            otlp_random_message(&random, &message);
        } while (message.len > 3000);
        for (size_t cut = 0; cut <= message.len; cut++) {
            uint8_t *copy = malloc(cut + 1);
            ck_assert_ptr_nonnull(copy);
            memcpy(copy, message.ptr == NULL ? (const uint8_t *)"" : message.ptr, cut);
            (void)compare(slice_of(copy, cut), "prefix");
            free(copy);
        }
    }
    buf_fini(&message);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("otlp_random");
    TCase *tcase = tcase_create("protobuf-c");
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, random_messages_read_as_by_protobuf_c);
    tcase_add_test(tcase, mutated_messages_read_as_by_protobuf_c);
    tcase_add_test(tcase, every_prefix_decodes_or_is_bad_input);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
