// trainer --cfg ...: what a run leaves behind, and what must not change it.
#include "tests/apps/program.h"

using namespace program;

TEST_CASE("a run directory holds what the contract says") {
  const TempFolder folder;
  const fs::path run = train_mlp(folder.path(), "t", {"DATA.BATCH_SIZE", "32", "PRINT_FREQ", "10"});
  CHECK(entries(run) == std::set<std::string>{".lock", "config.yaml", "derived.yaml", "metrics.jsonl",
                                              "log.txt", "tb", "checkpoints"});
  CHECK(entries(run / "tb").size() == 1);
  CHECK(entries(run / "checkpoints") == std::set<std::string>{".run", "step-00000044", "latest", "best"});
  CHECK(entries(checkpoint(run)) ==
        std::set<std::string>{"model.safetensors", "state.safetensors", "state.json", "MANIFEST.json"});
  CHECK(checkpoint(run, "best") == checkpoint(run));
  CHECK_THAT(text_of(run / "derived.yaml"), ContainsSubstring("steps_per_epoch: 44"));
  CHECK_THAT(text_of(run / "log.txt"), ContainsSubstring("85,002 parameters"));

  const auto train = metrics(run, "train"), eval = metrics(run, "eval");
  REQUIRE(train.size() == 5);
  const std::set<std::string> keys{"kind", "step",          "epoch",     "loss",
                                   "lr",   "samples_per_s", "grad_norm", "loss_scale"};
  for (const json& line : train) {
    std::set<std::string> found;
    for (const auto& [key, value] : line.items()) {
      found.insert(key);
      if (key != "kind") CHECK(value.is_number());
    }
    CHECK(found == keys);
    CHECK(line["epoch"] == 0);
    CHECK(line["loss_scale"] == 1.0);
  }
  CHECK(train[0]["step"] == 10);
  CHECK(train[4]["step"] == 44);
  REQUIRE(eval.size() == 1);
  CHECK(eval[0]["step"] == 44);
  CHECK(eval[0]["samples"] == 360);
  CHECK(eval[0]["acc1"].get<double>() > 0.5);
  CHECK(eval[0]["acc5"].get<double>() >= eval[0]["acc1"].get<double>());

  SECTION("evaluating the saved weights gives the logged numbers") {
    const Outcome result =
        succeed({"--cfg", (run / "config.yaml").string(), "--eval", "--pretrained",
                 (checkpoint(run) / "model.safetensors").string(), "--output", (folder / "none").string()});
    const json found = json::parse(result.out);
    for (const char* key : {"loss", "acc1", "acc5", "samples"}) CHECK(found.at(key) == eval[0].at(key));
    CHECK_FALSE(fs::exists(folder / "none"));
  }
  SECTION("a finished run says so") {
    const std::string before = text_of(run / "metrics.jsonl");
    const Outcome again = succeed({"--cfg", (run / "config.yaml").string()});
    CHECK_THAT(again.err, ContainsSubstring("finished"));
    CHECK(text_of(run / "metrics.jsonl") == before);
  }
  SECTION("a run is not begun again where one has been") {
    const std::string text =
        message_of(Exit::usage, {"--cfg", (run / "config.yaml").string(), "--resume", "none"});
    CHECK_THAT(text, ContainsSubstring(run.string()) && ContainsSubstring("--tag"));
  }
}

TEST_CASE("config.yaml again is the same run, bit for bit") {
  const TempFolder folder;
  const fs::path first = train_mlp(folder.path(), "first", {"PRINT_FREQ", "1"});
  succeed({"--cfg", (first / "config.yaml").string(), "--tag", "second"});
  const fs::path second = folder / "mlp" / "second";
  CHECK(losses(first).size() == 22);
  CHECK(losses(first) == losses(second));
  CHECK(weights(first) == weights(second));
}

TEST_CASE("the number of loader workers changes nothing") {
  const TempFolder folder;
  const fs::path none = train_mlp(folder.path(), "none", {"DATA.NUM_WORKERS", "0"});
  const fs::path four = train_mlp(folder.path(), "four", {"DATA.NUM_WORKERS", "4"});
  CHECK(weights(none) == weights(four));
}

TEST_CASE("DETERMINISTIC: the number of threads changes nothing") {
  const TempFolder folder;
  const auto train = [&](const std::string& threads, const std::string& type) {
    const std::string tag = type + "-" + threads;
    succeed({"--cfg", TESTS_DIR "/../configs/digits/cnn.yaml", "--output", folder.path().string(), "--tag",
             tag, "--opts", "DETERMINISTIC", "True", "THREADS", threads, "AMP_ENABLE", "True", "AMP.DTYPE",
             type, "TRAIN.MAX_STEPS", "8", "PRINT_FREQ", "1"});
    return folder / "cnn" / tag;
  };
  for (const char* type : {"f32", "bf16"}) {
    const fs::path one = train("1", type), three = train("3", type);
    CHECK(losses(one).size() == 8);
    CHECK(losses(one) == losses(three));
    CHECK(weights(one) == weights(three));
  }
}

