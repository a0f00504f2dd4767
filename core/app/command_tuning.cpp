// tare tuning list | show | diff | import | export | merge | prune: the tuning database and its text files.
#include "autotune/store/problem_text.hpp"
#include "core/app/cli.hpp"
#include "core/app/tuning_commands.hpp"

namespace tare {

TuningPlaces places_of(const Host& host, const TuningOptions& o) {
  TuningPlaces places = host.tuning_places();
  if (!o.database.empty()) places.database = o.database;
  return places;
}
void keep_asked_for(std::vector<TuningEntry>& entries, const TuningOptions& o) {
  std::erase_if(entries, [&](const TuningEntry& e) {
    return (!o.sku.empty() && e.key.sku != o.sku) || (!o.op.empty() && op_of(e.key.problem) != o.op);
  });
}
std::string to_line(const TuningKey& k) {
  return text(k.sku, " | ", k.problem, " | ", k.layout, " | ", k.numerics, " | ", k.rows,
              k.rows == 1 ? " row" : " rows");
}

void add_tuning(CLI::App& app, CommandLine& line) {
  auto* tuning = app.add_subcommand("tuning", "Look at measured choices of kernels, move them, throw old ones away");
  tuning->require_subcommand(1);
  const auto add = [&](const char* name, const char* about, Status (*body)(const Host&, const TuningOptions&)) {
    auto* command = tuning->add_subcommand(name, about);
    auto o = std::make_shared<TuningOptions>();
    command->add_option("--database", o->database, "Instead of this user's database");
    command->add_flag("--json", o->as_json, "Machine-readable");
    command->add_option("--sku", o->sku, "Of this SKU alone");
    command->callback([&line, o, body] {
      line.run = [&line, o, body] {
        const auto host = line.host();
        if (!host.ok()) return fail(host.status());
        const Status status = body(**host, *o);
        return status.ok() ? 0 : fail(status);
      };
    });
    return std::pair(command, o);
  };
  constexpr const char* kSource = "user (this user's database), shipped, a database, a folder or a file of it";
  const auto rule = [](CLI::App* command, const std::shared_ptr<TuningOptions>& o, std::vector<std::string> rules) {
    command
        ->add_option(
            "--prefer", o->rule,
            "Of two entries of one key: newest (of equal dates the faster), fastest, or given (what is offered)")
        ->check(CLI::IsMember(std::move(rules)));
    command->add_flag("--dry-run", o->dry_run, "Say what would change, write nothing");
  };
  {
    auto [command, o] = add("list", "Problems by SKU and op, with how many entries each has", list_tuning);
    command->add_option("SOURCE", o->sources, kSource)->expected(0, 1);
    command->add_option("--op", o->op, "Of this op alone: linear");
  }
  {
    auto [command, o] =
        add("show", "One problem's entries, with runner-up, default and where they come from", show_tuning);
    command->add_option("PROBLEM", o->problem, "What the printed problem has in it: \"n=2048 k=8192\"")->required();
    command->add_option("SOURCE", o->sources, kSource)->expected(0, 1);
    command->add_option("--op", o->op, "Of this op alone");
  }
  {
    auto [command, o] = add("diff", "What two sources say differently", diff_tuning);
    command->add_option("SOURCES", o->sources, kSource)->expected(2)->required();
    command->add_option("--op", o->op, "Of this op alone");
  }
  {
    auto [command, o] = add("import", "Entries of text files (or databases) into the database", import_tuning);
    command->add_option("SOURCES", o->sources, kSource)->required();
    rule(command, o, {"newest", "fastest", "given"});
  }
  {
    auto [command, o] = add("export", "Entries into text files: FOLDER/ARCHITECTURE/SKU/OP.toml", export_tuning);
    command->add_option("FOLDER", o->folder, "Where the files go")->required();
    command->add_option("SOURCE", o->sources, kSource)->expected(0, 1);
    command->add_option("--op", o->op, "Of this op alone");
  }
  {
    auto [command, o] = add("merge", "Several sources into the database, of any SKU", merge_tuning);
    command->add_option("SOURCES", o->sources, kSource)->required();
    rule(command, o, {"newest", "fastest", "given"});
  }
  {
    auto [command, o] = add("prune", "Throw entries of the database away", prune_tuning);
    command->add_flag("--stale", o->stale, "Those of kernels that are gone or were built anew");
    command->add_flag("--other-skus", o->other_skus,
                      "Those of SKUs other than --sku, or than the devices that are here");
    command->add_option("--older-than", o->older_than, "Those from before: 90d, or 2026-01-31");
    command->add_flag("--dry-run", o->dry_run, "Say what would go, and keep it");
  }
}

}  // namespace tare
