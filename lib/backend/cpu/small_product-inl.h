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
//     static void store(sums, float*);
//   };

/// Vectors across the largest tile: as many as leave room for the operands beside the sums.
constexpr int kVectors = 2;

/// The first R rows and V vectors of y.
template <int R, int V>
HWY_INLINE void tile(const SmallProduct& p, const Arithmetic::Word* a, const Arithmetic::Word* b, float* y) {
  decltype(Arithmetic::zero()) sum[R][V];
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < V; ++v) sum[r][v] = Arithmetic::zero();
  for (int64_t k = 0; k < p.depth; ++k, a += p.a_step, b += p.b_stride) {
    decltype(Arithmetic::load(b)) row[V];
    for (int v = 0; v < V; ++v) row[v] = Arithmetic::load(b + v * Arithmetic::kLanes);
    HWY_UNROLL(Arithmetic::kRows)
    for (int r = 0; r < R; ++r) {
      const auto factor = Arithmetic::broadcast(a + r * p.a_row);
      for (int v = 0; v < V; ++v) sum[r][v] = Arithmetic::add(sum[r][v], factor, row[v]);
    }
  }
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < V; ++v) Arithmetic::store(sum[r][v], y + r * p.y_stride + v * Arithmetic::kLanes);
}

template <int R>
void row_of_tiles(const SmallProduct& p, const Arithmetic::Word* a, const Arithmetic::Word* b, float* y) {
  constexpr int64_t lanes = Arithmetic::kLanes;
  int64_t c = 0;
  for (; c + lanes < p.columns; c += kVectors * lanes) tile<R, kVectors>(p, a, b + c, y + c);
  if (c < p.columns) tile<R, 1>(p, a, b + c, y + c);
}

/// Tiles of as equal heights as can be.
template <int... R>
void multiply_by(const SmallProduct& p, const Arithmetic::Word* a, const Arithmetic::Word* b, float* y,
                 std::integer_sequence<int, R...>) {
  using Row = void (*)(const SmallProduct&, const Arithmetic::Word*, const Arithmetic::Word*, float*);
  static constexpr Row of_height[] = {row_of_tiles<R + 1>...};
  const int64_t tiles = (p.rows + Arithmetic::kRows - 1) / Arithmetic::kRows;
  for (int64_t i = 0; i < tiles; ++i) {
    const int64_t begin = p.rows * i / tiles, height = p.rows * (i + 1) / tiles - begin;
    of_height[height - 1](p, a + begin * p.a_row, b, y + begin * p.y_stride);
  }
}

void multiply(const SmallProduct& p, const Arithmetic::Word* a, const Arithmetic::Word* b, float* y) {
  multiply_by(p, a, b, y, std::make_integer_sequence<int, Arithmetic::kRows>());
}
