// Which convolutions are computed by Winograd's algorithm; forward, and the gradient of the data.
#include "lib/backend/cpu/winograd.h"

#include "lib/backend/cpu/any_float.h"
#include "lib/backend/cpu/onednn.h"
#include "lib/backend/cpu/winograd_parts.h"
#include "lib/tensor/constant_weights.h"

namespace trainer::cpu {
namespace {
constinit OwnLoopsSwitch setting;
}

void set_winograd(OwnLoops where) { setting.set(where); }

namespace winograd {
namespace {

/// y = x * w (+ bias), or the gradient of the data, where y stands for dx and x for dy.
struct Convolution {
  Map x;
  const Tensor& w;
  bool forward;
  const float* bias;
  Map y;
  int64_t tiles;

  int64_t width = panel_width();
  int64_t blocks = chunks_of(x.channels, block_width), panels = chunks_of(y.channels, width);
  int64_t u_floats = group_floats(block_width, width);
  int64_t n_threads = std::min(tiles, threads_for_products(tiles, x.channels, y.channels));

  Range in(int64_t block) const { return range(block, block_width, x.channels); }
  Range out(int64_t panel) const { return range(panel, width, y.channels); }

  void transform(const Filters& f, int64_t panel, int64_t block, float* memory) const {
    transform_filters(f, forward, in(block), out(panel), {memory, in(block).size(), width});
  }
  /// All transformed filters, u_floats for each block of each panel.
  Storage transformed_filters() const {
    const int64_t count = panels * blocks;
    const Derivation how{.name = "winograd", .numbers = {forward, w.size(0), w.size(3), width}};
    const auto bytes = sizeof(float) * static_cast<size_t>(count * u_floats);
    return ConstantWeights::derived(w, how, bytes, [&](std::byte* memory) {
      const Converted<const Tensor&> f32(w, f32_alone);
      const Filters f = filters(f32.value);
      auto* u = reinterpret_cast<float*>(memory);
      in_parts(count, std::min(n_threads, count), [&](int64_t, int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) transform(f, i / blocks, i % blocks, u + i * u_floats);
      });
    });
  }
  float* of_block(const Storage& transformed, int64_t panel, int64_t block) const {
    return reinterpret_cast<float*>(transformed.data()) + (panel * blocks + block) * u_floats;
  }

  /// A panel of y from transformed windows of tiles from `first` on; filters(block) gives right factors.
  template <class F>
  void compute(int64_t panel, int64_t first, const Matrices& v, const Matrices& m, const F& filters) const {
    for (int64_t b = 0; b < blocks; ++b) {
      const Matrices u = filters(b);
      multiply({.a = v.group(b),
                .b = u.data,
                .c = m.data,
                .a_step = v.step(),
                .b_step = u.step(),
                .c_step = m.step(),
                .count = matrices,
                .rows = v.rows,
                .depth = u.rows,
                .columns = out(panel).size(),
                .add = b > 0});
    }
    transform_output(m, bias, out(panel), first, y);
  }

  /// Each thread takes its tiles through all stages, so many at a time that they stay in its cache.
  void run_by_tiles() const {
    const int64_t per_thread = chunks_of(tiles, n_threads);
    const int64_t rows = chunks_of(per_thread, chunks_of(per_thread, rows_at_once()));
    const int64_t v_floats = Matrices::floats(rows, block_width, x.channels),
                  m_floats = group_floats(rows, width);
    const int64_t n_zeros = up(x.channels, line);
    Scratch scratch(n_zeros + n_threads * (v_floats + m_floats));
    const float* zeros = scratch.zeros(n_zeros);
    float* own = scratch.take(n_threads * (v_floats + m_floats));
    const Storage transformed = transformed_filters();

    in_parts(tiles, n_threads, [&](int64_t part, int64_t begin, int64_t end) {
      float* memory = own + part * (v_floats + m_floats);
      for (int64_t first = begin; first < end; first += rows) {
        const int64_t count = std::min(rows, end - first);
        const Matrices v{memory, count, block_width}, m{memory + v_floats, count, width};
        transform_input(x, zeros, first, count, v, 0);
        for (int64_t p = 0; p < panels; ++p) {
          compute(p, first, v, m, [&](int64_t b) {
            return Matrices{of_block(transformed, p, b), in(b).size(), width};
          });
        }
      }
    });
  }

