/* STUB */
#ifndef POP3_EOL_H
#define POP3_EOL_H
#include <stdbool.h>
#include <stddef.h>
typedef struct pop3_eol {
  bool held;
} pop3_eol;
size_t pop3_eol_lf(pop3_eol *state, char *octets, size_t size);
#endif
