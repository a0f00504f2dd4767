// The products of a layer of known models by their sizes alone, for what is measured without a model. Sizes as in the
// models' config.json files, whose names stand in product_shapes.cpp. Pure, [any thread].
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "autotune/linear_lab.hpp"
#include "core/api/status.hpp"

namespace tare {

struct ShapeProduct {
  std::string name;              // "gate_up"
  std::vector<int64_t> outputs;  // of matrices that share their input
  int64_t inputs = 0;
  bool logits = false;  // of rows that are sampled from, in f32
};
// not_found names the shapes that are known.
Result<std::vector<ShapeProduct>> products_of_shape(std::string_view shape);
// Is it known by its products alone? Then no model of its family is made here yet.
bool is_listed_shape(std::string_view shape) noexcept;
// Stacked matrices as one product; logits are not chained.
std::vector<LayerProduct> layer_products(const std::vector<ShapeProduct>& products);

}  // namespace tare
