/* Included before everything else (meson.build): nothing is ever looked up at run time, so no
 * address needs a detour through a global offset table, declared elsewhere or not. */
#pragma once
#ifndef __ASSEMBLER__
#pragma GCC visibility push(hidden)
#endif
