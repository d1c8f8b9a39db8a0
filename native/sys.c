#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef __linux__
#include <sys/syscall.h>
#endif

/* Numbers newer than some libc headers; the same on every Linux architecture but alpha. */
#ifdef __linux__
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif
#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif
#endif

#define OR_ERRNO(call) \
  ({ \
    __typeof__(call) result_ = (call); \
    result_ == -1 ? -errno : result_; \
  })

#ifndef __linux__
/* Where flags cannot ride on the creating call there is a moment in which a fork could leak the fd. */
static int mark_cloexec(int fd) {
  if (fd < 0) return fd;
  return fcntl(fd, F_SETFD, FD_CLOEXEC) == -1 ? -errno : fd;
}
#endif

int sys_socket(int domain, int type) {
#ifdef __linux__
  return OR_ERRNO(socket(domain, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
#else
  int fd = mark_cloexec(OR_ERRNO(socket(domain, type, 0)));
  if (fd < 0) return fd;
  int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
  int flagged = sys_set_nonblocking(fd, true);
  return flagged < 0 ? flagged : fd;
#endif
}

/* Blocking on purpose: one end is given to a program that may expect it so. */
int sys_socketpair(int type, int pair[2]) {
#ifdef __linux__
  return OR_ERRNO(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair));
#else
  int made = OR_ERRNO(socketpair(AF_UNIX, type, 0, pair));
  if (made < 0) return made;
  int on = 1;
  for (int i = 0; i < 2; i++) {
    mark_cloexec(pair[i]);
    setsockopt(pair[i], SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
  }
  return 0;
#endif
}

int sys_bind(int fd, const struct sockaddr *address, socklen_t length) {
  return OR_ERRNO(bind(fd, address, length));
}

int sys_listen(int fd, int backlog) {
  return OR_ERRNO(listen(fd, backlog));
}

int sys_connect(int fd, const struct sockaddr *address, socklen_t length) {
  return OR_ERRNO(connect(fd, address, length));
}

int sys_accept(int fd, bool blocking) {
#ifdef __linux__
  return OR_ERRNO(accept4(fd, NULL, NULL, SOCK_CLOEXEC | (blocking ? 0 : SOCK_NONBLOCK)));
#else
  int accepted = mark_cloexec(OR_ERRNO(accept(fd, NULL, NULL)));
  if (accepted < 0) return accepted;
  int on = 1;
  setsockopt(accepted, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
  int flagged = sys_set_nonblocking(accepted, !blocking);
  return flagged < 0 ? flagged : accepted;
#endif
}

int sys_getsockname(int fd, struct sockaddr_storage *address, socklen_t *length) {
  *length = sizeof *address;
  return OR_ERRNO(getsockname(fd, (struct sockaddr *)address, length));
}

int sys_getpeername(int fd, struct sockaddr_storage *address, socklen_t *length) {
  *length = sizeof *address;
  return OR_ERRNO(getpeername(fd, (struct sockaddr *)address, length));
}

int sys_setsockopt(int fd, int level, int name, int value) {
  return OR_ERRNO(setsockopt(fd, level, name, &value, sizeof value));
}

int sys_getsockopt(int fd, int level, int name, int *value) {
  socklen_t length = sizeof *value;
  return OR_ERRNO(getsockopt(fd, level, name, value, &length));
}

int sys_shutdown(int fd, int how) {
  return OR_ERRNO(shutdown(fd, how));
}

int sys_dup(int fd, int lowest) {
  return OR_ERRNO(fcntl(fd, F_DUPFD_CLOEXEC, lowest));
}

int sys_close(int fd) {
  return OR_ERRNO(close(fd));
}

int sys_get_cloexec(int fd) {
  int flags = OR_ERRNO(fcntl(fd, F_GETFD));
  return flags < 0 ? flags : (flags & FD_CLOEXEC) != 0;
}

int sys_set_cloexec(int fd, bool on) {
  return OR_ERRNO(fcntl(fd, F_SETFD, on ? FD_CLOEXEC : 0));
}

int sys_get_nonblocking(int fd) {
  int flags = OR_ERRNO(fcntl(fd, F_GETFL));
  return flags < 0 ? flags : (flags & O_NONBLOCK) != 0;
}

int sys_set_nonblocking(int fd, bool on) {
  int value = on;
  return OR_ERRNO(ioctl(fd, FIONBIO, &value));
}

int sys_flock(int fd, int operation) {
  return OR_ERRNO(flock(fd, operation));
}

int sys_pending_bytes(int fd) {
  int count = 0;
  int asked = OR_ERRNO(ioctl(fd, FIONREAD, &count));
  return asked < 0 ? asked : count;
}

#ifdef MSG_NOSIGNAL
#define SEND_FLAGS (MSG_NOSIGNAL | MSG_DONTWAIT)
#else
#define SEND_FLAGS MSG_DONTWAIT
#endif

ssize_t sys_send(int fd, const void *bytes, size_t length) {
  return OR_ERRNO(send(fd, bytes, length, SEND_FLAGS));
}

ssize_t sys_recv(int fd, void *bytes, size_t length) {
  return OR_ERRNO(recv(fd, bytes, length, MSG_DONTWAIT));
}

ssize_t sys_peek(int fd, void *bytes, size_t length) {
  return OR_ERRNO(recv(fd, bytes, length, MSG_PEEK | MSG_DONTWAIT));
}

/* POLLHUP needs no asking for, is seen while unread bytes are queued, and a half-closed peer does not raise it. */
int sys_hung_up(int fd, int other) {
  struct pollfd watched[] = {{.fd = fd}, {.fd = other}};
  int ready = OR_ERRNO(poll(watched, 2, 0));
  if (ready < 0) return ready;
  int gone = 0;
  for (int i = 0; i < 2; i++) {
    if (watched[i].revents & POLLNVAL) return -EBADF;
    if (watched[i].revents & (POLLHUP | POLLERR)) gone |= 1 << i;
  }
  return gone;
}

ssize_t sys_sendto(int fd, const void *bytes, size_t length, const struct sockaddr *address, socklen_t address_length) {
  return OR_ERRNO(sendto(fd, bytes, length, SEND_FLAGS, address, address_length));
}

/* The union only aligns the buffer as CMSG_FIRSTHDR requires. */
union control {
  struct cmsghdr header;
  char bytes[CMSG_SPACE(sizeof(int) * SYS_MAX_FDS)];
};

ssize_t sys_sendmsg(int fd, const void *bytes, size_t length, const int *fds, size_t fd_count) {
  if (fd_count > SYS_MAX_FDS) return -EINVAL;
  struct iovec vector = {.iov_base = (void *)bytes, .iov_len = length};
  struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
  union control control;
  if (fd_count > 0) {
    memset(&control, 0, sizeof control);
    message.msg_control = control.bytes;
    message.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
    memcpy(CMSG_DATA(header), fds, sizeof(int) * fd_count);
  }
  return OR_ERRNO(sendmsg(fd, &message, SEND_FLAGS));
}

ssize_t sys_recvmsg(int fd, void *bytes, size_t length, size_t max_fds, struct sys_received *received) {
  if (max_fds > SYS_MAX_FDS) return -EINVAL;
  union control control;
  struct iovec vector = {.iov_base = bytes, .iov_len = length};
  struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
  if (max_fds > 0) {
    message.msg_control = control.bytes;
    message.msg_controllen = CMSG_SPACE(sizeof(int) * max_fds);
  }
  received->fd_count = 0;
  received->truncated = false;
#ifdef MSG_CMSG_CLOEXEC
  ssize_t count = OR_ERRNO(recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC));
#else
  ssize_t count = OR_ERRNO(recvmsg(fd, &message, MSG_DONTWAIT));
#endif
  if (count < 0) return count;
  received->truncated = (message.msg_flags & MSG_CTRUNC) != 0;
  for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header != NULL; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    size_t arrived = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    /* CMSG_SPACE rounds up, so one more fd than asked for can fit: every one is handed out, none leaks. */
    for (size_t i = 0; i < arrived && received->fd_count < SYS_MAX_FDS; i++) {
      int passed;
      memcpy(&passed, CMSG_DATA(header) + i * sizeof(int), sizeof passed);
#ifndef MSG_CMSG_CLOEXEC
      mark_cloexec(passed);
#endif
      received->fds[received->fd_count++] = passed;
    }
  }
  return count;
}

int sys_peer_cred(int fd, struct sys_cred *cred) {
#ifdef __linux__
  struct ucred peer;
  socklen_t length = sizeof peer;
  int asked = OR_ERRNO(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length));
  if (asked < 0) return asked;
  cred->pid = peer.pid;
  cred->uid = peer.uid;
  cred->gid = peer.gid;
  return 0;
#else
  uid_t uid;
  gid_t gid;
  int asked = OR_ERRNO(getpeereid(fd, &uid, &gid));
  if (asked < 0) return asked;
  cred->pid = -1;
  cred->uid = uid;
  cred->gid = gid;
  return 0;
#endif
}

