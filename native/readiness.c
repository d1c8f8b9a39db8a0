#include "readiness.h"

#ifdef __linux__

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>
#include <uv.h>

/*
 * new Readiness(room, (count) => void), then add(fd, key, events), change(fd, key, events), remove(fd), ref(), unref(),
 * close(): many fds behind one epoll instance, itself watched by the loop.
 *
 * uv_poll_t asks the kernel four things about every new fd and wants it non-blocking; a descriptor that is looked at once
 * and passed on pays that each time. Here it is one epoll_ctl(2). Each fd is told once (EPOLLONESHOT) until it is changed.
 * `room` is a Uint32Array that takes pairs of key and events, in the numbers of uv_poll; `count` is the number of pairs.
 */
enum { BATCH = 256, MOST_BATCHES = 32 };

typedef struct {
  uv_poll_t handle;
  napi_env env;
  napi_ref self;
  napi_ref callback;
  napi_ref room_ref;
  uint32_t *room;
  size_t pairs;
  napi_async_context context;
  napi_async_cleanup_hook_handle cleanup;
  int epoll;
  bool closing;
  bool wrapper_gone;
  bool handle_gone;
} readiness;

static void free_when_unused(readiness *watched) {
  if (watched->wrapper_gone && watched->handle_gone) free(watched);
}

static void on_closed(uv_handle_t *handle) {
  readiness *watched = handle->data;
  napi_env env = watched->env;
  napi_handle_scope scope;
  close(watched->epoll);
  napi_open_handle_scope(env, &scope);
  napi_delete_reference(env, watched->callback);
  napi_delete_reference(env, watched->room_ref);
  napi_delete_reference(env, watched->self);
  napi_async_destroy(env, watched->context);
  napi_close_handle_scope(env, scope);
  napi_async_cleanup_hook_handle cleanup = watched->cleanup;
  watched->cleanup = NULL;
  watched->handle_gone = true;
  free_when_unused(watched);
  if (cleanup != NULL) napi_remove_async_cleanup_hook(cleanup);
}

static void begin_close(readiness *watched) {
  if (watched->closing) return;
  watched->closing = true;
  uv_close((uv_handle_t *)&watched->handle, on_closed);
}

/* The environment ends (process.exit, worker.terminate) with the instance still open. */
static void on_env_cleanup(napi_async_cleanup_hook_handle handle, void *data) {
  (void)handle;
  begin_close(data);
}

static uint32_t to_epoll(int events) {
  return (events & UV_READABLE ? EPOLLIN : 0u) | (events & UV_WRITABLE ? EPOLLOUT : 0u) |
         (events & UV_DISCONNECT ? EPOLLRDHUP : 0u) | EPOLLONESHOT;
}

/* An error or a hang-up wakes whatever is awaited: the next read or write tells what it is. */
static uint32_t from_epoll(uint32_t events) {
  if (events & (EPOLLERR | EPOLLHUP)) return UV_READABLE | UV_WRITABLE | UV_DISCONNECT;
  return (events & EPOLLIN ? UV_READABLE : 0) | (events & EPOLLOUT ? UV_WRITABLE : 0) |
         (events & EPOLLRDHUP ? UV_DISCONNECT : 0);
}

static bool tell(readiness *watched, int count) {
  napi_env env = watched->env;
  napi_handle_scope scope;
  napi_open_handle_scope(env, &scope);
  napi_value self, callback, argv[1];
  napi_get_reference_value(env, watched->self, &self);
  napi_get_reference_value(env, watched->callback, &callback);
  argv[0] = make_int(env, count);
  if (napi_make_callback(env, watched->context, self, callback, 1, argv, NULL) == napi_pending_exception) {
    napi_value error;
    if (napi_get_and_clear_last_exception(env, &error) == napi_ok) napi_fatal_exception(env, error);
  }
  napi_close_handle_scope(env, scope);
  return !watched->closing;
}

/* All that is ready now, so that no timer can overtake what was readable before it. */
static void on_ready(uv_poll_t *handle, int status, int events) {
  (void)status;
  (void)events;
  readiness *watched = handle->data;
  struct epoll_event found[BATCH];
  size_t most = watched->pairs < BATCH ? watched->pairs : BATCH;
  for (int batch = 0; batch < MOST_BATCHES; batch++) {
    int count = epoll_wait(watched->epoll, found, (int)most, 0);
    if (count <= 0) return;
    for (int i = 0; i < count; i++) {
      watched->room[2 * i] = found[i].data.u32;
      watched->room[2 * i + 1] = from_epoll(found[i].events);
    }
    if (!tell(watched, count) || (size_t)count < most) return;
  }
}

static void on_wrapper_gone(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  readiness *watched = data;
  watched->wrapper_gone = true;
  free_when_unused(watched);
}

