/* What the scripted tests of this folder drive: `probe numbers|mixed|value PATH` makes a small
 * package (30 numbers and two classes, signed; all other column types and three classes;
 * regression; a picture and three classes; a number, a picture and a sound; the smallest; rows of
 * four numbers), `probe
 * open PATH...` prints one line a file: the code's name and the message. */
#include "fixture.h"

static int write_kind(const char *kind, const char *path)
{
    static const char *const kinds[] = {"numbers", "mixed", "value",  "picture",
                                        "media",   "tiny",  "anomaly"};
    struct fixture f;
    struct am_secret_key key;
    struct am_err err;
    for (int k = 0; k < 7; k++) {
        if (strcmp(kind, kinds[k]) != 0)
            continue;
        fixture_init(&f, (enum fixture_kind)(k == 6 ? 0 : k % 5), k == 5 ? 1 : k == 6 ? 4 : 30);
        if (k == 6)
            fixture_own(&f, AM_TASK_ANOMALY, true);
        if (k == 5)
            fixture_shrink(&f);
        must(am_secret_key_new(&key, &err));
        if (k == 0)
            f.spec.sign_with = &key;
        must(am_model_write(&f.spec, path, &err));
        fixture_clear(&f);
        return 0;
    }
    return 2;
}

int main(int argc, char **argv)
{
    struct am_err err;
    if (argc == 3 && strcmp(argv[1], "open") != 0)
        return write_kind(argv[1], argv[2]);
    for (int i = 2; i < argc; i++) {
        struct am_model *m = NULL;
        enum am_rc rc = am_model_open(argv[i], NULL, &m, &err);
        printf("%s %s\n", am_rc_name(rc), rc == AM_OK ? "" : err.message);
        am_model_put(m);
    }
    return argc < 3 ? 2 : 0;
}
