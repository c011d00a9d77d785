// What `trainer bench` measures. One table makes both sides, ours and PyTorch's.
#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

namespace trainer::app::bench {

/// A network, its samples and its optimizer.
struct Row {
  struct Network {
    std::string model;  ///< cnn, mlp, or a model that timm has under the same name
    int64_t classes = 1000;
    std::string stem = "default";      ///< small: MODEL.STEM small
    std::vector<int64_t> widths = {};  ///< of cnn's convolutions or mlp's hidden layers
  };
  struct Optimizer {
    std::string name;  ///< sgd or adamw
    double lr, weight_decay, momentum = 0;
  };

  std::string name;
  Network network;
  int64_t channels, side, batch;  ///< samples of channels x side x side
  Optimizer optimizer;
  std::vector<std::string> dtypes;  ///< f32, bf16
};

std::span<const Row> rows();

/// A row in one of its dtypes.
struct Case {
  const Row* row = nullptr;
  std::string dtype;
  std::string name() const { return row->name + ':' + dtype; }
  /// How far the losses of the first steps may lie apart, relative: rounding grows with every update.
  double loss_tolerance() const { return dtype == "f32" ? 1e-3 : 2e-2; }
};

/// The cases that ROW and ROW:DTYPE name, all without one. Throws Error(Exit::usage), with near names.
std::vector<Case> choose(const std::vector<std::string>& words);

/// Words for --opts: this and the defaults are our whole configuration.
std::vector<std::string> opts(const Case&);

/// The same facts for bench_peer.py, and for readers of --json.
nlohmann::ordered_json facts(const Case&);

}  // namespace trainer::app::bench
