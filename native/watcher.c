#include "watcher.h"

#include <stdlib.h>
#include <uv.h>

/*
 * new Poll(fd, (events, failed) => void), then start(events), stop(), ref(), unref(), close().
 *
 * The object is kept alive until close(): a watcher that the garbage collector silences is a hang. `failed` says that
 * libuv saw an error condition on the fd and has stopped the watcher; what the error is, the next read or write tells.
 */
typedef struct {
  uv_poll_t handle;
  napi_env env;
  napi_ref self;
  napi_ref callback;
  napi_async_context context;
  napi_async_cleanup_hook_handle cleanup;
  bool closing;
  bool wrapper_gone;
  bool handle_gone;
} poll_watcher;

static void free_when_unused(poll_watcher *watcher) {
  if (watcher->wrapper_gone && watcher->handle_gone) free(watcher);
}

static void on_closed(uv_handle_t *handle) {
  poll_watcher *watcher = handle->data;
  napi_env env = watcher->env;
  napi_handle_scope scope;
  napi_open_handle_scope(env, &scope);
  if (watcher->callback != NULL) napi_delete_reference(env, watcher->callback);
  if (watcher->self != NULL) napi_delete_reference(env, watcher->self);
  if (watcher->context != NULL) napi_async_destroy(env, watcher->context);
  napi_close_handle_scope(env, scope);
  napi_async_cleanup_hook_handle cleanup = watcher->cleanup;
  watcher->cleanup = NULL;
  watcher->handle_gone = true;
  free_when_unused(watcher);
  if (cleanup != NULL) napi_remove_async_cleanup_hook(cleanup);
}

static void begin_close(poll_watcher *watcher) {
  if (watcher->closing) return;
  watcher->closing = true;
  uv_close((uv_handle_t *)&watcher->handle, on_closed);
}

/* The environment ends (process.exit, worker.terminate) with the watcher still open. */
static void on_env_cleanup(napi_async_cleanup_hook_handle handle, void *data) {
  (void)handle;
  begin_close(data);
}

static void on_event(uv_poll_t *handle, int status, int events) {
  poll_watcher *watcher = handle->data;
  napi_env env = watcher->env;
  napi_handle_scope scope;
  napi_open_handle_scope(env, &scope);
  napi_value self, callback, argv[2];
  napi_get_reference_value(env, watcher->self, &self);
  napi_get_reference_value(env, watcher->callback, &callback);
  argv[0] = make_int(env, events);
  argv[1] = make_bool(env, status < 0);
  if (napi_make_callback(env, watcher->context, self, callback, 2, argv, NULL) == napi_pending_exception) {
    napi_value error;
    if (napi_get_and_clear_last_exception(env, &error) == napi_ok) napi_fatal_exception(env, error);
  }
  napi_close_handle_scope(env, scope);
}

static void on_wrapper_gone(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  poll_watcher *watcher = data;
  watcher->wrapper_gone = true;
  free_when_unused(watcher);
}

static napi_value poll_new(napi_env env, napi_callback_info info) {
  napi_value argv[2], self, name;
  int fd;
  if (!get_args(env, info, 2, argv, &self) || !get_int(env, argv[0], &fd)) return NULL;
  napi_valuetype type;
  if (napi_typeof(env, argv[1], &type) != napi_ok || type != napi_function) return throw_type(env, "expected a function");

  uv_loop_t *loop;
  if (napi_get_uv_event_loop(env, &loop) != napi_ok) return throw_type(env, "no event loop");
  poll_watcher *watcher = calloc(1, sizeof *watcher);
  if (watcher == NULL) return throw_errno(env, UV_ENOMEM, "malloc");
  int result = uv_poll_init(loop, &watcher->handle, fd);
  if (result < 0) {
    free(watcher);
    return throw_errno(env, result, "uv_poll_init");
  }
  watcher->handle.data = watcher;
  watcher->env = env;
  napi_create_string_utf8(env, "handoff:poll", NAPI_AUTO_LENGTH, &name);
  napi_wrap(env, self, watcher, on_wrapper_gone, NULL, NULL);
  napi_create_reference(env, self, 1, &watcher->self);
  napi_create_reference(env, argv[1], 1, &watcher->callback);
  napi_async_init(env, self, name, &watcher->context);
  napi_add_async_cleanup_hook(env, on_env_cleanup, watcher, &watcher->cleanup);
  return self;
}

/* NULL, with an exception where that helps, when the object is foreign or already closed. */
static poll_watcher *open_watcher(napi_env env, napi_callback_info info, size_t wanted, napi_value *argv) {
  napi_value self;
  void *data = NULL;
  if (!get_args(env, info, wanted, argv, &self) || napi_unwrap(env, self, &data) != napi_ok) {
    throw_type(env, "not a Poll");
    return NULL;
  }
  poll_watcher *watcher = data;
  return watcher->closing ? NULL : watcher;
}

static napi_value poll_start(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  int events;
  poll_watcher *watcher = open_watcher(env, info, 1, argv);
  if (watcher == NULL || !get_int(env, argv[0], &events)) return NULL;
  int result = uv_poll_start(&watcher->handle, events, on_event);
  return result < 0 ? throw_errno(env, result, "uv_poll_start") : undefined(env);
}

static napi_value poll_stop(napi_env env, napi_callback_info info) {
  poll_watcher *watcher = open_watcher(env, info, 0, NULL);
  if (watcher != NULL) uv_poll_stop(&watcher->handle);
  return NULL;
}

static napi_value poll_ref(napi_env env, napi_callback_info info) {
  poll_watcher *watcher = open_watcher(env, info, 0, NULL);
  if (watcher != NULL) uv_ref((uv_handle_t *)&watcher->handle);
  return NULL;
}

static napi_value poll_unref(napi_env env, napi_callback_info info) {
  poll_watcher *watcher = open_watcher(env, info, 0, NULL);
  if (watcher != NULL) uv_unref((uv_handle_t *)&watcher->handle);
  return NULL;
}

static napi_value poll_close(napi_env env, napi_callback_info info) {
  poll_watcher *watcher = open_watcher(env, info, 0, NULL);
  if (watcher != NULL) begin_close(watcher);
  return NULL;
}

napi_value poll_class(napi_env env) {
  napi_property_descriptor methods[] = {
      {"start", NULL, poll_start, NULL, NULL, NULL, napi_default_method, NULL},
      {"stop", NULL, poll_stop, NULL, NULL, NULL, napi_default_method, NULL},
      {"ref", NULL, poll_ref, NULL, NULL, NULL, napi_default_method, NULL},
      {"unref", NULL, poll_unref, NULL, NULL, NULL, napi_default_method, NULL},
      {"close", NULL, poll_close, NULL, NULL, NULL, napi_default_method, NULL},
  };
  napi_value result;
  napi_define_class(env, "Poll", NAPI_AUTO_LENGTH, poll_new, NULL, sizeof methods / sizeof *methods, methods, &result);
  return result;
}
