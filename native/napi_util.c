#include "napi_util.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

/* libuv has no name for a few codes that descriptor passing can give. */
static const char *errno_name(int negative_errno, char *buffer, size_t length) {
#ifdef ETOOMANYREFS
  if (negative_errno == -ETOOMANYREFS) return "ETOOMANYREFS";
#endif
  if (negative_errno == -EWOULDBLOCK) return "EAGAIN";
  return uv_err_name_r(negative_errno, buffer, length);
}

napi_value throw_errno(napi_env env, int64_t negative_errno, const char *syscall) {
  char name_buffer[64], text_buffer[160], message[320];
  const char *name = errno_name((int)negative_errno, name_buffer, sizeof name_buffer);
  const char *text = uv_strerror_r((int)negative_errno, text_buffer, sizeof text_buffer);
  snprintf(message, sizeof message, "%s: %s, %s", name, text, syscall);

  napi_value error, code, message_value, syscall_value;
  napi_create_string_utf8(env, name, NAPI_AUTO_LENGTH, &code);
  napi_create_string_utf8(env, message, NAPI_AUTO_LENGTH, &message_value);
  napi_create_string_utf8(env, syscall, NAPI_AUTO_LENGTH, &syscall_value);
  napi_create_error(env, code, message_value, &error);
  set_named(env, error, "errno", make_int(env, negative_errno));
  set_named(env, error, "syscall", syscall_value);
  napi_throw(env, error);
  return NULL;
}

napi_value throw_type(napi_env env, const char *message) {
  napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", message);
  return NULL;
}

bool get_args(napi_env env, napi_callback_info info, size_t wanted, napi_value *argv, napi_value *this_value) {
  size_t given = wanted;
  return napi_get_cb_info(env, info, &given, argv, this_value, NULL) == napi_ok;
}

bool get_int(napi_env env, napi_value value, int *out) {
  double number;
  if (napi_get_value_double(env, value, &number) == napi_ok && number >= INT32_MIN && number <= INT32_MAX &&
      number == (double)(int)number) {
    *out = (int)number;
    return true;
  }
  throw_type(env, "expected a 32-bit integer");
  return false;
}

bool get_u64(napi_env env, napi_value value, uint64_t *out) {
  double number;
  if (napi_get_value_double(env, value, &number) == napi_ok && number >= 0 && number <= 9007199254740991.0) {
    *out = (uint64_t)number;
    return true;
  }
  throw_type(env, "expected a non-negative safe integer");
  return false;
}

bool get_bool(napi_env env, napi_value value, bool *out) {
  if (napi_get_value_bool(env, value, out) == napi_ok) return true;
  throw_type(env, "expected a boolean");
  return false;
}

bool get_bytes(napi_env env, napi_value value, uint8_t **data, size_t *length) {
  bool is_typed = false;
  napi_typedarray_type type;
  void *start = NULL;
  if (napi_is_typedarray(env, value, &is_typed) == napi_ok && is_typed &&
      napi_get_typedarray_info(env, value, &type, length, &start, NULL, NULL) == napi_ok && type == napi_uint8_array) {
    *data = start;
    return true;
  }
  throw_type(env, "expected a Uint8Array");
  return false;
}

napi_value make_int(napi_env env, int64_t value) {
  napi_value result;
  napi_create_int64(env, value, &result);
  return result;
}

napi_value make_bool(napi_env env, bool value) {
  napi_value result;
  napi_get_boolean(env, value, &result);
  return result;
}

napi_value undefined(napi_env env) {
  napi_value result;
  napi_get_undefined(env, &result);
  return result;
}

void set_named(napi_env env, napi_value object, const char *name, napi_value value) {
  napi_set_named_property(env, object, name, value);
}
