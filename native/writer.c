#include "writer.h"

#include <errno.h>
#include <stdlib.h>

#include "heartbeat.h"

/*
 * class Writer: JavaScript's hand on heartbeat.h. new Writer(fd), write(bytes), flush(), startBeating(frame, tsOffset,
 * tsBytes, periodMs), stopBeating(), look(), close(). It borrows the fd and never closes it.
 */
typedef struct {
  writer *writer; /* NULL once closed */
} holder;

static void on_wrapper_gone(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  holder *held = data;
  if (held->writer != NULL) writer_free(held->writer);
  free(held);
}

static napi_value writer_construct(napi_env env, napi_callback_info info) {
  napi_value argv[1], self;
  int fd;
  if (!get_args(env, info, 1, argv, &self) || !get_int(env, argv[0], &fd)) return NULL;
  holder *held = calloc(1, sizeof *held);
  if (held == NULL) return throw_errno(env, -ENOMEM, "malloc");
  held->writer = writer_new(fd);
  if (held->writer == NULL) {
    free(held);
    return throw_errno(env, -ENOMEM, "malloc");
  }
  napi_wrap(env, self, held, on_wrapper_gone, NULL, NULL);
  return self;
}

static holder *unwrap(napi_env env, napi_callback_info info, size_t wanted, napi_value *argv) {
  napi_value self;
  void *data = NULL;
  if (!get_args(env, info, wanted, argv, &self) || napi_unwrap(env, self, &data) != napi_ok) {
    throw_type(env, "not a Writer");
    return NULL;
  }
  return data;
}

/* A closed writer answers EBADF, as a closed fd does. */
static writer *open_writer(napi_env env, napi_callback_info info, size_t wanted, napi_value *argv, const char *syscall) {
  holder *held = unwrap(env, info, wanted, argv);
  if (held == NULL) return NULL;
  if (held->writer == NULL) throw_errno(env, -EBADF, syscall);
  return held->writer;
}

static napi_value writer_js_write(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  uint8_t *bytes;
  size_t length;
  writer *open = open_writer(env, info, 1, argv, "send");
  if (open == NULL || !get_bytes(env, argv[0], &bytes, &length)) return NULL;
  ssize_t pending = writer_write(open, bytes, length);
  return pending < 0 ? throw_errno(env, pending, "send") : make_int(env, pending);
}

static napi_value writer_js_flush(napi_env env, napi_callback_info info) {
  writer *open = open_writer(env, info, 0, NULL, "send");
  if (open == NULL) return NULL;
  ssize_t pending = writer_flush(open);
  return pending < 0 ? throw_errno(env, pending, "send") : make_int(env, pending);
}

static napi_value writer_js_start(napi_env env, napi_callback_info info) {
  napi_value argv[4];
  struct writer_beat beat;
  uint8_t *frame;
  uint64_t ts_offset, ts_bytes;
  writer *open = open_writer(env, info, 4, argv, "pthread_create");
  if (open == NULL) return NULL;
  if (!get_bytes(env, argv[0], &frame, &beat.frame_length) || !get_u64(env, argv[1], &ts_offset) ||
      !get_u64(env, argv[2], &ts_bytes) || !get_u64(env, argv[3], &beat.period_ms)) {
    return NULL;
  }
  if (beat.frame_length == 0 || ts_bytes == 0 || ts_bytes > 10 || ts_offset > beat.frame_length ||
      ts_bytes > beat.frame_length - ts_offset || beat.period_ms == 0 || beat.period_ms > UINT32_MAX) {
    napi_throw_range_error(env, "ERR_OUT_OF_RANGE", "the timestamp lies outside of the frame, or the period is not 1 ms to 2^32 ms");
    return NULL;
  }
  beat.frame = frame;
  beat.ts_offset = (size_t)ts_offset;
  beat.ts_bytes = (size_t)ts_bytes;
  int started = writer_start_beating(open, &beat);
  return started < 0 ? throw_errno(env, started, "pthread_create") : undefined(env);
}

static napi_value writer_js_stop(napi_env env, napi_callback_info info) {
  holder *held = unwrap(env, info, 0, NULL);
  if (held != NULL && held->writer != NULL) writer_stop_beating(held->writer);
  return NULL;
}

static napi_value writer_js_look(napi_env env, napi_callback_info info) {
  struct writer_facts facts;
  napi_value result;
  writer *open = open_writer(env, info, 0, NULL, "send");
  if (open == NULL) return NULL;
  writer_look(open, &facts);
  napi_create_object(env, &result);
  set_named(env, result, "pending", make_int(env, (int64_t)facts.pending));
  set_named(env, result, "beats", make_int(env, (int64_t)facts.beats));
  set_named(env, result, "skipped", make_int(env, (int64_t)facts.skipped));
  set_named(env, result, "errno", make_int(env, facts.error));
  return result;
}

static napi_value writer_js_close(napi_env env, napi_callback_info info) {
  holder *held = unwrap(env, info, 0, NULL);
  if (held != NULL && held->writer != NULL) {
    writer_free(held->writer);
    held->writer = NULL;
  }
  return NULL;
}

napi_value writer_class(napi_env env) {
  napi_property_descriptor methods[] = {
      {"write", NULL, writer_js_write, NULL, NULL, NULL, napi_default_method, NULL},
      {"flush", NULL, writer_js_flush, NULL, NULL, NULL, napi_default_method, NULL},
      {"startBeating", NULL, writer_js_start, NULL, NULL, NULL, napi_default_method, NULL},
      {"stopBeating", NULL, writer_js_stop, NULL, NULL, NULL, napi_default_method, NULL},
      {"look", NULL, writer_js_look, NULL, NULL, NULL, napi_default_method, NULL},
      {"close", NULL, writer_js_close, NULL, NULL, NULL, napi_default_method, NULL},
  };
  napi_value result;
  napi_define_class(env, "Writer", NAPI_AUTO_LENGTH, writer_construct, NULL, sizeof methods / sizeof *methods, methods,
                    &result);
  return result;
}
