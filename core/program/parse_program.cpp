#include <unordered_set>

#include "core/program/infer.hpp"
#include "core/program/program_text.hpp"
#include "core/program/text_cursor.hpp"

namespace tare {
namespace {

constexpr size_t kMaxText = size_t{256} << 20;

class Parser {
 public:
  Parser(std::string_view text, const OpTable& ops) : text_(text), ops_(ops) {}

  Result<Program> run() {
    if (text_.size() > kMaxText)
      return invalid("Program text has ", text_.size(), " bytes, expected at most ", kMaxText);
    Status status = lines();
    if (!status.ok()) return status;
    return std::move(program_);
  }

 private:
  // A statement's place in the order of the text: each may only follow its own kind and those before it.
  enum class Stage { header, dtype, entries, tables, weights, states, body, outputs, end };

  Status lines() {
    while (!text_.empty()) {
      ++line_number_;
      const size_t end = text_.find('\n');
      if (end == std::string_view::npos) return here("expected a line break at the end of the last line");
      TextCursor c(text_.substr(0, end));
      text_.remove_prefix(end + 1);
      if (stage_ == Stage::end) return here("expected nothing after 'end'");
      line(c);
      if (c.ok()) c.end();
      if (!c.ok()) return here(c.mistake());
    }
    if (stage_ != Stage::end) return ++line_number_, here("expected 'end', found the end of the text");
    return {};
  }
  Status here(const std::string& sentence) const {
    return invalid("Program text, line ", line_number_, ": ", sentence);
  }

  void line(TextCursor& c) {
    if (stage_ == Stage::header) return c.expect("tare-program 1"), advance(c, Stage::dtype);
    if (stage_ == Stage::dtype) return dtype(c);
    if (c.take("entry ")) return advance(c, Stage::entries), entry(c);
    if (c.take("table ")) return advance(c, Stage::tables), table(c);
    if (c.take("weight ")) return advance(c, Stage::weights), weight(c);
    if (c.take("state ")) return advance(c, Stage::states), state(c);
    if (c.take("in ")) return advance(c, Stage::body), context(c);
    if (c.take("  input ")) return advance(c, Stage::body), input(c);
    if (c.take("  ")) return advance(c, Stage::body), node(c);
    if (c.take("output ")) return advance(c, Stage::outputs), output(c);
    if (c.take("end")) return finish(c);
    c.expected("entry, table, weight, state, in, '  input', '  %N', output or end");
  }
  void advance(TextCursor& c, Stage to) {
    if (to < stage_) c.fail("expected the order entry, table, weight, state, in and its operations, output, end");
    if (to > Stage::entries && program_.entries.empty()) c.fail("expected an entry first");
    stage_ = to;
  }

  void dtype(TextCursor& c) {
    c.expect("dtype ");
    program_.dtype = c.dtype();
    if (c.ok() && program_.dtype != DType::bf16 && program_.dtype != DType::f32)
      c.fail(text("expected activations of bf16 or f32, found ", name(program_.dtype)));
    stage_ = Stage::entries;
  }
  void entry(TextCursor& c) {
    std::string found = c.quoted("an entry's name");
    for (const std::string& before : program_.entries)
      if (before == found) c.fail(text("entry \"", found, "\" is given twice"));
    if (found.empty()) c.fail("expected an entry's name, found an empty one");
    if (program_.entries.size() >= 64) c.fail("expected at most 64 entries");
    program_.entries.push_back(std::move(found));
  }
  void table(TextCursor& c) {
    c.next_index('@', program_.constants.size());
    std::vector<float> values;
    c.expect("[");
    while (c.ok() && !c.take("]")) {
      if (!values.empty()) c.expect(",");
      values.push_back(c.real("a table's value"));
    }
    program_.constants.push_back(std::move(values));
  }

