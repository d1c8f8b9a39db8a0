/* The kernel, one function a system call. No JavaScript, no policy: a value, or -errno. */
#ifndef HANDOFF_SYS_H
#define HANDOFF_SYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

/* SCM_MAX_FD of Linux: a 254th descriptor in one message is EINVAL. */
#define SYS_MAX_FDS 253

struct sys_queue {
  uint32_t queued;
  uint32_t backlog;
};

struct sys_cred {
  int64_t pid; /* -1 where the kernel does not tell */
  uint32_t uid;
  uint32_t gid;
};

struct sys_limit {
  uint64_t soft;
  uint64_t hard;
};

struct sys_received {
  int fds[SYS_MAX_FDS];
  size_t fd_count;
  bool truncated; /* MSG_CTRUNC: descriptors were sent that did not arrive */
};

int sys_socket(int domain, int type);
int sys_socketpair(int type, int pair[2]);
int sys_bind(int fd, const struct sockaddr *address, socklen_t length);
int sys_listen(int fd, int backlog);
int sys_connect(int fd, const struct sockaddr *address, socklen_t length);
int sys_accept(int fd, bool blocking);
int sys_getsockname(int fd, struct sockaddr_storage *address, socklen_t *length);
int sys_getpeername(int fd, struct sockaddr_storage *address, socklen_t *length);
int sys_setsockopt(int fd, int level, int name, int value);
int sys_getsockopt(int fd, int level, int name, int *value);
int sys_shutdown(int fd, int how);

int sys_dup(int fd, int lowest);
int sys_close(int fd);
int sys_get_cloexec(int fd);
int sys_set_cloexec(int fd, bool on);
int sys_get_nonblocking(int fd);
int sys_set_nonblocking(int fd, bool on);
int sys_flock(int fd, int operation);
int sys_pending_bytes(int fd);

ssize_t sys_send(int fd, const void *bytes, size_t length);
ssize_t sys_recv(int fd, void *bytes, size_t length);
ssize_t sys_peek(int fd, void *bytes, size_t length);
/* Bit 0 for fd, bit 1 for the other one; a negative fd is never gone. */
int sys_hung_up(int fd, int other);
ssize_t sys_sendto(int fd, const void *bytes, size_t length, const struct sockaddr *address, socklen_t address_length);
ssize_t sys_sendmsg(int fd, const void *bytes, size_t length, const int *fds, size_t fd_count);
ssize_t sys_recvmsg(int fd, void *bytes, size_t length, size_t max_fds, struct sys_received *received);

int sys_peer_cred(int fd, struct sys_cred *cred);
int sys_peer_pidfd(int fd);
int sys_tcp_queue(int fd, struct sys_queue *queue);
int sys_limit_nofile(struct sys_limit *limit);

/* 1 when that child had ended and is reaped now, 0 while it lives. */
int sys_reap(pid_t pid);
int sys_pidfd_open(pid_t pid);
int sys_pidfd_getfd(int pidfd, int fd);
int sys_pidfd_send_signal(int pidfd, int signal);

#endif
