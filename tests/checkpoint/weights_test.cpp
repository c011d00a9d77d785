// Weights files: names, layout, what fits and what does not.
#include "lib/checkpoint/weights.h"

#include <map>

#include "lib/config/config.h"
#include "lib/io/safetensors.h"
#include "tests/error_of.h"
#include "tests/support/weights.h"
#include "tests/temp_folder.h"

using namespace trainer;
using checkpoint::StateDict;

namespace {

/// Two convolutions with batch norm and a classifier "fc", for images [4, 4, 2].
std::unique_ptr<nn::Model> make(uint64_t seed, int classes = 3) {
  config::Config c = config::Config::defaults();
  const std::vector<std::string> opts{"MODEL.NUM_CLASSES", std::to_string(classes), "MODEL.CNN.WIDTHS",
                                      "[3, 5]"};
  c.merge_opts(opts);
  auto model = nn::models().make("cnn", c.group("MODEL"), {4, 4, 2});
  nn::initialize(*model, seed);
  return model;
}

void write(const fs::path& file, const StateDict& dict) {
  io::write_safetensors(file, dict, {}, Exit::weights);
}

bool equal(const Tensor& a, const Tensor& b) {
  return a.dtype() == b.dtype() && a.shape() == b.shape() &&
         std::equal(a.raw(), a.raw() + a.bytes(), b.raw());
}

/// Names of the tensors in which two models differ.
std::vector<std::string> differences(nn::Module& a, nn::Module& b) {
  const StateDict x = checkpoint::state_dict(a), y = checkpoint::state_dict(b);
  REQUIRE(x.size() == y.size());
  std::vector<std::string> names;
  for (size_t i = 0; i < x.size(); ++i) {
    REQUIRE(x[i].first == y[i].first);
    if (!equal(x[i].second, y[i].second)) names.push_back(x[i].first);
  }
  return names;
}

std::string refusal(nn::Model& model, const fs::path& file, const checkpoint::LoadOptions& options = {}) {
  return error_of([&] { checkpoint::load_weights(model, file, options); }, Exit::weights);
}

}  // namespace

TEST_CASE("a state dict has the ecosystem's names and layout") {
  const auto model = make(1);
  for (const auto& [name, p] : nn::parameters(*model)) {
    if (name != "blocks.0.conv.weight") continue;
    Tensor w = p->var.value();  // [O, KH, KW, I]
    REQUIRE(w.shape() == Shape{3, 3, 3, 2});
    for (int64_t i = 0; i < w.numel(); ++i) w.data<float>()[i] = static_cast<float>(i);
  }
  std::map<std::string, Tensor> dict;
  for (const auto& [name, t] : checkpoint::state_dict(*model)) dict[name] = t;

  const Tensor& w = dict.at("blocks.0.conv.weight");
  REQUIRE(w.shape() == Shape{3, 2, 3, 3});
  for (int64_t o = 0, e = 0; o < 3; ++o) {
    for (int64_t i = 0; i < 2; ++i) {
      for (int64_t y = 0; y < 3; ++y) {
        for (int64_t x = 0; x < 3; ++x, ++e)
          CHECK(w.data<float>()[e] == static_cast<float>(((o * 3 + y) * 3 + x) * 2 + i));
      }
    }
  }
  CHECK(dict.at("fc.weight").shape() == Shape{3, 5});
  CHECK(dict.at("blocks.1.bn.running_var").shape() == Shape{5});
  CHECK(dict.at("blocks.1.bn.num_batches_tracked").dtype() == DType::i64);
  CHECK(dict.at("blocks.1.bn.num_batches_tracked").shape() == Shape{});
  CHECK(dict.size() == 2 * 6 + 2);
}

TEST_CASE("what is saved comes back, and equal weights give equal bytes") {
  const TempFolder folder;
  const auto a = make(1), b = make(2);
  REQUIRE_FALSE(differences(*a, *b).empty());
  checkpoint::save_weights(*a, folder / "a");
  checkpoint::load_weights(*b, folder / "a");
  CHECK(differences(*a, *b).empty());
  CHECK(checkpoint::mismatches(*b, folder / "a").empty());
  checkpoint::save_weights(*b, folder / "b");
  CHECK(read_file(folder / "a", Exit::weights) == read_file(folder / "b", Exit::weights));
}

