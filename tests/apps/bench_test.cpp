// trainer bench, with a shell script in the place of a Python that has PyTorch.
#include "tests/apps/program.h"

using namespace program;

namespace {

/// What row mlp trains, from its entry of --json: `"losses":[..],"parameters":..,"decayed":..`. Ours only.
std::string work_of(const json& row) {
  const json& work = row.at("work");
  return "\"losses\":" + work.at("losses").at("trainer").dump() +
         ",\"parameters\":" + work.at("parameters").dump() + ",\"decayed\":" + work.at("decayed").dump();
}

/// The same, measured once.
const std::string& mlp_work() {
  static const std::string work = [] {
    const TempFolder folder;
    const fs::path python = folder / "python";
    std::ofstream(python) << "#!/bin/sh\nexit 1\n";
    fs::permissions(python, fs::perms::owner_all);
    const Words words{"bench", "mlp",       "--python", python.string(), "--rounds",
                      "1",     "--seconds", "0.01",     "--json"};
    return work_of(json::parse(succeed(words).out)["rows"][0]);
  }();
  return work;
}

/// A "Python" that answers as bench_peer.py would. It keeps the script that it was given in script.py, and a
/// line of mode and LD_PRELOAD for each of its runs in log. The work that it says it did is $work: ours.
struct FakePython {
  /// `modes`: branches of a shell's `case` over the mode. $n is how often this mode has run.
  explicit FakePython(const std::string& modes) {
    std::ofstream(path()) << "#!/bin/sh\nfolder='" << folder.path().string() << "'"
                          << "\nwork='" << mlp_work() << "'"
                          << R"sh(
printf %s "$2" > "$folder/script.py"
mode=${3##*\"mode\":\"} mode=${mode%%\"*}
echo "$mode $LD_PRELOAD" >> "$folder/log"
n=$(grep -c "^$mode " "$folder/log")
figures() { echo "{\"step_s\":$1,\"first_step_s\":$2,\"peak_bytes\":$3,\"threads\":7,$work}"; }
case $mode in
)sh" << modes << "\nesac\n";
    fs::permissions(path(), fs::perms::owner_all);
  }
  std::string path() const { return (folder / "python").string(); }
  /// The modes in the order of their runs.
  std::vector<std::string> modes() const {
    std::vector<std::string> all;
    std::stringstream lines(text_of(folder / "log"));
    for (std::string line; std::getline(lines, line);) all.push_back(line.substr(0, line.find(' ')));
    return all;
  }
  Words words(const Words& more) const {
    Words all{"bench", "--seconds", "0.01", "--python", path()};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }

  TempFolder folder;
};

const std::string versions = R"sh(versions) echo '{"python":"3.0","torch":"9.1","timm":"1.1"}' ;;)sh"
                             "\n";
const std::string no_torch =
    R"sh(echo '{"error":"ModuleNotFoundError: No module named '"'torch'"'"}'; exit 1)sh";

/// And has not ended, waiting for whoever adopted it to notice.
bool runs(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string line;
  std::getline(file, line);
  const size_t name_end = line.rfind(") ");
  return name_end != line.npos && line[name_end + 2] != 'Z';
}

}  // namespace

TEST_CASE("bench: sides in turns, medians and ratios") {
  // The installed one takes 0.3, 0.1 and 0.2 s a step.
  const FakePython python(versions + R"sh(
installed) figures "0.$(echo 312 | cut -c$n)" 4 1000000000 ;;
fused) figures 0.1 5 2000000000 ;;
compile) figures 0.05 60 3000000000 ;;)sh");
  const json j = json::parse(succeed(python.words({"mlp", "--rounds", "3", "--json"})).out);
  CHECK(python.modes() == std::vector<std::string>{"versions", "installed", "fused", "compile", "installed",
                                                   "fused", "compile", "installed", "fused", "compile"});
  CHECK(j["machine"]["cores"].get<int>() >= 1);
  CHECK_THAT(j["versions"]["libraries"].get<std::string>(), ContainsSubstring("oneDNN "));
  CHECK(j["versions"]["torch"] == "9.1");
  CHECK_THAT(j["command"].get<std::string>(), Catch::StartsWith("trainer bench --seconds 0.01 --python "));
  REQUIRE(j["rows"].size() == 1);
  const json &row = j["rows"][0], &sides = row["sides"];
  CHECK(row["row"] == "mlp:f32");
  CHECK(row["best"] == "compile");
  CHECK_THAT(row["command"].get<std::string>(),
             Catch::StartsWith("trainer --throughput --opts ") && ContainsSubstring(" MODEL.NAME mlp "));

  const json &ours = sides["trainer"], &installed = sides["installed"];
  for (const char* key : {"step_ms", "samples_per_s", "first_step_s", "peak_bytes", "threads"})
    CHECK(ours[key].get<double>() > 0);
  CHECK(ours["first_step_s"].get<double>() < 60);  // on our clock
  CHECK(installed["step_ms"] == 200.0);
  CHECK(installed["samples_per_s"] == 320.0);
  CHECK(installed["first_step_s"] == 4.0);
  CHECK(installed["peak_bytes"] == 1000000000);
  CHECK(installed["threads"] == 7);
  CHECK(installed["ratio"]["step"].get<double>() * ours["step_ms"].get<double>() ==
        Approx(200).epsilon(0.01));
  CHECK(sides["compile"]["ratio"]["peak"].get<double>() * ours["peak_bytes"].get<double>() ==
        Approx(3e9).epsilon(0.01));
  double last = -1;
  for (size_t round = 0; round < 3; ++round) {
    for (const char* side : {"trainer", "installed", "fused", "compile"}) {
      REQUIRE(sides[side]["rounds"].size() == 3);
      const double at = sides[side]["rounds"][round]["at_s"];
      CHECK(at > last);
      last = at;
    }
  }
}

