/* A writer that a JavaScript thread and a heartbeat thread share: frames never interleave. */
#ifndef HANDOFF_HEARTBEAT_H
#define HANDOFF_HEARTBEAT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct writer writer;

struct writer_beat {
  const uint8_t *frame;
  size_t frame_length;
  size_t ts_offset; /* where the Unix time in ms goes, as an LEB128 varint ... */
  size_t ts_bytes;  /* ... of exactly this many bytes */
  uint64_t period_ms;
};

struct writer_facts {
  size_t pending;   /* accepted bytes that the kernel has not taken yet */
  uint64_t beats;   /* heartbeats sent */
  uint64_t skipped; /* heartbeats left out because the socket was full */
  int error;        /* first -errno that a send gave, or 0 */
};

/* Borrows the fd: close it only after writer_free. NULL when memory is short. */
writer *writer_new(int fd);
/* Ends the thread, which sends nothing more, and forgets what is pending. */
void writer_free(writer *self);

/* Takes all bytes or none: bytes still pending after it, or -errno (a dead peer; nothing was kept). */
ssize_t writer_write(writer *self, const uint8_t *bytes, size_t length);
/* Tries again what is pending: bytes still pending after it, or -errno. */
ssize_t writer_flush(writer *self);

/* 0 or -errno; -EALREADY when it beats already. The first beat comes one period from now. */
int writer_start_beating(writer *self, const struct writer_beat *beat);
/* No beat leaves after it returns. The thread sleeps on, without a wake-up, until it beats again or writer_free. */
void writer_stop_beating(writer *self);

void writer_look(writer *self, struct writer_facts *facts);

#endif
