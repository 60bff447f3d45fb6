/* Writes and reads checkpoints: the layout is the table in the header. Bytes only: where they are
 * kept is the loop's business. */
#include "nn/train_checkpoint.h"

#include <string.h>

#include "base/alloc.h"

enum { HAS_BEST = 1, HAS_AVERAGE = 2 };

static const unsigned char magic[8] = {'A', 'M', 'C', 'K', 'P', 'T', 0, 3};

static void add_u64(struct am_buf *b, uint64_t v)
{
    unsigned char p[8];
    for (unsigned i = 0; i < 8; i++)
        p[i] = (unsigned char)(v >> (8 * i));
    am_buf_add(b, p, 8);
}

static void add_f64(struct am_buf *b, double v)
{
    uint64_t u;
    memcpy(&u, &v, 8);
    add_u64(b, u);
}

static void add_u32(struct am_buf *b, uint32_t v)
{
    unsigned char p[4] = {(unsigned char)v, (unsigned char)(v >> 8), (unsigned char)(v >> 16),
                          (unsigned char)(v >> 24)};
    am_buf_add(b, p, 4);
}

static uint64_t get_u64(const unsigned char *p)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < 8; i++)
        v |= (uint64_t)p[i] << (8 * i);
    return v;
}

static double get_f64(const unsigned char *p)
{
    uint64_t u = get_u64(p);
    double v;
    memcpy(&v, &u, 8);
    return v;
}

