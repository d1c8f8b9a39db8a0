#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/file.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

#include "napi_util.h"
#include "readiness.h"
#include "sys.h"
#include "watcher.h"
#include "writer.h"

/* Reads n integers and calls one function of sys.h with them; most of the kernel's face is just that. */
#define INT_CALL(js_name, n, call, syscall_name, convert) \
  static napi_value js_name(napi_env env, napi_callback_info info) { \
    napi_value argv[n]; \
    int a[n]; \
    if (!get_args(env, info, n, argv, NULL)) return NULL; \
    for (size_t i = 0; i < n; i++) { \
      if (!get_int(env, argv[i], &a[i])) return NULL; \
    } \
    int result = call; \
    if (result < 0) return throw_errno(env, result, syscall_name); \
    return convert; \
  }

INT_CALL(js_socket, 2, sys_socket(a[0], a[1]), "socket", make_int(env, result))
INT_CALL(js_listen, 2, sys_listen(a[0], a[1]), "listen", undefined(env))
INT_CALL(js_setsockopt, 4, sys_setsockopt(a[0], a[1], a[2], a[3]), "setsockopt", undefined(env))
INT_CALL(js_shutdown, 2, sys_shutdown(a[0], a[1]), "shutdown", undefined(env))
INT_CALL(js_dup, 2, sys_dup(a[0], a[1]), "fcntl", make_int(env, result))
INT_CALL(js_close, 1, sys_close(a[0]), "close", undefined(env))
INT_CALL(js_get_cloexec, 1, sys_get_cloexec(a[0]), "fcntl", make_bool(env, result != 0))
INT_CALL(js_set_cloexec, 2, sys_set_cloexec(a[0], a[1] != 0), "fcntl", undefined(env))
INT_CALL(js_get_nonblocking, 1, sys_get_nonblocking(a[0]), "fcntl", make_bool(env, result != 0))
INT_CALL(js_set_nonblocking, 2, sys_set_nonblocking(a[0], a[1] != 0), "ioctl", undefined(env))
INT_CALL(js_flock, 2, sys_flock(a[0], a[1]), "flock", undefined(env))
INT_CALL(js_pending_bytes, 1, sys_pending_bytes(a[0]), "ioctl", make_int(env, result))
INT_CALL(js_peer_pidfd, 1, sys_peer_pidfd(a[0]), "getsockopt", make_int(env, result))
INT_CALL(js_reap, 1, sys_reap(a[0]), "waitpid", make_bool(env, result != 0))
INT_CALL(js_pidfd_open, 1, sys_pidfd_open(a[0]), "pidfd_open", make_int(env, result))
INT_CALL(js_pidfd_getfd, 2, sys_pidfd_getfd(a[0], a[1]), "pidfd_getfd", make_int(env, result))
INT_CALL(js_pidfd_send_signal, 2, sys_pidfd_send_signal(a[0], a[1]), "pidfd_send_signal", undefined(env))

/* A trailing `true` makes "nothing there" a return value: where it is no surprise, an exception costs more than the call. */
static bool wants_quiet(napi_env env, napi_value value) {
  bool quiet = false;
  return napi_get_value_bool(env, value, &quiet) == napi_ok && quiet;
}

static napi_value count_or_throw(napi_env env, ssize_t count, bool quiet, const char *syscall) {
  if (count >= 0) return make_int(env, count);
  return quiet && count == -EAGAIN ? make_int(env, -1) : throw_errno(env, count, syscall);
}

/* accept(fd, blocking?, quiet?) */
static napi_value js_accept(napi_env env, napi_callback_info info) {
  napi_value argv[3];
  int fd;
  if (!get_args(env, info, 3, argv, NULL) || !get_int(env, argv[0], &fd)) return NULL;
  return count_or_throw(env, sys_accept(fd, wants_quiet(env, argv[1])), wants_quiet(env, argv[2]), "accept");
}

/* hungUp(fd, other?): a bit for each of them, in one call. */
static napi_value js_hung_up(napi_env env, napi_callback_info info) {
  napi_value argv[2];
  napi_valuetype type;
  int fd, other = -1;
  if (!get_args(env, info, 2, argv, NULL) || !get_int(env, argv[0], &fd)) return NULL;
  if (napi_typeof(env, argv[1], &type) == napi_ok && type == napi_number && !get_int(env, argv[1], &other)) return NULL;
  int result = sys_hung_up(fd, other);
  return result < 0 ? throw_errno(env, result, "poll") : make_int(env, result);
}

