#include "replay/plan.h"

#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_TEXT_BYTES = 256 << 20, MAX_FILE_BYTES = 512 << 20, VERSION = 1, HEX_CHARS = 32 };

void replay_plan_init(struct replay_plan *p)
{
    *p = (struct replay_plan){.cluster = "",
                              .stage = "",
                              .group = "",
                              .sink = "",
                              .topic = "",
                              .topic_id = "",
                              .tenant = "",
                              .metric = ""};
    arena_init(&p->arena, MAX_TEXT_BYTES);
}

void replay_plan_fini(struct replay_plan *p)
{
    free(p->pieces);
    arena_fini(&p->arena);
    p->pieces = NULL;
}

const char *replay_plan_text(struct replay_plan *p, const char *text)
{
    return (const char *)arena_copy(&p->arena, slice_of(text, strlen(text) + 1)).ptr;
}

bool replay_plan_add(struct replay_plan *p, const struct replay_piece *piece, struct err *e)
{
    if (p->n_pieces == p->cap_pieces) {
        size_t cap = p->cap_pieces == 0 ? 64 : p->cap_pieces * 2;
        struct replay_piece *more = realloc(p->pieces, cap * sizeof *more);
        if (more == NULL) {
            return err_set(e, ERR_RETRY, "out of memory for a plan of %zu pieces", p->n_pieces);
        }
        p->pieces = more;
        p->cap_pieces = cap;
    }
    p->pieces[p->n_pieces] = *piece;
    p->pieces[p->n_pieces].note = replay_plan_text(p, piece->note == NULL ? "" : piece->note);
    p->n_pieces++;
    return p->pieces[p->n_pieces - 1].note != NULL ||
           err_set(e, ERR_RETRY, "out of memory for a plan of %zu pieces", p->n_pieces);
}

uint64_t replay_plan_n_samples(const struct replay_plan *p)
{
    uint64_t n = 0;
    for (size_t i = 0; i < p->n_pieces; i++) {
        n += p->pieces[i].n_samples;
    }
    return n;
}

void replay_digest_add(struct hash128 *digest, const struct record *r)
{
    struct hash128 value = hash128(r->value);
    uint64_t words[6] = {digest->lo, digest->hi,       value.lo,
                         value.hi,   (uint64_t)r->offset, r->value.ptr == NULL ? UINT64_MAX : r->value.len};
    *digest = hash128(slice_of(words, sizeof words));
}

/* --- as JSON --- */

static void hex_of(struct hash128 h, char out[HEX_CHARS + 1])
{
    (void)snprintf(out, HEX_CHARS + 1, "%016" PRIx64 "%016" PRIx64, h.hi, h.lo);
}

static json_t *piece_json(const struct replay_piece *piece)
{
    char digest[HEX_CHARS + 1];
    hex_of(piece->digest, digest);
    return json_pack("{s:i, s:I, s:I, s:I, s:I, s:I, s:s, s:s}", "partition", (int)piece->partition, "first",
                     (json_int_t)piece->first, "last", (json_int_t)piece->last, "records",
                     (json_int_t)piece->n_records, "bytes", (json_int_t)piece->n_bytes, "samples",
                     (json_int_t)piece->n_samples, "digest", digest, "note", piece->note);
}

static json_t *plan_json(const struct replay_plan *p)
{
    json_t *pieces = json_array();
    for (size_t i = 0; i < p->n_pieces; i++) {
        (void)json_array_append_new(pieces, piece_json(&p->pieces[i]));
    }
    return json_pack("{s:i, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:o}", "version", VERSION,
                     "cluster_id", p->cluster, "stage", p->stage, "group", p->group, "sink", p->sink,
                     "topic", p->topic, "topic_id", p->topic_id, "tenant", p->tenant, "metric",
                     p->metric, "rate", (json_int_t)p->rate, "made_ms", (json_int_t)p->made_ms,
                     "samples", (json_int_t)replay_plan_n_samples(p), "pieces", pieces);
}

/* Over all but the digest and the id, which is its beginning. */
static bool digest_of(json_t *root, char out[HEX_CHARS + 1])
{
    (void)json_object_del(root, "digest");
    (void)json_object_del(root, "plan");
    char *text = json_dumps(root, JSON_COMPACT | JSON_SORT_KEYS);
    if (text == NULL) {
        return false;
    }
    hex_of(hash128(slice_str(text)), out);
    free(text);
    return true;
}

static bool file_put(json_t *root, const char *path, struct err *e)
{
    char temporary[4096];
    if (snprintf(temporary, sizeof temporary, "%s.new", path) >= (int)sizeof temporary) {
        return err_set(e, ERR_CONFIG, "--out: the path is too long");
    }
    bool ok = json_dump_file(root, temporary, JSON_INDENT(1) | JSON_PRESERVE_ORDER) == 0 &&
              rename(temporary, path) == 0;
    if (!ok) {
        (void)unlink(temporary);
    }
    return ok || err_set(e, ERR_CONFIG, "%.150s can't be written", path);
}