  /// Each thread takes its channels of y through all tiles: transformed filters, which are larger than
  /// everything else, never leave its cache. Where they are kept for the next call that reads them instead.
  void run_by_panels() const {
    const int64_t v_floats = Matrices::floats(tiles, block_width, x.channels),
                  m_floats = group_floats(tiles, width);
    const int64_t n_zeros = up(x.channels, line), parts = std::min(n_threads, panels);
    Scratch scratch(n_zeros + v_floats + parts * (u_floats + m_floats));
    const float* zeros = scratch.zeros(n_zeros);
    const Matrices v{scratch.take(v_floats), tiles, block_width};
    float* own = scratch.take(parts * (u_floats + m_floats));
    const Storage kept = ConstantWeights::keeps(w) ? transformed_filters() : Storage();
    const Converted<const Tensor&> f32(kept ? Tensor() : w, f32_alone);
    if (!kept) ConstantWeights::count_copy();

    in_parts(tiles, n_threads, [&](int64_t, int64_t begin, int64_t end) {
      transform_input(x, zeros, begin, end - begin, v, begin);
    });
    in_parts(panels, parts, [&](int64_t part, int64_t begin, int64_t end) {
      float* memory = own + part * (u_floats + m_floats);
      const Matrices m{memory + u_floats, tiles, width};
      for (int64_t p = begin; p < end; ++p) {
        compute(p, 0, v, m, [&](int64_t b) {
          if (!kept) transform(filters(f32.value), p, b, memory);
          return Matrices{kept ? of_block(kept, p, b) : memory, in(b).size(), width};
        });
      }
    });
  }

  /// As many tiles as fit into 600 KiB of a thread's cache; or, if they were so few that reading the filters
  /// took as long as multiplying, many.
  int64_t rows_at_once() const {
    const auto row = static_cast<int64_t>(sizeof(float)) * matrices * (x.channels + width);
    const int64_t fit = (int64_t{600} << 10) / row;
    return fit < 24 ? 98 : std::min<int64_t>(fit, 56);
  }

  void run() const {
    static constexpr int64_t few = 128;  // tiles, whose products for a panel still fit into a thread's cache
    if (tiles <= few && panels >= n_threads) {
      run_by_panels();
    } else {
      run_by_tiles();
    }
  }
};

/// What the loops are written for.
bool possible(const Tensor& maps, const Tensor& w, const ops::Conv2dArgs& args) {
  return (maps.dtype() == DType::bf16 || maps.dtype() == DType::f32) && w.size(1) == 3 && w.size(2) == 3 &&
         args.stride == ops::Pair(1) && args.dilation == ops::Pair(1) && args.groups == 1;
}

/// Multiplications of the direct method, which leaves out those with padding, for each of ours. Transforms are counted in
/// multiplications as they were measured: they take as long as 20 more channels on either side would, those of the
/// filters as long as 6 more tiles, or 16 where the direct method is in bf16 and reads half as much of them. Lanes that are
/// left empty cost the same as full ones.
double advantage(const Tensor& maps, const Tensor& w) {
  const int64_t lanes = panel_width() / 2, in = up(w.size(3), lanes), out = up(w.size(0), lanes);
  const int64_t positions =
      maps.size(0) * (3 * maps.size(1) - 2) * (3 * maps.size(2) - 2);  // 9 a pixel inside
  const int64_t direct = positions * w.size(0) * w.size(3);
  const int64_t filters = maps.dtype() == DType::bf16 ? 16 : 6;
  const int64_t ours = matrices * (tiles_of(maps.shape()) + filters) * (in * out + 20 * (in + out));
  return static_cast<double>(direct) / static_cast<double>(ours);
}
/// That makes it faster: a margin for what the count leaves out (memory, mostly).
constexpr double enough = 4.0 / 3;

/// Matrix units multiply bf16 many times as fast as our f32.
bool for_matrix_units(const Tensor& maps) { return maps.dtype() == DType::bf16 && has_amx(); }

}  // namespace

bool wanted(const Tensor& maps, const Tensor& w, const ops::Conv2dArgs& args) {
  // Direct sums are nearly twice as fast in bf16.
  const double needed = maps.dtype() == DType::bf16 ? 5.0 / 3 * enough : enough;
  return possible(maps, w, args) && setting.wants(!for_matrix_units(maps) && advantage(maps, w) >= needed);
}

// oneDNN's sums over pixels gain less from bf16: as much as in f32 is enough.
bool wanted_backward_weight(const Tensor& dy, const Tensor& dw, const ops::Conv2dArgs& args) {
  return possible(dy, dw, args) && setting.wants(!for_matrix_units(dy) && advantage(dy, dw) >= enough);
}

void forward(const Tensor& x, const Tensor& w, const Tensor& bias, const ops::Conv2dArgs& args, Tensor& y) {
  const Shape& s = y.shape();
  const Converted<const Tensor&> offsets(bias, f32_alone);
  Convolution{.x = cut(x, s, args.padding),
              .w = w,
              .forward = true,
              .bias = floats(ops::Conv2d::name, offsets.value),
              .y = cut(y, s),
              .tiles = tiles_of(s)}
      .run();
}

void backward_data(const Tensor& dy, const Tensor& w, const ops::Conv2dArgs& args, Tensor& dx) {
  const Shape& s = dx.shape();
  Convolution{.x = cut(dy, s, {2 - args.padding.h, 2 - args.padding.w}),
              .w = w,
              .forward = false,
              .bias = nullptr,
              .y = cut(dx, s),
              .tiles = tiles_of(s)}
      .run();
}

}  // namespace winograd
}  // namespace trainer::cpu
