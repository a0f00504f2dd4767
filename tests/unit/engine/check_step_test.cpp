#include <doctest/doctest.h>

#include "core/engine/executor.hpp"

namespace tare {
namespace {

ExecutorLimits limits() {
  return {.max_step_tokens = 8,
          .max_sequences = 2,
          .context = 32,
          .vocabulary = 100,
          .groups = {{full(), 4, 10}, {window(6), 4, 10}}};
}
// Two sequences: rows 8..10 of one whose window has passed its first page by then, row 2 of another.
StepInput good() {
  StepInput step;
  step.token_ids = {5, 6, 7, 99};
  step.positions = {9, 10, 11, 2};
  step.sequence_begin = {0, 3, 4};
  step.context_lengths = {12, 3};
  step.logit_row_tokens = {2, 3};
  step.page_tables = {{3, {0, 1, 2, 3, -1, -1}}, {3, {-1, 1, 2, 3, -1, -1}}};
  step.sampling.resize(2);
  return step;
}
std::string refusal(void (*spoil)(StepInput&)) {
  StepInput step = good();
  spoil(step);
  return check_step(step, limits()).message();
}

TEST_CASE("a whole step passes") { CHECK(check_step(good(), limits()).message() == ""); }

TEST_CASE("a step without logit rows passes") {
  StepInput step = good();
  step.logit_row_tokens.clear(), step.sampling.clear();
  CHECK(check_step(step, limits()).ok());
}

TEST_CASE("what would make a kernel read elsewhere is named") {
  CHECK(refusal([](StepInput& s) { s = {}; }) == "step has no tokens");
  CHECK(refusal([](StepInput& s) { s.token_ids.resize(9); }) == "step has 9 tokens, expected at most 8");
  CHECK(refusal([](StepInput& s) { s.positions.pop_back(); }) == "step has 3 positions, expected 4, one a token");
  CHECK(refusal([](StepInput& s) { s.sequence_begin.pop_back(); }) == "step has 2 sequence bounds, expected 3");
  CHECK(refusal([](StepInput& s) { s.sampling.pop_back(); }) ==
        "step has 1 sampling rows, expected 2, one a logit row");
  CHECK(refusal([](StepInput& s) { s.page_tables.pop_back(); }) == "step has 1 page tables, expected 2");
  CHECK(refusal([](StepInput& s) { s.sequence_begin[1] = 0; }) ==
        "sequence 0 has rows 0 to 0, expected at least one inside the step");
  CHECK(refusal([](StepInput& s) { s.sequence_begin[1] = 1000000; }) ==
        "sequence 0 has rows 0 to 1000000, expected at least one inside the step");
  CHECK(refusal([](StepInput& s) { s.sequence_begin.back() = 3; }) == "sequences cover rows 0 to 3, expected 0 to 4");
  CHECK(refusal([](StepInput& s) { s.context_lengths[0] = 33; }) ==
        "sequence 0 has a context of 33 tokens, expected 3 to 32");
  CHECK(refusal([](StepInput& s) { s.positions[1] = -1; }) == "row 1 has position -1, expected 10");
  CHECK(refusal([](StepInput& s) { s.token_ids[3] = 100; }) == "row 3 has token 100, expected 0 to 99");
  CHECK(refusal([](StepInput& s) { s.logit_row_tokens[0] = 4; }) == "logit row 0 is row 4, expected 0 to 3");
  CHECK(refusal([](StepInput& s) {
          s.sampling[1].output = {1, -5};
        }) == "sampling row 1 has token -5 in its history, expected 0 to 99");
  CHECK(refusal([](StepInput& s) {
          s.sampling[0].bias = {{100, 1.f}};
        }) == "sampling row 0 has a bias for token 100, expected 0 to 99");
  CHECK(refusal([](StepInput& s) { s.page_tables[0].pages[0] = 10; }) == "page table 0 names page 10, expected 0 to 9");
  CHECK(refusal([](StepInput& s) { s.page_tables[0].pages[0] = -1; }) ==
        "page table 0 lacks page 0 of sequence 0, which its rows need");
  CHECK(refusal([](StepInput& s) { s.page_tables[1].pages[1] = -1; }) ==
        "page table 1 lacks page 1 of sequence 0, which its rows need");
  CHECK(refusal([](StepInput& s) {
          s.page_tables[0] = {2, {0, 1, 3, -1}};
        }) == "page table 0 has 2 pages a sequence, but sequence 0 needs 3");
  CHECK(refusal([](StepInput& s) { s.page_tables[0].pages.pop_back(); }) ==
        "page table 0 has 5 entries, expected 3 times 2");
  CHECK(refusal([](StepInput& s) { s.page_tables[0].pages[3] = 2; }) ==
        "page table 0 has page 2 written twice in one step");
}

TEST_CASE("first_visible is where a state's keys begin") {
  CHECK(first_visible(full(), 100) == 0);
  CHECK(first_visible(window(6), 4) == 0);
  CHECK(first_visible(window(6), 5) == 0);
  CHECK(first_visible(window(6), 6) == 1);
  CHECK(first_visible(chunk(8), 7) == 0);
  CHECK(first_visible(chunk(8), 8) == 8);
  CHECK(first_visible(chunk(8), 21) == 16);
}

TEST_CASE("a view shows the step's own arrays") {
  StepInput step = good();
  step.sampling[1].output = {4, 5}, step.sampling[1].seed = 9, step.sampling[1].bias = {{3, 1.5f}};
  StepOutput output;
  StepViewStorage storage;
  const StepView view = view_step(step, output, storage);
  CHECK(view.num_tokens == 4);
  CHECK(view.num_sequences == 2);
  CHECK(view.num_logit_rows == 2);
  CHECK(view.token_ids == step.token_ids.data());
  REQUIRE(view.page_tables.size() == 2);
  CHECK(view.page_tables[1].pages[2] == 2);
  CHECK(view.page_tables[1].stride == 3);
  CHECK(view.sampling[1].seed == 9);
  CHECK(view.sampling[1].output[1] == 5);
  CHECK(view.sampling[1].bias[0].second == 1.5f);
  view.logprobs[1].drawn = -3;
  CHECK(output.logprobs[1].drawn == -3);
  CHECK(output.ids == std::vector<int32_t>{-1, -1});
}

}  // namespace
}  // namespace tare
