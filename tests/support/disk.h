/* A disk that remembers what was durable when: records every change below one folder at the libc
 * boundary and builds the folder again as a disk could hold it after power loss at any change.
 *
 * A program that links disk.c has its open, write, fsync, rename and kin answered there, those of
 * the libraries that it links or loads included (SQLite, the table engine), so nothing goes past
 * the record; disk_check proves that. The rules are the strict ones of POSIX: bytes are durable
 * after fsync of the file, a name is durable after fsync of its folder. fsync itself costs nothing
 * here. One recording per process; recording from any thread, replay from one. */
#ifndef AM_TESTS_DISK_H
#define AM_TESTS_DISK_H

#include <stdbool.h>
#include <stddef.h>

/* Everything below root (absolute, existing, empty) is recorded from now until stop. */
void disk_record(const char *root);
void disk_stop(void);

/* Says in the record that step was acknowledged now (or, negative, has begun). */
void disk_mark(int step);
/* Changes so far. */
size_t disk_n_changes(void);

/* Replay: goes to the state after the first n changes (n grows from call to call); *step becomes
 * the newest mark among them. */
void disk_replay_to(size_t n, int *step);

/* What may be lost besides what was never written. */
enum disk_image {
    DISK_SYNCED,      /* bytes and names that were not synced */
    DISK_NAMES_LOST,  /* names alone: bytes are newer than the names */
    DISK_BYTES_LOST,  /* bytes alone: a renamed file may be empty */
    DISK_ALL_WRITTEN, /* nothing: the process died, the machine lived */
    DISK_TORN,        /* half of the last write, when the last change is one */
    DISK_N_IMAGES
};
/* A number that is equal for equal images (scratch below `skip` does not count); 0 = there is no
 * such image at this change. */
unsigned long long disk_image_hash(enum disk_image kind, const char *skip);
/* Writes the image into the folder `to` (absolute, existing, empty). false when that failed. */
bool disk_image_write(enum disk_image kind, const char *to);
/* The text of the n-th change (1 = the first), for messages. */
const char *disk_change_text(size_t n, char *out, size_t cap);

/* After the last change was replayed: does the record hold what the folder holds? NULL = yes, else
 * a path where they differ. Files that are mapped into memory (-shm) do not count. */
const char *disk_check(void);

#endif
