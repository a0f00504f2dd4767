// All that a plugin author includes.
#pragma once
#include "core/api/plugin.hpp"
