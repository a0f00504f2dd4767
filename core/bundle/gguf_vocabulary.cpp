#include "core/bundle/gguf_vocabulary.hpp"

#include <algorithm>

namespace tare {

Result<std::optional<GgufVocabulary>> gguf_vocabulary(const GgufFile& gguf) {
  const auto model = gguf.string("tokenizer.ggml.model");
  const GgufList* tokens = gguf.list("tokenizer.ggml.tokens");
  if (!model || *model == "no_vocab" || *model == "none" || tokens == nullptr || tokens->strings.empty())
    return std::optional<GgufVocabulary>();
  const std::string& path = gguf.file->path();
  GgufVocabulary v;
  v.model = *model;
  v.pre = gguf.string("tokenizer.ggml.pre").value_or("");
  v.tokens = tokens->strings;
  if (const GgufList* scores = gguf.list("tokenizer.ggml.scores"))
    for (double score : scores->numbers) v.scores.push_back(static_cast<float>(score));
  if (const GgufList* types = gguf.list("tokenizer.ggml.token_type"))
    for (double type : types->numbers) v.types.push_back(type >= 0 && type <= 100 ? static_cast<int32_t>(type) : 0);
  if (const GgufList* merges = gguf.list("tokenizer.ggml.merges")) v.merges = merges->strings;
  for (const auto& [name, count] : {std::pair("scores", v.scores.size()), std::pair("token_type", v.types.size())})
    if (count != 0 && count != v.tokens.size())
      return invalid(path, ": tokenizer.ggml.", name, " has ", count, " values, tokenizer.ggml.tokens has ",
                     v.tokens.size());
  const auto id = [&](const char* key) -> Result<int32_t> {
    const auto value = gguf.integer(std::string("tokenizer.ggml.") + key);
    // -1 and 2^32 - 1 are how converters write "none".
    if (!value || *value == -1 || *value == 0xffffffff) return -1;
    if (*value < 0 || *value >= static_cast<int64_t>(v.tokens.size()))
      return invalid(path, ": tokenizer.ggml.", key, " is ", *value, ", the vocabulary has ", v.tokens.size(),
                     " tokens");
    return static_cast<int32_t>(*value);
  };
  TARE_ASSIGN_OR_RETURN(v.bos, id("bos_token_id"));
  TARE_ASSIGN_OR_RETURN(v.eos, id("eos_token_id"));
  TARE_ASSIGN_OR_RETURN(v.unknown, id("unknown_token_id"));
  TARE_ASSIGN_OR_RETURN(v.padding, id("padding_token_id"));
  for (const char* key : {"eot_token_id", "eom_token_id"}) {
    TARE_ASSIGN_OR_RETURN(const int32_t more, id(key));
    if (more >= 0 && more != v.eos && std::find(v.more_eos.begin(), v.more_eos.end(), more) == v.more_eos.end())
      v.more_eos.push_back(more);
  }
  v.add_bos = gguf.flag("tokenizer.ggml.add_bos_token");
  v.add_eos = gguf.flag("tokenizer.ggml.add_eos_token");
  v.add_space_prefix = gguf.flag("tokenizer.ggml.add_space_prefix");
  return std::optional(std::move(v));
}

}  // namespace tare
