// tare inspect PATH: what a checkpoint holds, what reading it would change, and what lossless codes find in it.
#include <boost/json.hpp>
#include <iomanip>
#include <iostream>

#include "core/app/cli.hpp"
#include "core/app/inspect.hpp"
#include "core/app/interrupt.hpp"
#include "core/base/file.hpp"
#include "core/base/progress.hpp"
#include "core/bundle/describe.hpp"
#include "core/program/ledger_of.hpp"

namespace tare {
namespace {

struct Options {
  std::string path, html;
  int threads = 0;
  bool tensors = false, as_json = false, quick = false;
};

std::string shape_of(const StoredTensor& tensor) {
  std::string out = "[";
  for (int64_t size : tensor.shape) out += (out.size() > 1 ? ", " : "") + std::to_string(size);
  return out + "]";
}

void print(const CheckpointDescription& d, bool tensors, const Findings* findings) {
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
  if (findings != nullptr) return print_findings(*findings, tensors, std::cout);
  if (!tensors) return;
  for (const StoredTensor& t : d.tensors)
    std::cout << "    " << t.name << ' ' << t.stored << ' ' << shape_of(t) << ' ' << human_bytes(t.stored_bytes)
              << '\n';
}

boost::json::object json_of(const TensorFindings& t) {
  boost::json::object out;
  if (t.is_measured) {
    // From the lowest to the highest exponent that occurs.
    int low = 0, high = 255;
    while (low < 255 && t.counts.of[static_cast<size_t>(low)] == 0) ++low;
    while (high > low && t.counts.of[static_cast<size_t>(high)] == 0) --high;
    boost::json::array counts;
    for (int e = low; e <= high; ++e) counts.push_back(t.counts.of[static_cast<size_t>(e)]);
    out = {{"exponent_entropy_bits", t.counts.entropy()},
           {"outside_best_7", t.counts.outside(7)},
           {"outside_best_15", t.counts.outside(15)},
           {"entropy_limit_bytes", t.least_bytes()},
           {"outlier", t.is_outlier()},
           {"first_exponent", low},
           {"exponent_counts", std::move(counts)}};
  }
  boost::json::array layouts;
  for (const auto& laid : t.layouts)
    layouts.push_back({{"layout", laid.layout}, {"bytes", laid.bytes}, {"pays", laid.pays}, {"note", laid.note}});
  out["layouts"] = std::move(layouts);
  if (!t.codec.empty()) out["codec"] = t.codec;
  if (!t.note.empty()) out["codec_note"] = t.note;
  return out;
}
boost::json::object json_of(const Findings& f) {
  boost::json::object layouts, codecs;
  for (const auto& [layout, t] : f.layouts)
    layouts[layout] = boost::json::object{{"bytes", t.bytes}, {"matrices", t.taken}, {"fall_back", t.fell_back}};
  for (const auto& [codec, tensors] : f.codecs) codecs[codec] = tensors;
  boost::json::object out{{"matrices", f.num_matrices},    {"exponent_entropy_bits", f.entropy},
                          {"outside_best_7", f.outside_7}, {"outside_best_15", f.outside_15},
                          {"plain_bytes", f.plain_bytes},  {"entropy_limit_bytes", f.least_bytes},
                          {"layouts", std::move(layouts)}};
  if (f.bundle_bytes > 0) out["bundle_bytes"] = f.bundle_bytes, out["codecs"] = std::move(codecs);
  return out;
}

void print_json(const CheckpointDescription& d, const Findings* findings) {
  boost::json::array types, tensors, notes;
  for (const auto& t : d.types)
    types.push_back({{"stored", t.stored},
                     {"presented", t.presented},
                     {"tensors", t.tensors},
                     {"elements", t.elements},
                     {"stored_bytes", t.stored_bytes},
                     {"presented_bytes", t.presented_bytes}});
  for (size_t i = 0; i < d.tensors.size(); ++i) {
    const StoredTensor& t = d.tensors[i];
    tensors.push_back({{"name", t.name},
                       {"stored", t.stored},
                       {"shape", boost::json::array(t.shape.begin(), t.shape.end())},
                       {"stored_bytes", t.stored_bytes},
                       {"presented_bytes", t.bytes()},
                       {"expanded", t.expanded},
                       {"file", t.file}});
    if (findings != nullptr) tensors.back().as_object()["weights"] = json_of(findings->tensors[i]);
  }
  for (const std::string& n : d.notes) notes.emplace_back(n);
  boost::json::object out{{"path", d.path},
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
                          {"notes", notes}};
  if (findings != nullptr) out["weights"] = json_of(*findings);
  std::cout << out << '\n';
}

// The checkpoint stays open as long as what points into its tensors.
struct Found {
  Checkpoint checkpoint;
  Findings findings;
};
Result<Found> find(const Options& o, const Host& host) {
  TARE_ASSIGN_OR_RETURN(Checkpoint checkpoint, open_checkpoint(o.path, host.families(), {.any_architecture = true}));
  const Interrupt interrupt;
  InspectOptions options{.threads = o.threads, .show_progress = Progress::stderr_is_terminal(), .stop = {}};
  options.stop = [&] { return interrupt.asked(); };
  TARE_ASSIGN_OR_RETURN(Findings findings, inspect_weights(*checkpoint.weights, host.registry().layouts(), options));
  if (checkpoint.kind == Checkpoint::Kind::tare) TARE_RETURN_IF_ERROR(add_codecs(checkpoint.path, findings));
  return Found{std::move(checkpoint), std::move(findings)};
}

int run(const CommandLine& line, const Options& o) {
  // Better said before the work than after it.
  if (!o.html.empty() && (is_folder(o.html) || !is_folder(folder_name(o.html))))
    return fail(o.html + (is_folder(o.html) ? ": is a folder, expected a file to write"
                                            : ": its folder " + folder_name(o.html) + " does not exist"));
  const auto host = line.host();
  if (!host.ok()) return fail(host.status());
  const auto description = describe_checkpoint(o.path, (*host)->families());
  if (!description.ok()) return fail(description.status());
  std::optional<Found> found;
  if (!o.quick) {
    auto looked = find(o, **host);
    if (!looked.ok()) return fail(looked.status());
    found = std::move(*looked);
  }
  const Findings* const shown = found ? &found->findings : nullptr;
  if (o.as_json)
    print_json(*description, shown);
  else
    print(*description, o.tensors, shown);
  if (o.html.empty()) return 0;
  const Status written = report::write_html(inspect_report(*description, found->findings), o.html);
  return written.ok() ? 0 : fail(written);
}

}  // namespace

void add_inspect(CLI::App& app, CommandLine& line) {
  auto* command = app.add_subcommand("inspect", "Say what a checkpoint holds and what lossless codes make of it");
  auto o = std::make_shared<Options>();
  command->add_option("PATH", o->path, "Hugging Face folder, .safetensors or .gguf file, or .tare bundle")->required();
  command->add_flag("--tensors", o->tensors, "List every tensor");
  command->add_flag("--json", o->as_json, "Machine-readable");
  auto* quick = command->add_flag("--quick", o->quick, "Read no weights: no exponents, no layouts");
  command->add_option("--html", o->html, "Write a page with plots and all tables")->excludes(quick);
  command->add_option("-t,--threads", o->threads, "Threads; 0: all cores")->check(CLI::Range(0, 1024));
  command->callback([&line, o] { line.run = [&line, o] { return run(line, *o); }; });
}

}  // namespace tare
