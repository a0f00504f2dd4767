// `activate/1` on the CPU by table: BF16 has 65,536 values, so every activation of one is a look-up, and exact by
// construction. 128 KiB a table, filled when a Plan makes its instance.
#pragma once
#include <memory>

#include "core/api/kernel.hpp"
#include "core/api/ops.hpp"

namespace org_example {

// The formula that the table is filled with, and that the test compares against.
float activated(float x, tare::Activation activation);

std::unique_ptr<tare::KernelCandidate> make_table_kernel();

}  // namespace org_example
