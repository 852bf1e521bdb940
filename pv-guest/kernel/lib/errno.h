/* Linux's error numbers, as many as the kernel uses.  Returned negated. */
#pragma once

/* clang-format off */
#define ERRNO_LIST(ERROR) \
    ERROR(EPERM, 1) \
    ERROR(ENOENT, 2) \
    ERROR(ESRCH, 3) \
    ERROR(EINTR, 4) \
    ERROR(EIO, 5) \
    ERROR(ENXIO, 6) \
    ERROR(E2BIG, 7) \
    ERROR(ENOEXEC, 8) \
    ERROR(EBADF, 9) \
    ERROR(ECHILD, 10) \
    ERROR(EAGAIN, 11) \
    ERROR(ENOMEM, 12) \
    ERROR(EACCES, 13) \
    ERROR(EFAULT, 14) \
    ERROR(ENOTBLK, 15) \
    ERROR(EBUSY, 16) \
    ERROR(EEXIST, 17) \
    ERROR(EXDEV, 18) \
    ERROR(ENODEV, 19) \
    ERROR(ENOTDIR, 20) \
    ERROR(EISDIR, 21) \
    ERROR(EINVAL, 22) \
    ERROR(ENFILE, 23) \
    ERROR(EMFILE, 24) \
    ERROR(ENOTTY, 25) \
    ERROR(ETXTBSY, 26) \
    ERROR(EFBIG, 27) \
    ERROR(ENOSPC, 28) \
    ERROR(ESPIPE, 29) \
    ERROR(EROFS, 30) \
    ERROR(EMLINK, 31) \
    ERROR(EPIPE, 32) \
    ERROR(EDOM, 33) \
    ERROR(ERANGE, 34) \
    ERROR(EDEADLK, 35) \
    ERROR(ENAMETOOLONG, 36) \
    ERROR(ENOSYS, 38) \
    ERROR(ENOTEMPTY, 39) \
    ERROR(ELOOP, 40) \
    ERROR(ENOMSG, 42) \
    ERROR(EIDRM, 43) \
    ERROR(ENODATA, 61) \
    ERROR(EOVERFLOW, 75) \
    ERROR(ELIBBAD, 80) \
    ERROR(ENOTSOCK, 88) \
    ERROR(EDESTADDRREQ, 89) \
    ERROR(EMSGSIZE, 90) \
    ERROR(EPROTOTYPE, 91) \
    ERROR(ENOPROTOOPT, 92) \
    ERROR(EPROTONOSUPPORT, 93) \
    ERROR(ESOCKTNOSUPPORT, 94) \
    ERROR(EOPNOTSUPP, 95) \
    ERROR(EAFNOSUPPORT, 97) \
    ERROR(EADDRINUSE, 98) \
    ERROR(EADDRNOTAVAIL, 99) \
    ERROR(ENETUNREACH, 101) \
    ERROR(ECONNRESET, 104) \
    ERROR(ENOBUFS, 105) \
    ERROR(EISCONN, 106) \
    ERROR(ENOTCONN, 107) \
    ERROR(ETOOMANYREFS, 109) \
    ERROR(ETIMEDOUT, 110) \
    ERROR(ECONNREFUSED, 111) \
    ERROR(EINPROGRESS, 115) \
    ERROR(ESTALE, 116)
/* clang-format on */

enum errors {
#define ERRNO_VALUE(name, number) name = number,
    ERRNO_LIST(ERRNO_VALUE)
    /* Never reaches a process: the call was interrupted and may be started again (signal.c). */
    ERESTART = 512
};