int sys_peer_pidfd(int fd) {
#ifdef __linux__
  int pidfd = -1;
  int asked = sys_getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd);
  return asked < 0 ? asked : pidfd;
#else
  (void)fd;
  return -ENOSYS;
#endif
}

int sys_tcp_queue(int fd, struct sys_queue *queue) {
#ifdef __linux__
  struct tcp_info info;
  socklen_t length = sizeof info;
  memset(&info, 0, sizeof info);
  int asked = OR_ERRNO(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length));
  if (asked < 0) return asked;
  /* For a listening socket these two fields hold the accept queue (tcp_get_info in net/ipv4/tcp.c). */
  queue->queued = info.tcpi_unacked;
  queue->backlog = info.tcpi_sacked;
  return 0;
#else
  (void)fd;
  (void)queue;
  return -ENOSYS;
#endif
}

int sys_limit_nofile(struct sys_limit *limit) {
  struct rlimit found;
  int asked = OR_ERRNO(getrlimit(RLIMIT_NOFILE, &found));
  if (asked < 0) return asked;
  limit->soft = found.rlim_cur;
  limit->hard = found.rlim_max;
  return 0;
}

int sys_reap(pid_t pid) {
  int reaped = OR_ERRNO(waitpid(pid, NULL, WNOHANG));
  return reaped > 0 ? 1 : reaped;
}

int sys_pidfd_open(pid_t pid) {
#ifdef __linux__
  return (int)OR_ERRNO(syscall(SYS_pidfd_open, pid, 0));
#else
  (void)pid;
  return -ENOSYS;
#endif
}

int sys_pidfd_getfd(int pidfd, int fd) {
#ifdef __linux__
  return (int)OR_ERRNO(syscall(SYS_pidfd_getfd, pidfd, fd, 0));
#else
  (void)pidfd;
  (void)fd;
  return -ENOSYS;
#endif
}

int sys_pidfd_send_signal(int pidfd, int signal) {
#ifdef __linux__
  return (int)OR_ERRNO(syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0));
#else
  (void)pidfd;
  (void)signal;
  return -ENOSYS;
#endif
}
