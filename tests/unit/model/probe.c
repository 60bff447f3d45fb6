/* What the Python tests of this folder drive: `probe write PATH` makes a small package, `probe open
 * PATH...` prints one line a file: the code's name and the message. */
#include "fixture.h"

int main(int argc, char **argv)
{
    struct am_err err;
    if (argc == 3 && strcmp(argv[1], "write") == 0) {
        struct fixture f;
        struct am_secret_key key;
        fixture_init(&f, FIXTURE_BINARY, 3);
        must(am_secret_key_new(&key, &err));
        f.spec.sign_with = &key;
        must(am_model_write(&f.spec, argv[2], &err));
        fixture_clear(&f);
        return 0;
    }
    if (argc < 3 || strcmp(argv[1], "open") != 0)
        return 2;
    for (int i = 2; i < argc; i++) {
        struct am_model *m = NULL;
        enum am_rc rc = am_model_open(argv[i], NULL, &m, &err);
        printf("%s %s\n", am_rc_name(rc), rc == AM_OK ? "" : err.message);
        am_model_put(m);
    }
    return 0;
}