  void weight(TextCursor& c) {
    WeightDecl w;
    c.next_index('#', program_.weights.size());
    w.name = c.quoted("a weight's name");
    w.shape = w.whole = c.shape();
    if (c.take("dtype ")) w.dtype = c.dtype();
    if (c.take("part ")) part(c, w.part);
    if (c.take("layer ")) w.layer = layer(c);
    if (c.take("at ")) w.where = c.quoted("a place");
    if (!c.ok()) return;
    if (std::string wrong = weight_mistake(w.name, w.shape, w.part); !wrong.empty()) return c.fail(wrong);
    if (!weights_.insert(text(w.name, '@', w.part.begin)).second)
      return c.fail(text("weight ", w.name, " is declared twice"));
    program_.weights.push_back(std::move(w));
  }
  void part(TextCursor& c, Part& part) {
    struct Form {
      Part part;
      static void fields(Form& self, detail::AttributeReader visit) {
        visit("inputs_first", self.part.inputs_first), visit("begin", self.part.begin), visit("of", self.part.of);
        visit("step", self.part.step);
      }
    };
    const Result<Form> form = from_attributes<Form>(c.attributes(0));
    if (c.ok() && !form.ok()) c.fail(form.status().message());
    if (form.ok()) part = form->part;
    if (c.ok() && part == Part{}) c.fail("expected no part for all of a tensor");
  }
  int32_t layer(TextCursor& c) { return static_cast<int32_t>(c.integer("a layer", 0, 1 << 20)); }

  void state(TextCursor& c) {
    StateDecl s;
    c.next_index('$', program_.states.size());
    s.scope = c.quoted("a state's scope");
    s.kind = c.state_kind();
    std::vector<Shape> parts;
    if (c.take("keeps ")) do
        parts.push_back(c.shape());
      while (c.ok() && parts.size() < 16 && c.take(","));
    program_.states.push_back(std::move(s));
    kept_.push_back(std::move(parts));
    state_lines_.push_back(line_number_);
  }

  int32_t entry_index(TextCursor& c) {
    const std::string found = c.quoted("an entry's name");
    for (size_t i = 0; i < program_.entries.size(); ++i)
      if (program_.entries[i] == found) return static_cast<int32_t>(i);
    c.fail(text("expected an entry that is declared above, found \"", found, "\""));
    return 0;
  }
  void context(TextCursor& c) {
    entry_ = entry_index(c);
    layer_ = c.take("layer ") ? layer(c) : -1;
    scope_ = c.take("scope ") ? c.quoted("a scope") : "";
  }
  void input(TextCursor& c) {
    if (entry_ < 0) return c.fail("expected an 'in' line before the first value");
    ValueDecl value;
    c.next_index('%', program_.values.size());
    value.name = c.quoted("an input's name");
    value.info.dtype = c.dtype();
    value.info.shape = c.shape();
    value.entry = entry_;
    if (c.ok() && (value.info.shape.empty() || !is_rows(value.info.shape[0].axis)))
      c.fail(text("expected an input [rows, ..], found ", to_string(value.info.shape)));
    program_.values.push_back(std::move(value));
  }

