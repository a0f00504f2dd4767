#include <doctest/doctest.h>

#include <algorithm>
#include <map>

#include "core/synth/files.hpp"
#include "core/synth/shape.hpp"

using namespace tare;
using namespace tare::synth;

namespace {

int64_t parameters(const Shape& shape) {
  int64_t sum = 0;
  for (const Tensor& t : tensors_of(shape)) sum += t.elements();
  return sum;
}

}  // namespace

TEST_CASE("Shapes have the parameters that their model cards say") {
  // The exact counts are those that Hugging Face shows for each repository's safetensors.
  const std::map<std::string, int64_t> cards{{"llama-3.1-8b", 8'030'261'248}, {"llama-3.1-70b", 70'553'706'496},
                                             {"llama-3.2-1b", 1'235'814'400}, {"llama-3.2-3b", 3'212'749'824},
                                             {"mistral-7b", 7'248'023'552},   {"qwen3-0.6b", 596'049'920},
                                             {"qwen3-4b", 4'022'468'096},     {"qwen3-8b", 8'190'735'360},
                                             {"qwen3-32b", 32'762'123'264},   {"smollm2-135m", 134'515'008}};
  for (const auto& [name, wanted] : cards) {
    INFO(name);
    REQUIRE(find_shape(name).ok());
    CHECK(parameters(*find_shape(name)) == wanted);
  }
}

TEST_CASE("A shape that is not known is answered with the nearest") {
  const Status status = find_shape("lama-3.1-8b").status();
  CHECK(status.code() == Code::not_found);
  CHECK(status.message().starts_with("no shape 'lama-3.1-8b', did you mean 'llama-3.1-8b'? known: llama-3.1-8b, "));
  CHECK(find_shape("").status().message().starts_with("no shape ''; known: "));
}

TEST_CASE("Every shape has two outlier tensors of its own, and they are matrices of at most 2 % together") {
  for (Shape shape : shapes())
    for (int64_t layers : {int64_t{1}, int64_t{2}, int64_t{3}, shape.layers}) {
      shape.layers = layers;
      const auto names = outlier_tensors(shape);
      INFO(shape.name, " with ", layers);
      REQUIRE(names.size() == 2);
      CHECK(names[0] != names[1]);
      int64_t all = 0, outliers = 0;
      for (const Tensor& t : tensors_of(shape)) {
        all += t.elements();
        if (std::find(names.begin(), names.end(), t.name) == names.end()) continue;
        CHECK(t.is_matrix());
        outliers += t.elements();
      }
      CHECK(outliers > 0);
      CHECK(outliers * 50 <= all);
    }
  CHECK(outlier_tensors(*find_shape("llama-3.1-8b")) ==
        std::vector<std::string>{"model.layers.1.mlp.gate_proj.weight", "model.layers.2.mlp.gate_proj.weight"});
}

TEST_CASE("The head of a safetensors file is padded so that numbers begin at a whole line") {
  const std::string head = safetensors_head({{"a", {2, 3}}, {"b", {5}}});
  CHECK(head.size() % 64 == 0);
  CHECK(head.substr(8).starts_with(
      R"({"__metadata__":{"format":"pt"},"a":{"dtype":"BF16","shape":[2,3],"data_offsets":[0,12]},)"
      R"("b":{"dtype":"BF16","shape":[5],"data_offsets":[12,22]}})"));
  CHECK(static_cast<size_t>(static_cast<unsigned char>(head[0])) == head.size() - 8);
}
