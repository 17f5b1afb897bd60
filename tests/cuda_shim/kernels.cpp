// Every CUDA kernel of the project, compiled for the CPU, behind a C interface.
#include "adaptive_filter/adaptive_filter.cu"
#include "aggregate/aggregate.cu"
#include "argmax_pool/argmax_pool.cu"
#include "associate/associate.cu"
#include "associate_features/associate_features.cu"
#include "first_guess/first_guess.cu"
#include "local_rbf/local_rbf.cu"
#include "nearest_samples/nearest_samples.cu"
#include "superpixel_loss/superpixel_loss.cu"

using namespace isp_meta;

namespace {

int device = 0;
Launch on(Dtype dtype) { return {dtype, device, nullptr}; }

}  // namespace

extern "C" {

void set_schedule(unsigned seed) { schedule = seed; }

void set_device(int index) { device = index; }
int count_devices_set() { return devices_set; }
int get_current_device() { return current_device; }

int64_t pixels_of(Grid grid, int by, int bx) { return grid.pixels_of(by, bx); }

const char* associate(Dtype dtype, const void* logits, void* association, int64_t batch, Grid grid,
                      bool mask_outside) {
  return launch_associate(on(dtype), logits, association, batch, grid, mask_outside);
}

const char* associate_backward(Dtype dtype, const void* grad, const void* association,
                               void* grad_logits, int64_t batch, int64_t plane) {
  return launch_associate_backward(on(dtype), grad, association, grad_logits, batch, plane);
}

const char* associate_features(Dtype dtype, const void* features, const void* centers,
                               void* association, int64_t batch, int channels, Grid grid,
                               double scale) {
  return launch_associate_features(on(dtype), features, centers, association, batch, channels, grid,
                                   scale);
}

const char* accumulate(Dtype dtype, const void* features, const void* association, void* blocks,
                       void* sums, int64_t batch, int channels, Grid grid) {
  return launch_accumulate(on(dtype), features, association, blocks, sums, batch, channels, grid);
}

const char* distribute(Dtype dtype, const void* centers, const void* association, void* pixels,
                       int64_t batch, int channels, Grid grid) {
  return launch_distribute(on(dtype), centers, association, pixels, batch, channels, grid);
}

const char* correlate(Dtype dtype, const void* features, const void* centers, void* association,
                      int64_t batch, int channels, Grid grid) {
  return launch_correlate(on(dtype), features, centers, association, batch, channels, grid);
}

const char* argmax_pool(Dtype dtype, const void* association, int64_t* index, int64_t batch,
                        Grid grid) {
  return launch_argmax_pool(on(dtype), association, index, batch, grid);
}

const char* superpixel_loss(Dtype dtype, const void* logits, const void* srgb, const void* raw,
                            void* loss, void* centers, void* slopes, void* records, double* shares,
                            int64_t batch, Grid grid) {
  SuperpixelLossTensors of{logits, srgb, raw, batch, grid, {0.2, 0.8, 0.05}};
  of.loss = loss;
  of.centers = centers;
  of.slopes = slopes;
  of.records = records;
  of.shares = shares;
  return launch_superpixel_loss(on(dtype), of);
}

const char* superpixel_loss_backward(Dtype dtype, const void* grad, const void* logits,
                                     const void* srgb, const void* raw, void* centers, void* slopes,
                                     void* grad_logits, int64_t batch, Grid grid) {
  SuperpixelLossTensors of{logits, srgb, raw, batch, grid, {0.2, 0.8, 0.05}};
  of.grad = grad;
  of.centers = centers;
  of.slopes = slopes;
  of.grad_logits = grad_logits;
  return launch_superpixel_loss_backward(on(dtype), of);
}

const char* local_rbf(Dtype dtype, const void* guide, const void* points, const void* values,
                      const int64_t* neighbors, void* pixels, int64_t batch, LocalRBF rbf) {
  return launch_local_rbf(on(dtype), guide, points, values, neighbors, pixels, batch, rbf);
}

const char* local_rbf_equations(Dtype dtype, const void* guide, const void* points,
                                const int64_t* neighbors, void* equations, int64_t batch,
                                LocalRBF rbf, MetTensors met) {
  return launch_local_rbf_equations(on(dtype), guide, points, met, neighbors, equations, batch,
                                    rbf);
}

const char* local_rbf_leave_one_out(Dtype dtype, const void* points, const void* values,
                                    const int64_t* neighbors, void* predictions, int64_t systems,
                                    LocalRBF rbf) {
  return launch_local_rbf_leave_one_out(on(dtype), points, values, neighbors, predictions, systems,
                                        rbf);
}

const char* first_guess(Dtype dtype, void* levels, void* guess, FirstGuessTensors of) {
  return launch_first_guess(on(dtype), of, levels, guess);
}

const char* guess_features(Dtype dtype, void* levels, const int64_t* index, int64_t count,
                           void* features, FirstGuessTensors of) {
  return launch_guess_features(on(dtype), of, levels, index, count, features);
}

const char* adaptive_filter(Dtype dtype, void* result, AdaptiveFilterTensors of) {
  return launch_adaptive_filter(on(dtype), of, result);
}

const char* filter_features(Dtype dtype, const int64_t* index, int64_t count, void* features,
                            int64_t* kinds, AdaptiveFilterTensors of) {
  return launch_filter_features(on(dtype), of, index, count, features, kinds);
}

const char* nearest_samples(Dtype dtype, const void* position, int64_t queries, double* squared,
                            int64_t* found, int64_t count, Buckets in) {
  return launch_nearest_samples(on(dtype), in, position, queries, squared, found, int(count));
}

}  // extern "C"