static napi_value js_getsockopt(napi_env env, napi_callback_info info) {
  napi_value argv[3];
  int fd, level, name, value;
  if (!get_args(env, info, 3, argv, NULL) || !get_int(env, argv[0], &fd) || !get_int(env, argv[1], &level) ||
      !get_int(env, argv[2], &name)) {
    return NULL;
  }
  int result = sys_getsockopt(fd, level, name, &value);
  return result < 0 ? throw_errno(env, result, "getsockopt") : make_int(env, value);
}

static napi_value js_socketpair(napi_env env, napi_callback_info info) {
  napi_value argv[1], result;
  int type, pair[2];
  if (!get_args(env, info, 1, argv, NULL) || !get_int(env, argv[0], &type)) return NULL;
  int made = sys_socketpair(type, pair);
  if (made < 0) return throw_errno(env, made, "socketpair");
  napi_create_array_with_length(env, 2, &result);
  napi_set_element(env, result, 0, make_int(env, pair[0]));
  napi_set_element(env, result, 1, make_int(env, pair[1]));
  return result;
}

typedef struct {
  struct sockaddr_storage storage;
  socklen_t length;
} address;

/*
 * A Unix name. A leading NUL means the abstract namespace, whose names are exactly as long as the address says:
 * padding them, as many libraries do, names another socket.
 */
static bool get_unix_address(napi_env env, napi_value value, address *out) {
  struct sockaddr_un *unix_address = (struct sockaddr_un *)&out->storage;
  char path[sizeof unix_address->sun_path + 8];
  size_t length;
  if (napi_get_value_string_utf8(env, value, path, sizeof path, &length) != napi_ok || length == 0) {
    throw_type(env, "expected a socket path");
    return false;
  }
  bool abstract = path[0] == '\0';
  size_t most = sizeof unix_address->sun_path - (abstract ? 0 : 1);
  if (length > most) {
    throw_errno(env, -ENAMETOOLONG, "bind");
    return false;
  }
  memset(&out->storage, 0, sizeof out->storage);
  unix_address->sun_family = AF_UNIX;
  memcpy(unix_address->sun_path, path, length);
  out->length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + (abstract ? 0 : 1));
  return true;
}

static bool get_inet_address(napi_env env, napi_value host_value, napi_value port_value, address *out) {
  char host[INET6_ADDRSTRLEN + 32];
  size_t length;
  int port;
  if (napi_get_value_string_utf8(env, host_value, host, sizeof host, &length) != napi_ok) {
    throw_type(env, "expected a numeric IP address");
    return false;
  }
  if (!get_int(env, port_value, &port)) return false;
  memset(&out->storage, 0, sizeof out->storage);
  int parsed;
  if (strchr(host, ':') != NULL) {
    parsed = uv_ip6_addr(host, port, (struct sockaddr_in6 *)&out->storage);
    out->length = sizeof(struct sockaddr_in6);
  } else {
    parsed = uv_ip4_addr(host, port, (struct sockaddr_in *)&out->storage);
    out->length = sizeof(struct sockaddr_in);
  }
  if (parsed == 0 && port >= 0 && port <= 65535) return true;
  throw_errno(env, -EINVAL, "inet_pton");
  return false;
}

static napi_value js_bind_inet(napi_env env, napi_callback_info info) {
  napi_value argv[3];
  address to;
  int fd;
  if (!get_args(env, info, 3, argv, NULL) || !get_int(env, argv[0], &fd) || !get_inet_address(env, argv[1], argv[2], &to)) {
    return NULL;
  }
  int result = sys_bind(fd, (struct sockaddr *)&to.storage, to.length);
  return result < 0 ? throw_errno(env, result, "bind") : undefined(env);
}

static napi_value js_bind_unix(napi_env env, napi_callback_info info) {
  napi_value argv[2];
  address to;
  int fd;
  if (!get_args(env, info, 2, argv, NULL) || !get_int(env, argv[0], &fd) || !get_unix_address(env, argv[1], &to)) return NULL;
  int result = sys_bind(fd, (struct sockaddr *)&to.storage, to.length);
  return result < 0 ? throw_errno(env, result, "bind") : undefined(env);
}

static napi_value js_connect_unix(napi_env env, napi_callback_info info) {
  napi_value argv[2];
  address to;
  int fd;
  if (!get_args(env, info, 2, argv, NULL) || !get_int(env, argv[0], &fd) || !get_unix_address(env, argv[1], &to)) return NULL;
  int result = sys_connect(fd, (struct sockaddr *)&to.storage, to.length);
  return result < 0 ? throw_errno(env, result, "connect") : undefined(env);
}

