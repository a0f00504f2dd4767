// A child process that runs a plugin's code and tells the parent, line by line, through a pipe.
#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <exception>

#include "core/plugin/check_parts.hpp"

namespace tare {
namespace {

// One record a line: kind, blame, check, detail, parted by tabs. Kind 'b' begins a step, 'd' says that all is done.
class PipeSink final : public CheckSink {
 public:
  explicit PipeSink(int fd) : fd_(fd) {}
  void begin(const std::string& step, Blame blame) override { send('b', blame, step, ""); }
  void line(CheckLine line) override {
    send(static_cast<char>('0' + static_cast<int>(line.outcome)), line.blame, line.check, line.detail);
  }
  void done() { send('d', Blame::host, "", ""); }

 private:
  static std::string clean(std::string s) {
    for (char& c : s)
      if (static_cast<unsigned char>(c) < 0x20) c = ' ';
    return s.substr(0, 2000);
  }
  void send(char kind, Blame blame, const std::string& check, const std::string& detail) {
    const std::string record = std::string(1, kind) + static_cast<char>('0' + static_cast<int>(blame)) + "\t" +
                               clean(check) + "\t" + clean(detail) + "\n";
    for (size_t sent = 0; sent < record.size();) {
      const ssize_t n = write(fd_, record.data() + sent, record.size() - sent);
      if (n < 0 && errno != EINTR) _exit(3);
      if (n > 0) sent += static_cast<size_t>(n);
    }
  }
  int fd_;
};

[[noreturn]] void run_child(int pipe_fd, pid_t parent, const std::function<void(CheckSink&)>& body) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(3);
  const rlimit no_core{0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  for (int signal_number : {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGINT, SIGTERM, SIGPIPE})
    signal(signal_number, SIG_DFL);
  // What a dying plugin prints would tear the report apart.
  if (const int null = open("/dev/null", O_RDWR); null >= 0) dup2(null, 0), dup2(null, 1), dup2(null, 2);
  PipeSink sink(pipe_fd);
  try {
    body(sink);
    sink.done();
  } catch (const std::exception& e) {
    sink.failed("exceptions", text("an exception escaped (", e.what(), ")"));
    sink.done();
  } catch (...) {
    sink.failed("exceptions", "an exception of an unknown type escaped");
    sink.done();
  }
  _exit(0);  // no exit handlers: they are the parent's
}

// Splits records off `buffer` and passes them on.
struct Receiver {
  CheckSink& sink;
  std::string buffer, step = "starting";
  Blame blame = Blame::host;
  bool done = false;

  void take() {
    for (size_t end = buffer.find('\n'); end != std::string::npos; end = buffer.find('\n')) {
      const std::string record = buffer.substr(0, end);
      buffer.erase(0, end + 1);
      const size_t check_end = record.find('\t', 3);
      if (record.size() < 3 || check_end == std::string::npos) continue;
      const Blame whose = static_cast<Blame>(record[1] - '0');
      const std::string check = record.substr(3, check_end - 3), detail = record.substr(check_end + 1);
      if (record[0] == 'd')
        done = true;
      else if (record[0] == 'b')
        step = check, blame = whose;
      else
        sink.line({static_cast<CheckOutcome>(record[0] - '0'), check, detail, whose});
    }
  }
};

int wait_for(pid_t child) {
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

}  // namespace

void check_in_child(int32_t time_limit_ms, CheckSink& sink, const std::function<void(CheckSink&)>& body) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0)
    return sink.line({CheckOutcome::failed, "child process", text("no pipe: ", std::strerror(errno)), Blame::host});
  const pid_t parent = getpid(), child = fork();
  if (child < 0) {
    close(ends[0]), close(ends[1]);
    return sink.line({CheckOutcome::failed, "child process", text("no fork: ", std::strerror(errno)), Blame::host});
  }
  if (child == 0) run_child(ends[1], parent, body);
  close(ends[1]);

  using Clock = std::chrono::steady_clock;
  const auto deadline = Clock::now() + std::chrono::milliseconds(time_limit_ms);
  Receiver receiver{sink, {}};
  bool timed_out = false;
  for (char chunk[4096];;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    pollfd poll_fd{ends[0], POLLIN, 0};
    const int ready = left <= 0 ? 0 : poll(&poll_fd, 1, static_cast<int>(left));
    if (ready < 0 && errno == EINTR) continue;
    if (ready == 0) {
      timed_out = true;
      break;
    }
    const ssize_t n = read(ends[0], chunk, sizeof chunk);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    receiver.buffer.append(chunk, static_cast<size_t>(n));
    receiver.take();
    if (receiver.done) break;
  }
  close(ends[0]);
  if (timed_out) kill(child, SIGKILL);
  const int status = wait_for(child);
  const auto fail = [&](const std::string& how) {
    sink.line({CheckOutcome::failed, receiver.step, how, receiver.blame});
  };
  if (timed_out)
    fail(text("did not end within ", time_limit_ms, " ms"));
  else if (WIFSIGNALED(status))
    fail(text("the process died of signal ", WTERMSIG(status), " (", strsignal(WTERMSIG(status)), ")"));
  else if (!receiver.done)
    fail(text("the process ended with exit code ", WEXITSTATUS(status), ", expected a return"));
}

}  // namespace tare