TEST_CASE("bench gives Python its script, and tcmalloc where there is one but for what is as installed") {
  const FakePython python(versions + "*) figures 1 1 1 ;;");
  const json j = json::parse(succeed(python.words({"mlp", "--rounds", "1", "--json", "--no-compile"})).out);
  const std::string given = text_of(python.folder / "script.py");
  const bool whole = given == text_of(TESTS_DIR "/../apps/trainer/bench_peer.py");
  CHECK(whole);
  const std::string malloc = j["tcmalloc"].is_null() ? "" : j["tcmalloc"].get<std::string>();
  CHECK(text_of(python.folder / "log") == "versions \ninstalled \nfused " + malloc + "\n");
}

TEST_CASE("bench: best is the fastest of all modes, as installed too") {
  const FakePython python(versions + R"sh(
installed) figures 0.05 4 1000000000 ;;
fused) figures 0.1 4 1000000000 ;;
compile) figures 0.2 4 1000000000 ;;)sh");
  const json j = json::parse(succeed(python.words({"mlp", "--rounds", "1", "--json"})).out);
  CHECK(j["rows"][0]["best"] == "installed");
  const Outcome result = succeed(python.words({"mlp", "--rounds", "1"}));
  CHECK_THAT(result.out, ContainsSubstring("PyTorch, best: installed    50.00      1,280 "));
}

