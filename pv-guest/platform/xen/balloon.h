/* The balloon: memory that whoever controls the domain wants back, and gives again. */
#pragma once

void balloon_init(void);
/* The store's memory/target says @kib: how much the domain is to have, as a decimal number of KiB. */
void balloon_target(const char *kib);
