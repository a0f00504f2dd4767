// Serving bundles: whatever a weight lies as in the file, logits and greedy tokens are those of the folder; what is
// wanted otherwise is laid out again; what kernels could not be handed is refused by name.
#include <doctest/doctest.h>
#include <stdlib.h>

#include "core/app/inspect.hpp"
#include "core/app/pack_serving.hpp"
#include "core/app/verify_serving.hpp"
#include "core/bundle/tare_bundle.hpp"
#include "tests/golden/layouts/running.hpp"
#include "tests/golden/support/reseal.hpp"

namespace tare::layouts_test {
namespace {

namespace fs = std::filesystem;

struct Scratch {
  std::string path = "/tmp/tare-serving-XXXXXX";
  Scratch() { REQUIRE(::mkdtemp(path.data()) != nullptr); }
  ~Scratch() { fs::remove_all(path); }
  std::string operator/(const std::string& name) const { return path + "/" + name; }
};

// With the table of described devices.
const Host& knowing_host() {
  static const std::unique_ptr<Host> instance = [] {
    HostOptions options;
    options.tuning.skus = TARE_SOURCE_DIR "/tuning-db/skus.toml";
    return Host::open(options, std::move(*make_log({})));
  }();
  return *instance;
}
PackReport pack(const std::string& source, const std::string& out, const std::string& layout,
                const std::string& device = "cpu") {
  ServingPackOptions options;
  options.load.layout = layout, options.device = device, options.threads = 3;
  auto report = pack_serving(device == "cpu" ? host() : knowing_host(), source, out, options);
  REQUIRE_MESSAGE(report.ok(), report.status().message());
  return *report;
}
std::string note(const PackReport& report, std::string_view key) {
  for (const auto& [k, value] : report.info)
    if (k == key) return value;
  return "";
}
Result<PlannedModel> plan(const std::string& path, const std::string& layout) {
  TARE_ASSIGN_OR_RETURN(auto device, host().open_device("cpu", {.threads = 2, .memory_bytes = int64_t{1} << 30}));
  TARE_ASSIGN_OR_RETURN(auto description, describe_model(host(), path, {.weights = true, .dtype = {}, .context = 64}));
  LoadOptions options;
  options.layout = layout;
  return plan_model(host(), std::move(description), device->info(), int64_t{1} << 30, options);
}
Status verify(const std::string& bundle, const std::string& against) {
  VerifyOptions options;
  options.deep = true, options.against = against;
  TARE_RETURN_IF_ERROR(verify_tare(bundle, options));
  int64_t weights = 0;
  TARE_RETURN_IF_ERROR(verify_laid_out(host(), bundle, options, &weights));
  CHECK(weights > 0);
  return {};
}

TEST_CASE("folder, distribution bundle and every serving bundle give the same logits and tokens, loaded as anything") {
  const Scratch scratch;
  int models = 0;
  for (const std::string& name : golden::case_names(kModels)) {
    INFO(name);
    auto golden = golden::read_case(kModels / name);
    REQUIRE_MESSAGE(golden.ok(), golden.status().message());
    const std::string folder = (kModels / name).string();
    auto plain = load(folder, "");
    REQUIRE_MESSAGE(plain.ok(), plain.status().message());
    const Generated want = generate(*plain->model.executor, *golden);
    const std::string small = scratch / "small.tare", serving = scratch / "serving.tare";
    REQUIRE(pack_tare(folder, small, host().families(), {}).ok());
    const bool coded = golden->weights_dtype == "bfloat16";
    for (const std::string& layout :
         coded ? std::vector<std::string>{"", "dense", "w12", "w11"} : std::vector<std::string>{"", "dense"}) {
      INFO(layout);
      // Packed from the folder or from its distribution bundle: the same bytes but for the notes.
      const PackReport report = pack(layout == "w12" ? small : folder, serving, layout);
      CHECK(note(report, "laid out for").starts_with("cpu"));
      const auto planned = plan(serving, "");
      REQUIRE_MESSAGE(planned.ok(), planned.status().message());
      CHECK(planned->num_copied == static_cast<int64_t>(planned->description.program->weights.size()));
      CHECK(planned->load_note.find("weights are copied as they lie in the bundle") != std::string::npos);
      if (!layout.empty()) CHECK(note(report, "layouts").find(layout + "/cpu-tiles") != std::string::npos);
      auto running = load(serving, "");
      REQUIRE_MESSAGE(running.ok(), running.status().message());
      CHECK(generate(*running->model.executor, *golden) == want);
      CHECK(verify(serving, folder).ok());
    }
    if (coded) {  // the bundle of w11 as another, and another bundle of it
      const auto planned = plan(serving, "w12");
      REQUIRE(planned.ok());
      CHECK(planned->num_copied < planned->num_stored);
      CHECK(planned->load_note.find("are laid out again: ") != std::string::npos);
      for (const std::string layout : {"dense", "w12"}) {
        auto running = load(serving, layout);
        REQUIRE_MESSAGE(running.ok(), running.status().message());
        CHECK(generate(*running->model.executor, *golden) == want);
      }
      const std::string again = scratch / "again.tare", direct = scratch / "direct.tare";
      pack(serving, again, "w12"), pack(folder, direct, "w12");
      CHECK(golden::slurp(again).substr(0, 4096) != "");
      const auto a = TareBundle::open(again), b = TareBundle::open(direct);
      REQUIRE(a.ok());
      REQUIRE(b.ok());
      REQUIRE((*a)->directory().tensors.size() == (*b)->directory().tensors.size());
      for (size_t i = 0; i < (*a)->directory().tensors.size(); ++i) {
        const TareTensor& x = (*a)->directory().tensors[i];
        const TareTensor& y = (*b)->directory().tensors[i];
        CHECK(x.name == y.name);
        CHECK(x.sha == y.sha);
        CHECK(x.laid.layout == y.laid.layout);
        CHECK(x.stored.table_hash == y.stored.table_hash);
      }
    }
    ++models;
  }
  CHECK(models >= 10);
}

TEST_CASE("a bundle for a GPU is made without one, and a CPU serves it by laying out again") {
  const Scratch scratch;
  const std::string bundle = scratch / "gpu.tare", folder = (kModels / "llama-gqa").string();
  auto golden = golden::read_case(kModels / "llama-gqa");
  auto plain = load(folder, "");
  REQUIRE(plain.ok());
  const Generated want = generate(*plain->model.executor, *golden);
  for (const std::string layout : {"dense", "w12", "w11"}) {
    INFO(layout);
    const PackReport report = pack(folder, bundle, layout, "nvidia-h100-sxm");
    CHECK(note(report, "laid out for") == "cuda, NVIDIA H100 80GB HBM3 (nvidia-h100-sxm)");
    CHECK(note(report, "layouts").find(layout + "/cuda-strips") != std::string::npos);
    CHECK(verify(bundle, folder).ok());
    const auto planned = plan(bundle, "");
    REQUIRE_MESSAGE(planned.ok(), planned.status().message());
    CHECK(planned->num_copied < planned->num_stored);
    auto running = load(bundle, "");
    REQUIRE_MESSAGE(running.ok(), running.status().message());
    CHECK(generate(*running->model.executor, *golden) == want);
  }
  ServingPackOptions options;
  options.device = "abacus", options.load.layout = "w12";
  const auto refused = pack_serving(host(), folder, bundle, options);
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.status().message().starts_with("the device 'abacus' is neither here nor described, expected one of "));
}

// The first weight that lies in this layout.
TareTensor& weight_in(TareDirectory& d, std::string_view layout) {
  for (TareTensor& t : d.tensors)
    if (t.laid.layout == layout) return t;
  FAIL("no weight lies in ", layout);
  return d.tensors.front();
}
std::string said(const Status& status) { return status.ok() ? "ok" : std::string(status.message()); }
std::string said_loading(const std::string& path, const std::string& layout = "") {
  const auto running = load(path, layout);
  return running.ok() ? "ok" : std::string(running.status().message());
}

TEST_CASE(
    "damage behind good checksums, other versions and unknown layouts are refused by name, however it is loaded") {
  const Scratch scratch;
  const std::string good = scratch / "good.tare", bad = scratch / "bad.tare", folder = (kModels / "llama-gqa").string();
  pack(folder, good, "w12");
  const auto with = [&](const std::function<void(TareDirectory&, TareTensor&, std::string&)>& change) {
    fs::copy_file(good, bad, fs::copy_options::overwrite_existing);
    golden::reseal(bad, [&](TareDirectory& d, std::string& bytes) { change(d, weight_in(d, "w12/cpu-tiles"), bytes); });
  };
  std::string name;
  with([&](TareDirectory&, TareTensor& t, std::string&) { name = t.name; });
  CHECK(said_loading(bad) == "ok");                     // the seal itself
  const auto both = [&](const std::string& sentence) {  // copied, or decoded to be laid out again
    CHECK(said_loading(bad) == bad + ": " + sentence);
    CHECK(said_loading(bad, "dense") == bad + ": " + sentence);
    CHECK(said(verify(bad, folder)).find(sentence) != std::string::npos);
  };
  with([](TareDirectory&, TareTensor& t, std::string& bytes) { bytes[static_cast<size_t>(t.stored.offset) + 8] ^= 4; });
  const std::string start = "tensor '" + name + "' ";
  CHECK(said_loading(bad).find(start + "cannot be taken as w12/cpu-tiles: its header is not that of ") !=
        std::string::npos);
  with([](TareDirectory&, TareTensor& t, std::string& bytes) {
    bytes[static_cast<size_t>(t.stored.offset + t.stored.bytes) - 1] = 1;
  });
  both(start + "cannot be taken as w12/cpu-tiles: it does not end with zeros");
  with([](TareDirectory&, TareTensor& t, std::string&) { t.laid.version = 9; });
  both(start + "lies as w12/cpu-tiles of version 9, the plugin here has version 1");
  with([](TareDirectory&, TareTensor& t, std::string&) { t.laid.layout = "w13/abacus"; });
  both(start + "lies as w13/abacus, a layout that no plugin brings");
  // A number changes: kernels may be handed that, and only verify knows better.
  with([](TareDirectory&, TareTensor& t, std::string& bytes) {
    bytes[static_cast<size_t>(t.stored.offset) + 128] ^= 1;
  });
  CHECK(said_loading(bad) == "ok");
  CHECK(said(verify(bad, "")).find("'" + name + "' is damaged: it decodes to another SHA-256") != std::string::npos);
  CHECK(said(verify(bad, folder)).find("'" + name + "' differs from " + folder + " in row 0, column ") !=
        std::string::npos);
  // Another shape of the same size.
  with([](TareDirectory&, TareTensor& t, std::string&) {
    REQUIRE(t.shape.size() >= 2);
    t.shape.back() *= 2, t.shape.front() /= 2;
  });
  CHECK(said_loading(bad).find("'" + name + "'") != std::string::npos);
  CHECK(said_loading(bad) != "ok");
  // Without a new seal a flipped bit is found as in any bundle.
  std::string bytes = golden::slurp(good);
  const auto bundle = TareBundle::open(good);
  REQUIRE(bundle.ok());
  const TareTensor& t = (*bundle)->directory().tensors.front();
  bytes[static_cast<size_t>(t.stored.offset)] ^= 1;
  std::ofstream(bad, std::ios::binary) << bytes;
  CHECK(said_loading(bad).find("tensor '" + t.name + "' is damaged: piece 0 does not match its checksum") !=
        std::string::npos);
  std::ofstream(bad, std::ios::binary) << golden::slurp(good).substr(0, bytes.size() - 5000);
  CHECK(said_loading(bad).find("it is truncated") != std::string::npos);
}

TEST_CASE("inspect, explain and unpack say what a serving bundle is") {
  const Scratch scratch;
  const std::string bundle = scratch / "m.tare", folder = (kModels / "llama-gqa").string();
  const PackReport report = pack(folder, bundle, "w11");
  CHECK(report.bundle_bytes == static_cast<int64_t>(fs::file_size(bundle)));
  const auto checkpoint = open_checkpoint(bundle, host().families());
  REQUIRE(checkpoint.ok());
  CHECK(std::ranges::any_of(checkpoint->notes,
                            [](const std::string& n) { return n.starts_with("is a serving bundle for cpu"); }));
  auto findings = inspect_weights(*checkpoint->weights, host().registry().layouts(), {});
  REQUIRE(findings.ok());
  REQUIRE(add_codecs(bundle, *findings).ok());
  int64_t in_w11 = 0;
  for (const TensorFindings& t : findings->tensors) in_w11 += t.codec == "w11/cpu-tiles" && !t.note.empty();
  CHECK(in_w11 > 0);
  CHECK(findings->codecs.at("w11/cpu-tiles") == in_w11);
  const Status unpacked = unpack_tare(bundle, scratch / "out", {});
  REQUIRE_FALSE(unpacked.ok());
  CHECK(unpacked.message().find("is a serving bundle") != std::string::npos);
  CHECK_FALSE(fs::exists(scratch / "out"));
  const auto other = (kModels / "qwen3-plain").string();
  if (fs::exists(other)) CHECK_FALSE(verify(bundle, other).ok());
}

TEST_CASE("packing that is stopped leaves nothing") {
  const Scratch scratch;
  ServingPackOptions options;
  options.load.layout = "w12";
  int asked = 0;
  options.stop = [&] { return ++asked > 20; };
  const auto report = pack_serving(host(), (kModels / "llama-gqa").string(), scratch / "m.tare", options);
  REQUIRE_FALSE(report.ok());
  CHECK(report.status().code() == Code::cancelled);
  CHECK(fs::is_empty(scratch.path));
}

}  // namespace
}  // namespace tare::layouts_test
