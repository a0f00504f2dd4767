// Program text: its grammar, and what is said of text that breaks it.
#include "core/program/program_text.hpp"

#include <doctest/doctest.h>

#include "core/program/trace.hpp"
#include "tests/unit/program/toy_family.hpp"

namespace tare {
namespace {

const std::string kSmall = R"(tare-program 1
dtype bf16
entry "text"
table @0 [1.0, 0.1]
weight #0 "embed" [32 vocab, 8]
weight #1 "q" [2 heads, 4, 8] layer 0 at "a.cpp:7"
weight #2 "kv" [2 kv_heads, 4, 8] part {inputs_first = false, begin = 2, of = 4, step = 1} layer 0
weight #3 "o" [8, 2 heads, 4] dtype f32 layer 0
state $0 "layers.0." window(16) keeps [2 kv_heads, 4], [2 kv_heads, 4]
in "text"
  %0 = embed/1(; #0) {} -> bf16 [tokens, 8]
in "text" layer 0 scope "layers.0."
  %1, %2 = linear/1(%0; #1, -, #2, -) {f32 = false} -> bf16 [tokens, 2 heads, 4], bf16 [tokens, 2 kv_heads, 4]
  %3 = rotary/1(%1) {pairs = halves, first = 0, width = 4, frequencies = @0, magnitude = 1.0} -> bf16 [tokens, 2 heads, 4]
  %4 = attention/1(%3, %2, %2; ; $0) {scale = 0.5, soft_cap = 0.0, causal = true} -> bf16 [tokens, 2 heads, 4] at "a.cpp:9"
  %5 = linear/1(%4; #3, -) {f32 = false} -> bf16 [tokens, 8]
in "text"
  %6 = logit_rows/1(%5) {} -> bf16 [logit_rows, 8]
  %7 = linear/1(%6; #0, -) {f32 = true} -> f32 [logit_rows, 32 vocab]
output "text" "logits" %7
end
)";

std::string edited(std::string_view from, std::string_view to, std::string text = kSmall) {
  const size_t at = text.find(from);
  REQUIRE_MESSAGE(at != std::string::npos, from);
  return text.replace(at, from.size(), to);
}
std::string refusal(const std::string& text) {
  const Result<Program> parsed = parse_program(text, builtin_ops());
  return parsed.ok() ? "accepted" : parsed.status().message();
}
void refused(std::string_view from, std::string_view to, std::string_view message) {
  const std::string found = refusal(edited(from, to));
  CHECK_MESSAGE(found.find(message) != std::string::npos, found);
}

}  // namespace

TEST_CASE("parse then print gives the same bytes") {
  const Result<Program> parsed = parse_program(kSmall, builtin_ops());
  REQUIRE_MESSAGE(parsed.ok(), parsed.status().message());
  CHECK(print_program(*parsed) == kSmall);
  CHECK(parsed->weights[2].part == Part{.begin = 2, .of = 4});
  CHECK(parsed->weights[3].dtype == DType::f32);
  CHECK(parsed->weights[3].input_dims == 2);  // inferred: not in the text
  CHECK(parsed->states[0].kind == window(16));
  CHECK(parsed->nodes[3].where == "a.cpp:9");
}

TEST_CASE("two entries, an input between them and tied weights survive") {
  const Result<Program> traced = trace(toy::family(), toy::config(), {}, builtin_ops());
  REQUIRE(traced.ok());
  const std::string text = print_program(*traced);
  CHECK(text.find("in \"draft\"\n  input %") != std::string::npos);
  const Result<Program> parsed = parse_program(text, builtin_ops());
  REQUIRE_MESSAGE(parsed.ok(), parsed.status().message());
  CHECK(print_program(*parsed) == text);
  CHECK(parsed->nodes == traced->nodes);
}

TEST_CASE("attributes that are left out take their defaults and are printed in full") {
  std::string lean = edited(" {f32 = false}", " {}");
  lean =
      edited("{pairs = halves, first = 0, width = 4, frequencies = @0, magnitude = 1.0}", "{frequencies = @0}", lean);
  const Result<Program> parsed = parse_program(lean, builtin_ops());
  REQUIRE_MESSAGE(parsed.ok(), parsed.status().message());
  CHECK(print_program(*parsed) == kSmall);
}

TEST_CASE("floats parse back to the same bits") {
  for (const float value : {0.1f, 1e-45f, 3.4028235e38f, -0.0f, 1.0f / 3, 16777217.0f, 1.17549421e-38f, 2.5e-7f}) {
    const std::string text = edited("table @0 [1.0, 0.1]", tare::text("table @0 [1.0, ", to_string(value), "]"));
    const Result<Program> parsed = parse_program(text, builtin_ops());
    REQUIRE_MESSAGE(parsed.ok(), parsed.status().message());
    CHECK(std::bit_cast<uint32_t>(parsed->constants[0][1]) == std::bit_cast<uint32_t>(value));
    CHECK(print_program(*parsed) == text);
  }
}

TEST_CASE("a mistake names its line and what was expected") {
  refused("tare-program 1", "tare-program 2", "line 1: expected 'tare-program 1', found 'tare-program 2'");
  refused("dtype bf16", "dtype u8", "line 2: expected activations of bf16 or f32, found u8");
  refused("table @0", "table @1", "line 4: expected '@0', the next number, found '@1");
  refused("[1.0, 0.1]", "[1.0, nan]", "line 4: expected a table's value, a finite number, found 'nan]'");
  refused("[1.0, 0.1]", "[1.0, 1e99]", "line 4: expected a table's value, a finite number");
  refused("[1.0, 0.1]", "[1.0]", "line 14: rotary/1: turns each pair by its frequency: wanted 2 frequencies");
  refused("[32 vocab, 8]", "[0 vocab, 8]", "line 5: expected a size from 1 to");
  refused("[32 vocab, 8]", "[32 vocabulary, 8]", "line 5: expected tokens, sequences, logit_rows, vocab");
  refused("[32 vocab, 8]", "[vocab, 8]", "line 5: expected a size before 'vocab'");
  refused("[32 vocab, 8]", "[99999999999 vocab, 99999999999]", "line 5: expected a shape of at most 2^48 elements");
  refused("[32 vocab, 8]", "[032 vocab, 8]", "line 5: expected a size from 1");
  refused("\"q\"", "\"embed\"", "line 6: weight embed is declared twice");
  refused("begin = 2, of = 4", "begin = 4, of = 4", "line 7: wanted a part inside its tensor");
  refused("step = 1}", "stride = 1}", "line 7: attribute 'stride' is unknown");
  refused("window(16) keeps", "window(0) keeps", "line 9: expected a count from 1");
  refused("keeps [2 kv_heads, 4],", "keeps [3 kv_heads, 4],",
          "line 21: state $0 of line 9 keeps [2 kv_heads, 4], [2 kv_heads, 4] by its operation, but the text says [3");
  refused("embed/1", "embedd/1", "line 11: unknown op 'embedd/1', the nearest known is 'embed/1'");
  refused("(; #0)", "(; #4)", "line 11: expected a weight or '-', a weight number from 0 to 3, found '4)");
  refused("%3 = rotary/1(%1)", "%3 = rotary/1(%3)", "line 14: expected a value number from 0 to 2");
  refused("%3 = rotary/1(%1)", "%3 = rotary/1(%-1)", "line 14: expected a value number from 0 to 2");
  refused("frequencies = @0", "frequencies = @1", "line 14: expected a table number from 0 to 0");
  refused("{pairs = halves,", "{pairs = thirds,",
          "line 14: rotary/1: attribute 'pairs': found thirds, expected one of halves");
  refused("pairs = halves, first = 0", "first = 0, first = 0", "line 14: attribute 'first' is given twice");
  refused("; $0)", "; $1)", "line 15: expected a state number from 0 to 0");
  refused("%5 = linear/1(%4; #3, -) {f32 = false} -> bf16 [tokens, 8]",
          "%5 = linear/1(%4; #3, -) {f32 = false} -> bf16 [tokens, 9]",
          "line 16: linear/1 gives bf16 [tokens, 8], but the text says bf16 [tokens, 9]");
  refused("  %6 =", "  %7 =", "line 18: expected '%6', the next number, found '%7");
  refused("output \"text\" \"logits\" %7", "output \"draft\" \"logits\" %7",
          "line 20: expected an entry that is declared above, found \"draft\"");
  refused("output \"text\" \"logits\" %7\n", "", "entry \"text\" has no output");
  refused("end\n", "end", "expected a line break at the end of the last line");
  refused("end\n", "", "expected 'end', found the end of the text");
  refused("end\n", "end\nend\n", "expected nothing after 'end'");
  refused("state $0", "table @1 [1.0]\nstate $0", "expected the order entry, table, weight, state");
  refused("entry \"text\"\n", "", "line 3: expected an entry first");
  refused("dtype bf16\n", "dtype bf16\nranks 4\n", "line 3: expected entry, table");
}

TEST_CASE("a value does not cross from one entry to another") {
  const Result<Program> traced = trace(toy::family(), toy::config(), {}, builtin_ops());
  REQUIRE(traced.ok());
  std::string text = print_program(*traced);
  const size_t at = text.find("concat/1(%");
  REQUIRE(at != std::string::npos);
  text.replace(at, text.find(',', at) - at, "concat/1(%0");
  CHECK(refusal(text).find("%0 belongs to another entry") != std::string::npos);
}

TEST_CASE("no cut and no changed byte does worse than a refusal") {
  for (size_t size = 0; size < kSmall.size(); ++size) CHECK(refusal(kSmall.substr(0, size)) != "accepted");
  for (size_t at = 0; at < kSmall.size(); ++at)
    for (const char c : {'\0', '9', '-', '"', '\n', '%', '\xff'}) {
      std::string text = kSmall;
      text[at] = c;
      const Result<Program> parsed = parse_program(text, builtin_ops());
      if (parsed.ok()) {
        const std::string printed = print_program(*parsed);
        const Result<Program> again = parse_program(printed, builtin_ops());
        REQUIRE(again.ok());
        CHECK(print_program(*again) == printed);
      }
    }
}

}  // namespace tare
