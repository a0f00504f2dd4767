// tare template: a chat template over a JSON context.
#include <fstream>
#include <iterator>

#include <boost/json.hpp>

#include "core/app/cli.hpp"
#include "core/app/input_lines.hpp"
#include "core/app/time_option.hpp"

namespace tare {
namespace {

struct Options {
  std::string model, template_file, file, now;
  std::optional<std::string> argument;
  bool lines = false;
};

int run(const CommandLine& line, const Options& o) {
  const auto opened_host = line.host();
  if (!opened_host.ok()) return fail(opened_host.status());
  const Host* host = opened_host->get();
  if (host->text_service() == nullptr) return fail("no plugin brings text/1, the template's interface");
  RenderOptions render;
  if (!o.now.empty()) {
    auto now = parse_time(o.now);
    if (!now.ok()) return fail(now.status());
    render.now = *now;
  }
  std::unique_ptr<TextModel> model;
  std::string source;
  if (!o.template_file.empty()) {
    std::ifstream in(o.template_file, std::ios::binary);
    if (!in) return fail(o.template_file + " cannot be opened for reading");
    source.assign(std::istreambuf_iterator<char>(in), {});
  } else {
    auto checkpoint = open_checkpoint(o.model, host->families(), {.weights = false});
    if (!checkpoint.ok()) return fail(checkpoint.status());
    auto opened = host->text_service()->open(checkpoint->text);
    if (!opened.ok()) return fail(opened.status());
    model = std::move(*opened);
  }
  return answer_input({o.argument, o.file, o.lines}, [&](const std::string& context) -> Result<std::string> {
    auto rendered =
        model != nullptr ? model->render(context, render) : host->text_service()->render(source, context, render);
    if (!rendered.ok() || !o.lines) return rendered;
    return boost::json::serialize(boost::json::value(*rendered));
  });
}

}  // namespace

void add_template(CLI::App& app, CommandLine& line) {
  auto* command =
      app.add_subcommand("template", "Render a chat template over a JSON context {\"messages\": [...], ...}");
  auto o = std::make_shared<Options>();
  auto* model = command->add_option("--model,-m", o->model, "Folder or GGUF file whose template is used");
  command->add_option("--template", o->template_file, "A file with a Jinja template")->excludes(model);
  command->add_option("CONTEXT", o->argument, "The JSON context; absent: --file or standard input");
  command->add_option("--file,-f", o->file, "Read the context from a file");
  command->add_option("--now", o->now, "The time that strftime_now sees: seconds since 1970 or YYYY-MM-DD[THH:MM:SS]");
  command->add_flag("--jsonl", o->lines, "One JSON value a line, answered a line each");
  command->callback([&line, o] {
    if (o->model.empty() && o->template_file.empty()) throw CLI::RequiredError("--model or --template");
    line.run = [&line, o] { return run(line, *o); };
  });
}

}  // namespace tare
