// norm/1 on the CPU: rows are independent, each by itself in one order, so bits never depend on the batch.
#pragma once
#include "core/api/api.hpp"
#include "core/api/cpu_kernel.hpp"

namespace tare::norm {

Status reference(const CpuCall<Norm>& call);  // the oracle
Status fast(const CpuCall<Norm>& call);       // 16 partial sums in fixed places

}  // namespace tare::norm
