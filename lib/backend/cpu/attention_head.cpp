#include "lib/backend/cpu/attention_head.h"

#include <algorithm>
#include <cstring>

#include "lib/backend/cpu/onednn.h"
#include "lib/backend/cpu/primitive_cache.h"

namespace trainer::cpu {
namespace {

constinit OwnLoopsSwitch setting;

/// oneDNN's products of bf16 matrices in rows `along` and `across` apart, with f32 results.
struct OneDnnProducts {
  Primitive of_rows, plain, transposed;

  static OneDnnProducts& of(const HeadShape& s) {
    return cached<OneDnnProducts>({s.length, s.width}, [&] {
      const int64_t along = padded(s.length), across = padded(s.width);
      const auto bf16 = DType::bf16, f32 = DType::f32;
      const auto rows = strided({s.length, s.width}, {across, 1}, bf16);
      const auto rows_transposed = strided({s.width, s.length}, {1, across}, bf16);
      const auto result = strided({s.length, s.width}, {across, 1}, f32);
      return OneDnnProducts{product(rows, rows_transposed, strided({s.length, s.length}, {along, 1}, f32)),
                            product(strided({s.length, s.length}, {along, 1}, bf16), rows, result),
                            product(strided({s.length, s.length}, {1, along}, bf16), rows, result)};
    });
  }
  int64_t scratchpad_bytes() const {
    return std::max({of_rows.scratchpad_bytes(), plain.scratchpad_bytes(), transposed.scratchpad_bytes()});
  }

