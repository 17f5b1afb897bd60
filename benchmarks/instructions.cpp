// One call of every CPU loop, on a fixed small picture, for benchmarks/instructions.py to count.
#include <algorithm>
#include <cstdio>
#include <vector>

#include "aggregate/aggregate.h"
#include "argmax_pool/argmax_pool.h"
#include "associate/associate.h"
#include "associate_features/associate_features.h"
#include "first_guess/first_guess.h"
#include "local_rbf/room.h"
#include "superpixel_loss/superpixel_loss.h"

using namespace isp_meta;

namespace {

constexpr Grid kGrid{128, 136, 8};
constexpr int kPlanes = 8;

std::vector<float> numbers(int64_t count) {
  std::vector<float> values(count);
  unsigned state = 1;
  for (float& value : values)
    value = float((state = state * 1664525u + 1013904223u) >> 8) * 0x1p-24f;
  return values;
}

const std::vector<float> logits = numbers(kNeighbors * kGrid.pixels());
const std::vector<float> association = logits;
const std::vector<float> features = numbers(kPlanes * kGrid.pixels());
const std::vector<float> centers = numbers((kPlanes + 1) * kGrid.cells());
std::vector<float> pixels(kNeighbors* kGrid.pixels());
std::vector<float> cells((kPlanes + 1) * kGrid.cells());
std::vector<int64_t> samples(kGrid.cells());

// The superpixel loss of the same planes.
std::vector<float> means(kChannels* kGrid.cells());
std::vector<float> slopes(kChannels* kGrid.cells());
std::vector<float> records(kRecord* kGrid.cells());
std::vector<double> shares(kGrid.rows());
float loss = 1;
const SuperpixelLoss<float> lossy({
    .logits = logits.data(),
    .srgb = features.data(),
    .raw = features.data() + kColors * kGrid.pixels(),
    .batch = 1,
    .grid = kGrid,
    .weights = {1, 1, 1},
    .centers = means.data(),
    .slopes = slopes.data(),
    .records = records.data(),
    .shares = shares.data(),
    .loss = &loss,
    .grad = &loss,
    .grad_logits = pixels.data(),
});

// With all that a guess can be made of; its planes at a half and a quarter are larger than needed.
constexpr int kKnots = 33;
const std::vector<float> knots = numbers(4 * kKnots * kKnots * kKnots);
const std::vector<float> layers = numbers(kNetwork);
const std::vector<uint16_t> told(kHidden* kGrid.pixels());
const FirstGuess<float> guessed{
    .srgb = features.data(),
    .contrast = logits.data(),
    .told = told.data(),
    .network = layers.data(),
    .cubic = layers.data(),
    .weights = layers.data(),
    .table = knots.data(),
    .height = kGrid.height,
    .width = kGrid.width,
    .top = 0,
    .bottom = kGrid.height,
    .knots = kKnots,
    .features = kClips + kContrasts + kHidden,
    .quarter = {kGrid.height / kQuarter, kGrid.width / kQuarter},
    .half = {kGrid.height / kHalf, kGrid.width / kHalf},
};
std::vector<float> found((kContrasts + kHidden) * kGrid.pixels());
std::vector<int64_t> every_other(kGrid.pixels() / 2);

// Systems as the decoder's: three values each of 36 samples in seven dimensions.
const LocalRBF rbf{kGrid, 5, 36, kColors, 0, 1, 1, 0, 0.01, Radial::kExponential};
Room<float> room(rbf, rbf.channels + 1);
// Those whose values are chosen: what each of 16 samples adds.
const LocalRBF chosen{kGrid, 5, 16, 16, 0, 1, 1, 0, 0.01, Radial::kExponential};
Room<float> wide(chosen, chosen.channels, kColors);

}  // namespace

