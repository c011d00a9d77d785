// The gradient of the filters by Winograd's algorithm.
#include "lib/backend/cpu/any_float.h"
#include "lib/backend/cpu/column_sum.h"
#include "lib/backend/cpu/winograd.h"
#include "lib/backend/cpu/winograd_parts.h"

namespace trainer::cpu::winograd {
namespace {

/// dw from dy and x. Pairs of a block of outputs and a panel of inputs are independent of each other.
struct FilterGradient {
  Map dy, x;
  Filters dw;
  int64_t tiles;

  int64_t width = panel_width();
  int64_t panels = chunks_of(dw.inputs, width), pairs = chunks_of(dw.outputs, block_width) * panels;
  int64_t du_floats = group_floats(block_width, width);
  int64_t n_threads = threads_for_products(tiles, dw.inputs, dw.outputs);

  Range outputs(int64_t pair) const { return range(pair / panels, block_width, dw.outputs); }
  Range inputs(int64_t pair) const { return range(pair % panels, width, dw.inputs); }

  /// Transformed tiles and windows.
  struct Factors {
    Matrices d, v;
  };
  /// Those of tiles first + [begin, end), into rows [begin, end).
  void transform(const Factors& f, const float* zeros, int64_t first, int64_t begin, int64_t end) const {
    transform_gradient(dy, zeros, first + begin, end - begin, f.d, begin);
    transform_input(x, zeros, first + begin, end - begin, f.v, begin);
  }

  /// du (+)= the matrices `which` of a pair's sum over tiles.
  void sum(const Factors& f, int64_t pair, Range which, const Matrices& du, bool add) const {
    multiply_transposed({.a = f.d.group(pair / panels) + which.begin * f.d.step(),
                         .b = f.v.group(pair % panels) + which.begin * f.v.step(),
                         .c = du.data + which.begin * du.step(),
                         .a_step = f.d.step(),
                         .b_step = f.v.step(),
                         .c_step = du.step(),
                         .count = which.size(),
                         .rows = outputs(pair).size(),
                         .depth = f.d.rows,
                         .columns = inputs(pair).size(),
                         .add = add});
  }
  void finish(int64_t pair, const Matrices& du, const Filters& to) const {
    transform_filter_gradient(du, outputs(pair), inputs(pair), to);
  }

  int64_t n_zeros = up(std::max(dw.outputs, dw.inputs), line);
  int64_t d_floats(int64_t rows) const { return Matrices::floats(rows, block_width, dw.outputs); }
  int64_t v_floats(int64_t rows) const { return Matrices::floats(rows, width, dw.inputs); }
  Matrices du_at(float* du, int64_t i) const { return {du + i * du_floats, block_width, width}; }

  /// All threads transform tiles, then each takes its pairs through them.
  void run_by_pairs() const {
    // So many tiles at a time that their transforms stay in the cache that all threads share.
    static constexpr int64_t most = 256;
    const int64_t rows = chunks_of(tiles, chunks_of(tiles, most));
    // A thread may use up a pair's sum as soon as it is complete, or all of them wait for the last tiles.
    const bool at_once = rows == tiles && pairs >= n_threads;
    const int64_t sums = at_once ? n_threads : pairs;
    Scratch scratch(n_zeros + d_floats(rows) + v_floats(rows) + sums * du_floats);
    const float* zeros = scratch.zeros(n_zeros);
    float *d = scratch.take(d_floats(rows)), *v = scratch.take(v_floats(rows));
    float* du = scratch.take(sums * du_floats);

    for (int64_t first = 0; first < tiles; first += rows) {
      const int64_t count = std::min(rows, tiles - first);
      const Factors factors{{d, count, block_width}, {v, count, width}};
      in_parts(count, std::min(n_threads, count),
               [&](int64_t, int64_t begin, int64_t end) { transform(factors, zeros, first, begin, end); });
      if (at_once) {
        in_parts(pairs, n_threads, [&](int64_t part, int64_t begin, int64_t end) {
          for (int64_t pair = begin; pair < end; ++pair) {
            sum(factors, pair, {0, matrices}, du_at(du, part), false);
            finish(pair, du_at(du, part), dw);
          }
        });
        return;
      }
      in_parts(pairs * matrices, n_threads, [&](int64_t, int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end;) {
          const int64_t pair = i / matrices, next = std::min(end, (pair + 1) * matrices);
          sum(factors, pair, {i - pair * matrices, next - pair * matrices}, du_at(du, pair), first > 0);
          i = next;
        }
      });
    }
    in_parts(pairs, std::min(n_threads, pairs), [&](int64_t, int64_t begin, int64_t end) {
      for (int64_t pair = begin; pair < end; ++pair) finish(pair, du_at(du, pair), dw);
    });
  }

