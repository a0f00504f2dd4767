/* A model plugin in pure C (abi_kind 2): a function from config.json's text to Program text (docs/formats/program.md).
 * No fingerprint and no C++: any compiler or language that lays out this struct can bring a model.
 *
 *   static int32_t program(const char* config_json, size_t bytes, char** text, char** error);
 *   static void release(char* returned);
 *   TARE_C_PROGRAM("org.example.model", "1.0.0", program, release)        once, in one source file
 *
 * `program`: 0 and *text on success, otherwise any other number and, if there is a reason, *error: one sentence, no
 * newline. Both are NUL-terminated and given back to `release`. `config_json` has `bytes` bytes and a NUL behind them.
 * It is called from any thread, touches no global state, throws nothing and never ends the process.
 * Contract and byte layout: docs/formats/plugin.md. */
#ifndef TARE_CORE_API_C_PROGRAM_H
#define TARE_CORE_API_C_PROGRAM_H
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TARE_ABI_KIND_C_PROGRAM 2
#define TARE_ABI_MAJOR 1
#define TARE_ABI_MINOR 0

/* The layout of tare::PluginDescriptor: fixed offsets, no pointers to text. */
struct tare_plugin_descriptor {
  char magic[8];         /* "TAREPLUG", without a NUL */
  uint32_t struct_bytes; /* sizeof(struct tare_plugin_descriptor) */
  uint32_t abi_kind;     /* TARE_ABI_KIND_C_PROGRAM */
  uint32_t abi_major, abi_minor;
  char build_fingerprint[128]; /* empty */
  char id[64];                 /* "org.example.model" */
  char version[16];            /* "1.0.0" */
  void (*register_into)(void); /* C++ plugins' callback: null here */
  int32_t (*program)(const char* config_json, size_t bytes, char** text, char** error);
  void (*release)(char* returned);
};

#ifdef __cplusplus
}
#define TARE_C_PROGRAM_LINKAGE extern "C"
#else
#define TARE_C_PROGRAM_LINKAGE extern
#endif

#define TARE_C_PROGRAM(plugin_id, plugin_version, program_function, release_function)                    \
  TARE_C_PROGRAM_LINKAGE const struct tare_plugin_descriptor tare_plugin_v1                              \
      __attribute__((section(".tare_plugin"), visibility("default")));                             \
  const struct tare_plugin_descriptor tare_plugin_v1 = {{'T', 'A', 'R', 'E', 'P', 'L', 'U', 'G'},        \
                                                        (uint32_t)sizeof(struct tare_plugin_descriptor), \
                                                        TARE_ABI_KIND_C_PROGRAM,                         \
                                                        TARE_ABI_MAJOR,                                  \
                                                        TARE_ABI_MINOR,                                  \
                                                        {0},                                             \
                                                        plugin_id,                                       \
                                                        plugin_version,                                  \
                                                        NULL,                                            \
                                                        program_function,                                \
                                                        release_function};

#endif