// Their names are those of the operators of torch.ops.isp_meta; what they include is counted.
extern "C" {

[[gnu::noinline]] void count_associate() {
  avx2::associate(logits.data(), pixels.data(), 1, kGrid, true, 0, kGrid.rows());
}
[[gnu::noinline]] void count_associate_backward() {
  avx2::associate_backward(logits.data(), association.data(), pixels.data(), 1, kGrid, 0,
                           kGrid.height);
}
[[gnu::noinline]] void count_associate_features() {
  avx2::associate_features(features.data(), centers.data(), pixels.data(), 1, kPlanes, kGrid, 1.0f,
                           0, kGrid.rows());
}
[[gnu::noinline]] void count_accumulate() {
  avx2::accumulate(features.data(), association.data(), cells.data(), 1, kPlanes, kGrid, 0,
                   kGrid.rows());
}
[[gnu::noinline]] void count_distribute() {
  avx2::distribute(centers.data(), association.data(), pixels.data(), 1, kPlanes, kGrid, 0,
                   kGrid.rows());
}
[[gnu::noinline]] void count_correlate() {
  avx2::correlate(features.data(), centers.data(), pixels.data(), 1, kPlanes, kGrid, 0,
                  kGrid.rows());
}
[[gnu::noinline]] void count_argmax_pool() {
  avx2::argmax_pool(association.data(), samples.data(), 1, kGrid, 0, kGrid.rows());
}
[[gnu::noinline]] void count_first_guess() {
  avx2::first_guess(guessed, pixels.data(), 0, kGrid.height);
}
[[gnu::noinline]] void count_guess_features() {
  avx2::guess_features(guessed, every_other.data(), int64_t(every_other.size()), found.data(), 0,
                       kGrid.height);
}
[[gnu::noinline]] void count_local_rbf() {
  for (int64_t first = 0; first < kGrid.cells(); first += room.lanes()) {
    avx2::factorize(rbf, room, rbf.channels);
    avx2::substitute(rbf, room);
    for (int l = 0; l < room.lanes(); ++l) avx2::evaluate(rbf, room, l, kGrid.cell * kGrid.cell);
  }
}
[[gnu::noinline]] void count_local_rbf_equations() {
  for (int64_t first = 0; first < kGrid.cells(); first += wide.lanes()) {
    avx2::factorize(chosen, wide, chosen.channels);
    avx2::substitute(chosen, wide);
    for (int l = 0; l < wide.lanes(); ++l) {
      avx2::evaluate(chosen, wide, l, kGrid.cell * kGrid.cell);
      avx2::add_equations(chosen, wide, kColors, kGrid.cell * kGrid.cell);
    }
  }
}
[[gnu::noinline]] void count_local_rbf_leave_one_out() {
  for (int64_t first = 0; first < kGrid.cells(); first += room.lanes()) {
    avx2::add_left_out(rbf, room, rbf.neighbors + rbf.channels);
    avx2::factorize(rbf, room, rbf.channels + 1);
  }
}
[[gnu::noinline]] void count_superpixel_loss() {
  avx2::summarize(lossy, 0, kGrid.rows());
  avx2::center(lossy, 0, kGrid.rows());
  avx2::compare(lossy, 0, kGrid.rows());
  avx2::slope(lossy, 0, kGrid.rows());
}
[[gnu::noinline]] void count_superpixel_loss_backward() { avx2::descend(lossy, 0, kGrid.rows()); }

}  // extern "C"

int main() {
  count_associate();
  count_associate_backward();
  count_associate_features();
  count_accumulate();
  count_distribute();
  count_correlate();
  count_argmax_pool();
  for (size_t i = 0; i < every_other.size(); ++i) every_other[i] = 2 * int64_t(i);
  count_first_guess();
  count_guess_features();
  std::copy_n(features.data(), rbf.neighbors * rbf.dims() * room.lanes(), room.points);
  count_local_rbf();
  std::copy_n(features.data(), chosen.neighbors * chosen.dims() * wide.lanes(), wide.points);
  count_local_rbf_equations();
  count_local_rbf_leave_one_out();
  count_superpixel_loss();
  count_superpixel_loss_backward();
  std::printf("%d pixels\n", int(kGrid.pixels()));
}
