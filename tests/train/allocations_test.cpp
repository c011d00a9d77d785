// What a step asks of the system's allocator once a shape has been seen: nothing.
// Sanitizers have an allocator of their own, which is not to be replaced.
#ifndef TRAINER_SANITIZED
#include <dlfcn.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <new>
#include <thread>

#include "lib/train/build.h"
#include "tests/catch.h"
#include "tests/train/rig.h"

namespace {

std::atomic<bool> counting = false;  // on every thread: those that compute, and those that load
std::atomic<int64_t> allocations = 0;

/// oneDNN makes some small maps for each primitive that it executes; that is its own affair.
bool in_onednn(void* address) {
  Dl_info info{};
  return dladdr(address, &info) != 0 && std::strstr(info.dli_fname, "libdnnl") != nullptr;
}

void count(void* caller) {
  if (counting && !in_onednn(caller)) ++allocations;
}

}  // namespace

// These replace the C library's in the whole program, and what of it calls them: operator new, too, whose callers are
// counted instead.
extern "C" {
void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);

void* malloc(size_t bytes) {
  count(__builtin_return_address(0));
  return __libc_malloc(bytes);
}
void* calloc(size_t n, size_t bytes) {
  count(__builtin_return_address(0));
  return __libc_calloc(n, bytes);
}
void* realloc(void* p, size_t bytes) {
  count(__builtin_return_address(0));
  return __libc_realloc(p, bytes);
}
void* aligned_alloc(size_t alignment, size_t bytes) {
  count(__builtin_return_address(0));
  return __libc_memalign(alignment, bytes);
}
int posix_memalign(void** p, size_t alignment, size_t bytes) {
  count(__builtin_return_address(0));
  *p = __libc_memalign(alignment, bytes);
  return *p == nullptr ? ENOMEM : 0;
}
}

namespace {
void* allocate(size_t bytes, size_t alignment, void* caller) {
  count(caller);
  void* p = alignment > alignof(std::max_align_t) ? __libc_memalign(alignment, bytes)
                                                  : __libc_malloc(std::max<size_t>(bytes, 1));
  if (p == nullptr) throw std::bad_alloc();
  return p;
}
}  // namespace

void* operator new(size_t bytes) { return allocate(bytes, 0, __builtin_return_address(0)); }
void* operator new(size_t bytes, std::align_val_t alignment) {
  return allocate(bytes, static_cast<size_t>(alignment), __builtin_return_address(0));
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, size_t) noexcept { std::free(p); }
void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, size_t, std::align_val_t) noexcept { std::free(p); }

using namespace trainer;
using namespace trainer::train;

namespace {

/// Counts from the end of one step's hooks to the beginning of the next one's.
class Watch final : public Hook {
 public:
  void on_step(Trainer& trainer, const StepReport& report) override {
    counting = false;
    if (report.step > warm_up) {
      found += allocations;
      grown += pool_statistics({}).growths - growths_;
    }
    if (report.step == warm_up + 10) trainer.stop();
  }
  void on_boundary(Trainer&) override {
    growths_ = pool_statistics({}).growths;
    allocations = 0;
    counting = true;
  }
  static constexpr int64_t warm_up = 2;
  int64_t found = 0, grown = 0;

 private:
  int64_t growths_ = 0;
};

}  // namespace

TEST_CASE("allocations are counted, on any thread") {
  allocations = 0;
  counting = true;
  void* volatile p = std::malloc(10);
  std::free(p);
  int* volatile number = new int(1);
  delete number;
  counting = false;
  CHECK(allocations == 2);
  std::thread other([] {
    counting = true;
    void* volatile q = std::calloc(2, 3);
    std::free(q);
    counting = false;
  });
  other.join();
  CHECK(allocations == 3);
}

TEST_CASE("a step allocates nothing once its shapes have been seen") {
  const char* const runs[] = {
      "MODEL.NAME cnn MODEL.DROP_RATE 0.1",
      "MODEL.NAME mlp",
      "MODEL.NAME resnet18 MODEL.STEM small",
      "MODEL.NAME cnn AMP_ENABLE True AMP.DTYPE bf16",
      "MODEL.NAME cnn AMP_ENABLE True AMP.DTYPE f16",
      "MODEL.NAME cnn TRAIN.OPTIMIZER.NAME sgd TRAIN.ACCUMULATION_STEPS 2",
      "MODEL.NAME resnet18 MODEL.STEM small TRAIN.ACCUMULATION_STEPS 3",
      "MODEL.NAME resnet18 MODEL.STEM small TRAIN.ACCUMULATION_STEPS 3 AMP_ENABLE True AMP.DTYPE bf16",
      "MODEL.NAME cnn TRAIN.OPTIMIZER.NAME lamb AMP_ENABLE True AMP.DTYPE bf16 AMP_OPT_LEVEL O3",
      "MODEL.NAME mobilenetv2_050 DATA.IMG_SIZE 32 DATA.BATCH_SIZE 4",
      "MODEL.NAME vit_tiny_patch16_224 DATA.IMG_SIZE 32 DATA.BATCH_SIZE 4 MODEL.DROP_PATH_RATE 0.1",
      "MODEL.NAME vit_tiny_patch16_224 DATA.IMG_SIZE 32 DATA.BATCH_SIZE 4 AMP_ENABLE True AMP.DTYPE bf16",
  };
  for (const char* run : runs) {
    INFO(run);
    std::vector<std::string> words;
    std::stringstream text(
        std::string("DATA.DATASET digits DATA.IMG_SIZE 8 DATA.BATCH_SIZE 16 DATA.NUM_WORKERS 1 "
                    "AUG.ENABLE False AMP_ENABLE False MODEL.NUM_CLASSES 10 ") +
        run);
    for (std::string word; text >> word;) words.push_back(word);
    config::Config config = config::Config::defaults();
    config.merge_opts(words);
    const Settings s(config);
    const auto comm = alone();
    Training training(
        config, s, build_loader(build_dataset(config, s, data::Split::train), s, data::Split::train, *comm),
        {}, *comm);
    auto hook = std::make_unique<Watch>();
    Watch& watch = *hook;
    training.trainer->add(std::move(hook));
    training.trainer->run();
    counting = false;
    CHECK(training.trainer->step() == Watch::warm_up + 10);
    CHECK(watch.found == 0);
    CHECK(watch.grown == 0);
  }
}
#endif
