#include "lib/ops/loss.h"

#include "lib/ops/checks.h"

namespace trainer::ops {
namespace {

/// On host devices only: reading labels back from a GPU would wait for its stream.
void expect_labels(std::string_view op, const Tensor& target, int64_t classes) {
  if (!target.device().is_host()) return;
  int64_t row = 0;
  for (const int64_t label : target.span<int64_t>()) {
    check(Exit::data, 0 <= label && label < classes, "{}: label {} of row {} is outside [0, {})", op, label,
          row, classes);
    ++row;
  }
}

void expect_cross_entropy(std::string_view op, const Tensor& logits, const Tensor& target,
                          const CrossEntropyArgs& args) {
  expect_floating(op, "logits", logits);
  check(logits.rank() == 2, "{}: logits are {}, expected [N, K]", op, logits.shape());
  check(target.defined(), "{}: the target is undefined", op);
  check(args.label_smoothing >= 0 && args.label_smoothing <= 1, "{}: label smoothing {} is outside [0, 1]",
        op, args.label_smoothing);
  if (target.dtype() == DType::i64) {
    expect(op, "target", target, {logits.size(0)}, DType::i64, logits.device());
  } else {
    expect(op, "target", target, logits.shape(), accumulation_dtype(logits.dtype()), logits.device());
  }
}

Tensor empty_loss(const Tensor& x) { return Tensor::empty({}, accumulation_dtype(x.dtype()), x.device()); }

void expect_dloss(std::string_view op, const Tensor& dloss, const Tensor& x) {
  expect(op, "dloss", dloss, {}, accumulation_dtype(x.dtype()), x.device());
}

}  // namespace

CrossEntropyResult softmax_cross_entropy(const Tensor& logits, const Tensor& target,
                                         const CrossEntropyArgs& args) {
  expect_cross_entropy(SoftmaxCrossEntropy::name, logits, target, args);
  if (target.dtype() == DType::i64) expect_labels(SoftmaxCrossEntropy::name, target, logits.size(1));
  CrossEntropyResult out{
      empty_loss(logits),
      Tensor::empty({logits.size(0)}, accumulation_dtype(logits.dtype()), logits.device())};
  Kernels<SoftmaxCrossEntropy>::on(logits.device())(logits, target, args, out.loss, out.log_sum_exp);
  return out;
}

void softmax_cross_entropy_backward(const Tensor& dloss, const Tensor& logits, const Tensor& target,
                                    const Tensor& log_sum_exp, const CrossEntropyArgs& args,
                                    Tensor& dlogits) {
  constexpr std::string_view op = SoftmaxCrossEntropyBackward::name;
  expect_cross_entropy(op, logits, target, args);
  expect_dloss(op, dloss, logits);
  expect(op, "log_sum_exp", log_sum_exp, {logits.size(0)}, accumulation_dtype(logits.dtype()),
         logits.device());
  expect_like(op, "dlogits", dlogits, logits);
  Kernels<SoftmaxCrossEntropyBackward>::on(logits.device())(dloss, logits, target, log_sum_exp, args,
                                                            dlogits);
}

Tensor mse(const Tensor& prediction, const Tensor& target) {
  expect_floating(Mse::name, "prediction", prediction);
  expect_like(Mse::name, "target", target, prediction);
  Tensor loss = empty_loss(prediction);
  Kernels<Mse>::on(prediction.device())(prediction, target, loss);
  return loss;
}

void mse_backward(const Tensor& dloss, const Tensor& prediction, const Tensor& target, Tensor& dprediction) {
  constexpr std::string_view op = MseBackward::name;
  expect_floating(op, "prediction", prediction);
  expect_like(op, "target", target, prediction);
  expect_dloss(op, dloss, prediction);
  expect_like(op, "dprediction", dprediction, prediction);
  Kernels<MseBackward>::on(prediction.device())(dloss, prediction, target, dprediction);
}

}  // namespace trainer::ops
