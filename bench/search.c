/* Our samplers on the tasks of search_tasks.py: trials to 1 % regret, censored at 100.
 *
 *   search TABLES.json SAMPLER TASK SEEDS     one line: task sampler, trials by seed, ms of the
 *                                             slowest ask at 100 trials
 *   search TABLES.json --values               each task's value at shared points
 * Not a test: bench/search.sh runs it beside the peers. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/fs.h"
#include "tune/tune.h"

enum { LIMIT = 100, DIMS = 8 };

struct table {
    double *v;
    size_t shape[DIMS], n_dims;
};
static struct table svc, boosting;

static double branin(const double *v)
{
    double x = v[0], y = v[1], pi = acos(-1);
    double a = y - 5.1 / (4 * pi * pi) * x * x + 5 / pi * x - 6;
    return a * a + 10 * (1 - 1 / (8 * pi)) * cos(x) + 10;
}

static double hartmann6(const double *v)
{
    static const double a[4][6] = {{10, 3, 17, 3.5, 1.7, 8},
                                   {.05, 10, 17, .1, 8, 14},
                                   {3, 3.5, 1.7, 10, 17, 8},
                                   {17, 8, .05, 10, .1, 14}};
    static const double p[4][6] = {{1312, 1696, 5569, 124, 8283, 5886},
                                   {2329, 4135, 8307, 3736, 1004, 9991},
                                   {2348, 1451, 3522, 2883, 3047, 6650},
                                   {4047, 8828, 8732, 5743, 1091, 381}};
    static const double alpha[4] = {1, 1.2, 3, 3.2};
    double sum = 0;
    for (int i = 0; i < 4; i++) {
        double d = 0;
        for (int k = 0; k < 6; k++)
            d += a[i][k] * (v[k] - 1e-4 * p[i][k]) * (v[k] - 1e-4 * p[i][k]);
        sum -= alpha[i] * exp(-d);
    }
    return sum;
}

static double mixed(const double *v)
{
    static const double rate[4] = {.55, .35, .7, .5}, base[4] = {.05, .02, .06, .0};
    int kind = (int)v[3];
    double a = 2.2 * (v[0] - rate[kind] - .02 * (v[4] - 3)), b = v[1] - .6, c = v[2] - .3;
    return base[kind] + a * a + .3 * b * b + .02 * fabs(v[4] - 5) + .15 * c * c * (1 + v[0]);
}

/* Multilinear in the first n_dims places (units of the grid); the rest of the table starts at v. */
static double interpolate(const double *v, const size_t *shape, size_t n_dims, const double *at,
                          size_t stride)
{
    double sum = 0;
    for (unsigned corner = 0; corner < 1u << n_dims; corner++) {
        double w = 1;
        size_t index = 0;
        for (size_t i = 0; i < n_dims; i++) {
            size_t k = (size_t)at[i] < shape[i] - 2 ? (size_t)at[i] : shape[i] - 2;
            unsigned high = corner >> i & 1u;
            w *= high ? at[i] - (double)k : 1 - (at[i] - (double)k);
            index = index * shape[i] + k + high;
        }
        sum += w * v[index * stride];
    }
    return sum;
}

static double place(double v, double low, double high, size_t n)
{
    return (log(v) - log(low)) / (log(high) - log(low)) * ((double)n - 1);
}

static double svc_loss(const double *v)
{
    double at[] = {place(v[0], 1e-2, 1e3, 29), place(v[1], 1e-6, 1, 29)};
    return interpolate(svc.v, svc.shape, 2, at, 1);
}

static double boosting_loss(const double *v)
{
    const size_t *s = boosting.shape;
    double at[] = {place(v[0], 0.005, 0.5, 13)};
    size_t rest = (((size_t)v[1] - 1) * s[2] + (size_t)v[2] - 1) * s[3] * s[4] +
                  (size_t)v[3] * s[4] + (size_t)v[4];
    return interpolate(boosting.v + rest, s, 1, at, s[1] * s[2] * s[3] * s[4]);
}

static const struct task {
    const char *name, *over;
    double (*f)(const double *v);
} tasks[] = {
    {"branin", "{x: {float: [-5, 10]}, y: {float: [0, 15]}}", branin},
    {"hartmann6",
     "{x0: {float: [0, 1]}, x1: {float: [0, 1]}, x2: {float: [0, 1]}, x3: {float: [0, 1]}, "
     "x4: {float: [0, 1]}, x5: {float: [0, 1]}}",
     hartmann6},
    {"mixed",
     "{rate: {float: [0, 1]}, width: {float: [0, 1]}, decay: {float: [0, 1]}, kind: [0, 1, 2, 3], "
     "depth: {int: [0, 7]}}",
     mixed},
    {"svc", "{c: {log: [1e-2, 1e3]}, gamma: {log: [1e-6, 1]}}", svc_loss},
    {"boosting",
     "{rate: {log: [0.005, 0.5]}, trees: {int: [1, 30]}, depth: {int: [1, 6]}, "
     "features: [0, 1, 2], rows: [0, 1]}",
     boosting_loss},
};
enum { N_TASKS = sizeof tasks / sizeof *tasks };

static void die(const char *what)
{
    (void)fprintf(stderr, "search: %s\n", what);
    exit(1);
}

static double now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static double evaluate(const struct task *task, const struct am_node *values)
{
    double v[DIMS] = {0};
    for (size_t i = 0; i < values->map.n; i++)
        if (!am_node_as_f64(values->map.pairs[i].value, &v[i]))
            die("a value is no number");
    return task->f(v);
}

