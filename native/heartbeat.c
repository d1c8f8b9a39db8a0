#include "heartbeat.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uv.h>

#include "sys.h"

/* The thread needs a few hundred bytes; the default of 8 MiB would be reserved for nothing. */
#define THREAD_STACK_BYTES (128 * 1024)

struct writer {
  int fd;
  uv_mutex_t lock;
  uv_cond_t changed;

  uint8_t *pending; /* bytes accepted but not taken by the kernel: pending[sent..length) */
  size_t pending_sent;
  size_t pending_length;
  size_t pending_capacity;

  /* The thread stays from the first beat on: starting and joining one would cost more than the phases it beats through. */
  bool has_thread;
  bool beating;
  bool ending;
  /* The owner and the thread: whoever lets go last frees. Joining would wait for the scheduler, in the middle of a cut. */
  atomic_int holders;
  uint64_t due;
  uint64_t asleep_until; /* 0: awake */
  uint8_t *frame;
  struct writer_beat beat;

  uint64_t beats;
  uint64_t skipped;
  int error;
};

static bool is_would_block(ssize_t result) {
  return result == -EAGAIN || result == -EWOULDBLOCK || result == -EINTR || result == -ENOBUFS;
}

static size_t pending_left(const writer *self) {
  return self->pending_length - self->pending_sent;
}

static int fail(writer *self, ssize_t error) {
  if (self->error == 0) self->error = (int)error;
  self->pending_sent = self->pending_length = 0;
  return (int)error;
}

/* Room first, send after: once a byte has left, the rest must never be lost to a failed malloc. */
static bool reserve(writer *self, size_t more) {
  if (self->pending_sent > 0) {
    memmove(self->pending, self->pending + self->pending_sent, pending_left(self));
    self->pending_length -= self->pending_sent;
    self->pending_sent = 0;
  }
  size_t needed = self->pending_length + more;
  if (needed <= self->pending_capacity) return true;
  uint8_t *grown = realloc(self->pending, needed);
  if (grown == NULL) return false;
  self->pending = grown;
  self->pending_capacity = needed;
  return true;
}

static ssize_t flush_locked(writer *self) {
  while (pending_left(self) > 0) {
    ssize_t sent = sys_send(self->fd, self->pending + self->pending_sent, pending_left(self));
    if (is_would_block(sent)) break;
    if (sent < 0) return fail(self, sent);
    self->pending_sent += (size_t)sent;
  }
  if (pending_left(self) == 0) {
    /* A large frame is rare: its buffer is not kept for the life of the channel. */
    free(self->pending);
    self->pending = NULL;
    self->pending_sent = self->pending_length = self->pending_capacity = 0;
  }
  return (ssize_t)pending_left(self);
}

static ssize_t write_locked(writer *self, const uint8_t *bytes, size_t length) {
  if (self->error != 0) return self->error;
  if (!reserve(self, length)) return -ENOMEM;
  memcpy(self->pending + self->pending_length, bytes, length);
  self->pending_length += length;
  return flush_locked(self);
}

static uint64_t unix_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Padded with continuation bits where the value is short: readers accept that, and the length stays fixed. */
static void put_varint(uint8_t *at, size_t bytes, uint64_t value) {
  for (size_t i = 0; i < bytes; i++) {
    at[i] = (uint8_t)(value & 0x7f);
    if (i + 1 < bytes) at[i] |= 0x80;
    value >>= 7;
  }
}

static void beat_locked(writer *self) {
  /* What is pending goes first, so a message passes even while the JavaScript thread is blocked. */
  if (self->error != 0 || flush_locked(self) != 0) {
    self->skipped++;
    return;
  }
  /* Room for a cut frame; without it the beat is left out rather than torn. */
  if (!reserve(self, self->beat.frame_length)) {
    self->skipped++;
    return;
  }
  put_varint(self->frame + self->beat.ts_offset, self->beat.ts_bytes, unix_ms());
  ssize_t sent = sys_send(self->fd, self->frame, self->beat.frame_length);
  if (is_would_block(sent)) {
    self->skipped++;
  } else if (sent < 0) {
    fail(self, sent);
    self->skipped++;
  } else {
    self->beats++;
    size_t left = self->beat.frame_length - (size_t)sent;
    if (left == 0) return;
    /* The frame is cut: its rest must lead whatever is written next. */
    memcpy(self->pending, self->frame + sent, left);
    self->pending_length = left;
  }
}

