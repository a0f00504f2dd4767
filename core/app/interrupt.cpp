#include "core/app/interrupt.hpp"

#include <cerrno>
#include <ctime>

namespace tare {
namespace {

// A signal handler can reach nothing but statics; this one flag is all it touches.
volatile std::sig_atomic_t asked_flag = 0;
void on_signal(int signal) {
  if (asked_flag != 0) {
    std::signal(signal, SIG_DFL);
    std::raise(signal);
  }
  asked_flag = 1;
}

}  // namespace

Interrupt::Interrupt() {
  asked_flag = 0;
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, &old_int_);
  sigaction(SIGTERM, &action, &old_term_);
}
Interrupt::~Interrupt() {
  sigaction(SIGINT, &old_int_, nullptr);
  sigaction(SIGTERM, &old_term_, nullptr);
}
bool Interrupt::asked() const noexcept { return asked_flag != 0; }
void Interrupt::wait() const noexcept {
  sigset_t block, before;
  sigemptyset(&block);
  sigaddset(&block, SIGINT);
  sigaddset(&block, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &block, &before);
  while (asked_flag == 0) sigsuspend(&before);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

}  // namespace tare
