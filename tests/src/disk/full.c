/* Preloaded into a program: while the file FULL_DISK_SIGN is there, what is written to regular files whose paths begin with its
 * content finds no room. As on a real disk a write gets half its bytes in first, and the next one none. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static atomic_uint refused;

static int is_full(int file) {
    const char *sign = getenv("FULL_DISK_SIGN");
    struct stat about;
    if (!sign || fstat(file, &about) != 0 || !S_ISREG(about.st_mode)) return 0;
    int told = (int)syscall(SYS_openat, AT_FDCWD, sign, O_RDONLY | O_CLOEXEC, 0);
    if (told < 0) return 0;
    char prefix[4096], name[64], path[4096];
    ssize_t length = syscall(SYS_read, told, prefix, sizeof prefix);
    syscall(SYS_close, told);
    snprintf(name, sizeof name, "/proc/self/fd/%d", file);
    ssize_t known = readlink(name, path, sizeof path);
    return length > 0 && known >= length && memcmp(path, prefix, (size_t)length) == 0;
}

/* How many bytes of so many still go in, or -1. */
static ssize_t room(int file, size_t wanted) {
    int before = errno;
    if (wanted == 0 || !is_full(file)) {
        errno = before;
        return (ssize_t)wanted;
    }
    if (wanted > 1 && atomic_fetch_add(&refused, 1) % 2 == 0) return (ssize_t)(wanted / 2);
    errno = ENOSPC;
    return -1;
}

ssize_t write(int file, const void *from, size_t size) {
    ssize_t some = room(file, size);
    return some < 0 ? some : syscall(SYS_write, file, from, (size_t)some);
}

ssize_t pwrite64(int file, const void *from, size_t size, off64_t at) {
    ssize_t some = room(file, size);
    return some < 0 ? some : syscall(SYS_pwrite64, file, from, (size_t)some, at);
}

ssize_t pwrite(int file, const void *from, size_t size, off_t at) { return pwrite64(file, from, size, at); }

ssize_t writev(int file, const struct iovec *parts, int count) {
    if (count < 1 || !is_full(file)) return syscall(SYS_writev, file, parts, count);
    return write(file, parts[0].iov_base, parts[0].iov_len);
}
