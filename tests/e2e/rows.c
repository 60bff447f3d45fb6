/* What a program with libaimass alone gets: `rows MODEL.aim N` reads N numbers a row from stdin
 * ("nan" = missing) and prints, as short as they read back, the probability of each class or the
 * value of each row. For comparison with what the command line and the server answer. */
#include <aimass.h>
#include <stdio.h>
#include <stdlib.h>

/* the shortest text that reads back as this float or double */
static void put(double v, int is_float)
{
    char text[40];
    for (int digits = 1; digits <= 17; digits++) {
        (void)snprintf(text, sizeof text, "%.*g", digits, v);
        if (is_float ? strtof(text, NULL) == (float)v : strtod(text, NULL) == v)
            break;
    }
    (void)fputs(text, stdout);
}

int main(int argc, char **argv)
{
    aimass_model *m;
    aimass_predictor *p;
    aimass_answer a;
    aimass_error err;
    char text[64];
    if (argc != 3 || aimass_load(argv[1], &m, &err) || aimass_predictor_new(m, &p, &err))
        return fprintf(stderr, "rows: %s\n", argc == 3 ? err.message : "rows MODEL.aim N"), 1;
    const size_t n = strtoul(argv[2], NULL, 10);
    double *row = calloc(n + 1, sizeof *row);
    for (size_t i = 0; row && scanf("%63s", text) == 1;) {
        row[i++] = strtod(text, NULL);
        if (i < n)
            continue;
        i = 0;
        if (aimass_predict_row(p, row, n, &a, &err))
            return fprintf(stderr, "rows: %s\n", err.message), 1;
        for (size_t k = 0; k < a.n_classes; k++) {
            (void)fputs(k ? "," : "", stdout);
            put((double)a.probability[k], 1);
        }

        if (a.n_classes == 0)
            put(a.value[0], 0);
        printf("\n");
    }
    free(row);
    aimass_predictor_free(p);
    aimass_free(m);
    return 0;
}