  /// For few channels: parts of the tiles, as many for any number of threads, give a gradient each. Threads
  /// do not wait for each other, and what they work on stays in their own caches.
  void run_by_tiles() const {
    const int64_t parts = std::clamp<int64_t>(tiles / 64, 1, 16), size = 9 * dw.outputs * dw.inputs;
    const int64_t per_part = chunks_of(tiles, parts), rows = chunks_of(per_part, chunks_of(per_part, 64));
    const int64_t runners = std::min(n_threads, parts);
    const int64_t own = d_floats(rows) + v_floats(rows) + pairs * du_floats;
    Scratch scratch(n_zeros + (parts - 1) * size + runners * own);
    const float* zeros = scratch.zeros(n_zeros);
    float *more = scratch.take((parts - 1) * size), *memory = scratch.take(runners * own);
    // The first part's gradient goes where the sum will be.
    const auto gradient = [&](int64_t part) { return part == 0 ? dw.data : more + (part - 1) * size; };

    in_parts(parts, runners, [&](int64_t runner, int64_t part, int64_t last) {
      float *d = memory + runner * own, *v = d + d_floats(rows), *du = v + v_floats(rows);
      for (; part < last; ++part) {
        const Range range{tiles * part / parts, tiles * (part + 1) / parts};
        for (int64_t first = range.begin; first < range.end; first += rows) {
          const int64_t count = std::min(rows, range.end - first);
          const Factors factors{{d, count, block_width}, {v, count, width}};
          transform(factors, zeros, first, 0, count);
          for (int64_t pair = 0; pair < pairs; ++pair)
            sum(factors, pair, {0, matrices}, du_at(du, pair), first > range.begin);
        }
        for (int64_t pair = 0; pair < pairs; ++pair)
          finish(pair, du_at(du, pair), {gradient(part), dw.outputs, dw.inputs});
      }
    });
    parallel_for(size, elementwise_grain, [&](int64_t begin, int64_t end) {
      for (int64_t part = 1; part < parts; ++part) {
        const float* from = gradient(part);
        for (int64_t i = begin; i < end; ++i) dw.data[i] += from[i];
      }
    });
  }

  void run() const {
    // Sums of more channels fit into no thread's cache; of fewer tiles there is not enough for several parts.
    if (dw.outputs * dw.inputs <= 128 * 128 && tiles >= 128) {
      run_by_tiles();
    } else {
      run_by_pairs();
    }
  }
};

}  // namespace

void backward_weight(const Tensor& dy, const Tensor& x, const ops::Conv2dArgs& args, Tensor& dw,
                     Tensor& dbias) {
  static constexpr auto op = ops::Conv2dBackwardWeight::name;
  const Shape& s = dy.shape();
  const Converted<Tensor&> weights(dw, f32_alone);
  FilterGradient{
      .dy = cut(dy, s), .x = cut(x, s, args.padding), .dw = filters(weights.value), .tiles = tiles_of(s)}
      .run();
  if (!dbias.defined()) return;
  Converted<Tensor&> sums(dbias, f32_alone);
  column_sum(Elements(op, dy), s.rows(), s[3], floats(op, sums.value));
}

}  // namespace trainer::cpu::winograd
