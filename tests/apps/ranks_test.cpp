// The same training on several processes.
#include "tests/apps/program.h"

using namespace program;

namespace {

Outcome launch(int ranks, const Words& words, double seconds = 120) {
  Words all{BINARY_DIR "/bin/trainer-launch", "--nproc_per_node", std::to_string(ranks)};
  all.insert(all.end(), words.begin(), words.end());
  return Process(all).wait(seconds);
}

fs::path launch_run(int ranks, const fs::path& output, const std::string& tag, const Words& opts,
                    const std::string& model = "mlp") {
  Words words{"--cfg",
              TESTS_DIR "/../configs/digits/" + model + ".yaml",
              "--output",
              output.string(),
              "--tag",
              tag,
              "--opts",
              "THREADS",
              "1",
              "TRAIN.EPOCHS",
              "1",
              "PRINT_FREQ",
              "1",
              "DATA.BATCH_SIZE",
              std::to_string(64 / ranks)};
  words.insert(words.end(), opts.begin(), opts.end());
  const Outcome result = launch(ranks, words);
  INFO(result.err);
  REQUIRE(result.code == 0);
  return output / model / tag;
}

void compare(const fs::path& a, const fs::path& b, double tolerance) {
  const auto x = losses(a), y = losses(b);
  REQUIRE(x.size() == y.size());
  for (size_t i = 0; i < x.size(); ++i) CHECK(y[i] == Approx(x[i]).epsilon(tolerance));
}

/// To the launcher's child with LOCAL_RANK=1.
void send_to_rank1(const Process& launcher, int signal) {
  std::ifstream children(fmt::format("/proc/{0}/task/{0}/children", launcher.pid()));
  for (int pid = 0; children >> pid;) {
    const std::string environment = text_of("/proc/" + std::to_string(pid) + "/environ");
    if (environment.find(std::string("\0LOCAL_RANK=1\0", 14)) != std::string::npos) ::kill(pid, signal);
  }
}

/// Two ranks that train for long, once they have saved for the first time.
std::unique_ptr<Process> start_long_run(const fs::path& output, const Words& opts) {
  Words words{BINARY_DIR "/bin/trainer-launch",
              "--nproc_per_node",
              "2",
              "--cfg",
              mlp,
              "--output",
              output.string(),
              "--opts",
              "THREADS",
              "1",
              "DATA.BATCH_SIZE",
              "32",
              "TRAIN.EPOCHS",
              "100000"};
  words.insert(words.end(), opts.begin(), opts.end());
  auto process = std::make_unique<Process>(words);
  for (int i = 0; i < 6000 && !fs::exists(output / "mlp" / "default" / "checkpoints" / "latest"); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return process;
}

}  // namespace

TEST_CASE("two processes of batch 32 train as one of batch 64") {
  const TempFolder folder;
  const fs::path one = launch_run(1, folder.path(), "one", {"TRAIN.EPOCHS", "4"});
  const fs::path two = launch_run(2, folder.path(), "two", {"TRAIN.EPOCHS", "4"});
  CHECK(losses(one).size() == 88);
  compare(one, two, 1e-5);
  CHECK(metrics(one, "eval").back()["acc1"] == metrics(two, "eval").back()["acc1"]);
  CHECK(metrics(two, "eval").back()["samples"] == 360);
  CHECK(fs::exists(two / "log.rank1.txt"));
  CHECK_THAT(text_of(two / "derived.yaml"), ContainsSubstring("world_size: 2"));

  // Dropout masks belong to samples, not to processes; micro-batches and processes multiply.
  const Words dropout{"MODEL.DROP_RATE", "0.2"};
  compare(launch_run(1, folder.path(), "one-d", dropout), launch_run(2, folder.path(), "two-d", dropout),
          1e-5);
  compare(one,
          launch_run(2, folder.path(), "two-a",
                     {"TRAIN.EPOCHS", "4", "DATA.BATCH_SIZE", "16", "TRAIN.ACCUMULATION_STEPS", "2"}),
          1e-5);
}

TEST_CASE("with SyncBN two processes train the CNN as one does") {
  // Few steps: rounding grows tenfold every three or four of them, as between two runs with another number of
  // threads, and after twenty it has flipped ReLUs.
  const TempFolder folder;
  compare(launch_run(1, folder.path(), "one", {"TRAIN.MAX_STEPS", "10"}, "cnn"),
          launch_run(2, folder.path(), "two", {"TRAIN.MAX_STEPS", "10", "TRAIN.SYNC_BN", "True"}, "cnn"),
          1e-4);
  // 1437 samples: the sixth batch has 157, 79 of them on one process.
  const auto uneven = [&](int ranks, const std::string& tag, const std::string& sync) {
    return launch_run(ranks, folder.path(), tag,
                      {"DATA.BATCH_SIZE", std::to_string(256 / ranks), "DATA.DROP_LAST", "False",
                       "TRAIN.MAX_STEPS", "6", "TRAIN.SYNC_BN", sync},
                      "cnn");
  };
  const fs::path one = uneven(1, "one-u", "False");
  CHECK(losses(one).size() == 6);
  compare(one, uneven(2, "two-u", "True"), 1e-4);
}

TEST_CASE("evaluation counts each sample once on any number of processes") {
  const TempFolder folder;
  const fs::path run = launch_run(1, folder.path(), "one", {}, "cnn");
  std::vector<json> found;
  for (const int ranks : {1, 2, 3}) {
    const Outcome result =
        launch(ranks, {"--cfg", (run / "config.yaml").string(), "--eval", "--resume", run.string()});
    REQUIRE(result.code == 0);
    found.push_back(json::parse(result.out.substr(result.out.find('{'))));
  }
  for (const json& line : found) {
    CHECK(line["samples"] == 360);
    CHECK(line["acc1"] == found[0]["acc1"]);
    CHECK(line["acc5"] == found[0]["acc5"]);
    CHECK(line["loss"].get<double>() == Approx(found[0]["loss"].get<double>()).epsilon(1e-6));
  }
}

TEST_CASE(
    "two processes that are killed go on bit for bit, and on one process with the same order of samples") {
  const TempFolder folder;
  const Words opts{"TRAIN.EPOCHS", "3", "SAVE_STEPS", "10", "SAVE_KEEP", "100", "MODEL.DROP_RATE", "0.2"};
  const fs::path run = launch_run(2, folder.path(), "t", opts);
  const auto whole = losses(run);
  const std::string last = weights(run);
  const auto cut_back = [&] {  // to step 30
    for (const std::string& name : entries(run / "checkpoints")) {
      if (name.starts_with("step-") && name > "step-00000030") fs::remove_all(run / "checkpoints" / name);
    }
  };
  cut_back();
  launch_run(2, folder.path(), "t", opts);
  CHECK(losses(run) == whole);
  CHECK(weights(run) == last);

  cut_back();
  launch_run(1, folder.path(), "t", opts);
  const auto alone = losses(run);
  REQUIRE(alone.size() == whole.size());
  for (size_t i = 0; i < whole.size(); ++i) CHECK(alone[i] == Approx(whole[i]).epsilon(1e-5));
}

TEST_CASE("a rank that is killed ends the run at once, and a restart goes on from the checkpoint") {
  const TempFolder folder;
  Words words{BINARY_DIR "/bin/trainer-launch",
              "--nproc_per_node",
              "2",
              "--max-restarts",
              "1",
              "--cfg",
              mlp,
              "--output",
              folder.path().string(),
              "--tag",
              "t",
              "--opts",
              "THREADS",
              "1",
              "DATA.BATCH_SIZE",
              "32",
              "TRAIN.EPOCHS",
              "20",
              "SAVE_STEPS",
              "20"};
  succeed(
      {"--cfg", mlp, "--output", folder.path().string(), "--tag", "none", "--opts", "TRAIN.MAX_STEPS", "1"});
  Process process(words);
  const fs::path run = folder / "mlp" / "t";
  for (int i = 0; i < 6000 && !fs::exists(run / "checkpoints" / "latest"); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  send_to_rank1(process, SIGKILL);
  const Outcome result = process.wait(120);
  INFO(result.err);
  CHECK(result.code == 0);
  CHECK_THAT(result.err, ContainsSubstring("SIGKILL"));
  CHECK(losses(run).size() == 44);
}

TEST_CASE("a rank that is stopped is named, with what the others wait in") {
  const TempFolder folder;
  const auto process = start_long_run(folder.path(), {"COMM.TIMEOUT", "2"});
  send_to_rank1(*process, SIGSTOP);
  const Outcome result = process->wait(60);
  INFO(result.err);
  CHECK(result.code == 134);
  const std::string text = result.err.substr(result.err.find("error: "));
  CHECK_THAT(text, ContainsSubstring("all_reduce") && ContainsSubstring("has waited 2 s for rank 1"));
  CHECK_THAT(text, ContainsSubstring("stopped"));
}

TEST_CASE("SIGTERM to one rank saves the run and ends all of them") {
  const TempFolder folder;
  const auto process = start_long_run(folder.path(), {"SAVE_FREQ", "0"});
  send_to_rank1(*process, SIGTERM);
  const Outcome result = process->wait(60);
  INFO(result.err);
  CHECK(result.code == 143);
  CHECK_THAT(result.err, ContainsSubstring("and saved"));
  const fs::path run = folder / "mlp" / "default";
  CHECK(metrics(run, "train").back()["step"] == std::stoll(checkpoint(run).filename().string().substr(5)));
}

TEST_CASE("two jobs of two ranks in one directory: the second says whose it is, once") {
  const TempFolder folder;
  const auto first = start_long_run(folder.path(), {});
  const Outcome second =
      launch(2, {"--cfg", mlp, "--output", folder.path().string(), "--opts", "DATA.BATCH_SIZE", "32"});
  CHECK(second.code == 2);
  const size_t at = second.err.find("error: ");
  REQUIRE(at != std::string::npos);
  CHECK_THAT(second.err.substr(at), ContainsSubstring((folder / "mlp" / "default").string()));
  CHECK(second.err.find("error: ", at + 1) == std::string::npos);
}
