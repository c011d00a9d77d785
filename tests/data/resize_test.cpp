#include "lib/data/resize.h"

#include "tests/catch.h"

namespace trainer::data {
namespace {

const std::vector<float> image{0, 1, 4, 2, -1, 3, 5, 7, 6};

std::vector<float> resized(int64_t size) {
  std::vector<float> out(static_cast<size_t>(size * size));
  BilinearResize(3, size)(image, out);
  return out;
}

void check_near(const std::vector<float>& a, const std::vector<float>& b) {
  REQUIRE(a.size() == b.size());
  for (size_t i = 0; i < a.size(); ++i) CHECK(a[i] == Approx(b[i]).margin(2e-6));
}

TEST_CASE("bilinear resizing agrees with torch.nn.functional.interpolate") {
  check_near(resized(2), {0.5F, 2.9375F, 4.4375F, 5.1875F});
  check_near(resized(5), {0.0F, 0.4F, 1.0F, 2.8F, 4.0F, 0.8F, 0.56F, 0.2F, 2.24F, 3.6F, 2.0F, 0.8F, -1.0F,
                          1.4F, 3.0F, 3.8F, 3.8F, 3.8F, 4.4F, 4.8F,  5.0F, 5.8F,  7.0F, 6.4F, 6.0F});
}

TEST_CASE("resizing to the same size copies") { CHECK(resized(3) == image); }

TEST_CASE("channels are resized apart") {
  std::vector<float> two, out(2 * 25);
  for (const float v : image) two.insert(two.end(), {v, -v});
  BilinearResize(3, 5)(two, out, 2);
  const auto one = resized(5);
  for (size_t i = 0; i < one.size(); ++i) {
    CHECK(out[2 * i] == one[i]);
    CHECK(out[2 * i + 1] == -one[i]);
  }
}

}  // namespace
}  // namespace trainer::data
