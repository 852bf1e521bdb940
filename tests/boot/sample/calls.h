/* The word `calls` of the sample guest. */
#pragma once

void calls(void);
void emulations(void); /* and the word `emulations` */
