// tare bench linear: what bench_linear_cuda recorded, as a table, JSON or a page. Measuring itself needs the GPU
// plugin's kernels and the vendor's library beside them and stays in that program.
#include <iostream>

#include "core/app/cli.hpp"
#include "core/app/linear_records.hpp"

namespace tare {
namespace {

struct Options {
  std::vector<std::string> records;
  std::string html;
  bool as_json = false;
};

int run(const Options& o) {
  LinearRecords records;
  for (const std::string& path : o.records) {
    if (const Status s = read_linear_records(path, records); !s.ok()) return fail(s);
  }
  if (records.rows.empty())
    return fail("there is no layer among these records: bench_linear_cuda writes them with --out");
  if (!o.html.empty()) {
    if (const Status s = report::write_html(linear_report(records), o.html); !s.ok()) return fail(s);
  }
  std::cout << (o.as_json ? linear_json(records) + "\n" : linear_text(records));
  return records.wrong == 0 ? 0 : 1;
}

}  // namespace

void add_bench_linear(CLI::App& bench, CommandLine& line) {
  auto* command =
      bench.add_subcommand("linear", "Matrix products from compressed weights, as bench_linear_cuda recorded them");
  auto o = std::make_shared<Options>();
  command->add_option("RECORDS", o->records, "Files of JSON lines")->required()->check(CLI::ExistingFile);
  command->add_option("--html", o->html, "Write a page with tables and a plot");
  command->add_flag("--json", o->as_json, "Machine-readable");
  command->callback([&line, o] { line.run = [o] { return run(*o); }; });
}

}  // namespace tare
