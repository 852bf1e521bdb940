/* Which build this is. */
#include "build-info.h" /* made by meson */
#include "lib.h"

const char build_version[] = BUILD_VERSION;
const char build_changeset[] = BUILD_CHANGESET;
#ifdef __clang__
const char build_compiler[] = "clang " __clang_version__;
#else
const char build_compiler[] = "gcc " __VERSION__;
#endif