static void let_go(writer *self) {
  if (atomic_fetch_sub(&self->holders, 1) > 1) return;
  uv_cond_destroy(&self->changed);
  uv_mutex_destroy(&self->lock);
  free(self->frame);
  free(self->pending);
  free(self);
}

static void run(void *argument) {
  writer *self = argument;
  pthread_detach(pthread_self());
  uv_mutex_lock(&self->lock);
  while (!self->ending) {
    if (!self->beating) {
      /* Nothing to do until told: a quiet process has no wake-up from here. */
      self->asleep_until = UINT64_MAX;
      uv_cond_wait(&self->changed, &self->lock);
      self->asleep_until = 0;
      continue;
    }
    uint64_t now = uv_hrtime();
    if (now < self->due) {
      self->asleep_until = self->due;
      uv_cond_timedwait(&self->changed, &self->lock, self->due - now);
      self->asleep_until = 0;
      continue;
    }
    beat_locked(self);
    /* A process that was stopped (SIGSTOP) sends one beat when it wakes, not all that it missed. */
    uint64_t period_ns = self->beat.period_ms * 1000000;
    self->due += period_ns;
    if (self->due < uv_hrtime()) self->due = uv_hrtime() + period_ns;
  }
  uv_mutex_unlock(&self->lock);
  let_go(self);
}

writer *writer_new(int fd) {
  writer *self = calloc(1, sizeof *self);
  if (self == NULL) return NULL;
  self->fd = fd;
  atomic_init(&self->holders, 1);
  if (uv_mutex_init(&self->lock) != 0) {
    free(self);
    return NULL;
  }
  if (uv_cond_init(&self->changed) != 0) {
    uv_mutex_destroy(&self->lock);
    free(self);
    return NULL;
  }
  return self;
}

void writer_free(writer *self) {
  /* It sends under the lock alone, and not once it was told: the fd is the caller's again. */
  uv_mutex_lock(&self->lock);
  self->ending = true;
  if (self->has_thread) uv_cond_signal(&self->changed);
  uv_mutex_unlock(&self->lock);
  let_go(self);
}

ssize_t writer_write(writer *self, const uint8_t *bytes, size_t length) {
  uv_mutex_lock(&self->lock);
  ssize_t result = write_locked(self, bytes, length);
  uv_mutex_unlock(&self->lock);
  return result;
}

ssize_t writer_flush(writer *self) {
  uv_mutex_lock(&self->lock);
  ssize_t result = self->error != 0 ? self->error : flush_locked(self);
  uv_mutex_unlock(&self->lock);
  return result;
}

static int start_thread(writer *self) {
  /* Signals belong to the main thread: a handler that ran here would interrupt nothing that waits for it. */
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  uv_thread_options_t options = {.flags = UV_THREAD_HAS_STACK_SIZE, .stack_size = THREAD_STACK_BYTES};
  uv_thread_t thread;
  atomic_fetch_add(&self->holders, 1);
  int started = uv_thread_create_ex(&thread, &options, run, self);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (started != 0) atomic_fetch_sub(&self->holders, 1);
  self->has_thread = started == 0;
  return started;
}

int writer_start_beating(writer *self, const struct writer_beat *beat) {
  if (self->beating) return -EALREADY;
  uint8_t *frame = malloc(beat->frame_length);
  if (frame == NULL) return -ENOMEM;
  memcpy(frame, beat->frame, beat->frame_length);

  uv_mutex_lock(&self->lock);
  self->frame = frame;
  self->beat = *beat;
  self->beat.frame = frame;
  self->due = uv_hrtime() + beat->period_ms * 1000000;
  self->beating = true;
  /* One that wakes in time by itself, from the phase before, is left asleep. */
  if (self->asleep_until > self->due) uv_cond_signal(&self->changed);
  uv_mutex_unlock(&self->lock);

  int started = self->has_thread ? 0 : start_thread(self);
  if (started != 0) writer_stop_beating(self);
  return started;
}

void writer_stop_beating(writer *self) {
  if (!self->beating) return;
  /* The thread beats under the lock alone, so that no beat leaves after this; it finds out when it wakes. */
  uv_mutex_lock(&self->lock);
  self->beating = false;
  free(self->frame);
  self->frame = NULL;
  uv_mutex_unlock(&self->lock);
}

void writer_look(writer *self, struct writer_facts *facts) {
  uv_mutex_lock(&self->lock);
  facts->pending = pending_left(self);
  facts->beats = self->beats;
  facts->skipped = self->skipped;
  facts->error = self->error;
  uv_mutex_unlock(&self->lock);
}
