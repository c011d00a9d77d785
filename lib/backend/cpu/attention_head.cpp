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
    return cached<OneDnnProducts>({s.queries, s.length, s.width}, [&] {
      const int64_t along = padded(s.length), across = padded(s.width);
      const auto bf16 = DType::bf16, f32 = DType::f32;
      const auto rows = [&](int64_t n, DType t) { return strided({n, s.width}, {across, 1}, t); };
      const auto scores = [&](DType t) { return strided({s.queries, s.length}, {along, 1}, t); };
      const auto k_transposed = strided({s.width, s.length}, {1, across}, bf16);
      const auto p_transposed = strided({s.length, s.queries}, {1, along}, bf16);
      return OneDnnProducts{product(rows(s.queries, bf16), k_transposed, scores(f32)),
                            product(scores(bf16), rows(s.length, bf16), rows(s.queries, f32)),
                            product(p_transposed, rows(s.queries, bf16), rows(s.length, f32))};
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

AttentionHead::Scores AttentionHead::Places::take_scores(const HeadShape& s, Words words, int64_t queries) {
  static constexpr int64_t word = 4, half = 2;  // bytes
  const bool backward = s.pass == HeadShape::Pass::backward;
  return {take(queries, along * word), words == Words::f32 ? 0 : take(queries, along * half),
          words == Words::pairs && backward ? take(pairs(s.queries), along * word) : 0};
}

AttentionHead::Places::Places(const HeadShape& s, Words words)
    : along(padded(s.length)), across(padded(s.width)) {
  static constexpr int64_t word = 4, half = 2;  // bytes
  static constexpr int64_t most = 24;  // queries of a block: two tiles of the products (small_product.h)
  const bool backward = s.pass == HeadShape::Pass::backward, by_onednn = words == Words::bf16;
  blocks = by_onednn ? 1 : chunks_of(s.queries, most);
  whole = by_onednn || (backward && words == Words::f32);
  const bool in_pairs = words == Words::pairs;
  const auto take_transposed = [&] {
    return by_onednn ? take(s.length, across * half)
                     : take(in_pairs ? pairs(s.width) : s.width, along * word);
  };
  keys = take_transposed();
  values = backward ? take_transposed() : 0;
  summed =
      by_onednn ? take(s.length, across * half) : take(in_pairs ? pairs(s.length) : s.length, across * word);
  left = by_onednn ? take(s.length, across * half) : 0;
  zeroed = bytes;
  result = by_onednn ? take(s.length, across * word) : 0;
  row_values = take(1, along * word);
  const int64_t queries = whole ? s.queries : most;
  p = take_scores(s, words, queries);
  gradients = backward ? take_scores(s, words, queries) : Scores{};
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

Queries AttentionHead::block(int64_t i) const {
  // Even, so that pairs of rows lie in one block; as equal as can be.
  const int64_t all = pairs(shape_.queries);
  return {2 * (all * i / blocks()), std::min(shape_.queries, 2 * (all * (i + 1) / blocks()))};
}

void AttentionHead::begin_forward(const ElementRows& k, const ElementRows& v) {
  put_transposed(k, at_.keys);
  put_summed(v, shape_.length);
}

void AttentionHead::forward(Queries t, const ElementRows& q, const ScoreTerms& terms, float* lse,
                            const ElementRows& y) {
  float *s = floats(at_.p, t), *factors = of<float>(at_.row_values);
  product_of_rows(t, q, at_.keys, s);
  const float scale = add(terms, t, s);
  softmax(s, t.count(), shape_.length, at_.along, scale, factors, lse + t.begin);
  round(at_.p, t);
  product(at_.p, t, factors, y);
}

void AttentionHead::begin_backward(const ElementRows& k, const ElementRows& v) {
  put_transposed(k, at_.keys);
  put_transposed(v, at_.values);
  put_summed(k, shape_.length);
}

void AttentionHead::backward(Queries t, const OfQueries& of_head, const ScoreTerms& terms, const float* lse,
                             float* dbias, const ElementRows& dq) {
  const int64_t rows = t.count(), length = shape_.length;
  const ElementRows dy = of_head.dy.from(t.begin);
  float *p = floats(at_.p, t), *dp = floats(at_.gradients, t), *deltas = of<float>(at_.row_values);
  product_of_rows(t, of_head.q, at_.keys, p);
  const float scale = add(terms, t, p);
  probabilities(p, rows, length, at_.along, scale, lse + t.begin);
  round(at_.p, t);
  row_dots(dy, of_head.y.from(t.begin), rows, deltas);
  product_of_rows(t, of_head.dy, at_.values, dp);
  score_gradients(p, dp, deltas, rows, length, at_.along, terms.scale,
                  dbias == nullptr ? nullptr : dbias + t.begin * length);
  round(at_.gradients, t);
  product(at_.gradients, t, nullptr, dq);
}

void AttentionHead::end_backward(const ElementRows& q, const ElementRows& dy, const ElementRows& dk,
                                 const ElementRows& dv) {
  put_summed(dy, shape_.queries);
  product_of_transposed(at_.p, dv);
  put_summed(q, shape_.queries);
  product_of_transposed(at_.gradients, dk);
}

float AttentionHead::add(const ScoreTerms& terms, Queries t, float* s) const {
  if (terms.bias == nullptr && terms.mask == nullptr) return terms.scale;
  const auto rows = [&](const float* m) { return m == nullptr ? nullptr : m + t.begin * shape_.length; };
  add_terms(s, t.count(), shape_.length, at_.along, terms.scale, rows(terms.bias), rows(terms.mask));
  return 1;
}

Elements AttentionHead::elements(int64_t place) const {
  Elements e(of<float>(place));
  e.dtype = shape_.type;
  return e;
}

void AttentionHead::put_transposed(const ElementRows& b, int64_t place) {
  if (words_ == Words::bf16)  // which oneDNN transposes
    return copy_rows(b, shape_.length, {elements(place), at_.across, shape_.width});
  transpose(static_cast<const uint32_t*>(b.at.data), words(b.stride), shape_.length, words(shape_.width),
            of<uint32_t>(place), at_.along);
}

void AttentionHead::put_summed(const ElementRows& b, int64_t rows) {
  if (words_ == Words::pairs) {
    pair_rows(b.at.as<bf16>(), b.stride, rows, shape_.width, of<Bf16Pair>(at_.summed), at_.across);
  } else {
    copy_rows(b, rows, {elements(at_.summed), at_.across, shape_.width});
  }
}

void AttentionHead::product_of_rows(Queries t, const ElementRows& a, int64_t b, float* s) {
  if (words_ == Words::bf16) {
    copy_rows(a, shape_.queries, {elements(at_.left), at_.across, shape_.width});
    return OneDnnProducts::of(shape_).of_rows.run({of<void>(at_.left), of<void>(b), s});
  }
  const SmallProduct product{t.count(), shape_.length, words(shape_.width), words(a.stride), 1, at_.along};
  const ElementRows rows = a.from(t.begin);
  if (words_ == Words::pairs) {
    multiply(product, rows.at.as<Bf16Pair>(), of<Bf16Pair>(b), s, at_.along);
  } else {
    multiply(product, rows.at.as<float>(), of<float>(b), s, at_.along);
  }
}

void AttentionHead::round(const Scores& s, Queries t) {
  if (words_ == Words::pairs) {
    round_rows(floats(s, t), at_.along, t.count(), of<bf16>(s.rows),
               shape_.pass == HeadShape::Pass::backward ? of<Bf16Pair>(s.row_pairs) + t.begin / 2 * at_.along
                                                        : nullptr);
  } else if (words_ == Words::bf16) {
    write_rows(floats(s, t), at_.along, nullptr, t.count(), {elements(s.rows), at_.along, at_.along});
  }
}

void AttentionHead::product(const Scores& s, Queries t, const float* factors, const ElementRows& y) {
  const SmallProduct product{t.count(), shape_.width, words(shape_.length), words(at_.along), 1, at_.across};
  const ElementRows to = y.from(t.begin);
  switch (words_) {
    case Words::f32:
      return multiply(product, floats(s, t), of<float>(at_.summed), to, factors);
    case Words::pairs:
      return multiply(product, of<Bf16Pair>(s.rows), of<Bf16Pair>(at_.summed), to, factors);
    case Words::bf16:
      OneDnnProducts::of(shape_).plain.run({of<void>(s.rows), of<void>(at_.summed), of<void>(at_.result)});
      return write_rows(of<float>(at_.result), at_.across, factors, t.count(), to);
  }
}

void AttentionHead::product_of_transposed(const Scores& s, const ElementRows& y) {
  const SmallProduct product{shape_.length, shape_.width, words(shape_.queries), 1, at_.along, at_.across};
  switch (words_) {
    case Words::f32:
      return multiply(product, of<float>(s.floats), of<float>(at_.summed), y);
    case Words::pairs:
      return multiply(product, of<Bf16Pair>(s.row_pairs), of<Bf16Pair>(at_.summed), y);
    case Words::bf16:
      OneDnnProducts::of(shape_).transposed.run(
          {of<void>(s.rows), of<void>(at_.summed), of<void>(at_.result)});
      return write_rows(of<float>(at_.result), at_.across, nullptr, shape_.length, y);
  }
}

}  // namespace trainer::cpu
