/* A model in pure C whose config says how it should behave: the word decides. */
#include <stdlib.h>
#include <string.h>

#include "core/api/c_program.h"

static char* copy(const char* from) {
  char* out = (char*)malloc(strlen(from) + 1);
  if (out != NULL) strcpy(out, from);
  return out;
}

static int32_t program(const char* config_json, size_t bytes, char** text, char** error) {
  if (config_json[bytes] != 0) return 9;
  if (strstr(config_json, "reason") != NULL) {
    *error = copy("hidden_size is missing,\nexpected a number");
    return 1;
  }
  if (strstr(config_json, "silent") != NULL) return 7;
  if (strstr(config_json, "nothing") != NULL) return 0;
  *text = copy("tare-program 1\n");
  return 0;
}
static void release(char* returned) { free(returned); }

TARE_C_PROGRAM("org.test.c_good", "1.0.0", program, release)
