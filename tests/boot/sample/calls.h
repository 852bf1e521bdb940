/* The word `calls` of the sample guest. */
#pragma once

void calls(void);
