// Tokenizes texts with llama.cpp's library, so that another tokenizer's ids can be compared with it on the same GGUF.
//
//   peer-tokenize MODEL.gguf < TEXTS        texts end with a NUL byte each
//
// Prints one JSON array of token ids a line; special tokens are neither added nor recognised in the text.
#include <cstdio>
#include <iostream>
#include <string>
#include <vector>

#include "llama.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: peer-tokenize MODEL.gguf < TEXTS\n");
    return 2;
  }
  llama_log_set([](ggml_log_level, const char*, void*) {}, nullptr);
  llama_model_params params = llama_model_default_params();
  params.vocab_only = true;
  llama_model* model = llama_model_load_from_file(argv[1], params);
  if (model == nullptr) {
    std::fprintf(stderr, "peer-tokenize: %s did not load\n", argv[1]);
    return 1;
  }
  const llama_vocab* vocab = llama_model_get_vocab(model);
  for (std::string text; std::getline(std::cin, text, '\0');) {
    std::vector<llama_token> ids(text.size() + 16);
    const int count = llama_tokenize(vocab, text.data(), static_cast<int>(text.size()), ids.data(),
                                     static_cast<int>(ids.size()), false, false);
    std::printf("[");
    for (int i = 0; i < count; ++i) std::printf(i ? ",%d" : "%d", ids[static_cast<size_t>(i)]);
    std::printf("]\n");
  }
  llama_model_free(model);
  return 0;
}