TEST_CASE("bench: both sides begin with our weights and batch, and their losses agree") {
  const FakePython python(versions + R"sh(*)
start=${3##*\"start\":\"} start=${start%%\"*}
cp "$start" "$folder/start.safetensors"
figures 0.1 4 1000000000 ;;)sh");
  const json j = json::parse(succeed(python.words({"mlp", "--rounds", "1", "--json"})).out);
  const json& work = j["rows"][0]["work"];
  CHECK(work["parameters"] == 64 * 256 + 256 + 256 * 256 + 256 + 256 * 10 + 10);
  CHECK(work["decayed"] == 64 * 256 + 256 * 256 + 256 * 10);
  CHECK(work["agree"] == true);
  CHECK(work["largest_difference"] == 0.0);
  CHECK(work["losses"].size() == 4);
  const auto losses = work["losses"]["trainer"].get<std::vector<double>>();
  REQUIRE(losses.size() == 3);
  CHECK(losses[0] == Approx(std::log(10)).epsilon(0.2));  // of an untrained network over ten classes
  CHECK(losses[2] < losses[0]);
  CHECK_THAT(succeed(python.words({"mlp", "--rounds", "1"})).out,
             ContainsSubstring("losses agree: 2.") &&
                 ContainsSubstring(" in the first steps, with at most 0 % between the sides\n"));

  const trainer::io::SafetensorsFile start(python.folder / "start.safetensors", Exit::internal);
  std::set<std::string> names;
  for (const auto& t : start.tensors()) names.insert(t.name);
  CHECK(names == std::set<std::string>{"input", "model.head.bias", "model.head.weight", "model.layers.0.bias",
                                       "model.layers.0.weight", "model.layers.1.bias",
                                       "model.layers.1.weight", "target"});
  CHECK(start.info("input").shape == trainer::Shape{64, 1, 8, 8});
  CHECK(start.info("target").shape == trainer::Shape{64});
}

TEST_CASE("bench: a mode that does other work than ours is missing, and the bench fails") {
  struct Wrong {
    const char *replaced, *by, *said;
  };
  for (const Wrong& w :
       {Wrong{R"("losses":\[[^,]*,)", R"("losses":[9.5,)", " here, 9.5 in PyTorch at step 1 ("},
        Wrong{R"(,[^,]*\])", ",null]", " here, nan in PyTorch at step 3 (inf %, 0.1 % allowed)\n"},
        Wrong{R"(\[[^,]*,)", "[", "3 losses reported here, 2 in PyTorch"},
        Wrong{R"("parameters":[0-9]*)", R"("parameters":5)", "85,002 parameters here, 5 in PyTorch"},
        Wrong{R"("decayed":[0-9]*)", R"("decayed":85002)",
              "84,480 parameters with weight decay here, 85,002 in PyTorch"}}) {
    INFO(w.said);
    const FakePython python(versions + "fused) work=$(echo \"$work\" | sed 's/" + w.replaced + "/" + w.by +
                            "/'); figures 0.1 4 1000000000 ;;\n*) figures 0.2 4 1000000000 ;;");
    const Outcome result = outcome_of(python.words({"mlp", "--rounds", "2"}));
    INFO(result.out << result.err);
    CHECK(result.code == 1);
    CHECK(python.modes() ==
          std::vector<std::string>{"versions", "installed", "fused", "compile", "installed", "compile"});
    CHECK_THAT(result.out, ContainsSubstring("PyTorch fused: missing: ") && ContainsSubstring(w.said));
    CHECK_THAT(result.out, ContainsSubstring("PyTorch, best: "));
    CHECK_THAT(result.out, !ContainsSubstring("best: fused"));
    const Outcome as_json = outcome_of(python.words({"mlp", "--rounds", "1", "--json"}));
    CHECK(as_json.code == 1);
    const json row = json::parse(as_json.out)["rows"][0];
    CHECK(row["work"]["agree"] == false);
    CHECK(row["work"]["losses"].contains("fused"));
    CHECK(row["sides"]["fused"].contains("missing"));
    CHECK(row["best"] != "fused");
  }
}

TEST_CASE("bench: answers without the work that was done are no figures") {
  const FakePython python(versions +
                          R"sh(*) echo '{"step_s":1,"first_step_s":1,"peak_bytes":1,"threads":1}' ;;)sh");
  const Outcome result = succeed(python.words({"mlp", "--rounds", "1"}));
  CHECK_THAT(result.out, ContainsSubstring("PyTorch installed, fused, compile: missing: "));
}

TEST_CASE("bench: a mode that fails is missing, and is not tried again") {
  const FakePython python(versions + R"sh(
installed) figures 0.2 4 1000000000 ;;
fused) figures 0.1 4 1000000000 ;;
compile) echo '{"error":"InvalidCxxCompiler: none found"}'; exit 1 ;;)sh");
  const Outcome result = succeed(python.words({"mlp", "--rounds", "2"}));
  CHECK(python.modes() ==
        std::vector<std::string>{"versions", "installed", "fused", "compile", "installed", "fused"});
  CHECK_THAT(result.out, ContainsSubstring("PyTorch 9.1, timm 1.1, Python 3.0"));
  CHECK_THAT(result.out,
             ContainsSubstring("PyTorch, installed          200.0      320.0         4.00     1000  "));
  CHECK_THAT(result.out, ContainsSubstring("PyTorch, best: fused        100.0      640.0 "));
  CHECK_THAT(result.out, ContainsSubstring("PyTorch compile: missing: InvalidCxxCompiler: none found\n"));
  CHECK_THAT(result.out, ContainsSubstring(" in PyTorch\n"));  // seven threads
  CHECK(result.err.empty());
}

TEST_CASE("bench: what PyTorch dies of is the reason, once for all modes") {
  const FakePython python(versions + R"sh(
installed) echo 'Traceback' >&2; echo 'out of luck' >&2; exit 3 ;;
*) echo 'out of luck' >&2; echo '{"step_s":1}'; exit 3 ;;)sh");
  const Outcome result = succeed(python.words({"mlp", "--rounds", "1"}));
  CHECK_THAT(result.out,
             ContainsSubstring("PyTorch installed, fused, compile: missing: exit code 3: out of luck\n"));
  const json j = json::parse(succeed(python.words({"mlp", "--rounds", "1", "--json"})).out);
  CHECK(j["rows"][0]["best"].is_null());
  CHECK(j["rows"][0]["sides"]["fused"] == json{{"missing", "exit code 3: out of luck"}});
}

