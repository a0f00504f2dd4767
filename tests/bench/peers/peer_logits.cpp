// Feeds token ids through llama.cpp's library and prints what the model answers, as one JSON object, so that
// another runtime's tokens and logits can be compared with llama.cpp's on the same GGUF file.
//
//   peer-logits MODEL.gguf THREADS NUM_GREEDY ID ID ID ...
//
// Prints {"tokens":[..],"gaps":[..]}: NUM_GREEDY greedy tokens and, for each, the distance in logits between it and
// the runner-up. With NUM_GREEDY = -1 it prints {"logits":[[..],..]} instead: the logits after every given token.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "llama.h"

namespace {

void quiet(ggml_log_level level, const char* text, void*) {
  if (level >= GGML_LOG_LEVEL_ERROR) std::fputs(text, stderr);
}

bool decode(llama_context* context, std::vector<llama_token> ids, int first_position, bool all_logits) {
  llama_batch batch = llama_batch_init(static_cast<int>(ids.size()), 0, 1);
  batch.n_tokens = static_cast<int>(ids.size());
  for (int i = 0; i < batch.n_tokens; ++i) {
    batch.token[i] = ids[static_cast<size_t>(i)];
    batch.pos[i] = first_position + i;
    batch.n_seq_id[i] = 1;
    batch.seq_id[i][0] = 0;
    batch.logits[i] = all_logits || i + 1 == batch.n_tokens;
  }
  const bool done = llama_decode(context, batch) == 0;
  llama_batch_free(batch);
  return done;
}

void print_row(const float* logits, int vocab) {
  std::printf("[");
  for (int i = 0; i < vocab; ++i) std::printf(i ? ",%.9g" : "%.9g", static_cast<double>(logits[i]));
  std::printf("]");
}

struct Choice {
  llama_token token;
  float gap;
};

Choice greedy(const float* logits, int vocab) {
  int best = 0;
  for (int i = 1; i < vocab; ++i) {
    if (logits[i] > logits[best]) best = i;
  }
  float second = -1e30F;
  for (int i = 0; i < vocab; ++i) {
    if (i != best && logits[i] > second) second = logits[i];
  }
  return {best, logits[best] - second};
}

int fail(const char* what) {
  std::fprintf(stderr, "peer-logits: %s\n", what);
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5) return fail("usage: peer-logits MODEL.gguf THREADS NUM_GREEDY ID...");
  const int threads = std::atoi(argv[2]);
  const int num_greedy = std::atoi(argv[3]);
  std::vector<llama_token> ids;
  for (int i = 4; i < argc; ++i) ids.push_back(std::atoi(argv[i]));

  llama_log_set(quiet, nullptr);
  llama_backend_init();
  llama_model_params model_params = llama_model_default_params();
  model_params.use_extra_bufts = false;  // the repacked AMX path rounds more, and crashes on very narrow matrices
  llama_model* model = llama_model_load_from_file(argv[1], model_params);
  if (model == nullptr) return fail("the model did not load");
  llama_context_params params = llama_context_default_params();
  params.n_ctx = static_cast<uint32_t>(ids.size()) + 256;
  params.n_batch = params.n_ubatch = params.n_ctx;
  params.n_threads = params.n_threads_batch = threads;
  params.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
  params.type_k = params.type_v = GGML_TYPE_F32;  // F16 state would hide differences that matter here
  llama_context* context = llama_init_from_model(model, params);
  if (context == nullptr) return fail("the context could not be made");
  const int vocab = llama_vocab_n_tokens(llama_model_get_vocab(model));

  if (!decode(context, ids, 0, num_greedy < 0)) return fail("decoding the prompt failed");
  if (num_greedy < 0) {
    std::printf("{\"logits\":[");
    for (size_t i = 0; i < ids.size(); ++i) {
      if (i) std::printf(",");
      print_row(llama_get_logits_ith(context, static_cast<int>(i)), vocab);
    }
    std::printf("]}\n");
    return 0;
  }
  std::string tokens;
  std::string gaps;
  int position = static_cast<int>(ids.size());
  for (int step = 0; step < num_greedy; ++step) {
    const Choice choice = greedy(llama_get_logits_ith(context, -1), vocab);
    const char* comma = step ? "," : "";
    tokens += comma + std::to_string(choice.token);
    gaps += comma + std::to_string(choice.gap);
    if (!decode(context, {choice.token}, position++, false)) return fail("decoding a token failed");
  }
  std::printf("{\"tokens\":[%s],\"gaps\":[%s]}\n", tokens.c_str(), gaps.c_str());
  return 0;
}
