// tare bench linear: measures the products of a model's shape from compressed weights, or shows what was measured.
#include <fstream>
#include <iostream>

#include "core/app/cli.hpp"
#include "core/app/interrupt.hpp"
#include "core/app/linear_bench.hpp"
#include "core/app/linear_records.hpp"
#include "core/app/list_option.hpp"
#include "core/app/product_shapes.hpp"
#include "jit/jit.hpp"

namespace tare {
namespace {

struct Options {
  std::vector<std::string> records, vendor, launches;
  std::string shape = "llama-3.1-8b", rows = "1,8,16,32,64,128,256", odd_rows = "7,33,200", device = "cuda:0", products,
              code = "w12", weights = "trained", out, html;
  double sustained = 0;
  int32_t threads = 0;
  bool as_json = false, free_order = false, no_check = false, no_dense = false, verbose = false;
};

// Those that `wanted` names, "qkv,o"; all when it is empty.
Result<std::vector<LayerProduct>> chosen(std::vector<LayerProduct> all, const std::string& wanted) {
  if (wanted.empty()) return all;
  std::vector<LayerProduct> out;
  for (const std::string& name : split_list(wanted)) {
    std::string known;
    const size_t before = out.size();
    for (const LayerProduct& p : all) {
      if (p.name == name) out.push_back(p);
      known += (known.empty() ? "" : ", ") + p.name;
    }
    if (out.size() == before) return invalid("--products names '", name, "', the shape has ", known);
  }
  return out;
}

Result<LinearRecords> measured(const CommandLine& line, const Options& o) {
  TARE_ASSIGN_OR_RETURN(const auto opened, line.host());
  const Host& host = *opened;
  LinearBenchRequest request;
  request.shape = o.shape, request.code = o.code, request.vendor_folders = o.vendor;
  request.launches = o.launches;
  TARE_ASSIGN_OR_RETURN(request.rows, parse_numbers("--rows", o.rows));
  TARE_ASSIGN_OR_RETURN(request.odd_rows, parse_numbers("--odd-rows", o.odd_rows));
  TARE_ASSIGN_OR_RETURN(const auto products, products_of_shape(o.shape));
  TARE_ASSIGN_OR_RETURN(request.products, chosen(layer_products(products), o.products));
  auto device = host.open_device(o.device, {.threads = o.threads, .memory_bytes = 0});
  if (!device.ok() && o.device != "cpu")
    return failure(device.status().code(), device.status().message(),
                   "; `--device cpu` measures coded weights against our own kernels on plain ones");
  TARE_RETURN_IF_ERROR(device.status());
  const std::vector<SkuDescription> table = sku_table(host.tuning_places(), host.log());
  const DeviceInfo info = with_sku((*device)->info(), table);
  const SkuDescription* sku = nullptr;
  for (const SkuDescription& s : table)
    if (s.sku == info.sku) sku = &s;
  request.sustained_seconds = o.sustained;
  request.peak_tflops = sku != nullptr ? sku->tflops : 0;
  request.check = !o.no_check, request.dense = !o.no_dense, request.free_order = o.free_order;
  const Interrupt interrupt;
  request.stopped = [&] { return interrupt.asked(); };
  if (o.verbose) request.say = [](const std::string& words) { std::cerr << words << '\n'; };
  std::ofstream file;
  if (!o.out.empty()) {
    file.open(o.out);
    if (!file) return failure(Code::unavailable, o.out, " cannot be written");
  }
  LinearRecords records;
  Status bad;
  request.record = [&](const std::string& json) {
    if (file.is_open()) file << json << std::endl;  // whole after every figure, whatever comes
    if (Status s = add_linear_record(json, "a record", records); !s.ok()) bad = std::move(s);
  };
  if (!o.launches.empty()) request.say = [](const std::string& words) { std::cout << words << '\n'; };
  auto* lab = host.plugins().registrations().service<LinearLab>();
  const std::vector<std::string> kinds = split_list(o.weights);
  if (kinds.empty()) return invalid("--weights names no kind of weights, expected trained, gaussian, ...");
  for (const std::string& kind : kinds) {
    request.weights = kind;
    TARE_RETURN_IF_ERROR(lab != nullptr && lab->device_kind() == info.kind
                             ? lab->bench(**device, request)
                             : bench_linear_layer(host, **device, info, request));
  }
  TARE_RETURN_IF_ERROR(bad);
  if (const auto bare = std::ranges::find_if(records.rows, &LinearRow::lacks_hashes); bare != records.rows.end())
    std::cerr << "tare: these records lack the hashes of their kernels, which are those of NVRTC "
              << jit::kPinnedCompiler << ": found was "
              << (bare->compiler.empty() ? "one of an unknown version" : bare->compiler) << '\n';
  sort(records);
  return records;
}

int run(const CommandLine& line, const Options& o) {
  LinearRecords records;
  for (const std::string& path : o.records)
    if (const Status s = read_linear_records(path, records); !s.ok()) return fail(s);
  if (o.records.empty()) {
    auto found = measured(line, o);
    if (!found.ok()) return fail(found.status());
    records = std::move(*found);
  }
  if (!o.launches.empty()) return 0;
  if (records.rows.empty())
    return fail("there is no layer among these records: `tare bench linear --out FILE` makes them");
  if (!o.html.empty()) {
    if (const Status s = report::write_html(linear_report(records), o.html); !s.ok()) return fail(s);
  }
  std::cout << (o.as_json ? linear_json(records) + "\n" : linear_text(records));
  if (!o.as_json && std::ranges::none_of(records.rows, [](const LinearRow& r) { return r.vendor_us > 0; }))
    std::cout << "no library of a vendor was measured: the gain is beside our own kernels on plain weights (bytes)\n";
  return records.wrong == 0 ? 0 : 1;
}

}  // namespace

void add_bench_linear(CLI::App& bench, CommandLine& line) {
  auto* command = bench.add_subcommand(
      "linear", "Measure matrix products from compressed weights against the vendor's library, or show records of it");
  auto o = std::make_shared<Options>();
  command->add_option("RECORDS", o->records, "Files of records to show; none: measure")->check(CLI::ExistingFile);
  command->add_option("--shape", o->shape, "Model whose layer is measured")->capture_default_str();
  command->add_option("--rows", o->rows, "Numbers of rows, with commas between")->capture_default_str();
  command->add_option("--odd-rows", o->odd_rows, "Numbers of rows that are checked and not timed")
      ->capture_default_str();
  command->add_option("--device", o->device, "cuda:0, cpu, ...")->capture_default_str();
  command->add_option("--products", o->products, "Of the layer, with commas between; all when not given");
  command->add_option("--code", o->code, "w12 or w11")->capture_default_str();
  command->add_option("--weights", o->weights, "trained, gaussian, clustered, adversarial; several with commas between")
      ->capture_default_str();
  command->add_option("--vendor", o->vendor, "Folders to look for the vendor's library in first");
  command->add_option("--sustained", o->sustained, "Also measure sustained, in alternating slices of so many seconds");
  command->add_flag("--free-order", o->free_order,
                    "Also the best order of sums for each number of rows: what one order costs");
  command->add_flag("--no-check", o->no_check, "Do not compare bits");
  command->add_flag("--no-dense", o->no_dense, "Do not measure plain weights in our kernels");
  command->add_option("--launch", o->launches,
                      "product:rows:kernel: launch this once and measure nothing, for a profiler; may be repeated");
  command->add_option("--threads,-t", o->threads, "CPU threads; 0: all cores")->check(CLI::NonNegativeNumber);
  command->add_option("--out", o->out, "Write the records: JSON, one a line");
  command->add_option("--html", o->html, "Write a page with tables and a plot");
  command->add_flag("--verbose,-v", o->verbose, "Say every figure as it is measured");
  command->add_flag("--json", o->as_json, "Machine-readable");
  command->callback([&line, o] { line.run = [&line, o] { return run(line, *o); }; });
}

}  // namespace tare
