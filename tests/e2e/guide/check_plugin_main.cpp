// tare_check_plugin FILE.so ..: the validator alone, for a build without the application. Exit code 1: one failed.
#include <iostream>

#include "core/plugin/check.hpp"

int main(int argc, char** argv) {
  bool passed = argc > 1;
  for (int i = 1; i < argc; ++i) {
    const tare::CheckReport report = tare::check_plugin(argv[i]);
    for (const tare::CheckLine& line : report.lines)
      std::cout << name(line.outcome) << ": " << line.check << ": " << line.detail << '\n';
    std::cout << argv[i] << (report.passed() ? ": good\n" : ": not good\n");
    passed = passed && report.passed();
  }
  return passed ? 0 : 1;
}
