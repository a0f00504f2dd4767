/* A model plugin in pure C: config.json in, Program text out (docs/formats/program.md). The model is Llama's block with
 * plain rotary positions, for checkpoints whose config.json says "architectures": ["TinyCForCausalLM"].
 *
 * The text is written line by line, in the order that the format asks for: tables, weights, states, operations,
 * outputs. The host infers every shape again and refuses what does not fit, with the line. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/api/c_program.h"

/* ---- text that grows; `failed` is sticky, so that callers check once ---- */
struct text {
  char* data;
  size_t size, capacity;
  int failed;
};

static void put(struct text* out, const char* format, ...) {
  va_list arguments;
  int wanted;
  if (out->failed) return;
  va_start(arguments, format);
  wanted = vsnprintf(NULL, 0, format, arguments);
  va_end(arguments);
  if (wanted < 0) {
    out->failed = 1;
    return;
  }
  if (out->size + (size_t)wanted + 1 > out->capacity) {
    size_t capacity = (out->size + (size_t)wanted + 1) * 2;
    char* data = (char*)realloc(out->data, capacity);
    if (data == NULL) {
      out->failed = 1;
      return;
    }
    out->data = data;
    out->capacity = capacity;
  }
  va_start(arguments, format);
  vsnprintf(out->data + out->size, (size_t)wanted + 1, format, arguments);
  va_end(arguments);
  out->size += (size_t)wanted;
}

/* ---- the little of JSON that this needs: the value of a key of the outermost object, or NULL ---- */
static const char* skip_string(const char* at, const char* end) { /* `at` is behind the opening quote */
  while (at < end && *at != '"') at += *at == '\\' && at + 1 < end ? 2 : 1;
  return at < end ? at + 1 : end;
}
static const char* skip_space(const char* at, const char* end) {
  while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r')) ++at;
  return at;
}
static const char* find(const char* json, size_t bytes, const char* key) {
  const char *at = json, *end = json + bytes;
  const size_t length = strlen(key);
  long depth = 0;
  while (at < end) {
    if (*at == '"') {
      const char* name = at + 1;
      at = skip_string(name, end);
      if (depth == 1 && (size_t)(at - name) == length + 1 && memcmp(name, key, length) == 0) {
        const char* value = skip_space(at, end);
        if (value < end && *value == ':') return skip_space(value + 1, end);
      }
    } else {
      if (*at == '{' || *at == '[') ++depth;
      if (*at == '}' || *at == ']') --depth;
      ++at;
    }
  }
  return NULL;
}
static int is_word(const char* value, const char* end, const char* word) {
  return value != NULL && (size_t)(end - value) >= strlen(word) && memcmp(value, word, strlen(word)) == 0;
}

struct reader {
  const char* json;
  size_t bytes;
  char error[160]; /* the first mistake; empty: none */
};
static double number(struct reader* in, const char* key, double low, double high, double fallback) {
  const char* value = find(in->json, in->bytes, key);
  char* end = NULL;
  double found;
  if (value == NULL || is_word(value, in->json + in->bytes, "null")) {
    if (fallback < low && in->error[0] == 0)
      snprintf(in->error, sizeof in->error, "'%s' is missing, expected a number", key);
    return fallback < low ? low : fallback;
  }
  found = strtod(value, &end); /* the host runs in C's own locale; a NUL stands behind the text */
  if (end == value || !(found >= low && found <= high)) {
    if (in->error[0] == 0) snprintf(in->error, sizeof in->error, "'%s' is no number from %g to %g", key, low, high);
    return low;
  }
  return found;
}
static long count(struct reader* in, const char* key, double high, long fallback) {
  const double found = number(in, key, 1, high, (double)fallback);
  if (found != floor(found) && in->error[0] == 0)
    snprintf(in->error, sizeof in->error, "'%s' is %g, expected a whole number", key, found);
  return (long)found;
}

/* ---- the model ---- */
struct model {
  long layers, hidden, ffn, vocab, heads, kv_heads, width;
  double eps, theta;
  int tied;
};
/* Weights are numbered in the order in which they are declared. */
enum { NORM1, Q, K, V, O, NORM2, GATE, UP, DOWN, PER_LAYER };
static long weight(long layer, int which) { return 1 + layer * PER_LAYER + which; }