static napi_value make_string(napi_env env, const char *text, size_t length) {
  napi_value result;
  napi_create_string_utf8(env, text, length, &result);
  return result;
}

/* { family: 'IPv4' | 'IPv6', address, port } | { family: 'unix', path } | { family: 'other' } */
static napi_value make_address(napi_env env, const address *from) {
  napi_value result;
  char host[INET6_ADDRSTRLEN];
  napi_create_object(env, &result);
  const char *family = "other";
  if (from->storage.ss_family == AF_INET) {
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)&from->storage;
    family = "IPv4";
    uv_ip4_name(v4, host, sizeof host);
    set_named(env, result, "address", make_string(env, host, NAPI_AUTO_LENGTH));
    set_named(env, result, "port", make_int(env, ntohs(v4->sin_port)));
  } else if (from->storage.ss_family == AF_INET6) {
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&from->storage;
    family = "IPv6";
    uv_ip6_name(v6, host, sizeof host);
    set_named(env, result, "address", make_string(env, host, NAPI_AUTO_LENGTH));
    set_named(env, result, "port", make_int(env, ntohs(v6->sin6_port)));
  } else if (from->storage.ss_family == AF_UNIX) {
    const struct sockaddr_un *name = (const struct sockaddr_un *)&from->storage;
    size_t length = from->length > offsetof(struct sockaddr_un, sun_path) ? from->length - offsetof(struct sockaddr_un, sun_path) : 0;
    family = "unix";
    /* A path ends at its NUL; an abstract name starts with one and has the length of the address. */
    if (length > 0 && name->sun_path[0] != '\0') length = strnlen(name->sun_path, length);
    set_named(env, result, "path", make_string(env, name->sun_path, length));
  }
  set_named(env, result, "family", make_string(env, family, NAPI_AUTO_LENGTH));
  return result;
}

static napi_value js_getsockname(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  address found;
  int fd;
  if (!get_args(env, info, 1, argv, NULL) || !get_int(env, argv[0], &fd)) return NULL;
  int result = sys_getsockname(fd, &found.storage, &found.length);
  return result < 0 ? throw_errno(env, result, "getsockname") : make_address(env, &found);
}

static napi_value js_getpeername(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  address found;
  int fd;
  if (!get_args(env, info, 1, argv, NULL) || !get_int(env, argv[0], &fd)) return NULL;
  int result = sys_getpeername(fd, &found.storage, &found.length);
  return result < 0 ? throw_errno(env, result, "getpeername") : make_address(env, &found);
}

static napi_value js_send(napi_env env, napi_callback_info info) {
  napi_value argv[2];
  uint8_t *bytes;
  size_t length;
  int fd;
  if (!get_args(env, info, 2, argv, NULL) || !get_int(env, argv[0], &fd) || !get_bytes(env, argv[1], &bytes, &length)) {
    return NULL;
  }
  ssize_t sent = sys_send(fd, bytes, length);
  return sent < 0 ? throw_errno(env, sent, "send") : make_int(env, sent);
}

static napi_value js_recv(napi_env env, napi_callback_info info) {
  napi_value argv[3];
  uint8_t *bytes;
  size_t length;
  int fd;
  if (!get_args(env, info, 3, argv, NULL) || !get_int(env, argv[0], &fd) || !get_bytes(env, argv[1], &bytes, &length)) {
    return NULL;
  }
  return count_or_throw(env, sys_recv(fd, bytes, length), wants_quiet(env, argv[2]), "recv");
}

static napi_value js_peek(napi_env env, napi_callback_info info) {
  napi_value argv[3];
  uint8_t *bytes;
  size_t length;
  int fd;
  if (!get_args(env, info, 3, argv, NULL) || !get_int(env, argv[0], &fd) || !get_bytes(env, argv[1], &bytes, &length)) {
    return NULL;
  }
  return count_or_throw(env, sys_peek(fd, bytes, length), wants_quiet(env, argv[2]), "recv");
}

static napi_value js_sendto_unix(napi_env env, napi_callback_info info) {
  napi_value argv[3];
  address to;
  uint8_t *bytes;
  size_t length;
  int fd;
  if (!get_args(env, info, 3, argv, NULL) || !get_int(env, argv[0], &fd) || !get_bytes(env, argv[1], &bytes, &length) ||
      !get_unix_address(env, argv[2], &to)) {
    return NULL;
  }
  ssize_t sent = sys_sendto(fd, bytes, length, (struct sockaddr *)&to.storage, to.length);
  return sent < 0 ? throw_errno(env, sent, "sendto") : make_int(env, sent);
}