 private:
  static Primitive product(const dnnl::memory::desc& a, const dnnl::memory::desc& b,
                           const dnnl::memory::desc& c) {
    const auto pd = forward_desc<dnnl::matmul>(a, b, dnnl::memory::desc(), c);
    return {dnnl::matmul(pd),
            {{DNNL_ARG_SRC, a}, {DNNL_ARG_WEIGHTS, b}, {DNNL_ARG_DST, c}},
            pd.scratchpad_desc()};
  }
};

}  // namespace

void set_attention(OwnLoops where) { setting.set(where); }

AttentionHead::Words AttentionHead::words_for(DType t) {
  if (t == DType::f32) return Words::f32;
  return has_bf16_products() && setting.wants(!has_amx()) ? Words::pairs : Words::bf16;
}

AttentionHead::Places::Places(const HeadShape& s, Words words)
    : along(padded(s.length)), across(padded(s.width)) {
  static constexpr int64_t word = 4, half = 2;  // bytes
  const bool backward = s.pass == HeadShape::Pass::backward;
  if (words == Words::bf16) {
    transposed = take(2 * s.length, across * half);  // both factors, transposed by oneDNN
    summed = take(s.length, across * half);
  } else {
    const bool in_pairs = words == Words::pairs;
    transposed = take(in_pairs ? pairs(s.width) : s.width, along * word);
    summed = take(in_pairs ? pairs(s.length) : s.length, across * word);
  }
  zeroed = bytes;
  result = take(s.length, across * word);
  scores = take(s.length, along * word);
  row_values = take(1, along * word);
  gradients = backward ? take(s.length, along * word) : 0;
  rows = words == Words::f32 ? 0 : take(s.length, along * half);
  row_pairs = words == Words::pairs && backward ? take(pairs(s.length), along * word) : 0;
}

int64_t AttentionHead::Places::take(int64_t count, int64_t row_bytes) {
  static constexpr int64_t line = 64;
  const int64_t place = bytes;
  bytes += (count * row_bytes + line - 1) / line * line;
  return place;
}

AttentionHead::AttentionHead(const HeadShape& s)
    : shape_(s),
      words_(words_for(s.type)),
      at_(s, words_),
      memory_(static_cast<size_t>(at_.bytes), Device{}) {
  // The padding of what products read: numbers that do not make arithmetic slow.
  std::memset(memory_.data(), 0, static_cast<size_t>(at_.zeroed));
}

void AttentionHead::reserve(const HeadShape& s) {
  const Words words = words_for(s.type);
  reserve_for_threads(Places(s, words).bytes);
  if (words == Words::bf16) {
    const ThreadScope one(1);
    reserve_for_threads(OneDnnProducts::of(s).scratchpad_bytes());
  }
}

Operand AttentionHead::operand(float* s) {
  s_ = s_transposed_ = s;
  if (words_ == Words::f32) return {Elements(s)};
  Operand copies{Elements(of<float>(at_.rows))};
  copies.rows.dtype = shape_.type;
  s_ = s_transposed_ = copies.rows.data;
  if (words_ == Words::pairs && shape_.pass == HeadShape::Pass::backward)
    s_transposed_ = copies.row_pairs = of<Bf16Pair>(at_.row_pairs);
  return copies;
}

void AttentionHead::softmax(float scale, float* lse) {
  cpu::softmax(scores(), shape_.length, along(), scale, operand(scores()).rows, of<float>(at_.row_values),
               lse);
}

void AttentionHead::probabilities(float scale, const float* lse) {
  Operand p = operand(scores());
  // Already in f32, or read transposed alone.
  if (words_ != Words::bf16) p.rows.data = nullptr;
  cpu::probabilities(scores(), shape_.length, along(), scale, lse, p);
}

void AttentionHead::score_gradients(const ElementRows& dy, const ElementRows& v, const ElementRows& y,
                                    float scale, float* dbias) {
  auto *dp = of<float>(at_.gradients), *deltas = of<float>(at_.row_values);
  row_dots(dy, y, shape_.length, deltas);
  product_of_rows(dy, v, dp);
  cpu::score_gradients(scores(), dp, deltas, shape_.length, along(), scale, operand(dp), dbias);
}

void AttentionHead::multiply(const SmallProduct& p, const void* a, const void* b, float* y) const {
  if (words_ == Words::pairs) {
    cpu::multiply(p, static_cast<const Bf16Pair*>(a), static_cast<const Bf16Pair*>(b), y);
  } else {
    cpu::multiply(p, static_cast<const float*>(a), static_cast<const float*>(b), y);
  }
}

void AttentionHead::product_of_rows(const ElementRows& a, const ElementRows& b, float* y) {
  const auto& [length, width, type, pass] = shape_;
  if (words_ == Words::bf16) {
    Elements left(of<float>(at_.transposed));
    left.dtype = type;
    const Elements right = left.from(length * across());
    copy_rows(a, length, {left, across(), width});
    copy_rows(b, length, {right, across(), width});
    return OneDnnProducts::of(shape_).of_rows.run({left.data, right.data, y});
  }
  auto* transposed = of<uint32_t>(at_.transposed);
  transpose(static_cast<const uint32_t*>(b.at.data), words(b.stride), length, words(width), transposed,
            along());
  multiply({length, length, words(width), words(a.stride), 1, along(), along()}, a.at.data, transposed, y);
}

const void* AttentionHead::summed(const ElementRows& b) const {
  const auto& [length, width, type, pass] = shape_;
  Elements to(of<float>(at_.summed));
  to.dtype = type;
  if (words_ == Words::pairs) {
    pair_rows(b.at.as<bf16>(), b.stride, length, width, of<Bf16Pair>(at_.summed), across());
  } else {
    copy_rows(b, length, {to, across(), width});
  }
  return to.data;
}

const float* AttentionHead::product(const ElementRows& b, bool transposed) {
  const auto& [length, width, type, pass] = shape_;
  const void* s = transposed ? s_transposed_ : s_;
  auto* result = of<float>(at_.result);
  if (words_ == Words::bf16) {
    OneDnnProducts& products = OneDnnProducts::of(shape_);
    (transposed ? products.transposed : products.plain).run({s, summed(b), result});
  } else {
    const int64_t row = transposed ? 1 : words(along()), step = transposed ? along() : 1;
    multiply({length, width, words(length), row, step, across(), across()}, s, summed(b), result);
  }
  return result;
}

}  // namespace trainer::cpu
