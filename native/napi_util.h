/* What every binding file shares: errno exceptions in Node's own shape, and argument reading. */
#ifndef HANDOFF_NAPI_UTIL_H
#define HANDOFF_NAPI_UTIL_H

#ifndef NAPI_VERSION
#define NAPI_VERSION 8
#endif
#include <node_api.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Throws { code: 'EAGAIN', errno: -11, syscall: 'sendmsg' } and returns NULL. */
napi_value throw_errno(napi_env env, int64_t negative_errno, const char *syscall);
napi_value throw_type(napi_env env, const char *message);

/* Reads up to `wanted` arguments; missing ones are undefined. */
bool get_args(napi_env env, napi_callback_info info, size_t wanted, napi_value *argv, napi_value *this_value);

/* Each throws a TypeError and returns false when the value is of another type. */
bool get_int(napi_env env, napi_value value, int *out);
bool get_u64(napi_env env, napi_value value, uint64_t *out);
bool get_bool(napi_env env, napi_value value, bool *out);
bool get_bytes(napi_env env, napi_value value, uint8_t **data, size_t *length);

napi_value make_int(napi_env env, int64_t value);
napi_value make_bool(napi_env env, bool value);
napi_value undefined(napi_env env);
void set_named(napi_env env, napi_value object, const char *name, napi_value value);

#endif
