/* saslprep.c - see saslprep.h. */
#include "saslprep.h"

#include <string.h>

#if defined(POP3_WITH_LIBIDN)
#include <stdlib.h>
#include <stringprep.h>
#endif

static pop3_error refuse(pop3_failure *failure, const char *what,
                         const char *why) {
  return pop3_fail(failure, POP3_E_ARGUMENT,
                   "the %s cannot be used for SCRAM: %s", what, why);
}

#if defined(POP3_WITH_LIBIDN)

bool pop3_saslprep_complete(void) { return true; }

static const char *explain(int status) {
  switch (status) {
    case STRINGPREP_CONTAINS_UNASSIGNED:
      return "it has a character that Unicode 3.2 did not know (RFC 4013 2.5)";
    case STRINGPREP_CONTAINS_PROHIBITED:
      return "it has a character that SASLprep prohibits (RFC 4013 2.3)";
    case STRINGPREP_BIDI_BOTH_L_AND_RAL:
    case STRINGPREP_BIDI_LEADTRAIL_NOT_RAL:
    case STRINGPREP_BIDI_CONTAINS_PROHIBITED:
      return "it mixes directions of writing in a way that SASLprep prohibits "
             "(RFC 4013 2.4)";
    default:
      return "it is not UTF-8";
  }
}

/* libidn allocates by itself; its result is copied, wiped and freed. */
static pop3_error take(const pop3_allocator *allocator, char *prepared,
                       const char *what, pop3_wiped *out,
                       pop3_failure *failure) {
  size_t size = strlen(prepared);
  pop3_span part = {prepared, size};
  bool copied = size > 0 && pop3_wiped_join(allocator, out, &part, 1);
  pop3_wipe(prepared, size);
  free(prepared);
  if (size == 0)
    return refuse(failure, what, "nothing is left of it after SASLprep");
  return copied ? POP3_E_OK : pop3_fail(failure, POP3_E_MEMORY, NULL);
}

static pop3_error prepare(const pop3_allocator *allocator,
                          const pop3_saslprep_input *input, pop3_wiped *out,
                          pop3_failure *failure) {
  char *prepared = NULL;
  pop3_wiped text = {NULL, 0}; /* libidn wants a NUL */
  pop3_span parts[] = {input->text, {"", 1}};
  if (!pop3_wiped_join(allocator, &text, parts, 2))
    return pop3_fail(failure, POP3_E_MEMORY, NULL);
  int status = stringprep_profile(text.data, &prepared, "SASLprep",
                                  input->stored ? STRINGPREP_NO_UNASSIGNED : 0);
  pop3_wiped_drop(allocator, &text);
  if (status == STRINGPREP_MALLOC_ERROR)
    return pop3_fail(failure, POP3_E_MEMORY, NULL);
  if (status != STRINGPREP_OK)
    return refuse(failure, input->what, explain(status));
  return take(allocator, prepared, input->what, out, failure);
}

#else

bool pop3_saslprep_complete(void) { return false; }

static pop3_error prepare(const pop3_allocator *allocator,
                          const pop3_saslprep_input *input, pop3_wiped *out,
                          pop3_failure *failure) {
  (void)allocator;
  (void)out;
  return refuse(failure, input->what,
                "it is not ASCII, and this library was built without libidn, "
                "which SASLprep (RFC 4013) needs; build it with libidn, or "
                "choose another mechanism: auth = \"PLAIN\", over TLS");
}

#endif

pop3_error pop3_saslprep(const pop3_allocator *allocator,
                         const pop3_saslprep_input *input, pop3_wiped *out,
                         pop3_failure *failure) {
  for (size_t i = 0; i < input->text.size; i++) {
    unsigned char octet = (unsigned char)input->text.data[i];
    if (octet < 0x20 || octet == 0x7f)
      return refuse(failure, input->what,
                    "it has a control character, which SASLprep prohibits "
                    "(RFC 4013 2.3)");
    if (octet >= 0x80) return prepare(allocator, input, out, failure);
  }
  if (!pop3_wiped_join(allocator, out, &input->text, 1))
    return pop3_fail(failure, POP3_E_MEMORY, NULL);
  return POP3_E_OK;
}
