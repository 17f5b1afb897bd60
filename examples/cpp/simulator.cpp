// Chooses the raw pixels to keep while a camera is simulated, without Python: the operators of
// isp_meta in a loop over the frames of a synthetic sensor.
//
//     examples/cpp/build.sh simulator
//     ./simulator isp_meta/_ops*.so frame.bin
//
// It stands on LibTorch's stable C interface alone, which compiles in seconds and serves PyTorch
// 2.10 and later. The last frame goes into the second argument: raw and sRGB, (3, H, W) float32
// each, then the chosen pixel of every cell, (h, w) int64, -1 for none.

#include <dlfcn.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <set>
#include <stdexcept>
#include <vector>

using torch::stable::Tensor;

constexpr int64_t kHeight = 480, kWidth = 640, kPixels = kHeight * kWidth;
constexpr int64_t kCell = 8, kFrames = 5;
constexpr double kScale = 0.001;  // inverse temperature of the association, as in SuperpixelSampler

// An operator by name: PyTorch's dispatcher finds what dlopen registered.
template <class... Arguments>
Tensor call(const char* name, const Arguments&... arguments) {
  std::array<StableIValue, sizeof...(Arguments)> stack{torch::stable::detail::from(arguments)...};
  STABLE_TORCH_ERROR_CODE_CHECK(torch_call_dispatcher(name, "", stack.data(), TORCH_ABI_VERSION));
  return torch::stable::detail::to<Tensor>(stack[0]);
}

// (1, channels, height, width) over memory that outlives it.
Tensor tensor_of(std::vector<float>& values, int64_t channels, int64_t height, int64_t width) {
  const std::array<int64_t, 4> sizes{1, channels, height, width};
  const std::array<int64_t, 4> strides{channels * height * width, height * width, width, 1};
  return torch::stable::from_blob(values.data(), {sizes.data(), 4}, {strides.data(), 4},
                                  torch::stable::Device(torch::headeronly::DeviceType::CPU),
                                  torch::headeronly::ScalarType::Float);
}

// What the sensor sees at a time, and the picture that a camera makes of it.
void expose(double time, std::vector<float>& raw, std::vector<float>& srgb) {
  for (int64_t c = 0; c < 3; ++c)
    for (int64_t y = 0; y < kHeight; ++y)
      for (int64_t x = 0; x < kWidth; ++x) {
        const double wave = std::sin((x + 40 * time) / 37.0 + c) * std::cos(y / 29.0 - time);
        const bool tile = (x / 61 + y / 47) % 2 == 0;
        const int64_t at = (c * kHeight + y) * kWidth + x;
        raw[at] = float(0.08 + 0.3 * (1 + wave) * (tile ? 1.0 : 0.4));
        srgb[at] = std::pow(std::min(1.0f, 1.5f * raw[at]), 1 / 2.2f);
      }
}

// Features whose squared distance is the summand of the superpixel loss: Nam et al., CVPR 2022,
// Eq. 1, with alpha = 0.2 and m = 30.
std::vector<float> features_of(const std::vector<float>& raw, const std::vector<float>& srgb) {
  const float of_srgb = 255 * std::sqrt(0.2f), of_raw = 255 * std::sqrt(0.8f), step = 30.0f / kCell;
  std::vector<float> features(8 * kPixels);
  for (int64_t at = 0; at < 3 * kPixels; ++at) {
    features[at] = of_srgb * srgb[at];
    features[3 * kPixels + at] = of_raw * raw[at];
  }
  for (int64_t at = 0; at < kPixels; ++at) {
    features[6 * kPixels + at] = step * float(at / kWidth);
    features[7 * kPixels + at] = step * float(at % kWidth);
  }
  return features;
}

// Means of the features around every cell, weighted by the association.
std::vector<float> centers_of(const Tensor& features, const Tensor& association) {
  const Tensor sums = call("isp_meta::accumulate", features, association, kCell);
  const int64_t channels = sums.size(1) - 1, cells = sums.size(2) * sums.size(3);
  const float* sum = sums.const_data_ptr<float>();
  std::vector<float> centers(channels * cells);
  for (int64_t at = 0; at < channels * cells; ++at) {
    const float mass = sum[channels * cells + at % cells];
    centers[at] = mass > 0 ? sum[at] / mass : 0.0f;
  }
  return centers;
}

// (1, h, w) flat index of each cell's pixel: soft SLIC, then the surest pixel of each superpixel.
Tensor choose(std::vector<float>& values) {
  const Tensor features = tensor_of(values, 8, kHeight, kWidth);
  std::vector<float> own(9 * kPixels);
  std::fill_n(own.begin() + 4 * kPixels, kPixels, 1.0f);  // each pixel in its own cell at first
  Tensor association = tensor_of(own, 9, kHeight, kWidth);
  for (int round = 0; round < 3; ++round) {
    std::vector<float> means = centers_of(features, association);
    const Tensor centers = tensor_of(means, 8, kHeight / kCell, kWidth / kCell);
    association = call("isp_meta::associate_features", features, centers, kCell, kScale);
  }
  return call("isp_meta::argmax_pool", association, kCell);
}

int main(int count, char** arguments) try {
  if (count != 3) throw std::runtime_error("usage: simulator _OPS.SO FRAME.BIN");
  // Lazily: the one function of Python that the library names is called by Python alone.
  if (!dlopen(arguments[1], RTLD_LAZY)) throw std::runtime_error(dlerror());

  std::vector<float> raw(3 * kPixels), srgb(3 * kPixels);
  std::vector<int64_t> chosen;
  for (int64_t frame = 0; frame < kFrames; ++frame) {
    expose(0.1 * double(frame), raw, srgb);
    std::vector<float> features = features_of(raw, srgb);
    const auto start = std::chrono::steady_clock::now();
    const Tensor index = choose(features);
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
    const int64_t* first = index.const_data_ptr<int64_t>();
    chosen.assign(first, first + index.numel());
    const std::set<int64_t> kept(first, first + index.numel());
    std::printf("frame %d: %zu pixels of %zu cells, %.1f ms\n", int(frame), kept.size(),
                chosen.size(), took.count());
  }
  std::ofstream file(arguments[2], std::ios::binary);
  for (const auto* picture : {&raw, &srgb})
    file.write(reinterpret_cast<const char*>(picture->data()), picture->size() * sizeof(float));
  file.write(reinterpret_cast<const char*>(chosen.data()), chosen.size() * sizeof(int64_t));
  if (!file.flush()) throw std::runtime_error("cannot write the frame");
} catch (const std::exception& error) {
  std::fprintf(stderr, "error: %s\n", error.what());
  return 1;
}