static void declare_weights(struct text* out, const struct model* m) {
  long i, after = weight(m->layers, 0);
  put(out, "weight #0 \"model.embed_tokens.weight\" [%ld vocab, %ld]\n", m->vocab, m->hidden);
  for (i = 0; i < m->layers; ++i) {
#define WEIGHT(which, name) put(out, "weight #%ld \"model.layers.%ld." name ".weight\" ", weight(i, which), i)
    WEIGHT(NORM1, "input_layernorm"), put(out, "[%ld] layer %ld\n", m->hidden, i);
    WEIGHT(Q, "self_attn.q_proj"), put(out, "[%ld heads, %ld, %ld] layer %ld\n", m->heads, m->width, m->hidden, i);
    WEIGHT(K, "self_attn.k_proj"),
        put(out, "[%ld kv_heads, %ld, %ld] layer %ld\n", m->kv_heads, m->width, m->hidden, i);
    WEIGHT(V, "self_attn.v_proj"),
        put(out, "[%ld kv_heads, %ld, %ld] layer %ld\n", m->kv_heads, m->width, m->hidden, i);
    WEIGHT(O, "self_attn.o_proj"), put(out, "[%ld, %ld heads, %ld] layer %ld\n", m->hidden, m->heads, m->width, i);
    WEIGHT(NORM2, "post_attention_layernorm"), put(out, "[%ld] layer %ld\n", m->hidden, i);
    WEIGHT(GATE, "mlp.gate_proj"), put(out, "[%ld ffn, %ld] layer %ld\n", m->ffn, m->hidden, i);
    WEIGHT(UP, "mlp.up_proj"), put(out, "[%ld ffn, %ld] layer %ld\n", m->ffn, m->hidden, i);
    WEIGHT(DOWN, "mlp.down_proj"), put(out, "[%ld, %ld ffn] layer %ld\n", m->hidden, m->ffn, i);
#undef WEIGHT
  }
  put(out, "weight #%ld \"model.norm.weight\" [%ld]\n", after, m->hidden);
  if (!m->tied) put(out, "weight #%ld \"lm_head.weight\" [%ld vocab, %ld]\n", after + 1, m->vocab, m->hidden);
}

/* One layer from value x; returns the number of its result. Attributes that are left out take their defaults. */
static long layer(struct text* out, const struct model* m, long i, long x) {
  const long h = m->hidden, n = x + 1;
  char q[64], kv[64], wide[48];
  snprintf(q, sizeof q, "bf16 [tokens, %ld heads, %ld]", m->heads, m->width);
  snprintf(kv, sizeof kv, "bf16 [tokens, %ld kv_heads, %ld]", m->kv_heads, m->width);
  snprintf(wide, sizeof wide, "bf16 [tokens, %ld ffn]", m->ffn);
  put(out, "in \"text\" layer %ld scope \"model.layers.%ld.\"\n", i, i);
  put(out, "  %%%ld = norm/1(%%%ld; #%ld, -) {eps = %.9g} -> bf16 [tokens, %ld]\n", n, x, weight(i, NORM1), m->eps, h);
  put(out, "in \"text\" layer %ld scope \"model.layers.%ld.self_attn.\"\n", i, i);
  put(out, "  %%%ld, %%%ld, %%%ld = linear/1(%%%ld; #%ld, -, #%ld, -, #%ld, -) {} -> %s, %s, %s\n", n + 1, n + 2, n + 3,
      n, weight(i, Q), weight(i, K), weight(i, V), q, kv, kv);
  put(out, "  %%%ld = rotary/1(%%%ld) {frequencies = @0} -> %s\n", n + 4, n + 1, q);
  put(out, "  %%%ld = rotary/1(%%%ld) {frequencies = @0} -> %s\n", n + 5, n + 2, kv);
  put(out, "  %%%ld = attention/1(%%%ld, %%%ld, %%%ld; ; $%ld) {scale = %.9g} -> %s\n", n + 6, n + 4, n + 5, n + 3, i,
      1 / sqrt((double)m->width), q);
  put(out, "  %%%ld = linear/1(%%%ld; #%ld, -) {} -> bf16 [tokens, %ld]\n", n + 7, n + 6, weight(i, O), h);
  put(out, "in \"text\" layer %ld scope \"model.layers.%ld.\"\n", i, i);
  put(out, "  %%%ld = add/1(%%%ld, %%%ld) {} -> bf16 [tokens, %ld]\n", n + 8, x, n + 7, h);
  put(out, "  %%%ld = norm/1(%%%ld; #%ld, -) {eps = %.9g} -> bf16 [tokens, %ld]\n", n + 9, n + 8, weight(i, NORM2),
      m->eps, h);
  put(out, "in \"text\" layer %ld scope \"model.layers.%ld.mlp.\"\n", i, i);
  put(out, "  %%%ld, %%%ld = linear/1(%%%ld; #%ld, -, #%ld, -) {} -> %s, %s\n", n + 10, n + 11, n + 9, weight(i, GATE),
      weight(i, UP), wide, wide);
  put(out, "  %%%ld = gated/1(%%%ld, %%%ld) {activation = silu} -> %s\n", n + 12, n + 10, n + 11, wide);
  put(out, "  %%%ld = linear/1(%%%ld; #%ld, -) {} -> bf16 [tokens, %ld]\n", n + 13, n + 12, weight(i, DOWN), h);
  put(out, "in \"text\" layer %ld scope \"model.layers.%ld.\"\n", i, i);
  put(out, "  %%%ld = add/1(%%%ld, %%%ld) {} -> bf16 [tokens, %ld]\n", n + 14, n + 8, n + 13, h);
  return n + 14;
}

