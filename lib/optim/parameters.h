// Parameters: a model's trainable parameters in one contiguous arena, and their gradients in a second one of
// the same layout.
//
//   optim::Parameters parameters(model, {.weight_decay = 0.05, .no_decay = {"absolute_pos_embed"}}, device);
//   parameters.zero_grad();
//   loss.backward();                  // writes into parameters.gradients()
//   optimizer.step(control);          // one kernel over parameters.segments()
//
// The arena is in reverse order of use, so that backward fills the gradients from front to back and the first
// buckets of a reducer are complete while it still runs. Every parameter begins at a multiple of 64 bytes.
// Under mixed precision a third arena of the same layout holds the 16-bit values that forward passes see;
// gradients are f32.
//
// The padding between two parameters is zero in all arenas and in every optimizer state, and stays so:
// kernels may run across it.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/nn/precision.h"
#include "lib/ops/flat.h"

namespace trainer::optim {

/// How parameters are treated, by name. A tied weight goes by its first name.
struct GroupRules {
  double weight_decay = 0;  ///< TRAIN.WEIGHT_DECAY; biases and parameters of rank 0 or 1 are never decayed
                            ///< (as in timm and Swin)
  /// Further parameters without decay, by patterns (has_components), as "absolute_pos_embed", "cpb_mlp" or
  /// "head.weight".
  std::vector<std::string> no_decay = {};
  /// A parameter's learning rate relative to the others' (layer-wise decay); 1 if empty.
  std::function<double(std::string_view name)> lr_factor = {};
};

/// A parameter's place.
struct Span {
  std::string name = {};
  nn::Parameter* parameter = nullptr;
  int64_t begin = 0, size = 0;  ///< elements of the arena
  double lr_factor = 1, weight_decay = 0;
  std::vector<std::string> tied = {};  ///< its other names
};

/// Optimizers keep references to it, so it neither moves nor is copied. The model has to outlive it. A change
/// of what is trainable needs new Parameters.
class Parameters {
 public:
  /// Moves the model's parameters into the arenas, on `device` or on the one where they are. They must have
  /// one floating dtype; two nn::Parameter over the same memory are refused: a tied weight is one
  /// nn::Parameter that is visited under several names.
  Parameters(nn::Module& model, const GroupRules&, std::optional<Device> device = {},
             const nn::Precision& = {});
  Parameters(const Parameters&) = delete;
  Parameters& operator=(const Parameters&) = delete;

  /// In the order of the arena.
  const std::vector<Span>& trainable() const { return trainable_; }
  /// Those that are nn::Parameter::frozen: in an arena of their own, without gradients.
  const std::vector<Span>& frozen() const { return frozen_; }
  /// Elements without the gaps: those that are trained, and those that are not.
  int64_t count() const { return count(trainable_); }
  int64_t frozen_count() const { return count(frozen_); }

  const Tensor& values() const { return values_; }
  Tensor& values() { return values_; }
  /// Spans of parameters that received no gradient in this step may hold older ones until segments() is
  /// called.
  const Tensor& gradients() const { return gradients_; }
  Tensor& gradients() { return gradients_; }
  const nn::Precision& precision() const { return precision_; }
  /// The 16-bit copies of values(), which an optimizer's step keeps up to date; undefined without mixed
  /// precision.
  Tensor& copies() { return rounded_; }
  /// After each optimizer step: where no f32 masters are kept, values() become what their copies are. Nothing that a
  /// kernel has derived from older values is used any more, whatever scope of ConstantWeights is open.
  void drop_masters();
  /// Casts all values into their copies, the frozen ones' too: after values came from elsewhere (a
  /// checkpoint, another rank). As after a step, nothing derived from older values is used.
  void update_all_copies();
  /// An arena of the same layout, filled with zeros: for optimizer state.
  Tensor zeros() const;
  /// A trainable parameter's part of such an arena, in the parameter's shape; shares memory.
  static Tensor part(const Tensor& arena, const Span&);

  /// Forgets all gradients; the next backward overwrites them.
  void zero_grad();
  /// What this step's update covers. A parameter that received no gradient since zero_grad() is left out, as
  /// PyTorch leaves out grad = None: neither decay nor momentum move it. Neighbours with the same factor and
  /// decay form one segment.
  ///
  /// Looks at the gradients anew at each call, so it comes after the last backward of the step (and after
  /// set_received() where there are several ranks) and before gradients() is used: where a parameter stops
  /// receiving gradients, its span of gradients() is set to zero here.
  const std::vector<ops::Segment>& segments();
  /// The same with a segment for each parameter, for updates that need norms of single tensors. A norm by row
  /// (unit-wise) cuts these up: the first extent of every layout is the output's.
  const std::vector<ops::Segment>& tensors();
  /// Where gradients are summed over processes: which parameters received one in any of them, by place in
  /// trainable(). Holds until zero_grad(); segments() and without_gradient() go by it.
  void set_received(const std::vector<char>& by_any_rank);
  /// Trainable parameters that received no gradient since zero_grad().
  std::vector<std::string> without_gradient() const;

 private:
  Tensor move_into(const Tensor& values, const Tensor& rounded, const Span&);
  void round(Tensor& values, Tensor& rounded);
  static int64_t count(const std::vector<Span>&);
  bool receives(size_t index) const;
  void refresh();
  void merge();

  std::vector<Span> trainable_, frozen_;
  nn::Precision precision_;
  Tensor values_, gradients_, frozen_values_;
  Tensor rounded_, frozen_rounded_;  // values of the precision's type; undefined without mixed precision
  std::vector<char> received_;       // by trainable parameter: has a gradient that segments_ covers
  std::vector<char> by_any_rank_;    // as set_received(); empty: this process alone counts
  std::vector<ops::Segment> segments_, tensors_;
};

}  // namespace trainer::optim