TEST_CASE("prefixes that wrappers add are dropped, where every name has them") {
  const TempFolder folder;
  const auto a = make(1), b = make(2);
  StateDict dict = checkpoint::state_dict(*a);
  for (auto& [name, t] : dict) name = "module.model." + name;
  write(folder / "a", dict);
  checkpoint::load_weights(*b, folder / "a");
  CHECK(differences(*a, *b).empty());

  dict.back().first = dict.back().first.substr(7);
  write(folder / "b", dict);
  CHECK_THAT(refusal(*b, folder / "b"), ContainsSubstring("missing     fc.weight"));
}

TEST_CASE("a classifier of another size keeps its initial values, if that is wanted") {
  const TempFolder folder;
  const auto a = make(1, 7), b = make(2), fresh = make(2);
  checkpoint::save_weights(*a, folder / "a");
  const std::string text = refusal(*b, folder / "a");
  CHECK_THAT(text, ContainsSubstring("fc.weight: the file has [7, 5], the model [3, 5]") &&
                       ContainsSubstring("fc.bias") && ContainsSubstring("2 tensors do not fit"));
  CHECK(differences(*b, *fresh).empty());

  checkpoint::load_weights(*b, folder / "a", {.replace_classifier = true});
  CHECK(differences(*b, *fresh) == std::vector<std::string>{"blocks.0.conv.weight", "blocks.1.conv.weight"});
}

TEST_CASE("missing, unexpected and misshapen tensors are listed together, and nothing is loaded") {
  const TempFolder folder;
  const auto a = make(1), b = make(2), fresh = make(2);
  StateDict dict = checkpoint::state_dict(*a);
  for (auto& [name, t] : dict) {
    if (name == "blocks.0.bn.weight") name = "blocks.0.norm.weight";
    if (name == "blocks.1.conv.weight") t = Tensor::zeros({5, 3, 1, 1});
  }
  write(folder / "a", dict);
  for (const bool replace : {false, true}) {
    CHECK_THAT(refusal(*b, folder / "a", {.replace_classifier = replace}),
               ContainsSubstring((folder / "a").string()) &&
                   ContainsSubstring("missing     blocks.0.bn.weight [3]") &&
                   ContainsSubstring("unexpected  blocks.0.norm.weight [3]") &&
                   ContainsSubstring("misshapen   blocks.1.conv.weight: the file has [5, 3, 1, 1], the model "
                                     "[5, 3, 3, 3]"));
  }
  CHECK(differences(*b, *fresh).empty());
  CHECK(checkpoint::mismatches(*b, folder / "a").size() == 3);
}

TEST_CASE("bf16 and f16 weights convert") {
  const TempFolder folder;
  const auto a = make(1), b = make(2), expected = make(1);
  for (const DType dtype : {DType::bf16, DType::f16, DType::f64}) {
    INFO(name_of(dtype));
    StateDict dict = checkpoint::state_dict(*a);
    for (auto& [name, t] : dict) {
      if (is_floating(t.dtype())) t = t.to(dtype);
    }
    write(folder / "a", dict);
    checkpoint::load_weights(*b, folder / "a");
    for (const auto& [name, p] : nn::parameters(*expected)) {
      for (const auto& [other, source] : nn::parameters(*a)) {
        Tensor memory = p->var.value();
        if (name == other) memory.copy_from(source->var.value().to(dtype).to(DType::f32));
      }
    }
    CHECK(differences(*b, *expected).empty());
  }
}

TEST_CASE("files without num_batches_tracked fit") {
  const TempFolder folder;
  const auto a = make(1), b = make(2);
  StateDict dict = checkpoint::state_dict(*a);
  std::erase_if(dict, [](const auto& entry) { return entry.first.ends_with("num_batches_tracked"); });
  write(folder / "a", dict);
  checkpoint::load_weights(*b, folder / "a");
  CHECK(differences(*a, *b).empty());
}
