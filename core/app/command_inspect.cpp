// tare inspect FILE|DIR: what a checkpoint holds, and what reading it would change.
#include <boost/json.hpp>
#include <iomanip>
#include <iostream>

#include "core/app/cli.hpp"
#include "core/base/progress.hpp"
#include "core/bundle/describe.hpp"
#include "core/program/ledger_of.hpp"

namespace tare {
namespace {

struct Options {
  std::string path;
  bool tensors = false, as_json = false;
};

std::string shape_of(const StoredTensor& tensor) {
  std::string out = "[";
  for (int64_t size : tensor.shape) out += (out.size() > 1 ? ", " : "") + std::to_string(size);
  return out + "]";
}

void print(const CheckpointDescription& d, bool tensors) {
  std::cout << d.path << ": " << d.kind << (d.architecture.empty() ? "" : ", " + d.architecture) << '\n'
            << "  " << grouped(d.parameters) << " parameters in " << d.tensors.size() << " tensors, "
            << human_bytes(d.stored_bytes) << " stored, " << human_bytes(d.presented_bytes) << " as presented\n"
            << "  tokenizer: " << (d.tokenizer.empty() ? "none" : d.tokenizer)
            << (d.has_chat_template ? ", with a chat template" : ", no chat template") << '\n';
  for (const auto& t : d.types)
    std::cout << "  " << std::setw(6) << t.stored << " -> " << (t.presented.empty() ? "not read" : t.presented) << ": "
              << t.tensors << " tensors, " << human_bytes(t.stored_bytes) << " -> " << human_bytes(t.presented_bytes)
              << '\n';
  if (d.expands) std::cout << "  quantised tensors are expanded to BF16 when they are read, and that rounds\n";
  for (const std::string& note : d.notes) std::cout << "  note: " << note << '\n';
  if (!tensors) return;
  for (const StoredTensor& t : d.tensors)
    std::cout << "    " << t.name << ' ' << t.stored << ' ' << shape_of(t) << ' ' << human_bytes(t.stored_bytes)
              << '\n';
}

void print_json(const CheckpointDescription& d) {
  boost::json::array types, tensors, notes;
  for (const auto& t : d.types)
    types.push_back({{"stored", t.stored},
                     {"presented", t.presented},
                     {"tensors", t.tensors},
                     {"elements", t.elements},
                     {"stored_bytes", t.stored_bytes},
                     {"presented_bytes", t.presented_bytes}});
  for (const StoredTensor& t : d.tensors)
    tensors.push_back({{"name", t.name},
                       {"stored", t.stored},
                       {"shape", boost::json::array(t.shape.begin(), t.shape.end())},
                       {"stored_bytes", t.stored_bytes},
                       {"presented_bytes", t.bytes()},
                       {"expanded", t.expanded},
                       {"file", t.file}});
  for (const std::string& n : d.notes) notes.emplace_back(n);
  std::cout << boost::json::object{{"path", d.path},
                                   {"name", d.name},
                                   {"kind", d.kind},
                                   {"architecture", d.architecture},
                                   {"tokenizer", d.tokenizer},
                                   {"has_chat_template", d.has_chat_template},
                                   {"parameters", d.parameters},
                                   {"stored_bytes", d.stored_bytes},
                                   {"presented_bytes", d.presented_bytes},
                                   {"expands", d.expands},
                                   {"types", types},
                                   {"tensors", tensors},
                                   {"notes", notes}}
            << '\n';
}

int run(const CommandLine& line, const Options& o) {
  const auto host = line.host();
  if (!host.ok()) return fail(host.status());
  const auto description = describe_checkpoint(o.path, (*host)->families());
  if (!description.ok()) return fail(description.status());
  if (o.as_json)
    print_json(*description);
  else
    print(*description, o.tensors);
  return 0;
}

}  // namespace

void add_inspect(CLI::App& app, CommandLine& line) {
  auto* command = app.add_subcommand("inspect", "Say what a checkpoint holds, and what reading it would change");
  auto o = std::make_shared<Options>();
  command->add_option("PATH", o->path, "Hugging Face folder, .safetensors or .gguf file, or .tare bundle")->required();
  command->add_flag("--tensors", o->tensors, "List every tensor");
  command->add_flag("--json", o->as_json, "Machine-readable");
  command->callback([&line, o] { line.run = [&line, o] { return run(line, *o); }; });
}

}  // namespace tare
