/*
 * What protocols of the Internet can be told.
 *
 * Nothing of it makes a difference between sockets of one machine: it is kept and
 * told, so that programs that ask whether they have been heard go on.
 */
#include "errno.h"
#include "heap.h"
#include "socket.h"
#include "syscall.h"

static const struct {
    uint8_t level, number;
    int32_t at_first;
} options[] = {
    {IPPROTO_IP, 1, 0},     /* IP_TOS */
    {IPPROTO_IP, 2, 64},    /* IP_TTL */
    {IPPROTO_IP, 6, 0},     /* IP_RECVOPTS */
    {IPPROTO_IP, 8, 0},     /* IP_PKTINFO */
    {IPPROTO_IP, 10, 1},    /* IP_MTU_DISCOVER */
    {IPPROTO_IP, 11, 0},    /* IP_RECVERR */
    {IPPROTO_IP, 12, 0},    /* IP_RECVTTL */
    {IPPROTO_IP, 13, 0},    /* IP_RECVTOS */
    {IPPROTO_IP, 15, 0},    /* IP_FREEBIND */
    {IPPROTO_IP, 33, 1},    /* IP_MULTICAST_TTL */
    {IPPROTO_IP, 34, 1},    /* IP_MULTICAST_LOOP */
    {IPPROTO_TCP, 1, 0},    /* TCP_NODELAY */
    {IPPROTO_TCP, 2, 536},  /* TCP_MAXSEG */
    {IPPROTO_TCP, 3, 0},    /* TCP_CORK */
    {IPPROTO_TCP, 4, 7200}, /* TCP_KEEPIDLE */
    {IPPROTO_TCP, 5, 75},   /* TCP_KEEPINTVL */
    {IPPROTO_TCP, 6, 9},    /* TCP_KEEPCNT */
    {IPPROTO_TCP, 7, 6},    /* TCP_SYNCNT */
    {IPPROTO_TCP, 8, 60},   /* TCP_LINGER2 */
    {IPPROTO_TCP, 9, 0},    /* TCP_DEFER_ACCEPT */
    {IPPROTO_TCP, 12, 1},   /* TCP_QUICKACK */
    {IPPROTO_TCP, 18, 0},   /* TCP_USER_TIMEOUT */
    {IPPROTO_UDP, 1, 0},    /* UDP_CORK */
};

/* The place of an option of @s, or -1. */
static int inet_option_find(const struct socket *s, uint64_t level, uint64_t number)
{
    if (level == (s->type == SOCK_STREAM ? IPPROTO_UDP : IPPROTO_TCP))
        return -1;
    for (unsigned i = 0; i < ARRAY_SIZE(options); i++)
        if (options[i].level == level && options[i].number == number)
            return (int)i;
    return -1;
}

static bool level_known(const struct socket *s, uint64_t level)
{
    return level == IPPROTO_IP || level == (s->type == SOCK_STREAM ? IPPROTO_TCP : IPPROTO_UDP);
}

long inet_option_get(struct socket *s, const struct syscall_args *a)
{
    int32_t room;
    const int i = inet_option_find(s, a->arg[1], a->arg[2]);
    if (!level_known(s, a->arg[1]))
        return -EOPNOTSUPP;
    if (user_read(&room, a->arg[4], sizeof(room)))
        return -EFAULT;
    if (room < 0)
        return -EINVAL;
    if (i < 0)
        return -ENOPROTOOPT;
    const int32_t value = s->settings ? s->settings[i] : options[i].at_first;
    /* IP has options that are a byte, for who has room for no more. */
    const bool byte = a->arg[1] == IPPROTO_IP && room && room < 4 && (uint32_t)value < 256;
    const int32_t size = byte ? 1 : MIN(room, (int32_t)sizeof(value));
    if (user_write(a->arg[4], &size, sizeof(size)))
        return -EFAULT;
    return user_write(a->arg[3], &value, size);
}

long inet_option_set(struct socket *s, const struct syscall_args *a)
{
    const int32_t size = a->arg[4];
    const int i = inet_option_find(s, a->arg[1], a->arg[2]);
    int32_t value = 0;
    if (!level_known(s, a->arg[1]))
        return -ENOPROTOOPT;
    if (a->arg[1] != IPPROTO_IP && size < (int32_t)sizeof(value))
        return -EINVAL;
    if (user_read(&value, a->arg[3], size >= (int32_t)sizeof(value) ? 4 : MIN(size, 1)))
        return -EFAULT;
    if (i < 0)
        return -ENOPROTOOPT;
    if (!s->settings) {
        s->settings = heap_alloc(ARRAY_SIZE(options) * sizeof(*s->settings));
        if (!s->settings)
            return -ENOMEM;
        for (unsigned k = 0; k < ARRAY_SIZE(options); k++)
            s->settings[k] = options[k].at_first;
    }
    s->settings[i] = value;
    return 0;
}
