/* Words on the hypervisor's command line. */
#pragma once

/*
 * Warn of each word of @text (--append) that Paravane does not know: it takes no notice of them, so that lines made for Xen
 * can be given to it, but who has mistyped one would look for its effect.
 */
void words_warn(const char *text);