static napi_value js_sendmsg(napi_env env, napi_callback_info info) {
  napi_value argv[3];
  uint8_t *bytes;
  size_t length;
  uint32_t count;
  int fd, fds[SYS_MAX_FDS];
  if (!get_args(env, info, 3, argv, NULL) || !get_int(env, argv[0], &fd) || !get_bytes(env, argv[1], &bytes, &length)) {
    return NULL;
  }
  if (napi_get_array_length(env, argv[2], &count) != napi_ok) return throw_type(env, "expected an array of fds");
  if (count > SYS_MAX_FDS) return throw_errno(env, -EINVAL, "sendmsg");
  for (uint32_t i = 0; i < count; i++) {
    napi_value element;
    if (napi_get_element(env, argv[2], i, &element) != napi_ok || !get_int(env, element, &fds[i])) return NULL;
  }
  ssize_t sent = sys_sendmsg(fd, bytes, length, fds, count);
  return sent < 0 ? throw_errno(env, sent, "sendmsg") : make_int(env, sent);
}

static napi_value js_recvmsg(napi_env env, napi_callback_info info) {
  napi_value argv[4], result, fds;
  struct sys_received received;
  uint8_t *bytes;
  size_t length;
  int fd, max_fds;
  if (!get_args(env, info, 4, argv, NULL) || !get_int(env, argv[0], &fd) || !get_bytes(env, argv[1], &bytes, &length) ||
      !get_int(env, argv[2], &max_fds)) {
    return NULL;
  }
  ssize_t count = sys_recvmsg(fd, bytes, length, max_fds < 0 ? SIZE_MAX : (size_t)max_fds, &received);
  if (count == -EAGAIN && wants_quiet(env, argv[3])) {
    napi_get_null(env, &result);
    return result;
  }
  if (count < 0) return throw_errno(env, count, "recvmsg");
  napi_create_array_with_length(env, received.fd_count, &fds);
  for (size_t i = 0; i < received.fd_count; i++) napi_set_element(env, fds, (uint32_t)i, make_int(env, received.fds[i]));
  napi_create_object(env, &result);
  set_named(env, result, "count", make_int(env, count));
  set_named(env, result, "fds", fds);
  set_named(env, result, "truncated", make_bool(env, received.truncated));
  return result;
}

static napi_value js_peer_cred(napi_env env, napi_callback_info info) {
  napi_value argv[1], result;
  struct sys_cred cred;
  int fd;
  if (!get_args(env, info, 1, argv, NULL) || !get_int(env, argv[0], &fd)) return NULL;
  int asked = sys_peer_cred(fd, &cred);
  if (asked < 0) return throw_errno(env, asked, "getsockopt");
  napi_create_object(env, &result);
  set_named(env, result, "pid", make_int(env, cred.pid));
  set_named(env, result, "uid", make_int(env, cred.uid));
  set_named(env, result, "gid", make_int(env, cred.gid));
  return result;
}

static napi_value js_tcp_queue(napi_env env, napi_callback_info info) {
  napi_value argv[1], result;
  struct sys_queue queue;
  int fd;
  if (!get_args(env, info, 1, argv, NULL) || !get_int(env, argv[0], &fd)) return NULL;
  int asked = sys_tcp_queue(fd, &queue);
  if (asked < 0) return throw_errno(env, asked, "getsockopt");
  napi_create_object(env, &result);
  set_named(env, result, "queued", make_int(env, queue.queued));
  set_named(env, result, "backlog", make_int(env, queue.backlog));
  return result;
}

static napi_value js_limit_nofile(napi_env env, napi_callback_info info) {
  (void)info;
  struct sys_limit limit;
  napi_value result, soft, hard;
  int asked = sys_limit_nofile(&limit);
  if (asked < 0) return throw_errno(env, asked, "getrlimit");
  /* Doubles: RLIM_INFINITY becomes 2^64, which is what a comparison wants. */
  napi_create_double(env, (double)limit.soft, &soft);
  napi_create_double(env, (double)limit.hard, &hard);
  napi_create_object(env, &result);
  set_named(env, result, "soft", soft);
  set_named(env, result, "hard", hard);
  return result;
}

static napi_value js_exit(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  int code;
  if (!get_args(env, info, 1, argv, NULL) || !get_int(env, argv[0], &code)) return NULL;
  _exit(code);
}

