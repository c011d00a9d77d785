// trainer --dry-run: layers, groups, schedule, memory, communication.
#include <thread>

#include "tests/apps/program.h"

using namespace program;

namespace {

const std::string cnn = TESTS_DIR "/../configs/digits/cnn.yaml";

Words dry(const Words& words, const Words& opts = {}) {
  Words all{"--dry-run"};
  all.insert(all.end(), words.begin(), words.end());
  if (!opts.empty()) all.emplace_back("--opts");
  all.insert(all.end(), opts.begin(), opts.end());
  return all;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::stringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

/// The line that begins with `name`, whatever stands before it.
std::string line_of(const std::string& text, const std::string& name) {
  for (const std::string& line : lines_of(text)) {
    const auto at = line.find_first_not_of(' ');
    if (at != line.npos && line.compare(at, name.size(), name) == 0) return line;
  }
  FAIL("no line '" << name << "' in\n" << text);
  return {};
}

/// Bytes of a line of the memory table.
double bytes_of(const std::string& text, const std::string& name) {
  const std::string line = line_of(text, name);
  const auto unit = line.find(" MB");
  REQUIRE(unit != line.npos);
  return 1e6 * std::stod(line.substr(line.rfind(' ', unit - 1)));
}

std::string succeed_in(const std::vector<std::string>& environment, const Words& words) {
  const Outcome result = Process(command(words), environment).wait();
  INFO(result.err);
  REQUIRE(result.code == 0);
  return result.out;
}

/// How much --throughput takes.
double measured_peak(Words words) {
  words.insert(words.begin(), {"--throughput", "--seconds", "0.01"});
  const Outcome result = outcome_of(words, 280);
  INFO(result.err);
  REQUIRE(result.code == 0);
  return json::parse(lines_of(result.out).back()).at("peak_bytes");
}

/// The largest resident set that a program has had just before it ended.
double watched_peak(const Words& words) {
  Process process(command(words));
  double peak = 0;
  while (true) {
    std::ifstream status("/proc/" + std::to_string(process.pid()) + "/status");
    std::string line;
    while (std::getline(status, line) && !line.starts_with("VmHWM:")) {
    }
    if (line.empty() || !line.starts_with("VmHWM:")) break;  // it has ended
    peak = 1024 * std::stod(line.substr(6));
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  const Outcome result = process.wait();
  INFO(result.err);
  REQUIRE(result.code == 0);
  return peak;
}

/// Rows of `trainer bench` whose steps take a second at most; scripts/bench/memory checks all of them.
void check_rows(const std::string& dtype) {
  const json rows = json::parse(succeed({"bench", "--list", "--json"}).out);
  for (const json& r : rows) {
    if (!r["commands"].contains(dtype) || r["row"] == "resnet50" || r["row"] == "vit_small") continue;
    std::stringstream list(r["commands"][dtype].get<std::string>());
    Words words;
    std::string word;
    for (list >> word >> word; list >> word;) words.push_back(word);  // without "trainer --throughput"
    const double planned = bytes_of(succeed(dry(words)).out, "a training step");
    INFO(r["row"]);
    CHECK(planned == Approx(measured_peak(words)).epsilon(0.1));
  }
}

}  // namespace

TEST_CASE("plan: layers, totals and groups") {
  const TempFolder folder;
  const std::string text = succeed(dry({"--cfg", cnn, "--output", (folder / "output").string()})).out;
  CHECK_THAT(line_of(text, "total"), ContainsSubstring(" 94,186 "));
  CHECK_THAT(line_of(text, "fc"), ContainsSubstring("Linear(") && ContainsSubstring("64x10"));
  CHECK_THAT(line_of(text, "cnn:"), ContainsSubstring("94,186 parameters, 2.4 M MACs a sample"));
  CHECK_THAT(text, ContainsSubstring("learning rate 0.003, weight decay 0.05\n") &&
                       ContainsSubstring("learning rate 0.003, weight decay 0\n"));
  CHECK_THAT(line_of(text, "steps"), ContainsSubstring("20 epochs of 22 steps = 440 steps"));
  CHECK_THAT(line_of(text, "effective batch"), ContainsSubstring("64 = 64 x 1 rank x 1 accumulated"));
  CHECK_THAT(line_of(text, "warm-up"), ContainsSubstring("1 epoch = 22 steps"));
  CHECK_THAT(line_of(text, "communication"), ContainsSubstring("none"));
  CHECK_FALSE(fs::exists(folder / "output"));

  const std::string frozen = succeed(dry({"--cfg", mlp}, {"TRAIN.FREEZE", "[backbone]"})).out;
  CHECK_THAT(frozen, ContainsSubstring("  frozen\n") && ContainsSubstring("layers.*.weight layers.*.bias"));
  CHECK_THAT(frozen, ContainsSubstring("1 tensor, 2,560 parameters") && ContainsSubstring("head.weight"));
}

TEST_CASE("plan: every line fits a terminal of 80 columns") {
  const std::string text =
      succeed_in({"COLUMNS=80", "LC_ALL=C.UTF-8"}, dry({"--cfg", cnn, "--world-size", "8"}));
  for (const std::string& line : lines_of(text)) {
    INFO(line);
    const auto characters =
        std::count_if(line.begin(), line.end(), [](char c) { return (c & 0xC0) != 0x80; });
    CHECK(characters <= 80);
  }
}

TEST_CASE("plan: the schedule as a picture, by the locale") {
  const auto plot = [](const std::string& locale) {
    return succeed_in({"COLUMNS=80", "LC_ALL=" + locale}, dry({"--cfg", mlp}));
  };
  const std::string blocks = plot("C.UTF-8"), ascii = plot("C");
  CHECK_THAT(blocks, ContainsSubstring("█"));
  CHECK(std::all_of(ascii.begin(), ascii.end(), [](char c) { return c > 0; }));
  // A warm-up of one epoch in twenty, on the axis and as the lowest bars.
  CHECK_THAT(ascii, ContainsSubstring("0 +====-"));
  CHECK_THAT(line_of(ascii, "epoch"), ContainsSubstring(" 5 ") && ContainsSubstring(" 20"));
  CHECK_THAT(line_of(ascii, "step "), ContainsSubstring(" 110 ") && ContainsSubstring(" 440"));
  CHECK_THAT(line_of(ascii, "0.00"), ContainsSubstring("####"));
}

TEST_CASE("plan: the schedule as CSV is what training uses") {
  const TempFolder folder;
  const Words opts{"TRAIN.MAX_STEPS", "30", "PRINT_FREQ", "1", "THREADS", "1"};
  const fs::path file = folder / "lr.csv";
  succeed(dry({"--cfg", mlp, "--schedule", file.string()}, opts));
  const auto lines = lines_of(text_of(file));
  REQUIRE(lines.size() == 31);
  CHECK(lines[0] == "step,epoch,lr");
  Words words{"--cfg", mlp, "--output", folder.path().string(), "--opts"};
  words.insert(words.end(), opts.begin(), opts.end());
  succeed(words);
  const auto trained = metrics(folder / "mlp" / "default", "train");
  REQUIRE(trained.size() == 30);
  for (size_t i = 0; i < 30; ++i) {
    int64_t step = 0, epoch = 0;
    double lr = 0;
    REQUIRE(std::sscanf(lines[i + 1].c_str(), "%ld,%ld,%lf", &step, &epoch, &lr) == 3);
    CHECK(trained[i].at("step") == step);
    CHECK(trained[i].at("epoch") == epoch);
    CHECK(trained[i].at("lr").get<double>() == Approx(lr).epsilon(1e-6));
  }
  CHECK_THAT(message_of(Exit::usage, dry({"--cfg", mlp, "--schedule", (folder / "no" / "lr.csv").string()})),
             ContainsSubstring("lr.csv"));
}

TEST_CASE("plan: --world-size and --schedule are for --dry-run") {
  CHECK_THAT(message_of(Exit::usage, {"--cfg", mlp, "--world-size", "4"}),
             ContainsSubstring("--world-size is for --dry-run") && ContainsSubstring("--nproc_per_node 4"));
  CHECK_THAT(message_of(Exit::usage, {"--cfg", mlp, "--throughput", "--schedule", "x.csv"}),
             ContainsSubstring("--schedule is for --dry-run"));
  for (const std::string bad : {"0", "-1", "x", "1.5"})
    CHECK_THAT(message_of(Exit::usage, dry({"--cfg", mlp, "--world-size", bad})),
               ContainsSubstring("--world-size " + bad + ": expected a whole number from 1 to "));
  CHECK_FALSE(fs::exists("x.csv"));
}

TEST_CASE("plan: communication of several ranks") {
  const std::string text = succeed(dry({"--cfg", cnn, "--world-size", "4"},
                                       {"DATA.BATCH_SIZE", "16", "TRAIN.ACCUMULATION_STEPS", "2",
                                        "TRAIN.LR_SCALING", "linear", "TRAIN.LR_REFERENCE_BATCH", "64"}))
                               .out;
  CHECK_THAT(line_of(text, "communication"), ContainsSubstring("of 4 ranks"));
  // 94,186 parameters and the padding between them, of 4 bytes.
  CHECK_THAT(text, ContainsSubstring("0.4 MB a step in 1 bucket,"));
  CHECK_THAT(line_of(text, "each rank sends"), ContainsSubstring("0.6 MB a step"));
  CHECK_THAT(line_of(text, "steps"), ContainsSubstring("20 epochs of 11 steps = 220 steps"));
  CHECK_THAT(text, ContainsSubstring("128 = 16 x 4 ranks x 2 accumulated"));
  CHECK_THAT(text, ContainsSubstring("0.006 (LR_SCALING linear; one rank: 0.0015)"));
  CHECK_THAT(text, !ContainsSubstring("SYNC_BN"));

  // Three batch norms of 32, 64 and 128 channels: two numbers a channel in each direction, f64 and f32.
  const std::string synchronised =
      succeed(dry({"--cfg", cnn, "--world-size", "2"}, {"TRAIN.SYNC_BN", "True"})).out;
  CHECK_THAT(line_of(synchronised, "batch norm"), ContainsSubstring("6 sums a step"));
  const std::string launched = succeed_in({"RANK=0", "WORLD_SIZE=3", "LOCAL_RANK=0", "LOCAL_WORLD_SIZE=3",
                                           "MASTER_ADDR=127.0.0.1", "MASTER_PORT=29999"},
                                          dry({"--cfg", mlp}));
  CHECK_THAT(launched, ContainsSubstring("communication of 3 ranks"));
  CHECK(succeed_in({"RANK=1", "WORLD_SIZE=3", "LOCAL_RANK=1", "LOCAL_WORLD_SIZE=3", "MASTER_ADDR=127.0.0.1",
                    "MASTER_PORT=29999"},
                   dry({"--cfg", mlp}))
            .empty());
}

TEST_CASE("plan: buckets of a larger model add up to its gradients") {
  const std::string text =
      succeed(dry({"--world-size", "8"}, {"MODEL.NAME", "resnet18", "DATA.DATASET", "synthetic", "AUG.ENABLE",
                                          "False", "DATA.IMG_SIZE", "64", "DATA.BATCH_SIZE", "8"}))
          .out;
  CHECK_THAT(text, ContainsSubstring("46.8 MB a step in "));
  const auto begin = text.find("complete", text.find("46.8 MB a step in ")), from = text.find(':', begin) + 1;
  std::stringstream list(text.substr(from, text.find("MB", from) - from));
  double sum = 0;
  for (std::string word; list >> word;) {
    if (word.front() >= '0' && word.front() <= '9') {
      const double size = std::stod(word);
      CHECK(size <= 26.3);
      sum += size;
    }
  }
  CHECK(sum == Approx(46.8).margin(0.3));
  CHECK_THAT(text, ContainsSubstring("81.8 MB a step"));  // 2 x 7/8
}

TEST_CASE("plan: the memory of a step is what it takes") {
  for (const std::string& config : {mlp, cnn}) {
    const Words words{"--cfg", config, "--opts", "THREADS", "1"};
    const double planned = bytes_of(succeed(dry(words)).out, "a training step");
    CHECK(planned == Approx(measured_peak(words)).epsilon(0.1));
  }
  const Words words{"--opts",       "MODEL.NAME", "resnet18",      "MODEL.STEM", "small",
                    "DATA.DATASET", "synthetic",  "DATA.IMG_SIZE", "32",         "DATA.BATCH_SIZE",
                    "16",           "AUG.ENABLE", "False",         "THREADS",    "1"};
  for (const std::string dtype : {"f32", "bf16"}) {
    Words all = words;
    all.insert(all.end(), {"AMP.DTYPE", dtype});
    const Outcome result = succeed(dry(all));
    CHECK(bytes_of(result.out, "a training step") == Approx(measured_peak(all)).epsilon(0.1));
  }
}

TEST_CASE("plan: the memory of a run is what it takes") {
  // With several micro-batches, and in an evaluation of several batches, kernels keep their copies of the weights.
  for (const std::string steps : {"1", "4"}) {
    INFO("ACCUMULATION_STEPS " << steps);
    const TempFolder folder;
    const Words words{"--cfg",    TESTS_DIR "/../configs/digits/resnet18.yaml",
                      "--output", folder.path().string(),
                      "--opts",   "THREADS",
                      "1",        "TRAIN.MAX_STEPS",
                      "2",        "DATA.NUM_WORKERS",
                      "2",        "TRAIN.ACCUMULATION_STEPS",
                      steps};
    const std::string plan = succeed(dry(words)).out;
    CHECK((plan.find("weights in kernels' layouts") != plan.npos) == (steps != "1"));
    CHECK(bytes_of(plan, "the run") == Approx(watched_peak(words)).epsilon(0.15));
  }
}

TEST_CASE("plan: --dry-run itself takes a fraction of the memory, and of the time") {
  Words words{"--opts", "MODEL.NAME",      "resnet50", "DATA.DATASET", "synthetic", "DATA.IMG_SIZE",
              "224",    "DATA.BATCH_SIZE", "64",       "AUG.ENABLE",   "False"};
  const double planned = bytes_of(succeed(dry(words)).out, "a training step");
  words.insert(words.begin(), "--dry-run");
  CHECK(watched_peak(words) < 0.15 * planned);
}

TEST_CASE("plan: the memory of the benchmarks' steps is what they take, f32", "[timing]") {
  check_rows("f32");
}
TEST_CASE("plan: the memory of the benchmarks' steps is what they take, bf16", "[timing]") {
  check_rows("bf16");
}
