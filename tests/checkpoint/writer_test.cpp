#include "lib/checkpoint/writer.h"

#include "lib/checkpoint/step_directory.h"
#include "tests/catch.h"
#include "tests/checkpoint/small_run.h"
#include "tests/support/weights.h"
#include "tests/temp_folder.h"

using namespace trainer;
using namespace trainer::checkpoint;

namespace {

SaveRequest request(SmallRun& run, int64_t step, bool best = false) {
  return {.step = step,
          .model = run.weights(),
          .state = run.state(),
          .state_json = "{\"step\": " + std::to_string(step) + "}",
          .best = best};
}

}  // namespace

TEST_CASE("a snapshot keeps what was there when it was taken") {
  SmallRun run(1), same(1);
  Snapshot snapshot;
  for (int round = 0; round < 2; ++round) {
    std::vector<Item> items = run.weights();
    for (const Item& item : run.state()) items.push_back(item);
    const std::vector<Item> copies = snapshot.take(items);
    CHECK(equal(items, copies));
    const auto memory = copies[0].value.raw();
    run.fill(99);
    CHECK_FALSE(equal(items, copies));
    run.fill(1);
    CHECK(snapshot.take(items)[0].value.raw() == memory);
  }
  CHECK(snapshot.take({}).empty());
}

TEST_CASE("a snapshot copies large, small, shared, empty and odd tensors") {
  const Tensor large = Tensor::empty({40'000'000});
  for (int64_t i = 0; i < large.numel(); ++i)
    const_cast<float*>(large.data<float>())[i] = static_cast<float>(i);
  const Tensor bytes = Tensor::full({1001}, 7, DType::u8), number = Tensor::full({}, 3, DType::i64);
  const std::vector<Item> items{{"a", large},
                                {"b", large.slice(3, 5)},
                                {"c", large.slice(39'000'000, 40'000'000)},
                                {"d", Tensor::empty({0, 3})},
                                {"e", bytes},
                                {"f", bytes.slice(3, 4)},
                                {"g", number},
                                {"h", Tensor::full({3}, 0.5, DType::f64)}};
  Snapshot snapshot;
  const std::vector<Item> copies = snapshot.take(items);
  CHECK(equal(items, copies));
  CHECK(Snapshot::bytes_for(items) < 4 * 40'000'000 + 2048 + 64 * 8);  // what is shared is there once
  for (const Item& copy : copies) {
    CHECK(reinterpret_cast<uintptr_t>(copy.value.raw()) % size_of(copy.value.dtype()) == 0);
  }
}

TEST_CASE("a writer saves what was there at the time of the call") {
  const TempFolder folder;
  SmallRun run(1), same(1), read(5);
  save_weights(*same.model, folder / "weights");
  fs::create_directory(folder / "checkpoints");
  const fs::path checkpoints = folder / "checkpoints";
  {
    Writer writer({.checkpoints = checkpoints, .run_id = "run", .world_size = 3, .config_hash = "x"});
    writer.reserve(run.weights(), run.state());
    writer.save(request(run, 10, true));
    run.fill(1000);
    writer.save(request(run, 20));
    run.fill(2000);
    writer.wait();
    CHECK(newest_valid(checkpoints) == 20);
  }
  const fs::path first = checkpoints / step_name(10);
  const Manifest m = validate(first);
  CHECK(m.world_size == 3);
  CHECK(m.config_hash == "x");
  CHECK(m.files.size() == 3);
  CHECK(read_file(first / "state.json", Exit::internal) == "{\"step\": 10}");
  CHECK(read_file(first / "model.safetensors", Exit::internal) ==
        read_file(folder / "weights", Exit::internal));
  load_items(read.state(), first / "state.safetensors");
  CHECK(equal(read.state(), same.state()));
  load_items(read.state(), checkpoints / step_name(20) / "state.safetensors");
  same.fill(1000);
  CHECK(equal(read.state(), same.state()));
  CHECK(pointed(checkpoints, "latest") == 20);
  CHECK(pointed(checkpoints, "best") == 10);
}

TEST_CASE("a writer keeps some, and the best") {
  const TempFolder folder;
  SmallRun run(1);
  Writer writer({.checkpoints = folder.path(), .run_id = "run", .keep = 2});
  for (int64_t step = 1; step <= 6; ++step) writer.save(request(run, step, step == 2));
  writer.wait();
  CHECK(committed_steps(folder.path()) == std::vector<int64_t>{2, 5, 6});
}

TEST_CASE("an intact step is not written again, a broken one is") {
  const TempFolder folder;
  SmallRun run(1);
  const fs::path file = folder / (step_name(1) + "/state.json");
  for (int round = 0; round < 2; ++round) {
    Writer writer({.checkpoints = folder.path(), .run_id = "run"});
    SaveRequest r = request(run, 1);
    if (round == 1) r.state_json = "{}";
    writer.save(r);
    r.best = true;
    r.state_json = "[]";
    writer.save(r);  // a second wish for the same step only points
    writer.wait();
    CHECK(read_file(file, Exit::internal) == "{\"step\": 1}");
    CHECK(pointed(folder.path(), "best") == 1);
  }
  fs::resize_file(file, 3);
  Writer writer({.checkpoints = folder.path(), .run_id = "run"});
  writer.save(request(run, 1));
  writer.wait();
  CHECK(newest_valid(folder.path()) == 1);
  CHECK(std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator()) == 3);
}

TEST_CASE("what goes wrong in the writer's thread reaches the caller, once") {
  const TempFolder folder;
  SmallRun run(1);
  const fs::path gone = folder / "gone";
  Writer writer({.checkpoints = gone, .run_id = "run"});
  writer.save(request(run, 1));
  const auto expected = ContainsSubstring("step-00000001.tmp-run: cannot create: No such file or directory");
  CHECK_THROWS_WITH(writer.wait(), expected);
  writer.wait();
  writer.check_errors();
  writer.save(request(run, 2));
  CHECK_THROWS_WITH(writer.save(request(run, 3)), ContainsSubstring("step-00000002.tmp-run"));
  fs::create_directory(gone);
  writer.save(request(run, 3));
  writer.wait();
  CHECK(newest_valid(gone) == 3);
}