static napi_value make_constants(napi_env env) {
  static const struct {
    const char *name;
    int value;
  } constants[] = {
      {"AF_UNIX", AF_UNIX},
      {"AF_INET", AF_INET},
      {"AF_INET6", AF_INET6},
      {"SOCK_STREAM", SOCK_STREAM},
      {"SOCK_DGRAM", SOCK_DGRAM},
      {"SOCK_SEQPACKET", SOCK_SEQPACKET},
      {"SOL_SOCKET", SOL_SOCKET},
      {"SO_REUSEADDR", SO_REUSEADDR},
      {"SO_REUSEPORT", SO_REUSEPORT},
      {"SO_TYPE", SO_TYPE},
      {"SO_ACCEPTCONN", SO_ACCEPTCONN},
      {"SO_ERROR", SO_ERROR},
      {"SO_SNDBUF", SO_SNDBUF},
      {"SO_RCVBUF", SO_RCVBUF},
      {"IPPROTO_IPV6", IPPROTO_IPV6},
      {"IPV6_V6ONLY", IPV6_V6ONLY},
      {"LOCK_SH", LOCK_SH},
      {"LOCK_EX", LOCK_EX},
      {"LOCK_NB", LOCK_NB},
      {"LOCK_UN", LOCK_UN},
      {"SHUT_RD", SHUT_RD},
      {"SHUT_WR", SHUT_WR},
      {"SHUT_RDWR", SHUT_RDWR},
      {"POLL_READABLE", UV_READABLE},
      {"POLL_WRITABLE", UV_WRITABLE},
      {"POLL_DISCONNECT", UV_DISCONNECT},
      {"MAX_FDS", SYS_MAX_FDS},
      {"SUN_PATH_BYTES", (int)sizeof(((struct sockaddr_un *)0)->sun_path)},
  };
  napi_value result;
  napi_create_object(env, &result);
  for (size_t i = 0; i < sizeof constants / sizeof *constants; i++) {
    set_named(env, result, constants[i].name, make_int(env, constants[i].value));
  }
  return result;
}

static napi_value init(napi_env env, napi_value exports) {
  static const struct {
    const char *name;
    napi_callback function;
  } functions[] = {
      {"socket", js_socket},
      {"socketpair", js_socketpair},
      {"bindInet", js_bind_inet},
      {"bindUnix", js_bind_unix},
      {"listen", js_listen},
      {"connectUnix", js_connect_unix},
      {"accept", js_accept},
      {"getsockname", js_getsockname},
      {"getpeername", js_getpeername},
      {"setsockopt", js_setsockopt},
      {"getsockopt", js_getsockopt},
      {"shutdown", js_shutdown},
      {"dup", js_dup},
      {"close", js_close},
      {"getCloseOnExec", js_get_cloexec},
      {"setCloseOnExec", js_set_cloexec},
      {"getNonBlocking", js_get_nonblocking},
      {"setNonBlocking", js_set_nonblocking},
      {"flock", js_flock},
      {"pendingBytes", js_pending_bytes},
      {"send", js_send},
      {"recv", js_recv},
      {"peek", js_peek},
      {"hungUp", js_hung_up},
      {"sendtoUnix", js_sendto_unix},
      {"sendmsg", js_sendmsg},
      {"recvmsg", js_recvmsg},
      {"peerCredentials", js_peer_cred},
      {"peerPidfd", js_peer_pidfd},
      {"tcpQueue", js_tcp_queue},
      {"limitNofile", js_limit_nofile},
      {"reap", js_reap},
      {"pidfdOpen", js_pidfd_open},
      {"pidfdGetfd", js_pidfd_getfd},
      {"pidfdSendSignal", js_pidfd_send_signal},
      {"exit", js_exit},
  };
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
    napi_value function;
    napi_create_function(env, functions[i].name, NAPI_AUTO_LENGTH, functions[i].function, NULL, &function);
    set_named(env, exports, functions[i].name, function);
  }
  set_named(env, exports, "constants", make_constants(env));
  /* What it was compiled from, for src/os/native.ts: an addon of yesterday has functions of the same names. */
  set_named(env, exports, "sources", make_string(env, HANDOFF_SOURCES, NAPI_AUTO_LENGTH));
  set_named(env, exports, "Poll", poll_class(env));
  set_named(env, exports, "Readiness", readiness_class(env));
  set_named(env, exports, "Writer", writer_class(env));
  return exports;
}

NAPI_MODULE(NODE_GYP_MODULE_NAME, init)