TEST_CASE("the seed changes the run") {
  const TempFolder folder;
  const fs::path a = train_mlp(folder.path(), "a", {"TRAIN.MAX_STEPS", "2"});
  const fs::path b = train_mlp(folder.path(), "b", {"TRAIN.MAX_STEPS", "2", "SEED", "1"});
  CHECK(weights(a) != weights(b));
}

TEST_CASE("two micro-batches of 32 are one batch of 64") {
  const TempFolder folder;
  const fs::path whole = train_mlp(folder.path(), "whole", {"PRINT_FREQ", "1"});
  const fs::path halves = train_mlp(
      folder.path(), "halves", {"PRINT_FREQ", "1", "DATA.BATCH_SIZE", "32", "TRAIN.ACCUMULATION_STEPS", "2"});
  const auto a = losses(whole), b = losses(halves);
  REQUIRE(a.size() == b.size());
  for (size_t i = 0; i < a.size(); ++i) CHECK(b[i] == Approx(a[i]).epsilon(1e-5));
}

TEST_CASE("the best checkpoint is kept beside the last") {
  const TempFolder folder;
  // The rate of the second epoch ruins what the first has learned.
  const fs::path run = train_mlp(
      folder.path(), "t",
      {"TRAIN.EPOCHS", "2", "TRAIN.LR_SCHEDULER.NAME", "multistep", "TRAIN.LR_SCHEDULER.MULTISTEPS", "[1]",
       "TRAIN.LR_SCHEDULER.GAMMA", "1000.0", "TRAIN.CLIP_GRAD", "0.0", "TRAIN.WARMUP_EPOCHS", "0"});
  CHECK(checkpoint(run, "best").filename() == "step-00000022");
  CHECK(checkpoint(run, "latest").filename() == "step-00000044");
  CHECK(entries(run / "checkpoints").size() == 5);
}

TEST_CASE("data without labels of classes: errors, and the lowest is the best") {
  const TempFolder folder;
  const auto write = [&](const char* name, int64_t count) {
    const std::vector<std::pair<std::string, trainer::Tensor>> all{
        {"features", trainer::Tensor::full({count, 3}, 1)},
        {"targets", trainer::Tensor::full({count, 1}, 2)}};
    trainer::io::write_safetensors(folder / name, all, {}, Exit::internal);
  };
  write("train.safetensors", 64);
  write("val.safetensors", 8);
  const fs::path run =
      train_mlp(folder.path(), "t",
                {"DATA.DATASET", "tensors", "DATA.DATA_PATH", folder.path().string(), "DATA.BATCH_SIZE", "8",
                 "MODEL.NUM_CLASSES", "1", "MODEL.MLP.HIDDEN", "[4]", "TRAIN.EPOCHS", "4"});
  const auto eval = metrics(run, "eval");
  REQUIRE(eval.size() == 4);
  size_t lowest = 0;
  for (size_t i = 0; i < eval.size(); ++i) {
    CHECK(eval[i].contains("mae"));
    if (eval[i]["mse"] < eval[lowest]["mse"]) lowest = i;
  }
  CHECK(eval[lowest]["mse"] < eval[0]["mse"]);
  CHECK(checkpoint(run, "best").filename() == fmt::format("step-{:08}", eval[lowest]["step"].get<int64_t>()));
}

TEST_CASE("without validation data nothing is evaluated, said once") {
  const TempFolder folder;
  write_images(folder / "train.safetensors", 64);
  const Outcome result = succeed(
      mlp_words(folder.path(), "t", {"DATA.DATASET", "tensors", "DATA.DATA_PATH", folder.path().string()}));
  CHECK_THAT(result.err, ContainsSubstring("no validation data"));
  CHECK(metrics(folder / "mlp" / "t", "eval").empty());
}

TEST_CASE("two jobs cannot write one run directory") {
  const TempFolder folder;
  Words words = mlp_words(folder.path(), "t", {"TRAIN.EPOCHS", "100000"});
  Process first(command(words));
  const fs::path log = folder / "mlp" / "t" / "log.txt";
  for (int i = 0; i < 2000 && !fs::exists(log); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  REQUIRE(fs::exists(log));
  const std::string text = message_of(Exit::usage, words);
  CHECK_THAT(text, ContainsSubstring(std::to_string(first.pid())));
}