static uint32_t get_u32(const unsigned char *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static void add_loss(struct am_buf *b, const struct am_loss_spec *l)
{
    add_u64(b, (uint64_t)l->kind);
    add_f64(b, l->label_smoothing);
    add_f64(b, l->delta);
    add_f64(b, l->margin);
    add_u64(b, l->class_weights ? l->n_class_weights : 0);
    for (size_t i = 0; l->class_weights && i < l->n_class_weights; i++)
        add_f64(b, l->class_weights[i]);
}

static void add_config(struct am_buf *b, const struct am_train_config *c)
{
    const struct am_optim_config *o = &c->optim;
    const struct am_sched_config *s = &c->sched;
    const double reals[] = {o->momentum,   o->beta1,         o->beta2,
                            o->rho,        o->epsilon,       o->l1,
                            o->l2,         o->weight_decay,  o->clip_norm,
                            o->clip_value, c->learning_rate, c->min_delta,
                            s->factor,     s->min,           c->average_decay};
    const uint64_t counts[] = {
        (uint64_t)o->kind, (uint64_t)s->kind,    s->step,         s->patience,        s->warmup,
        c->epochs,         c->batch_size,        c->seed,         (uint64_t)c->order, c->patience,
        c->accumulate,     (uint64_t)c->average, c->average_start};
    add_loss(b, &c->loss);
    add_u64(b, c->recover);
    add_f64(b, c->recover ? c->recover_factor : 0);
    if (c->library_kernels)
        add_u64(b, 1);
    for (size_t i = 0; i < sizeof reals / sizeof reals[0]; i++)
        add_f64(b, reals[i]);
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
        add_u64(b, counts[i]);
}

static void add_data(struct am_buf *b, const struct am_train_data *d)
{
    add_u64(b, d ? d->n_rows : 0);
    add_u64(b, d ? d->n_features : 0);
    add_u64(b, d ? d->n_targets : 0);
}

static void add_params(struct am_buf *b, const struct am_params *p)
{
    add_u64(b, p->n_floats);
    for (size_t k = 0; k < p->n_params; k++) {
        add_u64(b, p->table[k].flags);
        add_f64(b, (double)p->table[k].rate);
    }
}

enum am_rc am_checkpoint_fingerprint(const struct am_graph *g, const struct am_params *p,
                                     const struct am_train_config *c,
                                     const struct am_train_data *data,
                                     const struct am_train_data *validation,
                                     unsigned char out[AM_SHA256_BYTES], struct am_err *err)
{
    struct am_arena *a = am_arena_new(0);
    struct am_node *n = NULL;
    struct am_buf b;
    enum am_rc rc;
    am_buf_init(&b, AM_LIMIT_JSON_BYTES);
    if (!a) {
        rc = am_fail_nomem(err, 0);
        goto out;
    }
    AM_GO(rc, am_graph_to_node(g, a, &n, err));
    AM_GO(rc, am_arena_check(a, err));
    am_node_to_json(n, AM_JSON_COMPACT, &b);
    add_config(&b, c);
    add_data(&b, data);
    add_data(&b, validation);
    add_params(&b, p);
    AM_GO(rc, am_buf_check(&b, err));
    rc = am_sha256(b.ptr, b.len, out, err);
out:
    am_buf_clear(&b);
    am_arena_free(a);
    return rc;
}

static bool has_block(const struct am_train_state *s)
{
    return s->has_best || s->safe;
}

enum am_rc am_checkpoint_write(const struct am_train_state *s, const struct am_params *p,
                               struct am_optim *o, struct am_buf *out, struct am_err *err)
{
    unsigned char hash[AM_SHA256_BYTES];
    size_t bytes = am_params_bytes(p);
    am_buf_reset(out);
    am_buf_add(out, magic, sizeof magic);
    am_buf_add(out, s->fingerprint, sizeof s->fingerprint);
    add_u64(out, s->epoch);
    add_u64(out, s->batch);
    add_u64(out, am_optim_steps(o));
    add_f64(out, s->loss_sum);
    add_f64(out, s->weight_sum);
    add_f64(out, s->sched.scale);
    add_f64(out, s->sched.best);
    add_u64(out, s->sched.bad_epochs);
    add_u64(out, s->sched.seen);
    add_u64(out, s->best_epoch);
    add_f64(out, s->best_loss);
    add_u64(out, s->stale);
    add_f64(out, s->train_loss);
    add_f64(out, s->validation_loss);
    add_u64(out, p->n_floats);
    add_u32(out, am_optim_n_moments(o));
    add_u32(out, (has_block(s) ? HAS_BEST : 0) | (s->average ? HAS_AVERAGE : 0));
    add_u64(out, s->n_averaged);
    add_u64(out, s->n_recovered);
    add_f64(out, s->rate_scale);
    add_f64(out, s->first_loss);
    add_u64(out, s->steps_before);
    am_buf_add(out, p->data, bytes);
    for (unsigned i = 0; i < am_optim_n_moments(o); i++)
        am_buf_add(out, am_optim_moment(o, i), bytes);
    if (has_block(s))
        am_buf_add(out, s->best, bytes);
    if (s->average)
        am_buf_add(out, s->average, bytes);
    AM_TRY(am_buf_check(out, err));
    AM_TRY(am_sha256(out->ptr, out->len, hash, err));
    am_buf_add(out, hash, sizeof hash);
    return am_buf_check(out, err);
}

static enum am_rc damaged(struct am_err *err, const char *why)
{
    am_fail(err, AM_ECORRUPT, "the checkpoint is damaged: %s", am_tr(why));
    am_hint(err, "Remove the checkpoint and train from the start.");
    return AM_ECORRUPT;
}

/* Sizes and hash; nothing is taken yet. */
static enum am_rc check_bytes(const unsigned char *b, size_t n, const struct am_train_state *s,
                              const struct am_params *p, const struct am_optim *o,
                              struct am_err *err)
{
    unsigned char hash[AM_SHA256_BYTES];
    uint64_t blocks;
    if (n < AM_CHECKPOINT_HEADER_BYTES + AM_SHA256_BYTES)
        return damaged(err, "it is too short");
    if (memcmp(b, magic, sizeof magic) != 0)
        return damaged(err, "its first bytes are not those of a checkpoint of this version");
    AM_TRY(am_sha256(b, n - AM_SHA256_BYTES, hash, err));
    if (memcmp(hash, b + n - AM_SHA256_BYTES, sizeof hash) != 0)
        return damaged(err, "its hash does not fit its bytes");
    if (memcmp(b + 8, s->fingerprint, AM_SHA256_BYTES) != 0) {
        am_fail(err, AM_ECONFLICT,
                "the checkpoint belongs to another recipe, model or number of rows");
        am_hint(err, "Resume with the settings of the interrupted run, or train from the start.");
        return AM_ECONFLICT;
    }
    if (get_u64(b + 152) != p->n_floats || get_u32(b + 160) != am_optim_n_moments(o) ||
        get_u32(b + 164) > (HAS_BEST | HAS_AVERAGE) ||
        !(get_u32(b + 164) & HAS_AVERAGE) != !s->average)
        return damaged(err, "its parameters are not those of this model");
    blocks = 1 + (uint64_t)get_u32(b + 160) + (get_u32(b + 164) & HAS_BEST) + (s->average ? 1 : 0);
    if (n != AM_CHECKPOINT_HEADER_BYTES + blocks * am_params_bytes(p) + AM_SHA256_BYTES)
        return damaged(err, "its length does not fit its header");
    return AM_OK;
}

enum am_rc am_checkpoint_read(struct am_str bytes, struct am_train_state *s, struct am_params *p,
                              struct am_optim *o, struct am_err *err)
{
    const unsigned char *b = (const unsigned char *)bytes.ptr;
    const unsigned char *block = b + AM_CHECKPOINT_HEADER_BYTES;
    size_t n = am_params_bytes(p);
    AM_TRY(check_bytes(b, bytes.len, s, p, o, err));
    if ((get_u32(b + 164) & HAS_BEST) && !s->best)
        AM_TRY(am_params_twin(p, &s->best, err));
    s->epoch = get_u64(b + 40);
    s->batch = get_u64(b + 48);
    am_optim_set_steps(o, get_u64(b + 56));
    s->loss_sum = get_f64(b + 64);
    s->weight_sum = get_f64(b + 72);
    s->sched.scale = get_f64(b + 80);
    s->sched.best = get_f64(b + 88);
    s->sched.bad_epochs = get_u64(b + 96);
    s->sched.seen = get_u64(b + 104);
    s->best_epoch = get_u64(b + 112);
    s->best_loss = get_f64(b + 120);
    s->stale = get_u64(b + 128);
    s->train_loss = get_f64(b + 136);
    s->validation_loss = get_f64(b + 144);
    bool follows = (get_u32(b + 164) & HAS_BEST) != 0;
    s->has_best = follows && s->best_epoch > 0;
    s->safe = s->safe && follows;
    s->n_averaged = get_u64(b + 168);
    s->n_recovered = get_u64(b + 176);
    s->rate_scale = get_f64(b + 184);
    s->first_loss = get_f64(b + 192);
    s->steps_before = get_u64(b + 200);
    memcpy(p->data, block, n);
    block += n;
    for (unsigned i = 0; i < am_optim_n_moments(o); i++, block += n)
        memcpy(am_optim_moment(o, i), block, n);
    if (follows) {
        memcpy(s->best, block, n);
        block += n;
    }
    if (s->average)
        memcpy(s->average, block, n);
    return AM_OK;
}
