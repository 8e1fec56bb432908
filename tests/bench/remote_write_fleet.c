#include "remote_write_fleet.h"

#include <stdio.h>
#include <stdlib.h>

#include "../unit/wire/protobuf_put.h"

enum { N_LABELS = 8, LABEL_BYTES = 64, MAX_MESSAGE_BYTES = 1 << 20 };

/* "name" and "value" in turn. */
static void labels_fill(char labels[N_LABELS * 2][LABEL_BYTES], unsigned server, unsigned i)
{
    static const char *const names[N_LABELS] = {"__name__", "az", "cluster", "instance_type", "queue", "region", "shard_id", "asn_bucket"};
    for (unsigned k = 0; k < N_LABELS; k++) {
        (void)snprintf(labels[k * 2], LABEL_BYTES, "%s", names[k]);
        (void)snprintf(labels[k * 2 + 1], LABEL_BYTES, "value_%u", i >> k & 3);
    }
    (void)snprintf(labels[1], LABEL_BYTES, "game_server_matchmaking_step_%u_total", i / 10);
    (void)snprintf(labels[9], LABEL_BYTES, "queue_%u", i % 10);
    (void)snprintf(labels[13], LABEL_BYTES, "game-server-%05u", server);
}

/* The text's number among the symbols; it is added when it is new. */
static uint64_t symbol_of(char symbols[][LABEL_BYTES], unsigned *n, const char *text)
{
    for (unsigned i = 0; i < *n; i++) {
        if (strcmp(symbols[i], text) == 0) {
            return i;
        }
    }
    (void)snprintf(symbols[*n], LABEL_BYTES, "%.*s", LABEL_BYTES - 1, text);
    return (*n)++;
}

static void sample_put(struct buf *series, double value, int64_t time_ms)
{
    struct buf sample;
    buf_init(&sample, PUT_MAX_BYTES);
    put_double(&sample, 1, value);
    put_varint(&sample, 2, (uint64_t)time_ms);
    put_message(series, 2, &sample);
}

static void message_make(enum remote_write_version version, unsigned server, unsigned salt, int64_t now_ms, struct buf *out)
{
    static char symbols[1024][LABEL_BYTES];
    char labels[N_LABELS * 2][LABEL_BYTES];
    unsigned n_symbols = 0;
    struct buf all;
    buf_init(&all, PUT_MAX_BYTES);
    (void)symbol_of(symbols, &n_symbols, "");
    for (unsigned i = 0; i < REMOTE_WRITE_FLEET_SERIES; i++) {
        struct buf series;
        struct buf refs;
        buf_init(&series, PUT_MAX_BYTES);
        buf_init(&refs, PUT_MAX_BYTES);
        labels_fill(labels, server, i);
        for (unsigned k = 0; k < N_LABELS * 2; k += 2) {
            if (version == REMOTE_WRITE_2) {
                buf_varint(&refs, symbol_of(symbols, &n_symbols, labels[k]));
                buf_varint(&refs, symbol_of(symbols, &n_symbols, labels[k + 1]));
                continue;
            }
            struct buf label;
            buf_init(&label, PUT_MAX_BYTES);
            put_text(&label, 1, slice_str(labels[k]));
            put_text(&label, 2, slice_str(labels[k + 1]));
            put_message(&series, 1, &label);
        }
        if (version == REMOTE_WRITE_2) {
            put_text(&series, 1, buf_slice(&refs));
        }
        buf_fini(&refs);
        sample_put(&series, 1 + (double)((server * 31 + i) * 7 + salt), now_ms + salt);
        put_message(&all, version == REMOTE_WRITE_2 ? 5 : 1, &series);
    }
    for (unsigned i = 0; version == REMOTE_WRITE_2 && i < n_symbols; i++) {
        put_text(out, 4, slice_str(symbols[i]));
    }
    buf_put_slice(out, buf_slice(&all));
    buf_fini(&all);
}

struct slice *remote_write_fleet_messages(enum remote_write_version version, unsigned n_servers, unsigned salt, int64_t now_ms)
{
    struct slice *messages = calloc(n_servers, sizeof *messages);
    for (unsigned i = 0; messages != NULL && i < n_servers; i++) {
        struct buf b;
        size_t len = 0;
        buf_init(&b, MAX_MESSAGE_BYTES);
        message_make(version, i, salt, now_ms, &b);
        uint8_t *bytes = buf_take(&b, &len);
        messages[i] = slice_of(bytes, len);
    }
    if (messages == NULL) {
        exit(1);
    }
    return messages;
}

void remote_write_fleet_free(struct slice *messages, unsigned n_servers)
{
    for (unsigned i = 0; i < n_servers; i++) {
        free((void *)(uintptr_t)messages[i].ptr);
    }
    free(messages);
}