TEST_CASE("bench without PyTorch measures ours and says so once") {
  const FakePython python("*) " + no_torch + " ;;");
  const Outcome result = succeed(python.words({"mlp", "cnn", "mlp:f32", "--rounds", "1"}));
  CHECK(python.modes() == std::vector<std::string>{"versions"});
  CHECK_THAT(result.out,
             ContainsSubstring("no PyTorch to measure beside or to compare losses with: " + python.path() +
                               ": ModuleNotFoundError: No module named 'torch'\n"));
  CHECK(result.out.find("ModuleNotFoundError") == result.out.rfind("ModuleNotFoundError"));
  CHECK_THAT(result.out, ContainsSubstring("\nmlp:f32           trainer ") &&
                             ContainsSubstring("\ncnn:f32           trainer "));
  const json j = json::parse(succeed(python.words({"mlp", "--rounds", "1", "--json"})).out);
  CHECK(j["versions"]["torch"].is_null());
  CHECK(j["rows"][0]["sides"].size() == 1);
  CHECK(j["rows"][0]["work"]["agree"].is_null());
  CHECK_THAT(result.out, !ContainsSubstring("losses agree"));
}

TEST_CASE("bench: every row is a configuration that we have") {
  const json rows = json::parse(succeed({"bench", "--list", "--json"}).out);
  REQUIRE(rows.size() >= 6);
  const std::string text = succeed({"bench", "--list"}).out;
  for (const json& row : rows) {
    CHECK_THAT(text, ContainsSubstring(row["row"].get<std::string>()));
    CHECK(row["dtypes"].size() >= 1);
    CHECK(row["commands"].size() == row["dtypes"].size());
    std::stringstream list(row["commands"].back().get<std::string>());
    Words dry_run{"--dry-run"};
    std::string word;
    for (list >> word >> word; list >> word;) dry_run.push_back(word);  // without "trainer --throughput"
    REQUIRE(dry_run.size() > 20);
    CHECK_THAT(succeed(dry_run).out, ContainsSubstring(row["model"].get<std::string>()));
  }
}

TEST_CASE("bench: rows, dtypes and a Python that do not exist") {
  CHECK_THAT(message_of(Exit::usage, {"bench", "resnet5"}), ContainsSubstring("unknown row 'resnet5'") &&
                                                                ContainsSubstring("did you mean resnet50") &&
                                                                ContainsSubstring("rows: resnet50, "));
  CHECK_THAT(message_of(Exit::usage, {"bench", "mlp:bf16"}),
             ContainsSubstring("row mlp is measured in f32, not 'bf16'"));
  CHECK_THAT(message_of(Exit::usage, {"bench", "mlp", "--python", "/no/python"}),
             ContainsSubstring("cannot run /no/python: No such file"));
  CHECK_THAT(message_of(Exit::usage, {"bench", "--rouns", "1"}), ContainsSubstring("did you mean --rounds?"));
}

TEST_CASE("bench: what ours dies of ends it, with its words") {
  const FakePython python("*) " + no_torch + " ;;");
  Process process(command(python.words({"mlp", "--json"})), {"WORLD_SIZE=2", "RANK=5"});
  const Outcome result = process.wait();
  CHECK(result.code == 2);
  CHECK(result.out.empty());
  CHECK_THAT(result.err,
             ContainsSubstring("ended with exit code 2:\nerror: RANK=5 contradicts WORLD_SIZE=2"));
}

TEST_CASE("bench: a signal ends what is being measured as well") {
  for (const int signal : {SIGINT, SIGTERM, SIGKILL}) {
    INFO(signal);
    const FakePython python(
        versions + R"sh(*) echo $$ > "$folder/new"; mv "$folder/new" "$folder/pid"; exec sleep 100 ;;)sh");
    Process process(command(python.words({"mlp", "--json"})));
    const fs::path file = python.folder / "pid";
    for (int i = 0; i < 6000 && !fs::exists(file); ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    REQUIRE(fs::exists(file));
    const pid_t pid = std::stoi(text_of(file));
    CHECK(runs(pid));
    ::kill(process.pid(), signal);
    const Outcome result = process.wait();
    CHECK(result.code == 128 + signal);
    CHECK(result.out.empty());
    for (int i = 0; i < 1000 && runs(pid); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    CHECK_FALSE(runs(pid));
  }
}

TEST_CASE("bench --profile shows the ops of our step after the row") {
  const FakePython python("*) " + no_torch + " ;;");
  const std::string text = succeed(python.words({"mlp", "--rounds", "1", "--profile"})).out;
  CHECK_THAT(text, ContainsSubstring("linear_backward_weight ") && ContainsSubstring("(outside ops"));
  CHECK_THAT(text, !ContainsSubstring("step_s"));
}
