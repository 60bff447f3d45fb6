/* Predict from C with a model that AI Mass trained.
 *
 *   cc predict.c -laimass -o predict                    (installed)
 *   cc -I../../include predict.c -L../../build/src/model -laimass -o predict      (from the source
 * tree)
 *
 *   ./predict model.aim                  describes the model
 *   ./predict model.aim 2.3 4.5          predicts one row: the inputs in their order, "-" = missing
 *   ./predict model.aim age=42 city=Ulm  predicts one row: the inputs by name
 *
 * One model may serve many threads; each thread needs a predictor of its own. */
#include <aimass.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failed(const aimass_error *err)
{
    fprintf(stderr, "predict: %s\n", err->message);
    if (err->hint[0])
        fprintf(stderr, "%s\n", err->hint);
    return 1;
}

static void print(const aimass_model *m, const aimass_answer *a)
{
    if (a->n_classes == 0) {
        printf("%.9g\n", a->value[0]);
        return;
    }
    printf("%s\n", aimass_class_name(m, (size_t)a->label[0]));
    for (size_t c = 0; c < a->n_classes; c++)
        printf("  %s %.6f\n", aimass_class_name(m, c), (double)a->probability[c]);
}

static aimass_status by_position(aimass_predictor *p, char **words, size_t n, aimass_answer *a,
                                 aimass_error *err)
{
    double *row = malloc((n ? n : 1) * sizeof *row);
    aimass_status status = AIMASS_OUT_OF_MEMORY;
    if (!row) {
        snprintf(err->message, sizeof err->message, "out of memory");
        return status;
    }
    for (size_t i = 0; i < n; i++) {
        char *end;
        row[i] = strtod(words[i], &end);
        if (end == words[i] || *end)
            row[i] = (double)NAN;
    }
    status = aimass_predict_row(p, row, n, a, err);
    free(row);
    return status;
}

static aimass_status by_name(aimass_predictor *p, char **words, size_t n, aimass_answer *a,
                             aimass_error *err)
{
    aimass_column columns[256];
    const char *texts[256];
    if (n > 256)
        n = 256;
    for (size_t i = 0; i < n; i++) {
        char *sign = strchr(words[i], '=');
        if (sign)
            *sign = 0;
        texts[i] = sign && sign[1] ? sign + 1 : NULL; /* NULL = missing */
        columns[i] = (aimass_column){.name = words[i], .texts = &texts[i]};
    }
    return aimass_predict_columns(p, columns, n, 1, a, err);
}

int main(int argc, char **argv)
{
    aimass_model *model;
    aimass_predictor *p;
    aimass_answer answer;
    aimass_error err = {0};
    aimass_status status;
    if (argc < 2) {
        fprintf(stderr, "usage: predict MODEL.aim [VALUE... | NAME=VALUE...]\n");
        return 2;
    }
    if (aimass_load(argv[1], &model, &err) != AIMASS_OK)
        return failed(&err);
    if (argc == 2) {
        puts(aimass_describe(model));
        aimass_free(model);
        return 0;
    }
    if (aimass_predictor_new(model, &p, &err) != AIMASS_OK) {
        aimass_free(model);
        return failed(&err);
    }
    if (strchr(argv[2], '='))
        status = by_name(p, argv + 2, (size_t)argc - 2, &answer, &err);
    else
        status = by_position(p, argv + 2, (size_t)argc - 2, &answer, &err);
    if (status == AIMASS_OK)
        print(model, &answer);
    aimass_predictor_free(p);
    aimass_free(model);
    return status == AIMASS_OK ? 0 : failed(&err);
}
