#include "lib/checkpoint/step_directory.h"

#include <fstream>

#include "lib/base/log.h"
#include "lib/checkpoint/hash.h"
#include "tests/checkpoint/small_run.h"
#include "tests/error_of.h"
#include "tests/support/weights.h"
#include "tests/temp_folder.h"

using namespace trainer;
using namespace trainer::checkpoint;

namespace {

fs::path commit(const fs::path& folder, int64_t step, const std::string& text = "state") {
  StepDirectory d(folder, step, "run");
  d.write("a", text);
  d.write("b", std::string(3'000'000, 'b'));
  d.commit(2, "hash");
  return folder / step_name(step);
}

std::string refusal(const fs::path& dir) {
  return error_of([&] { validate(dir); }, Exit::weights);
}

/// What f logs.
template <class F>
std::string logged(F&& f) {
  const TempFolder folder;
  const std::string file = folder / "log";
  log::add_file(file);
  f();
  log::remove_file(file);
  return read_file(file, Exit::internal);
}

void overwrite(const fs::path& file, const std::string& text) {
  std::ofstream(file, std::ios::binary | std::ios::trunc) << text;
}

size_t entries_of(const fs::path& folder) {
  return static_cast<size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

}  // namespace

TEST_CASE("a hash is XXH3-128") {
  Hasher whole, parts;
  CHECK(whole.digest() == "99aa06d3014798d86001c324468d497f");  // of nothing: xxh_sanity_check.c
  const std::string text(100'000, 'x');
  whole.update(std::as_bytes(std::span(text)));
  for (size_t at = 0; at < text.size(); at += 777) {
    const std::string_view part = std::string_view(text).substr(at, 777);
    parts.update(std::as_bytes(std::span(part)));
  }
  CHECK(whole.digest() == parts.digest());
}

TEST_CASE("a step directory appears when it is committed, with a manifest of what it holds") {
  const TempFolder folder;
  {
    StepDirectory d(folder.path(), 1200, "run-1");
    CHECK(d.path() == folder / "step-00001200.tmp-run-1");
    d.write("a", "some text");
    CHECK(committed_steps(folder.path()).empty());
    d.commit(4, "0123");
  }
  CHECK(entries_of(folder.path()) == 1);
  const Manifest m = validate(folder / "step-00001200");
  CHECK(m.step == 1200);
  CHECK(m.world_size == 4);
  CHECK(m.config_hash == "0123");
  REQUIRE(m.files.size() == 1);
  CHECK(m.files.at("a").bytes == 9);
  CHECK(committed_steps(folder.path()) == std::vector<int64_t>{1200});
  CHECK(newest_valid(folder.path()) == 1200);
}

TEST_CASE("without commit nothing is left") {
  const TempFolder folder;
  {
    StepDirectory d(folder.path(), 1, "run");
    d.write("a", "x");
  }
  CHECK(fs::is_empty(folder.path()));
}

TEST_CASE("a killed process' directory is in nobody's way") {
  const TempFolder folder;
  fs::create_directories(folder / "step-00000001.tmp-run/sub");
  fs::create_directories(folder / "step-00000001.tmp-run.replaced/sub");
  commit(folder.path(), 1);
  CHECK(newest_valid(folder.path()) == 1);
  CHECK(entries_of(folder.path()) == 1);
}

TEST_CASE("only what this run has left is removed") {
  const TempFolder folder;
  for (const char* name : {"step-00000001.tmp-run", "step-00000002.tmp-run.removed",
                           "step-00000002.tmp-other", "step-00000003.tmp-run2", "notes.tmp-run"}) {
    fs::create_directories(folder / name / "sub");
  }
  overwrite(folder / ".latest.tmp-host-12-1", "x");
  overwrite(folder / "latest", "x");
  commit(folder.path(), 4);
  remove_leftovers(folder.path(), "run");
  for (const char* name :
       {"step-00000002.tmp-other", "step-00000003.tmp-run2", "notes.tmp-run", "latest", "step-00000004"}) {
    CHECK(fs::exists(folder / name));
  }
  CHECK(entries_of(folder.path()) == 5);
  CHECK_THROWS_WITH(remove_leftovers(folder.path(), "a/b"), ContainsSubstring("'a/b' cannot be the id"));
}

TEST_CASE("damage is found, and says which file and how") {
  const TempFolder folder;
  const fs::path dir = commit(folder.path(), 1);
  const std::string path = dir.string();
  const std::string b = read_file(dir / "b", Exit::internal);

  SECTION("any bit") {
    for (const size_t at : {size_t{0}, size_t{1'500'000}, b.size() - 1}) {
      std::string changed = b;
      changed[at] = static_cast<char>(changed[at] ^ 4);
      overwrite(dir / "b", changed);
      CHECK(refusal(dir) == path + "/b: changed since it was written");
    }
  }
  SECTION("any length") {
    overwrite(dir / "b", b.substr(1));
    CHECK(refusal(dir) == path + "/b: 2999999 bytes long, 3000000 were written");
    overwrite(dir / "b", "");
    CHECK(refusal(dir) == path + "/b: 0 bytes long, 3000000 were written");
  }
  SECTION("a missing file") {
    fs::remove(dir / "a");
    CHECK(refusal(dir) == path + "/a: missing");
  }
  SECTION("a directory instead of a file") {
    fs::remove(dir / "a");
    fs::create_directory(dir / "a");
    CHECK(refusal(dir) == path + "/a: not a regular file");
  }
  SECTION("no manifest") {
    fs::remove(dir / manifest_name);
    CHECK(refusal(dir) == path + "/MANIFEST.json: cannot open: No such file or directory");
  }
  SECTION("any change of the manifest that is no white space") {
    const std::string text = read_file(dir / manifest_name, Exit::internal);
    for (size_t at = 0; at < text.size(); ++at) {
      if (std::isspace(static_cast<unsigned char>(text[at]))) continue;
      std::string changed = text;
      changed[at] = static_cast<char>(changed[at] ^ 1);
      overwrite(dir / manifest_name, changed);
      INFO(changed);
      CHECK_THAT(refusal(dir), ContainsSubstring(path + "/MANIFEST.json: "));
      overwrite(dir / manifest_name, text.substr(0, at));
      CHECK_THAT(refusal(dir), ContainsSubstring(path + "/MANIFEST.json: "));
    }
  }
  SECTION("another format") {
    overwrite(dir / manifest_name, "{\"format\": 2}");
    CHECK(refusal(dir) == path + "/MANIFEST.json: of format 2, this program reads format 1");
  }
  SECTION("no directory") {
    fs::remove_all(dir);
    overwrite(dir, "x");
    CHECK(refusal(dir) == path + "/MANIFEST.json: cannot open: Not a directory");
  }
}

TEST_CASE("the newest intact step is found, broken ones are named") {
  const TempFolder folder;
  CHECK_FALSE(newest_valid(folder.path()));
  CHECK_FALSE(newest_valid(folder / "nowhere"));
  for (const int64_t step : {1, 2, 3, 4, 5, 100'000'000}) commit(folder.path(), step);
  fs::create_directories(folder / "step-00000009.tmp-other");
  fs::create_directories(folder / "step-10");  // not how we write 10
  overwrite(folder / "step-00000008", "a file");
  CHECK(newest_valid(folder.path()) == 100'000'000);
  CHECK(committed_steps(folder.path()) == std::vector<int64_t>{1, 2, 3, 4, 5, 8, 100'000'000});

  std::string flipped = read_file(folder / "step-00000005/b", Exit::internal);
  flipped[1'000'000] ^= 1;
  overwrite(folder / "step-00000005/b", flipped);
  overwrite(folder / "step-00000004/b", "short");
  overwrite(folder / "step-00000003/MANIFEST.json", "{");
  fs::remove(folder / "step-100000000/a");
  const std::string text = logged([&] { CHECK(newest_valid(folder.path()) == 2); });
  for (const char* what : {"step-00000008/MANIFEST.json: cannot open: Not a directory",
                           "step-00000005/b: changed since it was written", "step-00000004/b: 5 bytes long",
                           "step-00000003/MANIFEST.json: not valid JSON", "step-100000000/a: missing"}) {
    CHECK_THAT(text, ContainsSubstring(what));
  }
}

TEST_CASE("a pointer names a step, and one that names none is refused") {
  const TempFolder folder;
  CHECK_FALSE(pointed(folder.path(), "best"));
  point(folder.path(), "best", 12);
  CHECK(read_file(folder / "best", Exit::internal) == "step-00000012\n");
  CHECK(pointed(folder.path(), "best") == 12);
  overwrite(folder / "best", "rubbish");
  CHECK_THROWS_WITH(pointed(folder.path(), "best"), ContainsSubstring("best: does not name a step's"));
}

TEST_CASE("the newest are kept, and the best") {
  const TempFolder folder;
  const auto steps = [&] { return committed_steps(folder.path()); };
  for (int64_t step = 1; step <= 7; ++step) commit(folder.path(), step);
  point(folder.path(), "best", 2);
  point(folder.path(), "latest", 7);
  retain(folder.path(), 3, "run");
  CHECK(steps() == std::vector<int64_t>{2, 5, 6, 7});
  CHECK(entries_of(folder.path()) == 6);

  fs::remove(folder / "step-00000006/a");  // so it is none that is kept
  for (int64_t step = 8; step <= 9; ++step) commit(folder.path(), step);
  point(folder.path(), "latest", 8);
  const std::string warning = logged([&] { retain(folder.path(), 4, "run"); });
  CHECK_THAT(warning, ContainsSubstring("step-00000006/a: missing"));
  CHECK(steps() == std::vector<int64_t>{2, 5, 6, 7, 8, 9});
  retain(folder.path(), 3, "run");
  CHECK(steps() == std::vector<int64_t>{2, 7, 8, 9});
  retain(folder.path(), 1, "run");
  CHECK(steps() == std::vector<int64_t>{2, 8, 9});  // `latest` is 8

  overwrite(folder / "best", "rubbish");  // which one is the best nobody knows
  const std::string text = logged([&] { retain(folder.path(), 1, "run"); });
  CHECK_THAT(text, ContainsSubstring("best: does not name"));
  CHECK(steps() == std::vector<int64_t>{2, 8, 9});
}

TEST_CASE("items come back into arenas, exactly") {
  const TempFolder folder;
  SmallRun a(1), b(2), fresh(2);
  REQUIRE_FALSE(equal(a.state(), b.state()));
  StepDirectory d(folder.path(), 1, "run");
  d.write("model.safetensors", a.weights());
  d.write("state.safetensors", a.state());
  d.commit(1, "");
  const fs::path dir = folder / step_name(1);

  load_items(b.state(), dir / "state.safetensors");
  CHECK(equal(a.state(), b.state()));
  load_weights(*b.model, dir / "model.safetensors");
  CHECK(equal(a.weights(), b.weights()));
  save_weights(*a.model, folder / "weights");
  CHECK(read_file(folder / "weights", Exit::internal) ==
        read_file(dir / "model.safetensors", Exit::internal));

  std::vector<Item> others = fresh.state();
  others[0].name = "exp_avg.other";
  others[1].value = Tensor::zeros({1});
  others[2].value = Tensor::zeros(others[2].value.shape(), DType::f64);
  CHECK_THROWS_WITH(load_items(others, dir / "state.safetensors"),
                    ContainsSubstring("state.safetensors: 4 tensors do not fit this run:") &&
                        ContainsSubstring("missing     exp_avg.other") &&
                        ContainsSubstring("misshapen   " + others[1].name) &&
                        ContainsSubstring("misshapen   " + others[2].name) &&
                        ContainsSubstring("unexpected  exp_avg."));
  SmallRun again(2);
  CHECK(equal(fresh.state(), again.state()));
}
