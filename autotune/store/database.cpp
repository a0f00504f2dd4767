#include "autotune/store/database.hpp"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <functional>

#include "core/base/file.hpp"

namespace tare {
namespace {

constexpr int kVersion = 1;
constexpr const char* kSchema = R"sql(
CREATE TABLE IF NOT EXISTS entries(
  sku TEXT, problem TEXT, layout TEXT, numerics TEXT, rows INTEGER,
  kernel TEXT, config TEXT, us REAL, spread REAL, first_us REAL, runner_up TEXT, runner_up_us REAL, gb_s REAL,
  share REAL, baseline TEXT, baseline_us REAL, exact INTEGER, hash TEXT, versions TEXT, date TEXT,
  PRIMARY KEY(sku, problem, layout, numerics, rows)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS beside(
  sku TEXT, problem TEXT, layout TEXT, numerics TEXT, rows INTEGER,
  vendor_us REAL, sustained_us REAL, megahertz REAL, watts REAL,
  PRIMARY KEY(sku, problem, layout, numerics, rows)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tried(
  sku TEXT, problem TEXT, layout TEXT, numerics TEXT, rows INTEGER, kernel TEXT, config TEXT, hash TEXT,
  us REAL, spread REAL, refused TEXT, date TEXT,
  PRIMARY KEY(sku, problem, layout, numerics, rows, kernel, config)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS numerics(sku TEXT, problem TEXT, id TEXT, PRIMARY KEY(sku, problem)) WITHOUT ROWID;
PRAGMA user_version = 1;
)sql";
constexpr const char* kEntryColumns =
    "sku,problem,layout,numerics,rows,kernel,config,us,spread,first_us,runner_up,runner_up_us,gb_s,share,baseline,"
    "baseline_us,exact,hash,versions,date";

// One statement with its values; finalised by the destructor.
class Statement {
 public:
  Statement(sqlite3* db, const std::string& sql) {
    ok_ = sqlite3_prepare_v2(db, sql.c_str(), -1, &statement_, nullptr) == SQLITE_OK;
  }
  ~Statement() { sqlite3_finalize(statement_); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;
  Statement& operator<<(const std::string& v) {
    if (ok_) sqlite3_bind_text(statement_, ++bound_, v.data(), static_cast<int>(v.size()), SQLITE_TRANSIENT);
    return *this;
  }
  Statement& operator<<(int64_t v) {
    if (ok_) sqlite3_bind_int64(statement_, ++bound_, v);
    return *this;
  }
  Statement& operator<<(double v) {
    if (ok_) sqlite3_bind_double(statement_, ++bound_, v);
    return *this;
  }
  // Calls `row` for every row; false on failure.
  bool run(const std::function<void()>& row = {}) {
    if (!ok_) return false;
    for (int code = sqlite3_step(statement_);; code = sqlite3_step(statement_)) {
      if (code == SQLITE_DONE) return true;
      if (code != SQLITE_ROW) return false;
      column_ = 0;
      if (row) row();
    }
  }
  void operator>>(std::string& v) {
    const auto* data = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column_));
    v.assign(data == nullptr ? "" : data, static_cast<size_t>(sqlite3_column_bytes(statement_, column_)));
    ++column_;
  }
  void operator>>(int64_t& v) { v = sqlite3_column_int64(statement_, column_++); }
  void operator>>(double& v) { v = sqlite3_column_double(statement_, column_++); }
  void operator>>(bool& v) { v = sqlite3_column_int64(statement_, column_++) != 0; }

 private:
  sqlite3_stmt* statement_ = nullptr;
  bool ok_ = false;
  int bound_ = 0, column_ = 0;
};

template <class Key, class Visitor>
void key_fields(Key& k, Visitor&& visit) {
  visit(k.sku), visit(k.problem), visit(k.layout), visit(k.numerics), visit(k.rows);
}
template <class Entry, class Visitor>
void entry_fields(Entry& e, Visitor&& visit) {
  auto& v = e.value;
  key_fields(e.key, visit);
  visit(v.kernel), visit(v.config), visit(v.us), visit(v.spread), visit(v.first_us), visit(v.runner_up);
  visit(v.runner_up_us), visit(v.gb_s), visit(v.share), visit(v.baseline), visit(v.baseline_us), visit(v.exact);
  visit(v.hash), visit(v.versions), visit(v.date);
}
// What a device may not tell: in a table of its own, which databases of earlier builds lack.
template <class Entry, class Visitor>
void beside_fields(Entry& e, Visitor&& visit) {
  visit(e.value.vendor_us), visit(e.value.sustained_us), visit(e.value.megahertz), visit(e.value.watts);
}
void add_beside(sqlite3* db, TuningEntry& e) {
  Statement s(db,
              "SELECT vendor_us,sustained_us,megahertz,watts FROM beside WHERE sku=? AND problem=? AND layout=? AND "
              "numerics=? AND rows=?");
  key_fields(e.key, [&](const auto& field) { s << field; });
  (void)s.run([&] { beside_fields(e, [&](double& field) { s >> field; }); });
}
void bind(Statement& s, const std::string& v) { s << v; }
void bind(Statement& s, double v) { s << v; }
void bind(Statement& s, int64_t v) { s << v; }
void bind(Statement& s, bool v) { s << static_cast<int64_t>(v); }

struct Raw {
  sqlite3* db = nullptr;
  ~Raw() { sqlite3_close(db); }
};
bool is_damage(int code) { return code == SQLITE_CORRUPT || code == SQLITE_NOTADB; }

// What tells a good database from a damaged one at the price of reading it: the files are small.
int try_open(const std::string& path, int flags, Raw& raw) {
  int code = sqlite3_open_v2(path.c_str(), &raw.db, flags, nullptr);
  if (code != SQLITE_OK) return code;
  sqlite3_extended_result_codes(raw.db, 0);
  sqlite3_busy_timeout(raw.db, 10000);
  if ((flags & SQLITE_OPEN_READWRITE) != 0) {
    code = sqlite3_exec(raw.db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;", nullptr, nullptr, nullptr);
    if (code != SQLITE_OK) return code;
    code = sqlite3_exec(raw.db, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr);
    if (code != SQLITE_OK) return code;
    code = sqlite3_exec(raw.db, kSchema, nullptr, nullptr, nullptr);
    const int committed = sqlite3_exec(raw.db, code == SQLITE_OK ? "COMMIT" : "ROLLBACK", nullptr, nullptr, nullptr);
    return code != SQLITE_OK ? code : committed;
  }
  return sqlite3_exec(raw.db, "SELECT count(*) FROM entries", nullptr, nullptr, nullptr);
}
// Are all pages in order? Asked by writers alone.
int quick_check(sqlite3* db) {
  std::string first;
  Statement s(db, "PRAGMA quick_check(1)");
  if (!s.run([&] { s >> first; })) return sqlite3_errcode(db);
  return first == "ok" ? SQLITE_OK : SQLITE_CORRUPT;
}
int version_of(sqlite3* db) {
  int64_t version = 0;
  Statement s(db, "PRAGMA user_version");
  (void)s.run([&] { s >> version; });
  return static_cast<int>(version);
}

}  // namespace

struct TuningDatabase::State {
  std::string path;
  Raw raw;
  bool writable = false;

  Status problem(std::string_view doing) const {
    if (!writable && doing.starts_with("writing"))
      return failure(Code::unavailable, "the tuning database ", path, " is read-only: nothing can be kept in it");
    const int code = sqlite3_errcode(raw.db);
    return failure(is_damage(code) ? Code::corrupt : Code::unavailable, doing, " the tuning database ", path, ": ",
                   sqlite3_errmsg(raw.db));
  }
  // `body` between BEGIN and COMMIT; anything that goes wrong leaves nothing behind.
  Status transaction(const std::function<bool()>& body) {
    if (!writable) return problem("writing");
    if (!Statement(raw.db, "BEGIN IMMEDIATE").run()) return problem("writing to");
    if (body() && Statement(raw.db, "COMMIT").run()) return {};
    Status status = problem("writing to");
    (void)Statement(raw.db, "ROLLBACK").run();
    return status;
  }
};

TuningDatabase::TuningDatabase(std::unique_ptr<State> state) : state_(std::move(state)) {}
TuningDatabase::~TuningDatabase() = default;
const std::string& TuningDatabase::path() const noexcept { return state_->path; }
bool TuningDatabase::writable() const noexcept { return state_->writable; }

Result<TuningDatabase::Opened> TuningDatabase::open(const std::string& path) {
  std::error_code ignored;
  std::filesystem::create_directories(folder_name(path), ignored);
  std::string note;
  for (int attempt = 0;; ++attempt) {
    auto state = std::make_unique<State>();
    state->path = path;
    int code = try_open(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, state->raw);
    if (code == SQLITE_OK) code = quick_check(state->raw.db);
    if (code == SQLITE_OK) {
      if (const int version = version_of(state->raw.db); version > kVersion)
        return failure(Code::unsupported, "the tuning database ", path, " is of version ", version,
                       ", this build reads ", kVersion);
      state->writable = sqlite3_db_readonly(state->raw.db, "main") == 0;
      return Opened{std::unique_ptr<TuningDatabase>(new TuningDatabase(std::move(state))), std::move(note)};
    }
    if (is_damage(code) && attempt == 0) {
      state.reset();
      std::string aside;
      for (int n = 1; aside.empty() || std::filesystem::exists(aside, ignored); ++n) aside = text(path, ".corrupt-", n);
      std::error_code moved;
      std::filesystem::rename(path, aside, moved);
      if (moved)
        return failure(Code::corrupt, "the tuning database ", path,
                       " is damaged and cannot be kept aside: ", moved.message());
      for (const char* part : {"-wal", "-shm"}) std::filesystem::rename(path + part, aside + part, ignored);
      note = text("the tuning database ", path, " was damaged: it is kept aside as ", aside, ", a new one was made");
      continue;
    }
    if (code == SQLITE_READONLY || code == SQLITE_CANTOPEN || code == SQLITE_PERM) {
      auto read_only = open_to_read(path);
      if (read_only.ok() && *read_only != nullptr)
        return Opened{std::move(*read_only), text("the tuning database ", path, " is read-only")};
    }
    return failure(Code::unavailable, "the tuning database ", path, " cannot be opened: ",
                   state->raw.db != nullptr ? sqlite3_errmsg(state->raw.db) : sqlite3_errstr(code));
  }
}

Result<std::unique_ptr<TuningDatabase>> TuningDatabase::open_to_read(const std::string& path) {
  if (!is_file(path)) return std::unique_ptr<TuningDatabase>();
  for (const bool immutable : {false, true}) {  // WAL needs a writable folder; a read-only medium is read as it is
    auto state = std::make_unique<State>();
    state->path = path;
    std::string escaped;
    for (const char c : path) escaped += c == '%' ? "%25" : c == '?' ? "%3f" : c == '#' ? "%23" : std::string(1, c);
    const std::string name = immutable ? "file:" + escaped + "?immutable=1" : path;
    const int code = try_open(name, SQLITE_OPEN_READONLY | (immutable ? SQLITE_OPEN_URI : 0), state->raw);
    if (code == SQLITE_OK) return std::unique_ptr<TuningDatabase>(new TuningDatabase(std::move(state)));
    if (is_damage(code) || immutable)
      return failure(is_damage(code) ? Code::corrupt : Code::unavailable, "the tuning database ", path,
                     " cannot be read: ", sqlite3_errmsg(state->raw.db));
  }
  return failure(Code::internal, path);
}

Result<std::vector<TuningEntry>> TuningDatabase::entries(const std::string& sku) const {
  std::vector<TuningEntry> out;
  Statement s(state_->raw.db, text("SELECT ", kEntryColumns, " FROM entries", sku.empty() ? "" : " WHERE sku = ?",
                                   " ORDER BY sku, problem, layout, numerics, rows"));
  if (!sku.empty()) s << sku;
  const bool done = s.run([&] {
    TuningEntry e;
    entry_fields(e, [&](auto& field) { s >> field; });
    if (check(e).ok()) out.push_back(std::move(e));  // a row that another program wrote is a miss, never an error
  });
  if (!done) return state_->problem("reading");
  for (TuningEntry& e : out) add_beside(state_->raw.db, e);
  return out;
}

Result<std::optional<TuningEntry>> TuningDatabase::entry(const TuningKey& key) const {
  std::optional<TuningEntry> out;
  Statement s(state_->raw.db, text("SELECT ", kEntryColumns,
                                   " FROM entries WHERE sku=? AND problem=? AND layout=? AND numerics=? AND rows=?"));
  key_fields(key, [&](const auto& field) { s << field; });
  const bool done = s.run([&] {
    TuningEntry e;
    entry_fields(e, [&](auto& field) { s >> field; });
    if (check(e).ok()) out = std::move(e);
  });
  if (!done) return state_->problem("reading");
  if (out) add_beside(state_->raw.db, *out);
  return out;
}

Status TuningDatabase::put(std::span<const TuningEntry> entries) {
  for (const TuningEntry& e : entries) TARE_RETURN_IF_ERROR(check(e));
  return state_->transaction([&] {
    for (const TuningEntry& e : entries) {
      Statement s(state_->raw.db, text("INSERT OR REPLACE INTO entries(", kEntryColumns,
                                       ") VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"));
      entry_fields(e, [&](const auto& field) { bind(s, field); });
      if (!s.run()) return false;
      Statement b(state_->raw.db, "INSERT OR REPLACE INTO beside VALUES(?,?,?,?,?,?,?,?,?)");
      key_fields(e.key, [&](const auto& field) { b << field; });
      beside_fields(e, [&](double field) { b << field; });
      if (!b.run()) return false;
    }
    return true;
  });
}

Status TuningDatabase::erase(std::span<const TuningKey> keys) {
  return state_->transaction([&] {
    for (const TuningKey& key : keys)
      for (const char* table : {"entries", "beside", "tried"}) {
        Statement s(state_->raw.db,
                    text("DELETE FROM ", table, " WHERE sku=? AND problem=? AND layout=? AND numerics=? AND rows=?"));
        key_fields(key, [&](const auto& field) { s << field; });
        if (!s.run()) return false;
      }
    return true;
  });
}

Status TuningDatabase::put(const TriedCandidate& tried) {
  return state_->transaction([&] {
    Statement s(state_->raw.db, "INSERT OR REPLACE INTO tried VALUES(?,?,?,?,?,?,?,?,?,?,?,?)");
    key_fields(tried.key, [&](const auto& field) { s << field; });
    s << tried.kernel << tried.config << tried.hash << tried.us << tried.spread << tried.refused << tried.date;
    return s.run();
  });
}

Result<std::vector<TriedCandidate>> TuningDatabase::tried(const TuningKey& key) const {
  std::vector<TriedCandidate> out;
  Statement s(state_->raw.db,
              "SELECT kernel,config,hash,us,spread,refused,date FROM tried WHERE sku=? AND problem=? AND layout=? AND "
              "numerics=? AND rows=? ORDER BY us, kernel, config");
  key_fields(key, [&](const auto& field) { s << field; });
  const bool done = s.run([&] {
    TriedCandidate t;
    t.key = key;
    s >> t.kernel, s >> t.config, s >> t.hash, s >> t.us, s >> t.spread, s >> t.refused, s >> t.date;
    out.push_back(std::move(t));
  });
  if (!done) return state_->problem("reading");
  return out;
}

Result<std::string> TuningDatabase::numerics(const std::string& sku, const std::string& problem) const {
  std::string out;
  Statement s(state_->raw.db, "SELECT id FROM numerics WHERE sku=? AND problem=?");
  s << sku << problem;
  if (!s.run([&] { s >> out; })) return state_->problem("reading");
  return out;
}
Result<std::vector<KeptNumerics>> TuningDatabase::kept_numerics() const {
  std::vector<KeptNumerics> out;
  Statement s(state_->raw.db, "SELECT sku, problem, id FROM numerics ORDER BY sku, problem");
  const bool done = s.run([&] {
    KeptNumerics& k = out.emplace_back();
    s >> k.sku, s >> k.problem, s >> k.numerics;
  });
  if (!done) return state_->problem("reading");
  return out;
}
Result<std::string> TuningDatabase::keep_numerics(const std::string& sku, const std::string& problem,
                                                  const std::string& id) {
  TARE_ASSIGN_OR_RETURN(const std::string kept, numerics(sku, problem));
  if (!kept.empty()) return kept;
  TARE_RETURN_IF_ERROR(state_->transaction([&] {
    Statement s(state_->raw.db, "INSERT OR IGNORE INTO numerics VALUES(?,?,?)");
    s << sku << problem << id;
    return s.run();
  }));
  return numerics(sku, problem);
}
Status TuningDatabase::renumber(const std::string& sku) {
  return state_->transaction([&] {
    Statement s(state_->raw.db, "DELETE FROM numerics WHERE sku=?");
    s << sku;
    return s.run();
  });
}

Result<std::unique_ptr<TuningLock>> TuningLock::take(const std::string& database_path, const std::string& sku) {
  const std::string path = text(database_path, ".", sku, ".lock");
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (descriptor < 0) return failure(Code::unavailable, path, ": ", std::strerror(errno));
  auto lock = std::unique_ptr<TuningLock>(new TuningLock(descriptor));
  if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
    char buffer[32] = {};
    const auto got = ::pread(descriptor, buffer, sizeof buffer - 1, 0);
    return failure(Code::unavailable, "another autotuner (process ", got > 0 ? std::string(buffer) : "unknown",
                   ") is measuring on ", sku, ": two at once would disturb each other's figures");
  }
  const std::string pid = std::to_string(::getpid());
  if (::ftruncate(descriptor, 0) != 0 || ::pwrite(descriptor, pid.data(), pid.size(), 0) < 0)
    return failure(Code::unavailable, path, ": ", std::strerror(errno));
  return lock;
}
TuningLock::~TuningLock() { ::close(descriptor_); }

}  // namespace tare
