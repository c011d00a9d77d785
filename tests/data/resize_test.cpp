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

TEST_CASE("heights and widths are resized apart, and bytes count as 255ths") {
  const std::vector<float> wide{0, 1, 2, 3, 4, 5, 6, 7};  // 2 x 4
  std::vector<float> tall(4 * 2);
  BilinearResize(2, 4, 4, 2)(wide, tall);
  // Columns 0.5 and 2.5; rows 0, 0.25, 0.75 and 1.
  CHECK(tall == std::vector<float>{0.5F, 2.5F, 1.5F, 3.5F, 3.5F, 5.5F, 4.5F, 6.5F});

  const std::vector<uint8_t> bytes{0, 51, 255, 3};
  std::vector<float> as_floats, a(9), b(9);
  for (const uint8_t v : bytes) as_floats.push_back(static_cast<float>(v) / 255.0F);
  BilinearResize(2, 3)(bytes, a);
  BilinearResize(2, 3)(as_floats, b);
  CHECK(a == b);
}

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
