/* The libraries' archives name stdout and stderr as data of the program, which a module cannot
 * reach so; they get these, which nobody writes to: printing goes through the callbacks that the
 * drivers set, and errors come back as values. No header that declares them may be included here.
 */
__attribute__((visibility("hidden"))) void *stdout, *stderr;
