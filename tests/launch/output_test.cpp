// What becomes of the workers' output.
#include <fmt/core.h>

#include <sstream>

#include "tests/launch/launcher.h"

using namespace launcher;

TEST_CASE("launch: lines carry their rank and are never mixed") {
  const Outcome result = outcome_of(
      shell({"--nproc_per_node", "3"},
            "for i in {1..300}; do printf 'a%sb' $RANK; echo \"$i c\"; done; printf 'no newline'"));
  CHECK(result.code == 0);
  CHECK(lines_of(result.out) == 3 * 301);
  std::istringstream lines(result.out);
  int wrong = 0;
  int next[3] = {1, 1, 1};
  for (std::string line; std::getline(lines, line);) {
    const int rank = line[6] - '0';
    const std::string head = "[rank " + std::to_string(rank) + "] ";
    const int i = next[rank]++;
    wrong += line != head + (i <= 300 ? fmt::format("a{}b{} c", rank, i) : "no newline");
  }
  CHECK(wrong == 0);
}

TEST_CASE("launch: the bytes of a lone worker pass unchanged") {
  CHECK(outcome_of(shell({}, "printf '\\r50%%\\r100%%\\n\\0x'; printf e >&2")).out ==
        std::string("\r50%\r100%\n\0x", 12));
}

TEST_CASE("launch: progress with carriage returns becomes lines") {
  CHECK(outcome_of(
            shell({"--nproc_per_node", "2"}, "[ $RANK = 1 ] && printf '10%%\\r20%%\\r\\nend\\r\\n'; true"))
            .out == "[rank 1] 10%\n[rank 1] 20%\n[rank 1] end\n");
}

TEST_CASE("launch: log folders, by default beside the terminal") {
  const TempFolder folder;
  const fs::path logs = folder / "logs";
  const std::string script = "echo out $RANK; echo err $RANK >&2";
  const Outcome both =
      outcome_of(shell({"--nproc_per_node=2", "--log-dir", logs.string(), "--rdzv-id", "r"}, script));
  CHECK(both.out.find("[rank 1] out 1\n") != std::string::npos);
  CHECK(both.err.find("[rank 1] err 1\n") != std::string::npos);
  CHECK(text_of(logs / "r/attempt_0/0/stdout.log") == "out 0\n");
  CHECK(text_of(logs / "r/attempt_0/1/stderr.log") == "err 1\n");

  const Outcome some =
      outcome_of(shell({"--nproc_per_node=2", "--log-dir", logs.string(), "-r", "0:1", "--tee=1:2"}, script));
  CHECK(some.out == "[rank 1] out 1\n");
  CHECK(count(some.err, "[rank 0] err 0\n") == 1);
  CHECK(count(some.err, "[rank 1] err 1\n") == 1);
  CHECK(text_of(logs / "none/attempt_0/0/stdout.log") == "out 0\n");
  CHECK(text_of(logs / "none/attempt_0/1/stderr.log") == "err 1\n");
  CHECK_FALSE(fs::exists(logs / "none/attempt_0/0/stderr.log"));
  CHECK_FALSE(fs::exists(logs / "none/attempt_0/1/stdout.log"));

  const Outcome wrong = outcome_of(shell({"--log-dir", "/proc/none"}, script));
  CHECK(wrong.code == 2);
  CHECK_THAT(wrong.err, ContainsSubstring("/proc/none"));
}

TEST_CASE("launch: redirection without a folder makes one and says where") {
  const Outcome result = outcome_of(shell({"-r", "3"}, "echo hidden"));
  CHECK(result.out.empty());
  REQUIRE(result.err.starts_with("logs: "));
  const fs::path folder = result.err.substr(6, result.err.find('\n') - 6);
  CHECK(text_of(folder / "none/attempt_0/0/stdout.log") == "hidden\n");
  fs::remove_all(folder);
}

TEST_CASE("launch: output of some ranks only, and other prefixes") {
  CHECK(outcome_of(shell({"--nproc_per_node=3", "--local-ranks-filter=1"}, "echo $RANK")).out ==
        "[rank 1] 1\n");
  CHECK(outcome_of(shell({"--log-line-prefix-template", "${role_name}${local_rank}/${rank}: "}, "echo x"))
            .out.find("x") != std::string::npos);
}

TEST_CASE("launch: an error that all ranks report is shown once") {
  const Outcome result = outcome_of(shell(
      {"--nproc_per_node=4"}, "echo 'error: exp.yaml: no key FOO' >&2; echo '  and more of it' >&2; exit 2"));
  CHECK(result.code == 2);
  CHECK(count(result.err, "no key FOO") == 1);
  CHECK(count(result.err, "error: ") == 1);
  CHECK(count(result.err, "and more of it") == 1);
  CHECK(lines_of(result.err) <= 5);
}

TEST_CASE("launch: readers that leave or do not read disturb nobody") {
  const TempFolder folder;
  const std::string launch = command({})[0], done = folder / "done";
  const std::string script =
      "for i in {1..30000}; do echo a line that is not short at all $i; done; echo x >> " + done;
  const Outcome left = outcome_of({"bash", "-c",
                                   launch + " --nproc_per_node 2 -- bash -c '" + script +
                                       "' | head -n 1; "
                                       "exit ${PIPESTATUS[0]}"});
  CHECK(left.code == 0);
  CHECK(text_of(done) == "x\nx\n");
  CHECK(outcome_of({"bash", "-c", launch + " --no-python echo x >&- 2>&-"}).code == 0);
}
