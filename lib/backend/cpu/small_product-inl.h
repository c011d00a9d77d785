// A product of small matrices in tiles that stay in registers. Included inside the namespace of an instruction set
// that has defined
//
//   struct Arithmetic {
//     using Word = ...;                    // of a and b: an f32 number, or a pair of bf16
//     static constexpr int kRows, kLanes;  // of the largest tile; sums in a vector
//     static auto zero();
//     static auto load(const Word*);       // kLanes words
//     static auto broadcast(const Word*);
//     static auto add(sums, factor, row);  // sums + factor row
//     static auto scale(sums, float);
//     static void store(sums, T*);         // kLanes elements: of f32, and of the tensors that it can write to
//     static void store_some(sums, T*, int64_t n);  // the first n < kLanes of them
//   };

/// Vectors across the largest tile: as many as leave room for the operands beside the sums.
constexpr int kVectors = 2;

/// Where sums go: to rows that are padded.
struct ToPadded {
  float* y;
  int64_t stride;
  template <class Sum, int V>
  HWY_INLINE void store(const Sum (&sums)[V], int64_t r, int64_t c) const {
    for (int v = 0; v < V; ++v) Arithmetic::store(sums[v], y + r * stride + c + v * Arithmetic::kLanes);
  }
};
/// To rows of a tensor.
template <class T>
struct ToRows {
  T* y;
  int64_t stride, width;
  const float* factors;
  template <class Sum, int V>
  HWY_INLINE void store(const Sum (&sums)[V], int64_t r, int64_t c) const {
    const float factor = factors == nullptr ? 1 : factors[r];
    for (int v = 0; v < V; ++v, c += Arithmetic::kLanes) {
      T* to = y + r * stride + c;
      const Sum scaled = Arithmetic::scale(sums[v], factor);
      if (c + Arithmetic::kLanes <= width) {
        Arithmetic::store(scaled, to);
      } else {
        Arithmetic::store_some(scaled, to, width - c);
      }
    }
  }
};

/// R rows and V vectors of y, from (row, column) on.
template <int R, int V, class To>
HWY_INLINE void tile(const SmallProduct& p, const Arithmetic::Word* a, const Arithmetic::Word* b, const To& y,
                     int64_t row, int64_t column) {
  a += row * p.a_row;
  b += column;
  decltype(Arithmetic::zero()) sum[R][V];
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < V; ++v) sum[r][v] = Arithmetic::zero();
  for (int64_t k = 0; k < p.depth; ++k, a += p.a_step, b += p.b_stride) {
    decltype(Arithmetic::load(b)) values[V];
    for (int v = 0; v < V; ++v) values[v] = Arithmetic::load(b + v * Arithmetic::kLanes);
    HWY_UNROLL(Arithmetic::kRows)
    for (int r = 0; r < R; ++r) {
      const auto factor = Arithmetic::broadcast(a + r * p.a_row);
      for (int v = 0; v < V; ++v) sum[r][v] = Arithmetic::add(sum[r][v], factor, values[v]);
    }
  }
  // Unrolled, for sums to stay in registers.
  HWY_UNROLL(Arithmetic::kRows)
  for (int r = 0; r < R; ++r) y.store(sum[r], row + r, column);
}

template <int R, class To>
void row_of_tiles(const SmallProduct& p, const Arithmetic::Word* a, const Arithmetic::Word* b, const To& y,
                  int64_t row) {
  constexpr int64_t lanes = Arithmetic::kLanes;
  int64_t c = 0;
  for (; c + lanes < p.columns; c += kVectors * lanes) tile<R, kVectors>(p, a, b, y, row, c);
  if (c < p.columns) tile<R, 1>(p, a, b, y, row, c);
}

/// Tiles of as equal heights as can be.
template <class To, int... R>
void multiply_by(const SmallProduct& p, const Arithmetic::Word* a, const Arithmetic::Word* b, const To& y,
                 std::integer_sequence<int, R...>) {
  using Row =
      void (*)(const SmallProduct&, const Arithmetic::Word*, const Arithmetic::Word*, const To&, int64_t);
  static constexpr Row of_height[] = {row_of_tiles<R + 1, To>...};
  const int64_t tiles = (p.rows + Arithmetic::kRows - 1) / Arithmetic::kRows;
  for (int64_t i = 0; i < tiles; ++i) {
    const int64_t begin = p.rows * i / tiles, height = p.rows * (i + 1) / tiles - begin;
    of_height[height - 1](p, a, b, y, begin);
  }
}

template <class To>
void multiply_to(const SmallProduct& p, const Arithmetic::Word* a, const Arithmetic::Word* b, const To& y) {
  multiply_by(p, a, b, y, std::make_integer_sequence<int, Arithmetic::kRows>());
}

void multiply(const SmallProduct& p, const Arithmetic::Word* a, const Arithmetic::Word* b, float* y,
              int64_t y_stride) {
  multiply_to(p, a, b, ToPadded{y, y_stride});
}
