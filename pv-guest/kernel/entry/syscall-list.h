/*
 * Linux's system calls for x86-64: number and name.
 *
 *   CALL(number, name, arguments)   served by syscall_<name>()
 *   NONE(number, name)              answers -ENOSYS, and says so once on the console
 *
 * The arguments are for the trace, a letter each: d and u are decimal numbers, with
 * and without a sign, x and o are bits and modes, s is a path or name, * an address.
 */
#pragma once

#define SYSCALL_END 451 /* one more than the last number */

/* clang-format off */
#define SYSCALL_LIST(CALL, NONE) \
    CALL(0, read, "d*u") \
    CALL(1, write, "d*u") \
    CALL(2, open, "sxo") \
    CALL(3, close, "d") \
    CALL(4, stat, "s*") \
    CALL(5, fstat, "d*") \
    CALL(6, lstat, "s*") \
    CALL(7, poll, "*ud") \
    CALL(8, lseek, "ddd") \
    CALL(9, mmap, "*uxxdx") \
    CALL(10, mprotect, "*ux") \
    CALL(11, munmap, "*u") \
    CALL(12, brk, "*") \
    CALL(13, rt_sigaction, "d**u") \
    CALL(14, rt_sigprocmask, "d**u") \
    CALL(15, rt_sigreturn, "") \
    CALL(16, ioctl, "dx*") \
    CALL(17, pread64, "d*uu") \
    CALL(18, pwrite64, "d*uu") \
    CALL(19, readv, "d*u") \
    CALL(20, writev, "d*u") \
    CALL(21, access, "so") \
    CALL(22, pipe, "*") \
    CALL(23, select, "d****") \
    CALL(24, sched_yield, "") \
    CALL(25, mremap, "*uux*") \
    CALL(26, msync, "*ux") \
    CALL(27, mincore, "*u*") \
    CALL(28, madvise, "*ud") \
    CALL(29, shmget, "xux") \
    CALL(30, shmat, "d*x") \
    CALL(31, shmctl, "dd*") \
    CALL(32, dup, "d") \
    CALL(33, dup2, "dd") \
    CALL(34, pause, "") \
    CALL(35, nanosleep, "**") \
    CALL(36, getitimer, "d*") \
    CALL(37, alarm, "u") \
    CALL(38, setitimer, "d**") \
    CALL(39, getpid, "") \
    CALL(40, sendfile, "dd*u") \
    CALL(41, socket, "ddd") \
    CALL(42, connect, "d*u") \
    CALL(43, accept, "d**") \
    CALL(44, sendto, "d*ux*u") \
    CALL(45, recvfrom, "d*ux**") \
    CALL(46, sendmsg, "d*x") \
    CALL(47, recvmsg, "d*x") \
    CALL(48, shutdown, "dd") \
    CALL(49, bind, "d*u") \
    CALL(50, listen, "dd") \
    CALL(51, getsockname, "d**") \
    CALL(52, getpeername, "d**") \
    CALL(53, socketpair, "dxd*") \
    CALL(54, setsockopt, "ddd*d") \
    CALL(55, getsockopt, "ddd**") \
    CALL(56, clone, "x***x") \
    CALL(57, fork, "") \
    CALL(58, vfork, "") \
    CALL(59, execve, "s**") \
    CALL(60, exit, "d") \
    CALL(61, wait4, "d*x*") \
    CALL(62, kill, "dd") \
    CALL(63, uname, "*") \
    CALL(64, semget, "xdx") \
    CALL(65, semop, "d*u") \
    CALL(66, semctl, "ddd*") \
    CALL(67, shmdt, "*") \
    CALL(68, msgget, "xx") \
    CALL(69, msgsnd, "d*ux") \
    CALL(70, msgrcv, "d*udx") \
    CALL(71, msgctl, "dd*") \
    CALL(72, fcntl, "ddx") \
    CALL(73, flock, "dx") \
    CALL(74, fsync, "d") \
    CALL(75, fdatasync, "d") \
    CALL(76, truncate, "su") \
    CALL(77, ftruncate, "du") \
    CALL(78, getdents, "d*u") \
    CALL(79, getcwd, "*u") \
    CALL(80, chdir, "s") \
    CALL(81, fchdir, "d") \
    CALL(82, rename, "ss") \
    CALL(83, mkdir, "so") \
    CALL(84, rmdir, "s") \
    CALL(85, creat, "so") \
    CALL(86, link, "ss") \
    CALL(87, unlink, "s") \
    CALL(88, symlink, "ss") \
    CALL(89, readlink, "s*u") \
    CALL(90, chmod, "so") \
    CALL(91, fchmod, "do") \
    CALL(92, chown, "sdd") \
    CALL(93, fchown, "ddd") \
    CALL(94, lchown, "sdd") \
    CALL(95, umask, "o") \
    CALL(96, gettimeofday, "**") \
    CALL(97, getrlimit, "d*") \
    CALL(98, getrusage, "d*") \
    CALL(99, sysinfo, "*") \
    CALL(100, times, "*") \
    NONE(101, ptrace) \
    CALL(102, getuid, "") \
    CALL(103, syslog, "d*d") \
    CALL(104, getgid, "") \
    CALL(105, setuid, "d") \
    CALL(106, setgid, "d") \
    CALL(107, geteuid, "") \
    CALL(108, getegid, "") \
    CALL(109, setpgid, "dd") \
    CALL(110, getppid, "") \
    CALL(111, getpgrp, "") \
    CALL(112, setsid, "") \
    CALL(113, setreuid, "dd") \
    CALL(114, setregid, "dd") \
    CALL(115, getgroups, "d*") \
    CALL(116, setgroups, "d*") \
    CALL(117, setresuid, "ddd") \
    CALL(118, getresuid, "***") \
    CALL(119, setresgid, "ddd") \
    CALL(120, getresgid, "***") \
    CALL(121, getpgid, "d") \
    CALL(122, setfsuid, "d") \
    CALL(123, setfsgid, "d") \
    CALL(124, getsid, "d") \
    CALL(125, capget, "**") \
    CALL(126, capset, "**") \
    CALL(127, rt_sigpending, "*u") \
    CALL(128, rt_sigtimedwait, "***u") \
    CALL(129, rt_sigqueueinfo, "dd*") \
    CALL(130, rt_sigsuspend, "*u") \
    CALL(131, sigaltstack, "**") \
    CALL(132, utime, "s*") \
    CALL(133, mknod, "sox") \
    NONE(134, uselib) \
    CALL(135, personality, "x") \
    CALL(136, ustat, "u*") \
    CALL(137, statfs, "s*") \
    CALL(138, fstatfs, "d*") \
    CALL(139, sysfs, "dxx") \
    CALL(140, getpriority, "dd") \
    CALL(141, setpriority, "ddd") \
    CALL(142, sched_setparam, "d*") \
    CALL(143, sched_getparam, "d*") \
    CALL(144, sched_setscheduler, "dd*") \
    CALL(145, sched_getscheduler, "d") \
    CALL(146, sched_get_priority_max, "d") \
    CALL(147, sched_get_priority_min, "d") \
    CALL(148, sched_rr_get_interval, "d*") \
    CALL(149, mlock, "*u") \
    CALL(150, munlock, "*u") \
    CALL(151, mlockall, "x") \
    CALL(152, munlockall, "") \
    CALL(153, vhangup, "") \
    NONE(154, modify_ldt) \
    NONE(155, pivot_root) \
    NONE(156, _sysctl) \
    CALL(157, prctl, "dxxxx") \
    CALL(158, arch_prctl, "x*") \
    CALL(159, adjtimex, "*") \
    CALL(160, setrlimit, "d*") \
    CALL(161, chroot, "s") \
    CALL(162, sync, "") \
    NONE(163, acct) \
    CALL(164, settimeofday, "**") \
    CALL(165, mount, "sssx*") \
    CALL(166, umount2, "sx") \
    NONE(167, swapon) \
    NONE(168, swapoff) \
    CALL(169, reboot, "xxx*") \
    CALL(170, sethostname, "*u") \
    CALL(171, setdomainname, "*u") \
    NONE(172, iopl) \
    NONE(173, ioperm) \
    NONE(174, create_module) \
    NONE(175, init_module) \
    NONE(176, delete_module) \
    NONE(177, get_kernel_syms) \
    NONE(178, query_module) \
    NONE(179, quotactl) \
    NONE(180, nfsservctl) \
    NONE(181, getpmsg) \
    NONE(182, putpmsg) \
    NONE(183, afs_syscall) \
    NONE(184, tuxcall) \
    NONE(185, security) \
    CALL(186, gettid, "") \
    CALL(187, readahead, "duu") \
    CALL(188, setxattr, "ss*ux") \
    CALL(189, lsetxattr, "ss*ux") \
    CALL(190, fsetxattr, "ds*ux") \
    CALL(191, getxattr, "ss*u") \
    CALL(192, lgetxattr, "ss*u") \
    CALL(193, fgetxattr, "ds*u") \
    CALL(194, listxattr, "s*u") \
    CALL(195, llistxattr, "s*u") \
    CALL(196, flistxattr, "d*u") \
    CALL(197, removexattr, "ss") \
    CALL(198, lremovexattr, "ss") \
    CALL(199, fremovexattr, "ds") \
    CALL(200, tkill, "dd") \
    CALL(201, time, "*") \
    CALL(202, futex, "*xu**x") \
    CALL(203, sched_setaffinity, "du*") \
    CALL(204, sched_getaffinity, "du*") \
    NONE(205, set_thread_area) \
    CALL(206, io_setup, "u*") \
    CALL(207, io_destroy, "*") \
    CALL(208, io_getevents, "*dd**") \
    CALL(209, io_submit, "*d*") \
    CALL(210, io_cancel, "***") \
    NONE(211, get_thread_area) \
    NONE(212, lookup_dcookie) \
    CALL(213, epoll_create, "d") \
    NONE(214, epoll_ctl_old) \
    NONE(215, epoll_wait_old) \
    NONE(216, remap_file_pages) \
    CALL(217, getdents64, "d*u") \
    CALL(218, set_tid_address, "*") \
    CALL(219, restart_syscall, "") \
    CALL(220, semtimedop, "d*u*") \
    CALL(221, fadvise64, "duud") \
    CALL(222, timer_create, "d**") \
    CALL(223, timer_settime, "dx**") \
    CALL(224, timer_gettime, "d*") \
    CALL(225, timer_getoverrun, "d") \
    CALL(226, timer_delete, "d") \
    CALL(227, clock_settime, "d*") \
    CALL(228, clock_gettime, "d*") \
    CALL(229, clock_getres, "d*") \
    CALL(230, clock_nanosleep, "dx**") \
    CALL(231, exit_group, "d") \
    CALL(232, epoll_wait, "d*dd") \
    CALL(233, epoll_ctl, "ddd*") \
    CALL(234, tgkill, "ddd") \
    CALL(235, utimes, "s*") \
    NONE(236, vserver) \
    NONE(237, mbind) \
    NONE(238, set_mempolicy) \
    NONE(239, get_mempolicy) \
    CALL(240, mq_open, "sxo*") \
    CALL(241, mq_unlink, "s") \
    CALL(242, mq_timedsend, "d*uu*") \
    CALL(243, mq_timedreceive, "d*u**") \
    CALL(244, mq_notify, "d*") \
    CALL(245, mq_getsetattr, "d**") \
    NONE(246, kexec_load) \
    CALL(247, waitid, "dd*x*") \
    NONE(248, add_key) \
    NONE(249, request_key) \
    NONE(250, keyctl) \
    CALL(251, ioprio_set, "ddx") \
    CALL(252, ioprio_get, "dd") \
    CALL(253, inotify_init, "") \
    CALL(254, inotify_add_watch, "dsx") \
    CALL(255, inotify_rm_watch, "dd") \
    NONE(256, migrate_pages) \
    CALL(257, openat, "dsxo") \
    CALL(258, mkdirat, "dso") \
    CALL(259, mknodat, "dsox") \
    CALL(260, fchownat, "dsddx") \
    CALL(261, futimesat, "ds*") \
    CALL(262, newfstatat, "ds*x") \
    CALL(263, unlinkat, "dsx") \
    CALL(264, renameat, "dsds") \
    CALL(265, linkat, "dsdsx") \
    CALL(266, symlinkat, "sds") \
    CALL(267, readlinkat, "ds*u") \
    CALL(268, fchmodat, "dso") \
    CALL(269, faccessat, "dso") \
    CALL(270, pselect6, "d*****") \
    CALL(271, ppoll, "*u**u") \
    CALL(272, unshare, "x") \
    CALL(273, set_robust_list, "*u") \
    CALL(274, get_robust_list, "d**") \
    CALL(275, splice, "d*d*ux") \
    CALL(276, tee, "ddux") \
    CALL(277, sync_file_range, "duux") \
    CALL(278, vmsplice, "d*ux") \
    NONE(279, move_pages) \
    CALL(280, utimensat, "ds*x") \
    CALL(281, epoll_pwait, "d*dd*u") \
    CALL(282, signalfd, "d*u") \
    CALL(283, timerfd_create, "dx") \
    CALL(284, eventfd, "u") \
    CALL(285, fallocate, "dxuu") \
    CALL(286, timerfd_settime, "dx**") \
    CALL(287, timerfd_gettime, "d*") \
    CALL(288, accept4, "d**x") \
    CALL(289, signalfd4, "d*ux") \
    CALL(290, eventfd2, "ux") \
    CALL(291, epoll_create1, "x") \
    CALL(292, dup3, "ddx") \
    CALL(293, pipe2, "*x") \
    CALL(294, inotify_init1, "x") \
    CALL(295, preadv, "d*uu") \
    CALL(296, pwritev, "d*uu") \
    CALL(297, rt_tgsigqueueinfo, "ddd*") \
    NONE(298, perf_event_open) \
    CALL(299, recvmmsg, "d*ux*") \
    NONE(300, fanotify_init) \
    NONE(301, fanotify_mark) \
    CALL(302, prlimit64, "dd**") \
    CALL(303, name_to_handle_at, "ds**x") \
    CALL(304, open_by_handle_at, "d*x") \
    CALL(305, clock_adjtime, "d*") \
    CALL(306, syncfs, "d") \
    CALL(307, sendmmsg, "d*ux") \
    CALL(308, setns, "dx") \
    CALL(309, getcpu, "***") \
    CALL(310, process_vm_readv, "d*u*ux") \
    CALL(311, process_vm_writev, "d*u*ux") \
    CALL(312, kcmp, "dddxx") \
    NONE(313, finit_module) \
    CALL(314, sched_setattr, "d*x") \
    CALL(315, sched_getattr, "d*ux") \
    CALL(316, renameat2, "dsdsx") \
    NONE(317, seccomp) \
    CALL(318, getrandom, "*ux") \
    CALL(319, memfd_create, "sx") \
    NONE(320, kexec_file_load) \
    NONE(321, bpf) \
    CALL(322, execveat, "ds**x") \
    NONE(323, userfaultfd) \
    CALL(324, membarrier, "dx") \
    CALL(325, mlock2, "*ux") \
    CALL(326, copy_file_range, "d*d*ux") \
    CALL(327, preadv2, "d*uuux") \
    CALL(328, pwritev2, "d*uuux") \
    CALL(329, pkey_mprotect, "*uxd") \
    CALL(330, pkey_alloc, "xx") \
    CALL(331, pkey_free, "d") \
    CALL(332, statx, "dsxx*") \
    CALL(333, io_pgetevents, "*dd***") \
    CALL(334, rseq, "*uxx") \
    CALL(424, pidfd_send_signal, "dd*x") \
    NONE(425, io_uring_setup) \
    NONE(426, io_uring_enter) \
    NONE(427, io_uring_register) \
    NONE(428, open_tree) \
    NONE(429, move_mount) \
    NONE(430, fsopen) \
    NONE(431, fsconfig) \
    NONE(432, fsmount) \
    NONE(433, fspick) \
    CALL(434, pidfd_open, "dx") \
    CALL(435, clone3, "*u") \
    CALL(436, close_range, "ddx") \
    CALL(437, openat2, "ds*u") \
    CALL(438, pidfd_getfd, "ddx") \
    CALL(439, faccessat2, "dsox") \
    NONE(440, process_madvise) \
    CALL(441, epoll_pwait2, "d*d**u") \
    NONE(442, mount_setattr) \
    NONE(443, quotactl_fd) \
    NONE(444, landlock_create_ruleset) \
    NONE(445, landlock_add_rule) \
    NONE(446, landlock_restrict_self) \
    NONE(447, memfd_secret) \
    NONE(448, process_mrelease) \
    NONE(449, futex_waitv) \
    NONE(450, set_mempolicy_home_node)
/* clang-format on */
