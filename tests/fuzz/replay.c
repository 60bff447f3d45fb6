/* Replays a corpus through a fuzz target in the ordinary test: every file of the directories and
 * files given as arguments, plus each of its prefixes up to 64 bytes. No fuzzing engine is needed;
 * with -Dfuzz=true the same targets are linked with libFuzzer instead. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static long n_inputs;

static int run_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    unsigned char *p;
    size_t n;
    if (!f)
        return fprintf(stderr, "cannot open %s\n", path), 1;
    fseek(f, 0, SEEK_END);
    n = (size_t)ftell(f);
    rewind(f);
    p = malloc(n + 1);
    if (!p || fread(p, 1, n, f) != n)
        return fprintf(stderr, "cannot read %s\n", path), 1;
    fclose(f);
    LLVMFuzzerTestOneInput(p, n);
    for (size_t k = 0; k < n && k < 64; k++) { /* exact-size copies, so that ASan sees overreads */
        unsigned char *q = malloc(k ? k : 1);
        if (!q)
            return 1;
        memcpy(q, p, k);
        LLVMFuzzerTestOneInput(q, k);
        free(q);
    }
    free(p);
    n_inputs++;
    return 0;
}

int main(int argc, char **argv)
{
    int bad = 0;
    for (int i = 1; i < argc; i++) {
        struct stat st;
        struct dirent *e;
        DIR *d;
        if (stat(argv[i], &st) != 0)
            return fprintf(stderr, "no corpus at %s\n", argv[i]), 1;
        if (!S_ISDIR(st.st_mode)) {
            bad |= run_file(argv[i]);
            continue;
        }
        d = opendir(argv[i]);
        while (d && (e = readdir(d))) {
            char path[4096];
            if (e->d_name[0] == '.')
                continue;
            snprintf(path, sizeof path, "%s/%s", argv[i], e->d_name);
            bad |= run_file(path);
        }
        if (d)
            closedir(d);
    }
    printf("%ld inputs replayed\n", n_inputs);
    return bad || n_inputs == 0;
}