/* Trials until the target is reached; the slowest ask is kept. With target -INFINITY all 100. */
static int run(const struct task *task, enum am_tune_sampler sampler, double target, uint64_t seed,
               double *slowest)
{
    struct am_tune_objective goal = {"loss", AM_TUNE_MINIMIZE};
    struct am_tune_config config = {
        .objectives = &goal, .n_objectives = 1, .sampler = sampler, .seed = seed};
    struct am_arena *a = am_arena_new(0);
    struct am_node *over = NULL;
    struct am_tune *t = NULL;
    struct am_err err = {0};
    int n = 0;
    if (!a || am_yaml_parse(a, am_str(task->over), "space", &over, &err) ||
        am_tune_new(over, &config, &t, &err))
        die(err.message);
    for (double y = INFINITY; n < LIMIT && !(y <= target); n++) {
        const struct am_tune_trial *x = NULL;
        struct am_tune_result r = {.status = AM_TUNE_OK, .objectives = &y};
        double start = now_ms();
        if (am_tune_ask(t, &x, &err) || !x)
            die(err.message);
        *slowest = fmax(*slowest, now_ms() - start);
        y = evaluate(task, x->values);
        if (am_tune_tell(t, x->number, &r, &err))
            die(err.message);
        if (y <= target) {
            n++;
            am_tune_free(t);
            am_arena_free(a);
            return n;
        }
    }
    am_tune_free(t);
    am_arena_free(a);
    return LIMIT + 1;
}

static void read_table(const struct am_node *doc, const char *name, struct table *out)
{
    const struct am_node *t = am_node_get(am_node_get(doc, "tables"), name);
    const struct am_node *shape = am_node_get(t, "shape"), *values = am_node_get(t, "values");
    if (!shape || !values)
        die("the tables are not whole: run search_tables.py");
    out->n_dims = shape->list.n;
    out->v = calloc(values->list.n, sizeof(double));
    for (size_t i = 0; i < shape->list.n && i < DIMS; i++) {
        int64_t n = 0;
        if (!am_node_as_i64(shape->list.items[i], &n))
            die("a shape is no number");
        out->shape[i] = (size_t)n;
    }
    for (size_t i = 0; out->v && i < values->list.n; i++)
        if (!am_node_as_f64(values->list.items[i], &out->v[i]))
            die("a table's value is no number");
}

static struct am_node *read_file(struct am_arena *a, const char *path)
{
    struct am_node *doc = NULL;
    struct am_err err = {0};
    struct am_buf text;
    FILE *f = fopen(path, "r");
    am_buf_init(&text, (size_t)1 << 26);
    for (int c; f && (c = getc(f)) != EOF;)
        am_buf_char(&text, (char)c);
    if (!f || am_json_parse(a, am_buf_view(&text), path, &doc, &err))
        die(err.message[0] ? err.message : "cannot read the tables");
    (void)fclose(f);
    return doc;
}

/* The same points as search_peers.py --values */
static void print_values(void)
{
    for (size_t k = 0; k < N_TASKS; k++)
        for (int i = 0; i < 50; i++) {
            struct am_arena *a = am_arena_new(0);
            struct am_node *over = NULL;
            struct am_tune_space *s = NULL;
            double v[DIMS] = {0};
            if (!a || am_yaml_parse(a, am_str(tasks[k].over), "space", &over, NULL) ||
                am_tune_space_parse(over, &s, NULL))
                die("a space is wrong");
            for (size_t d = 0; d < am_tune_space_n(s); d++) {
                const struct am_tune_param *p = am_tune_space_param(s, d);
                double u = fmod(0.5 + i * (0.6180339887498949 + 0.1 * (double)d), 1);
                if (p->kind == AM_TUNE_CHOICE || p->kind == AM_TUNE_BOOL)
                    v[d] = floor(u * (double)p->n_choices);
                else if (p->kind == AM_TUNE_INT)
                    v[d] = p->low + floor(u * (p->high - p->low + 1));
                else if (p->log)
                    v[d] = exp(log(p->low) + u * (log(p->high) - log(p->low)));
                else
                    v[d] = p->low + u * (p->high - p->low);
            }
            printf("%s %.12g\n", tasks[k].name, tasks[k].f(v));
            am_tune_space_free(s);
            am_arena_free(a);
        }
}

int main(int argc, char **argv)
{
    struct am_arena *a = am_arena_new((size_t)1 << 30);
    struct am_node *doc;
    enum am_tune_sampler sampler;
    double slowest = 0, longest = 0;
    if (argc < 3)
        die("usage: search TABLES.json --values | TABLES.json SAMPLER TASK SEEDS");
    doc = read_file(a, argv[1]);
    read_table(doc, "svc", &svc);
    read_table(doc, "boosting", &boosting);
    if (argc < 5) {
        print_values();
        am_arena_free(a);
        return 0;
    }
    if (!am_tune_sampler_by_name(am_str(argv[2]), &sampler))
        die("no such sampler");
    for (size_t k = 0; k < N_TASKS; k++) {
        double target = am_node_f64(am_node_get(am_node_get(doc, "tasks"), argv[3]), "target", 0);
        if (strcmp(tasks[k].name, argv[3]) != 0)
            continue;
        printf("%s %s", argv[3], argv[2]);
        for (uint64_t seed = 0; seed < strtoull(argv[4], NULL, 10); seed++)
            printf(" %d", run(&tasks[k], sampler, target, seed, &slowest));
        (void)run(&tasks[k], sampler, -INFINITY, 0, &longest);
        printf("  slowest ask of 100: %.1f ms\n", longest);
    }
    am_arena_free(a);
    return 0;
}
