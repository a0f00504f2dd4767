#include "core/bundle/tare_tiles.hpp"

namespace tare {
namespace {

class TareTiles final : public CodedTiles {
 public:
  TareTiles(std::shared_ptr<const TareBundle> bundle, const TareTensor& tensor)
      : bundle_(std::move(bundle)), tensor_(tensor) {
    const TileGrid& g = tensor.grid;
    matrix_.experts = g.experts, matrix_.rows = g.rows, matrix_.columns = g.columns;
    matrix_.tile_rows = g.tile_rows, matrix_.tile_columns = g.tile_columns;
    matrix_.width = tensor.tables.width;
    matrix_.coded = tensor.tables.coded, matrix_.frequencies = tensor.tables.frequencies;
  }
  const CodedMatrix& matrix() const noexcept override { return matrix_; }
  int64_t bytes() const noexcept override { return tensor_.stored.bytes; }
  Status open() override {
    TARE_ASSIGN_OR_RETURN(table_, bundle_->table(tensor_.stored, name()));
    const int64_t most = tensor_.grid.most_tile_bytes(tensor_.tables.width);
    begins_.resize(table_.size());
    for (size_t i = 0; i < table_.size(); ++i) {
      begins_[i] = table_[i].begin;
      if (begins_[i] % 16 != 0 || (i > 0 && begins_[i] - begins_[i - 1] > most))
        return failure(Code::corrupt, name(), " is damaged: a tile before byte ", begins_[i],
                       " cannot lie there (at most ", most, " bytes, a multiple of 16)");
    }
    return {};
  }
  std::span<const int64_t> begins() const noexcept override { return begins_; }
  Status read(int64_t first, int64_t last, std::byte* out) const override {
    return bundle_->read_pieces(tensor_.stored, name(), table_, first, last, out);
  }
  std::string name() const override { return bundle_->name_of(tensor_); }

 private:
  const std::shared_ptr<const TareBundle> bundle_;
  const TareTensor& tensor_;
  CodedMatrix matrix_;
  std::vector<TareStream::Piece> table_;
  std::vector<int64_t> begins_;
};

}  // namespace

std::unique_ptr<CodedTiles> coded_tiles(std::shared_ptr<const TareBundle> bundle, const TareTensor& tensor) {
  if (tensor.codec != TareTensor::Codec::exp_ans || tensor.grid.elements() == 0) return nullptr;
  return std::make_unique<TareTiles>(std::move(bundle), tensor);
}

}  // namespace tare