static napi_value readiness_new(napi_env env, napi_callback_info info) {
  napi_value argv[2], self, name;
  napi_typedarray_type type;
  void *room;
  size_t length;
  if (!get_args(env, info, 2, argv, &self)) return NULL;
  if (napi_get_typedarray_info(env, argv[0], &type, &length, &room, NULL, NULL) != napi_ok || type != napi_uint32_array ||
      length < 2) {
    return throw_type(env, "expected a Uint32Array with room for pairs");
  }
  napi_valuetype value;
  if (napi_typeof(env, argv[1], &value) != napi_ok || value != napi_function) return throw_type(env, "expected a function");

  uv_loop_t *loop;
  if (napi_get_uv_event_loop(env, &loop) != napi_ok) return throw_type(env, "no event loop");
  int epoll = epoll_create1(EPOLL_CLOEXEC);
  if (epoll < 0) return throw_errno(env, -errno, "epoll_create1");
  readiness *watched = calloc(1, sizeof *watched);
  int result = watched == NULL ? UV_ENOMEM : uv_poll_init(loop, &watched->handle, epoll);
  if (result < 0) {
    free(watched);
    close(epoll);
    return throw_errno(env, result, "uv_poll_init");
  }
  watched->handle.data = watched;
  watched->env = env;
  watched->epoll = epoll;
  watched->room = room;
  watched->pairs = length / 2;
  napi_create_string_utf8(env, "handoff:readiness", NAPI_AUTO_LENGTH, &name);
  napi_wrap(env, self, watched, on_wrapper_gone, NULL, NULL);
  napi_create_reference(env, self, 1, &watched->self);
  napi_create_reference(env, argv[1], 1, &watched->callback);
  napi_create_reference(env, argv[0], 1, &watched->room_ref);
  napi_async_init(env, self, name, &watched->context);
  napi_add_async_cleanup_hook(env, on_env_cleanup, watched, &watched->cleanup);
  uv_poll_start(&watched->handle, UV_READABLE, on_ready);
  uv_unref((uv_handle_t *)&watched->handle);
  return self;
}

/* NULL, with an exception where that helps, when the object is foreign or already closed. */
static readiness *open_readiness(napi_env env, napi_callback_info info, size_t wanted, napi_value *argv) {
  napi_value self;
  void *data = NULL;
  if (!get_args(env, info, wanted, argv, &self) || napi_unwrap(env, self, &data) != napi_ok) {
    throw_type(env, "not a Readiness");
    return NULL;
  }
  readiness *watched = data;
  return watched->closing ? NULL : watched;
}

static napi_value control(napi_env env, napi_callback_info info, int operation) {
  napi_value argv[3];
  int fd, events;
  uint64_t key;
  readiness *watched = open_readiness(env, info, 3, argv);
  if (watched == NULL || !get_int(env, argv[0], &fd) || !get_u64(env, argv[1], &key) || !get_int(env, argv[2], &events)) {
    return NULL;
  }
  struct epoll_event wanted = {.events = to_epoll(events), .data.u32 = (uint32_t)key};
  return epoll_ctl(watched->epoll, operation, fd, &wanted) < 0 ? throw_errno(env, -errno, "epoll_ctl") : undefined(env);
}

static napi_value readiness_add(napi_env env, napi_callback_info info) {
  return control(env, info, EPOLL_CTL_ADD);
}

static napi_value readiness_change(napi_env env, napi_callback_info info) {
  return control(env, info, EPOLL_CTL_MOD);
}

static napi_value readiness_remove(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  int fd;
  readiness *watched = open_readiness(env, info, 1, argv);
  if (watched == NULL || !get_int(env, argv[0], &fd)) return NULL;
  struct epoll_event unused = {0};
  return epoll_ctl(watched->epoll, EPOLL_CTL_DEL, fd, &unused) < 0 ? throw_errno(env, -errno, "epoll_ctl") : undefined(env);
}

static napi_value readiness_ref(napi_env env, napi_callback_info info) {
  readiness *watched = open_readiness(env, info, 0, NULL);
  if (watched != NULL) uv_ref((uv_handle_t *)&watched->handle);
  return NULL;
}

static napi_value readiness_unref(napi_env env, napi_callback_info info) {
  readiness *watched = open_readiness(env, info, 0, NULL);
  if (watched != NULL) uv_unref((uv_handle_t *)&watched->handle);
  return NULL;
}

static napi_value readiness_close(napi_env env, napi_callback_info info) {
  readiness *watched = open_readiness(env, info, 0, NULL);
  if (watched != NULL) begin_close(watched);
  return NULL;
}

napi_value readiness_class(napi_env env) {
  napi_property_descriptor methods[] = {
      {"add", NULL, readiness_add, NULL, NULL, NULL, napi_default_method, NULL},
      {"change", NULL, readiness_change, NULL, NULL, NULL, napi_default_method, NULL},
      {"remove", NULL, readiness_remove, NULL, NULL, NULL, napi_default_method, NULL},
      {"ref", NULL, readiness_ref, NULL, NULL, NULL, napi_default_method, NULL},
      {"unref", NULL, readiness_unref, NULL, NULL, NULL, napi_default_method, NULL},
      {"close", NULL, readiness_close, NULL, NULL, NULL, napi_default_method, NULL},
  };
  napi_value result;
  napi_define_class(env, "Readiness", NAPI_AUTO_LENGTH, readiness_new, NULL, sizeof methods / sizeof *methods, methods,
                    &result);
  return result;
}

#else

napi_value readiness_class(napi_env env) {
  return undefined(env);
}

#endif
