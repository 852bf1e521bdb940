/* The debugger's port.  See gdb.h. */
#include "gdb.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* 0 or -1 with errno; @port 0 is any. */
static int listen_at(int fd, unsigned port)
{
    const struct sockaddr_in where = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    /* A port whose last connection is still fading away is free. */
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) < 0)
        return -1;
    return bind(fd, (const struct sockaddr *)&where, sizeof(where)) < 0 ? -1 : listen(fd, 1);
}

static enum verdict gdb_refuse(int fd, unsigned port)
{
    const int error = errno;
    if (fd >= 0)
        close(fd);
    return verdict_say(VERDICT_HOST_FAILED,
                       "cannot wait for a debugger at port %u: %s; name another (--gdb=PORT), or "
                       "none",
                       port, strerror(error));
}

enum verdict gdb_listen(unsigned wanted, unsigned *port, int *fd)
{
    struct sockaddr_in got = {0};
    socklen_t size = sizeof(got);

    *fd = socket(AF_INET, SOCK_STREAM, 0); /* inherited by QEMU: not close-on-exec */
    if (*fd < 0)
        return gdb_refuse(*fd, wanted);
    if (listen_at(*fd, wanted ? wanted : GDB_PORT) < 0 &&
        (wanted || errno != EADDRINUSE || listen_at(*fd, 0) < 0))
        return gdb_refuse(*fd, wanted ? wanted : GDB_PORT);
    if (getsockname(*fd, (struct sockaddr *)&got, &size) < 0)
        return gdb_refuse(*fd, wanted);
    *port = ntohs(got.sin_port);
    return VERDICT_OK;
}
