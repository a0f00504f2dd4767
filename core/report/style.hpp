// The page's style and script, as text. [any thread]
#pragma once

namespace tare::report {

extern const char kStyle[];
extern const char kScript[];

}  // namespace tare::report
