/* Frames between the program and its trial workers: a tree and some bytes, over a socket.
 *
 *   offset size
 *   0      4    "AMW1"
 *   4      4    bytes of the JSON text, at most AM_LIMIT_JSON_BYTES
 *   8      8    bytes of the payload, at most 2^36
 *   16          the text, then the payload
 *
 * Both ends are the same program on the same machine: numbers are as the machine has them. */
#ifndef AM_PIPELINE_WIRE_H
#define AM_PIPELINE_WIRE_H

#include "base/tree.h"

/* Sends all of it, or fails (AM_EIO: the other end is gone). */
enum am_rc am_wire_send(int fd, const struct am_node *tree, const void *payload, size_t n,
                        struct am_err *err) AM_MUST_CHECK;
/* Takes what has come, without waiting, into in. *whole: a frame is complete; then text and payload
 * point into in until am_wire_taken. AM_EIO: the other end is gone; AM_ECORRUPT: no frame. */
enum am_rc am_wire_take(int fd, struct am_buf *in, bool *whole, struct am_str *text,
                        struct am_str *payload, struct am_err *err) AM_MUST_CHECK;
void am_wire_taken(struct am_buf *in);
/* Waits for a frame. */
enum am_rc am_wire_receive(int fd, struct am_buf *in, struct am_str *text, struct am_str *payload,
                           struct am_err *err) AM_MUST_CHECK;

#endif
