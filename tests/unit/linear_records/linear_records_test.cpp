// What `tare bench linear` makes of records: the right figures in the right rows, and words for what is no record.
#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "core/app/linear_records.hpp"

using namespace tare;

namespace {

struct File {
  std::string path;
  explicit File(const std::string& text) {
    path = (std::filesystem::temp_directory_path() / "tare_linear_records_test.jsonl").string();
    std::ofstream(path) << text;
  }
  ~File() { std::filesystem::remove(path); }
};

constexpr const char* kLines =
    R"({"kind":"matrix","name":"qkv"}
{"kind":"layer","device":"B","tokens":16,"us":100,"vendor_us":150,"singles_speed_up":1.37,"dense_us":125,"without_dependent_us":110,"limit_share":0.9,"resident_bytes":330000000,"fixed_order_us":99,"free_order_us":98,"nvrtc":"13.0.88","kernels":[{"ptx":"abc"}]}
{"kind":"layer","device":"B","tokens":1,"us":50,"vendor_us":40,"sustained_us":50,"sustained_vendor_us":45,"measured":"once"}
{"kind":"exactness","comparisons":10,"wrong":0}
)";

}  // namespace

TEST_CASE("rows are sorted and the gain comes apart into bytes and kernel") {
  const File file(kLines);
  LinearRecords records;
  REQUIRE(read_linear_records(file.path, records).ok());
  REQUIRE(records.rows.size() == 2);
  CHECK(records.comparisons == 10);
  const LinearRow &one = records.rows[0], &sixteen = records.rows[1];
  CHECK(one.tokens == 1);
  CHECK(one.stale);
  CHECK(one.speed_up() == doctest::Approx(0.8));
  CHECK(one.sustained_speed_up() == doctest::Approx(0.9));
  CHECK(one.bytes() == 0);  // nothing to compare with
  CHECK(sixteen.bytes() * sixteen.kernel() == doctest::Approx(sixteen.speed_up()));
  CHECK(sixteen.bytes() == doctest::Approx(1.25));
  CHECK(sixteen.dependent() == doctest::Approx(1.1));
  CHECK(sixteen.order_price() == doctest::Approx(0.0102).epsilon(0.01));
  CHECK(sixteen.code == "w12");
  CHECK(sixteen.ptx == std::vector<std::string>{"abc"});
}

TEST_CASE("the table, the JSON and the page say the same") {
  const File file(kLines);
  LinearRecords records;
  REQUIRE(read_linear_records(file.path, records).ok());
  const std::string text = linear_text(records), json = linear_json(records);
  CHECK(text.find("1.50x") != std::string::npos);
  CHECK(text.find("stale") != std::string::npos);
  CHECK(text.find("0 of 10 comparisons") != std::string::npos);
  CHECK(json.find("\"speed_up\":1.5E0") != std::string::npos);
  CHECK(text.find("1.37x") != std::string::npos);
  CHECK(json.find("\"singles_speed_up\":1.37E0") != std::string::npos);
  CHECK(text.find("price of one order of sums: 1.0 % in the geometric mean, 1.0 % at most") != std::string::npos);
  CHECK(json.find("\"order_prices\":[{\"device\":\"B\"") != std::string::npos);
  CHECK(json.find("\"compiler\":\"13.0.88\",\"ptx\":[\"abc\"]") != std::string::npos);
  const std::string page = report::to_html(linear_report(records));
  CHECK(page.find("price of one order of sums") != std::string::npos);
  CHECK(page.find("1.50x") != std::string::npos);
  CHECK(page.find("330.0 MB a layer") != std::string::npos);
}

TEST_CASE("the price of one order is the geometric mean over the rows that have one") {
  std::vector<LinearRow> rows(3);
  CHECK_FALSE(mean_order_price(rows).has_value());
  rows[0].fixed_order_us = 110, rows[0].free_order_us = 100;
  rows[2].fixed_order_us = 100, rows[2].free_order_us = 100;
  CHECK(*mean_order_price(rows) == doctest::Approx(std::sqrt(1.1) - 1));
}

TEST_CASE("a record that names a kernel without its hash is found") {
  LinearRecords records;
  REQUIRE(
      add_linear_record(R"({"kind":"layer","tokens":1,"us":1,"kernels":[{"ptx":"abc"},{"source":"s"}]})", "it", records)
          .ok());
  REQUIRE(add_linear_record(R"({"kind":"layer","tokens":2,"us":1})", "it", records).ok());
  CHECK(records.rows[0].lacks_hashes());
  CHECK_FALSE(records.rows[1].lacks_hashes());
}

TEST_CASE("what is no record is named with its line") {
  LinearRecords records;
  CHECK(read_linear_records("/nowhere/at/all", records).message() == "/nowhere/at/all cannot be read");
  {
    const File file("{\"kind\":\"layer\"}\n");
    const Status s = read_linear_records(file.path, records);
    CHECK(s.message() == file.path + ":1 is a layer's record without \"tokens\" and \"us\"");
  }
  {
    const File file("{\"kind\":\"matrix\"}\nnonsense\n");
    CHECK(read_linear_records(file.path, records).message() == file.path + ":2 is no JSON object");
  }
  CHECK(records.rows.empty());
}