bool replay_plan_write(struct replay_plan *p, const char *path, struct err *e)
{
    char digest[HEX_CHARS + 1];
    json_t *root = plan_json(p);
    if (root == NULL || !digest_of(root, digest)) {
        json_decref(root);
        return err_set(e, ERR_FATAL, "a text of the plan is no UTF-8, or out of memory");
    }
    memcpy(p->id, digest, REPLAY_ID_CHARS);
    p->id[REPLAY_ID_CHARS] = '\0';
    (void)json_object_set_new(root, "plan", json_string(p->id));
    (void)json_object_set_new(root, "digest", json_string(digest));
    bool ok = path[0] == '\0' || file_put(root, path, e);
    json_decref(root);
    return ok;
}

static bool hex_read(const char *text, struct hash128 *out)
{
    return text != NULL && strlen(text) == HEX_CHARS &&
           sscanf(text, "%16" SCNx64 "%16" SCNx64, &out->hi, &out->lo) == 2;
}

static bool piece_read(struct replay_plan *p, json_t *from, struct err *e)
{
    struct replay_piece piece = {0};
    int partition;
    json_int_t first;
    json_int_t last;
    json_int_t records;
    json_int_t bytes;
    json_int_t samples;
    const char *digest;
    if (json_unpack(from, "{s:i, s:I, s:I, s:I, s:I, s:I, s:s, s:s}", "partition", &partition, "first",
                    &first, "last", &last, "records", &records, "bytes", &bytes, "samples", &samples,
                    "digest", &digest, "note", &piece.note) != 0 ||
        !hex_read(digest, &piece.digest) || partition < 0 || first < 0 || last < first ||
        records < 0 || bytes < 0 || samples < 0) {
        return err_set(e, ERR_CONFIG, "pieces[%zu] is none", p->n_pieces);
    }
    piece.partition = partition;
    piece.first = first;
    piece.last = last;
    piece.n_records = (uint64_t)records;
    piece.n_bytes = (uint64_t)bytes;
    piece.n_samples = (uint64_t)samples;
    return replay_plan_add(p, &piece, e);
}

static bool texts_read(struct replay_plan *p, json_t *root, struct err *e)
{
    int version;
    json_int_t rate;
    json_int_t made_ms;
    const char *texts[8];
    if (json_unpack(root, "{s:i, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I}", "version", &version,
                    "cluster_id", &texts[0], "stage", &texts[1], "group", &texts[2], "sink",
                    &texts[3], "topic", &texts[4], "topic_id", &texts[5], "tenant", &texts[6],
                    "metric", &texts[7], "rate", &rate, "made_ms", &made_ms) != 0 ||
        version != VERSION || rate < 0) {
        return err_set(e, ERR_CONFIG, "it is no plan of this version of sluice; make a new one");
    }
    const char **const places[8] = {&p->cluster, &p->stage,    &p->group,  &p->sink,
                                    &p->topic,   &p->topic_id, &p->tenant, &p->metric};
    for (size_t i = 0; i < 8; i++) {
        *places[i] = replay_plan_text(p, texts[i]);
        if (*places[i] == NULL) {
            return err_set(e, ERR_RETRY, "out of memory for a plan");
        }
    }
    p->rate = rate;
    p->made_ms = made_ms;
    return true;
}

/* The digest last: so that what is wrong is named by its place where it can be. */
static bool root_read(struct replay_plan *p, json_t *root, struct err *e)
{
    char digest[HEX_CHARS + 1];
    char claimed[HEX_CHARS + 1] = "";
    const char *text = json_string_value(json_object_get(root, "digest"));
    if (text != NULL) {
        (void)snprintf(claimed, sizeof claimed, "%s", text);
    }
    json_t *pieces = json_object_get(root, "pieces");
    if (!texts_read(p, root, e)) {
        return false;
    }
    for (size_t i = 0; i < json_array_size(pieces); i++) {
        if (!piece_read(p, json_array_get(pieces, i), e)) {
            return false;
        }
    }
    if (!digest_of(root, digest) || strcmp(digest, claimed) != 0) {
        return err_set(e, ERR_CONFIG, "it was changed after it was made: its digest is not that of its "
                                      "content; make a new plan");
    }
    memcpy(p->id, digest, REPLAY_ID_CHARS);
    p->id[REPLAY_ID_CHARS] = '\0';
    return true;
}

bool replay_plan_parse(struct replay_plan *p, struct slice text, struct err *e)
{
    json_error_t where;
    json_t *root = json_loadb((const char *)text.ptr, text.len, JSON_REJECT_DUPLICATES, &where);
    if (root == NULL) {
        return err_set(e, ERR_CONFIG, "line %d: %.80s", where.line, where.text);
    }
    bool ok = root_read(p, root, e);
    json_decref(root);
    return ok;
}

bool replay_plan_read(struct replay_plan *p, const char *path, struct err *e)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool is_file = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 && st.st_size <= MAX_FILE_BYTES;
    void *bytes = is_file ? mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
    if (fd >= 0) {
        (void)close(fd);
    }
    if (bytes == MAP_FAILED) {
        return err_set(e, ERR_CONFIG, "%.150s is no plan: there is no such file, or it is empty or too large; make one with "
                                      "plan replay … --out FILE", path);
    }
    bool ok = replay_plan_parse(p, slice_of(bytes, (size_t)st.st_size), e) || err_wrap(e, "%.100s", path);
    (void)munmap(bytes, (size_t)st.st_size);
    return ok;
}
