/* Which domains have which disks of ours, by the store (blkback-store.c). */
#pragma once

/* Follow backend/vbd of this domain from now on; in the task of xenstore_serve. */
void blkback_store_watch(void);
