/* STUB */
#include "eol.h"
size_t pop3_eol_lf(pop3_eol *s, char *o, size_t n) {
  size_t j = 0;
  (void)s;
  for (size_t i = 0; i < n; i++)
    if (o[i] != '\r') o[j++] = o[i];
  return j;
}
