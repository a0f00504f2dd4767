// tare tokenize, tare detokenize: a model's tokenizer, no weight loaded.
#include <boost/json.hpp>
#include <charconv>

#include "core/app/cli.hpp"
#include "core/app/input_lines.hpp"

namespace tare {
namespace {

struct Options {
  std::string model;
  std::optional<std::string> argument;
  std::string file;
  bool lines = false, no_special = false;
};

Result<std::unique_ptr<TextModel>> open_text(const Host& host, const std::string& path) {
  if (host.text_service() == nullptr)
    return failure(Code::unsupported, "no plugin brings text/1, the tokenizer's interface");
  TARE_ASSIGN_OR_RETURN(const Checkpoint checkpoint, open_checkpoint(path, host.families(), {.weights = false}));
  return host.text_service()->open(checkpoint.text);
}

std::string joined(std::span<const int32_t> ids, bool json) {
  std::string out = json ? "[" : "";
  for (size_t i = 0; i < ids.size(); ++i) out += (i == 0 ? "" : json ? "," : " ") + std::to_string(ids[i]);
  return json ? out + "]" : out;
}

// Ids between any of space, comma and brackets: what tokenize prints, and a JSON list.
Result<std::vector<int32_t>> parse_ids(std::string_view in) {
  std::vector<int32_t> ids;
  for (size_t at = 0; at < in.size();) {
    if (std::string_view(" ,[]\t\r\n").find(in[at]) != std::string_view::npos) {
      ++at;
      continue;
    }
    int32_t id = 0;
    const auto [end, error] = std::from_chars(in.data() + at, in.data() + in.size(), id);
    if (error != std::errc() || id < 0)
      return invalid("'", in.substr(at, 16), "' is no token id, expected whole numbers from 0");
    ids.push_back(id);
    at = static_cast<size_t>(end - in.data());
  }
  return ids;
}

int tokenize(const CommandLine& line, const Options& o) {
  const auto opened_host = line.host();
  if (!opened_host.ok()) return fail(opened_host.status());
  const Host* host = opened_host->get();
  const auto model = open_text(*host, o.model);
  if (!model.ok()) return fail(model.status());
  const EncodeOptions encode{.add_special = !o.no_special, .parse_special = !o.no_special};
  return answer_input({o.argument, o.file, o.lines}, [&](const std::string& in) -> Result<std::string> {
    std::string content = in;
    if (o.lines) {
      boost::system::error_code error;
      const auto value = boost::json::parse(in, error);
      if (error || !value.is_string()) return invalid("a line is ", in.substr(0, 40), ", expected a JSON string");
      content = value.as_string().c_str() == nullptr ? "" : std::string(value.as_string());
    }
    TARE_ASSIGN_OR_RETURN(const auto ids, (*model)->encode(content, encode));
    return joined(ids, o.lines);
  });
}

int detokenize(const CommandLine& line, const Options& o) {
  const auto opened_host = line.host();
  if (!opened_host.ok()) return fail(opened_host.status());
  const Host* host = opened_host->get();
  const auto model = open_text(*host, o.model);
  if (!model.ok()) return fail(model.status());
  return answer_input({o.argument, o.file, o.lines}, [&](const std::string& in) -> Result<std::string> {
    TARE_ASSIGN_OR_RETURN(const auto ids, parse_ids(in));
    TARE_ASSIGN_OR_RETURN(std::string out, (*model)->decode(ids, o.no_special));
    return o.lines ? boost::json::serialize(boost::json::value(out)) : out;
  });
}

void add_one(CLI::App& app, CommandLine& line, const char* name, const char* help, const char* special,
             int (*run)(const CommandLine&, const Options&)) {
  auto* command = app.add_subcommand(name, help);
  auto o = std::make_shared<Options>();
  command->add_option("--model,-m", o->model, "Folder or GGUF file")->required();
  command->add_option("TEXT", o->argument, "What to work on; absent: --file or standard input");
  command->add_option("--file,-f", o->file, "Read it from a file");
  command->add_flag("--jsonl", o->lines, "One JSON value a line, answered a line each");
  command->add_flag("--no-special", o->no_special, special);
  command->callback([&line, o, run] { line.run = [&line, o, run] { return run(line, *o); }; });
}

}  // namespace

void add_tokenize(CLI::App& app, CommandLine& line) {
  add_one(app, line, "tokenize", "Text to token ids", "Add no BOS or EOS, and read special tokens as plain text",
          tokenize);
  add_one(app, line, "detokenize", "Token ids to text", "Leave special tokens out of the text", detokenize);
}

}  // namespace tare
