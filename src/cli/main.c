/* The program: locale, signals, arguments, one command, exit code. */
#include <libintl.h>
#include <locale.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/cli.h"

static atomic_bool canceled;

static void on_signal(int sig)
{
    (void)sig;
    if (atomic_exchange(&canceled, true)) /* the second one does not wait */
        _exit(130);
}

/* The person's language, also where the system has no such locale installed (glibc then needs any
 * UTF-8 locale and LANGUAGE). Numbers stay as in C. */
static void choose_language(void)
{
    static const char *const names[] = {"LC_ALL", "LC_MESSAGES", "LANG"};
    char language[32];
    const char *asked = NULL;
    for (size_t i = 0; i < 3 && !(asked && *asked); i++)
        asked = getenv(names[i]);
    if (setlocale(LC_CTYPE, "") && setlocale(LC_MESSAGES, ""))
        return;
    setlocale(LC_CTYPE, "C.UTF-8");
    setlocale(LC_MESSAGES, "C.UTF-8");
    if (asked && *asked && !getenv("LANGUAGE")) {
        snprintf(language, sizeof language, "%.*s", (int)strcspn(asked, ".@"), asked);
        setenv("LANGUAGE", language, 1);
    }
}

/* Catalogues lie beside the build or in the install folder. */
static void open_catalogue(void)
{
    char path[4200];
    ssize_t n = readlink("/proc/self/exe", path, 4000);
    if (n <= 0)
        return;
    path[n] = 0;
    char *slash = strrchr(path, '/');
    static const char *const places[] = {"/po", "/../share/locale"};
    for (size_t i = 0; slash && i < 2; i++) {
        snprintf(slash, (size_t)(path + sizeof path - slash), "%s", places[i]);
        if (access(path, R_OK) == 0) {
            bindtextdomain("aimass", path);
            bind_textdomain_codeset("aimass", "UTF-8");
            return;
        }
    }
}

int main(int argc, char **argv)
{
    struct am_cli c = {.program = argv[0]};
    struct sigaction sa = {.sa_handler = on_signal};
    choose_language();
    open_catalogue();
    if (am_platform_is_worker(argc, argv))
        return am_platform_worker(argv);
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
    signal(SIGPIPE, SIG_IGN);
    c.progress.cancel = &canceled;
    c.arena = am_arena_new(0);
    if (!c.arena) {
        fprintf(stderr, "aimass: out of memory\n");
        return AM_EXIT_FAILED;
    }
    enum am_exit e = am_cli_parse(&c, argc, argv);
    if (e == AM_EXIT_DONE && !c.done)
        e = c.command->run(&c);
    am_platform_close(c.platform);
    am_arena_free(c.arena);
    return (int)e;
}