  // Comma-separated until ';' or ')'.
  template <class Read>
  void list(TextCursor& c, size_t most, std::string_view what, Read read) {
    for (size_t count = 0; c.ok() && !c.peek(";") && !c.peek(")"); ++count) {
      if (count > 0) c.expect(",");
      if (count >= most) c.fail(text("expected at most ", most, " ", what));
      if (c.ok()) read();
    }
  }
  int32_t value(TextCursor& c) {
    const int32_t v = c.index('%', program_.values.size(), "a value");
    if (c.ok() && program_.values[static_cast<size_t>(v)].entry != entry_)
      c.fail(text("%", v, " belongs to another entry: declare an input and give it the output's name"));
    return v;
  }
  void node(TextCursor& c) {
    if (entry_ < 0) return c.fail("expected an 'in' line before the first operation");
    Node n;
    n.entry = entry_, n.layer = layer_, n.scope = scope_;
    const size_t first = program_.values.size();
    size_t results = 0;
    do c.next_index('%', first + results++);
    while (c.ok() && results < kMaxResults && c.take(","));
    c.expect("=");
    n.op = c.word("an op name/revision");
    c.expect("(");
    list(c, kMaxInputs, "inputs", [&] { n.inputs.push_back(value(c)); });
    if (c.take(";"))
      list(c, kMaxWeights, "weights", [&] {
        n.weights.push_back(c.take("-") ? kAbsent : c.index('#', program_.weights.size(), "a weight or '-', a weight"));
      });
    if (c.take(";")) n.state = c.index('$', program_.states.size(), "a state");
    c.expect(")");
    n.attributes = c.attributes(program_.constants.size());
    c.expect("->");
    std::vector<TensorInfo> written;
    while (c.ok() && written.size() < results) {
      if (!written.empty()) c.expect(",");
      TensorInfo info;
      info.dtype = c.dtype();
      info.shape = c.shape();
      written.push_back(std::move(info));
    }
    if (c.take("at ")) n.where = c.quoted("a place");
    if (c.ok()) c.end();
    if (c.ok()) infer(c, std::move(n), written);
  }
  // What the op's rule says must be what the text says.
  void infer(TextCursor& c, Node n, const std::vector<TensorInfo>& written) {
    const OpDefinition* definition = ops_.find(n.op);
    if (definition == nullptr) return c.fail(ops_.unknown(n.op));
    Result<OpResults> found = infer_node(program_, *definition, n, written.size());
    if (!found.ok()) return c.fail(text(n.op, ": ", found.status().message()));
    if (Status settled = settle(program_, n, *found); !settled.ok()) return c.fail(text(n.op, ": ", settled.message()));
    for (size_t i = 0; i < written.size(); ++i) {
      const TensorInfo& result = found->results[i];
      if (result.dtype != written[i].dtype || result.shape != written[i].shape)
        return c.fail(text(n.op, " gives ", name(result.dtype), " ", to_string(result.shape), ", but the text says ",
                           name(written[i].dtype), " ", to_string(written[i].shape)));
      n.results.push_back(static_cast<int32_t>(program_.values.size()));
      ValueDecl value;
      value.info = written[i];
      value.node = static_cast<int32_t>(program_.nodes.size());
      value.entry = entry_;
      program_.values.push_back(std::move(value));
    }
    program_.nodes.push_back(std::move(n));
  }

  void output(TextCursor& c) {
    OutputDecl o;
    o.entry = entry_ = entry_index(c);
    o.name = c.quoted("an output's name");
    o.value = value(c);
    if (!c.ok()) return;
    if (!outputs_.insert(text(o.entry, ' ', o.name)).second)
      return c.fail(text("output \"", o.name, "\" is given twice"));
    ValueDecl& decl = program_.values[static_cast<size_t>(o.value)];
    if (decl.node != kAbsent) decl.name = o.name;
    program_.outputs.push_back(std::move(o));
  }
  void finish(TextCursor& c) {
    std::vector<char> has(program_.entries.size(), 0);
    bool text_entry = false;
    for (const OutputDecl& o : program_.outputs) has[static_cast<size_t>(o.entry)] = 1;
    for (size_t i = 0; i < has.size(); ++i) {
      if (has[i] == 0) c.fail(text("entry \"", program_.entries[i], "\" has no output"));
      text_entry |= program_.entries[i] == "text";
    }
    if (!text_entry) c.fail("expected an entry \"text\" before the end");
    for (size_t i = 0; i < kept_.size(); ++i)
      if (kept_[i] != program_.states[i].parts)
        c.fail(text("state $", i, " of line ", state_lines_[i], " keeps ", shown(program_.states[i].parts),
                    " by its operation, but the text says ", shown(kept_[i])));
    stage_ = Stage::end;
  }
  static std::string shown(const std::vector<Shape>& parts) {
    std::string out;
    for (const Shape& part : parts) out += (out.empty() ? "" : ", ") + to_string(part);
    return out.empty() ? "nothing" : out;
  }

  std::string_view text_;
  const OpTable& ops_;
  Program program_;
  Stage stage_ = Stage::header;
  int64_t line_number_ = 0;
  int32_t entry_ = -1, layer_ = -1;
  std::string scope_;
  std::unordered_set<std::string> weights_, outputs_;
  std::vector<std::vector<Shape>> kept_;
  std::vector<int64_t> state_lines_;
};

}  // namespace

Result<Program> parse_program(std::string_view text, const OpTable& ops) { return Parser(text, ops).run(); }

}  // namespace tare
