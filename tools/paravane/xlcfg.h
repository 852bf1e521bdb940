/*
 * Domains from xl.cfg files, parsed by xl's own libxlutil.
 *
 * Keys that mean nothing here are not silently dropped: each gets one warning
 * with file and line, saying whether it is for HVM guests only, is not served,
 * or is unknown.
 */
#pragma once

#include "domain.h"

/* Read @path into @d.  BAD_CONFIG, or what opening its kernel says. */
enum verdict xlcfg_read(struct domain *d, unsigned id, const char *path);
