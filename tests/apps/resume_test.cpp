// Runs that are killed, asked to stop, or taken up again with something else.
#include <random>

#include "lib/base/system.h"
#include "tests/apps/program.h"

using namespace program;

namespace {

/// Four epochs of the MLP with dropout, a checkpoint every five steps and after each epoch.
Words long_words(const fs::path& output, const std::string& tag, const Words& opts = {}) {
  Words words = mlp_words(
      output, tag, {"TRAIN.EPOCHS", "4", "MODEL.DROP_RATE", "0.2", "SAVE_STEPS", "5", "PRINT_FREQ", "7"});
  words.insert(words.end(), opts.begin(), opts.end());
  return words;
}

/// The lines of metrics.jsonl without what time decides.
std::vector<json> timeless(const fs::path& run) {
  std::vector<json> lines;
  for (const char* kind : {"train", "eval"}) {
    for (json& line : metrics(run, kind)) {
      line.erase("samples_per_s");
      lines.push_back(std::move(line));
    }
  }
  return lines;
}

bool reached(const fs::path& run, int64_t step) {
  for (const std::string& name :
       fs::exists(run / "checkpoints") ? entries(run / "checkpoints") : std::set<std::string>{}) {
    if (name.starts_with("step-") && name.find("tmp") == name.npos && std::stoll(name.substr(5)) >= step)
      return true;
  }
  return false;
}

void wait_for_step(const fs::path& run, int64_t step) {
  for (const double end = trainer::now() + 60; !reached(run, step);) {
    REQUIRE(trainer::now() < end);
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

}  // namespace

TEST_CASE("killed twice at random moments, a run ends with the weights of one that was not") {
  const TempFolder folder;
  const double begin = trainer::now();
  succeed(long_words(folder.path(), "whole"));
  const double whole_seconds = trainer::now() - begin;
  const fs::path whole = folder / "mlp" / "whole";
  std::mt19937 random(std::random_device{}());
  std::uniform_real_distribution<> moment(0.05 * whole_seconds, 0.9 * whole_seconds);
  for (int round = 0; round < 20; ++round) {
    CAPTURE(round);
    const std::string tag = "round" + std::to_string(round);
    for (int kill = 0; kill < 2; ++kill) {
      Process run(
          command(long_words(folder.path(), tag, {"DATA.NUM_WORKERS", kill == round % 2 ? "4" : "0"})));
      std::this_thread::sleep_for(std::chrono::duration<double>(moment(random)));
    }  // SIGKILL
    succeed(long_words(folder.path(), tag, {"DATA.NUM_WORKERS", round % 3 == 0 ? "4" : "0"}));
    const fs::path run = folder / "mlp" / tag;
    CHECK(weights(run) == weights(whole));
    CHECK(text_of(checkpoint(run) / "state.safetensors") == text_of(checkpoint(whole) / "state.safetensors"));
    CHECK(timeless(run) == timeless(whole));
    for (const std::string& name : entries(run / "checkpoints")) CHECK_THAT(name, !ContainsSubstring("tmp"));
  }
}

TEST_CASE("a run that was killed before its pointers were written points at its checkpoints again") {
  const TempFolder folder;
  const Words words = long_words(folder.path(), "t");
  succeed(words);
  const fs::path run = folder / "mlp" / "t";
  const fs::path last = checkpoint(run), best = checkpoint(run, "best");
  REQUIRE(last.filename() == "step-00000088");
  const auto lose = [&](const std::string& pointer) {
    for (const std::string& name : entries(run / "checkpoints")) {
      if (name.starts_with("step-") && run / "checkpoints" / name != last)
        trainer::write_file_atomically(run / "checkpoints" / pointer, name, trainer::Exit::weights);
    }
  };
  lose("latest");
  fs::remove(run / "checkpoints" / "best");
  REQUIRE(checkpoint(run) != last);
  CHECK_THAT(succeed(words).err, ContainsSubstring("nothing to do"));  // finished
  CHECK(checkpoint(run) == last);
  CHECK(checkpoint(run, "best") == best);

  lose("latest");
  succeed(long_words(folder.path(), "t", {"TRAIN.EPOCHS", "5", "TRAIN.MAX_STEPS", "89"}));  // goes on
  CHECK(checkpoint(run).filename() == "step-00000089");
}

TEST_CASE("SIGTERM and SIGINT save and end, SIGUSR1 saves and goes on") {
  const TempFolder folder;
  const Words words =
      long_words(folder.path(), "t", {"TRAIN.EPOCHS", "100000", "SAVE_STEPS", "0", "SAVE_FREQ", "0"});
  const fs::path run = folder / "mlp" / "t";
  const auto lines = [&] { return fs::exists(run / "metrics.jsonl") ? metrics(run, "train").size() : 0; };
  int64_t last = 0;
  for (const auto& [signal, code] : std::vector<std::pair<int, int>>{{SIGTERM, 143}, {SIGINT, 130}}) {
    const size_t before = lines();
    Process process(command(words));
    for (const double end = trainer::now() + 60; lines() <= before;) {
      REQUIRE(trainer::now() < end);
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    ::kill(process.pid(), SIGUSR1);
    wait_for_step(run, last + 1);
    ::kill(process.pid(), signal);
    const Outcome result = process.wait();
    CHECK(result.code == code);
    CHECK_THAT(result.err, ContainsSubstring("the same command goes on from there"));
    const int64_t step = std::stoll(checkpoint(run).filename().string().substr(5));
    CHECK(step > last);
    last = step;
  }
}

TEST_CASE("a run that is stopped and continued is the run that was not") {
  const TempFolder folder;
  const Words opts{"SAVE_STEPS", "0", "SAVE_FREQ", "0", "TRAIN.EPOCHS", "30"};
  succeed(long_words(folder.path(), "whole", opts));
  const fs::path run = folder / "mlp" / "stopped";
  int stops = 0;
  for (int code = 143; code == 143; ++stops) {
    Process process(command(long_words(folder.path(), "stopped", opts)));
    std::this_thread::sleep_for(
        std::chrono::milliseconds(150 + 10 * stops));  // slow programs get further, too
    ::kill(process.pid(), SIGTERM);
    code = process.wait().code;
    REQUIRE((code == 143 || code == 0));
    REQUIRE(stops < 100);
  }
  CHECK(weights(run) == weights(folder / "mlp" / "whole"));
  CHECK(timeless(run) == timeless(folder / "mlp" / "whole"));
}

TEST_CASE("what has changed since the checkpoint is shown, or refused") {
  const TempFolder folder;
  succeed(long_words(folder.path(), "t", {"TRAIN.MAX_STEPS", "30"}));
  const std::string refused =
      message_of(Exit::usage, long_words(folder.path(), "t", {"SEED", "1", "MODEL.MLP.HIDDEN", "[32]"}));
  CHECK_THAT(refused, ContainsSubstring("SEED: 0 -> 1") && ContainsSubstring("MODEL.MLP.HIDDEN"));
  CHECK_THAT(message_of(Exit::usage, long_words(folder.path(), "t", {"DATA.BATCH_SIZE", "32"})),
             ContainsSubstring("global batch: 64 -> 32"));

  const Outcome longer =
      succeed(long_words(folder.path(), "t", {"TRAIN.EPOCHS", "5", "DATA.NUM_WORKERS", "1"}));
  CHECK_THAT(longer.err, ContainsSubstring("TRAIN.EPOCHS: 4 -> 5") && ContainsSubstring("DATA.NUM_WORKERS"));
  CHECK_THAT(longer.err, ContainsSubstring("continuing after step 30"));
  CHECK(checkpoint(folder / "mlp" / "t").filename() == "step-00000110");
}

TEST_CASE("flag --resume PATH forks a run, and evaluates a checkpoint") {
  const TempFolder folder;
  succeed(long_words(folder.path(), "a", {"SAVE_KEEP", "100"}));
  const fs::path a = folder / "mlp" / "a", middle = a / "checkpoints" / "step-00000044";
  Words fork = long_words(folder.path(), "b");
  fork.insert(fork.end(), {"--resume", middle.string()});
  succeed(fork);
  CHECK(weights(folder / "mlp" / "b") == weights(a));
  CHECK(text_of(folder / "mlp" / "b" / "config.yaml").find(middle.string()) == std::string::npos);

  Words back = long_words(folder.path(), "a");
  back.insert(back.end(), {"--resume", middle.string()});
  CHECK_THAT(message_of(Exit::usage, back), ContainsSubstring("--tag"));
  Words nowhere = long_words(folder.path(), "c");
  nowhere.insert(nowhere.end(), {"--resume", (folder / "nowhere").string()});
  CHECK_THAT(message_of(Exit::weights, nowhere), ContainsSubstring("nowhere"));

  Words evaluation = long_words(folder.path(), "none");
  evaluation.insert(evaluation.end(), {"--eval", "--resume"});
  for (const auto& [named, step] :
       std::vector<std::pair<fs::path, int>>{{middle, 44}, {a, 88}, {a / "checkpoints" / "latest", 88}}) {
    Words words = evaluation;
    words.push_back(named.string());
    const json found = json::parse(succeed(words).out);
    for (const json& line : metrics(a, "eval")) {
      if (line["step"] == step) CHECK(found["loss"] == line["loss"]);
    }
  }
  const Outcome listed = succeed({"inspect", a.string()});
  CHECK_THAT(listed.out, ContainsSubstring("head.weight"));
}

TEST_CASE("a fork that is killed before its first checkpoint begins again where it began") {
  const TempFolder folder;
  succeed(long_words(folder.path(), "a", {"SAVE_KEEP", "100"}));
  const fs::path middle = folder / "mlp" / "a" / "checkpoints" / "step-00000044", b = folder / "mlp" / "b";
  Words fork = long_words(folder.path(), "b", {"PRINT_FREQ", "1"});
  fork.insert(fork.end(), {"--resume", middle.string()});
  succeed(fork);
  const auto once = losses(b);
  CHECK(fs::exists(b / "checkpoints" / "best"));
  for (const std::string& name : entries(b / "checkpoints")) {
    if (name.starts_with("step-")) fs::remove_all(b / "checkpoints" / name);
  }
  succeed(fork);
  CHECK(losses(b) == once);
}

TEST_CASE("where no checkpoint is intact, nothing is begun that would lose them") {
  const TempFolder folder;
  succeed(long_words(folder.path(), "t", {"TRAIN.MAX_STEPS", "12"}));
  const fs::path run = folder / "mlp" / "t";
  const std::string before = text_of(run / "metrics.jsonl");
  for (const std::string& name : entries(run / "checkpoints")) {
    if (name.starts_with("step-")) fs::remove(run / "checkpoints" / name / "state.json");
  }
  const Outcome result = outcome_of(long_words(folder.path(), "t"));
  CHECK(result.code == 4);
  CHECK_THAT(result.err, ContainsSubstring("none that can be read and is intact"));
  CHECK(text_of(run / "metrics.jsonl") == before);
  for (const char* named : {"", "checkpoints/latest"}) {
    Words evaluation = long_words(folder.path(), "none");
    evaluation.insert(evaluation.end(), {"--eval", "--resume", (run / named).string()});
    CHECK(outcome_of(evaluation).code == 4);
  }
}

TEST_CASE("flag --eval takes the run's newest checkpoint") {
  const TempFolder folder;
  succeed(long_words(folder.path(), "t"));
  Words evaluation = long_words(folder.path(), "t");
  evaluation.push_back("--eval");
  const json found = json::parse(succeed(evaluation).out);
  CHECK(found["loss"] == metrics(folder / "mlp" / "t", "eval").back()["loss"]);
  evaluation = long_words(folder.path(), "none");
  evaluation.push_back("--eval");
  CHECK_THAT(succeed(evaluation).err, ContainsSubstring("without weights"));
}

TEST_CASE("a broken checkpoint is skipped, with a warning") {
  const TempFolder folder;
  succeed(long_words(folder.path(), "t", {"TRAIN.MAX_STEPS", "30"}));
  const fs::path run = folder / "mlp" / "t";
  const fs::path newest = checkpoint(run);
  fs::resize_file(newest / "model.safetensors", fs::file_size(newest / "model.safetensors") - 1);
  const Outcome again = succeed(long_words(folder.path(), "t", {"TRAIN.MAX_STEPS", "30"}));
  CHECK_THAT(again.err, ContainsSubstring("warning: ") && ContainsSubstring(newest.string()));
  CHECK_THAT(again.err, ContainsSubstring("continuing after step 25"));
}