static void write_program(struct text* out, const struct model* m) {
  long i, x = 0, after = weight(m->layers, 0);
  put(out, "tare-program 1\ndtype bf16\nentry \"text\"\n");
  put(out, "table @0 [");
  for (i = 0; i < m->width / 2; ++i) /* 1 / theta^(2i / width); nine digits name each float */
    put(out, "%s%.9g", i == 0 ? "" : ", ", (double)(1 / powf((float)m->theta, (float)(2 * i) / (float)m->width)));
  put(out, "]\n");
  declare_weights(out, m);
  for (i = 0; i < m->layers; ++i)
    put(out, "state $%ld \"model.layers.%ld.self_attn.\" full keeps [%ld kv_heads, %ld], [%ld kv_heads, %ld]\n", i, i,
        m->kv_heads, m->width, m->kv_heads, m->width);
  put(out, "in \"text\"\n  %%0 = embed/1(; #0) {} -> bf16 [tokens, %ld]\n", m->hidden);
  for (i = 0; i < m->layers; ++i) x = layer(out, m, i, x);
  put(out, "in \"text\"\n");
  put(out, "  %%%ld = logit_rows/1(%%%ld) {} -> bf16 [logit_rows, %ld]\n", x + 1, x, m->hidden);
  put(out, "  %%%ld = norm/1(%%%ld; #%ld, -) {eps = %.9g} -> bf16 [logit_rows, %ld]\n", x + 2, x + 1, after, m->eps,
      m->hidden);
  put(out, "  %%%ld = linear/1(%%%ld; #%ld, -) {f32 = true} -> f32 [logit_rows, %ld vocab]\n", x + 3, x + 2,
      m->tied ? 0 : after + 1, m->vocab);
  put(out, "output \"text\" \"logits\" %%%ld\nend\n", x + 3);
}

static char* copy(const char* sentence) {
  char* out = (char*)malloc(strlen(sentence) + 1);
  if (out != NULL) strcpy(out, sentence);
  return out;
}

static int32_t program(const char* config_json, size_t bytes, char** text, char** error) {
  struct reader in = {config_json, bytes, {0}};
  struct text out = {NULL, 0, 0, 0};
  const char *end = config_json + bytes, *value = find(config_json, bytes, "architectures");
  struct model m;
  value = value != NULL && value < end && *value == '[' ? skip_space(value + 1, end) : NULL;
  if (!is_word(value, end, "\"TinyCForCausalLM\"")) {
    *error = copy("this plugin knows the architecture TinyCForCausalLM alone");
    return 1;
  }
  m.layers = count(&in, "num_hidden_layers", 1000, 0);
  m.hidden = count(&in, "hidden_size", 1e6, 0);
  m.ffn = count(&in, "intermediate_size", 1e7, 0);
  m.vocab = count(&in, "vocab_size", 1e7, 0);
  m.heads = count(&in, "num_attention_heads", 1e4, 0);
  m.kv_heads = count(&in, "num_key_value_heads", 1e4, m.heads);
  m.width = count(&in, "head_dim", 1e4, m.hidden / m.heads < 1 ? 1 : m.hidden / m.heads);
  m.eps = number(&in, "rms_norm_eps", 0, 1, -1);
  m.theta = number(&in, "rope_theta", 1, 1e12, 10000);
  m.tied = is_word(find(config_json, bytes, "tie_word_embeddings"), end, "true");
  value = find(config_json, bytes, "rope_scaling");
  if (in.error[0] == 0 && value != NULL && !is_word(value, end, "null"))
    snprintf(in.error, sizeof in.error, "'rope_scaling' is set, expected null");
  if (in.error[0] != 0) {
    *error = copy(in.error);
    return 1;
  }
  write_program(&out, &m);
  if (out.failed) {
    free(out.data);
    *error = copy("out of memory");
    return 1;
  }
  *text = out.data;
  return 0;
}
static void release(char* returned) { free(returned); }

TARE_C_PROGRAM("org.example.tiny_c", "1.0.0", program, release)
