/* The file system ext2, for mount. */
#pragma once

/* From now on it can be mounted. */
void ext2_init(void);
