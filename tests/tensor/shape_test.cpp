#include "lib/tensor/shape.h"

#include "tests/catch.h"

using trainer::Shape;

TEST_CASE("a shape's extents, from both ends") {
  const Shape s{2, 3, 5};
  CHECK(s.rank() == 3);
  CHECK(s[0] == 2);
  CHECK(s[-1] == 5);
  CHECK(s.back() == 5);
  CHECK(s.numel() == 30);
  CHECK(s.rows() == 6);
  CHECK(s.str() == "[2, 3, 5]");
  CHECK(fmt::format("{}", s) == "[2, 3, 5]");
}

TEST_CASE("rank 0 has one element, an extent of 0 has none") {
  CHECK(Shape{}.numel() == 1);
  CHECK(Shape{}.rows() == 1);
  CHECK(Shape{}.str() == "[]");
  CHECK(Shape{3, 0}.numel() == 0);
  CHECK(Shape{3, 0}.rows() == 0);
  CHECK(Shape{0, 3}.rows() == 0);
}

TEST_CASE("shapes are equal if rank and extents are") {
  CHECK(Shape{2, 3} == Shape{2, 3});
  CHECK_FALSE(Shape{2, 3} == Shape{3, 2});
  CHECK_FALSE(Shape{2, 3} == Shape{2, 3, 1});
  CHECK_FALSE(Shape{} == Shape{1});
}

TEST_CASE("parts of a shape") {
  const Shape s{2, 3, 5};
  CHECK(s.with(-1, 7) == Shape{2, 3, 7});
  CHECK(s.front(2) == Shape{2, 3});
  CHECK(s.drop_front() == Shape{3, 5});
  CHECK(s.drop_front(3) == Shape{});
}

TEST_CASE("a shape that cannot be says why") {
  const Shape s{2, 3};
  CHECK_THROWS_WITH(s[2], ContainsSubstring("shape [2, 3] has no extent 2"));
  CHECK_THROWS_WITH(s[-3], ContainsSubstring("shape [2, 3] has no extent -3"));
  CHECK_THROWS_WITH(Shape{}.back(), ContainsSubstring("shape [] has no extent -1"));
  CHECK_THROWS_WITH((Shape{1, 1, 1, 1, 1, 1, 1, 1, 1}), ContainsSubstring("at most 8 extents, got 9"));
  CHECK_THROWS_WITH((Shape{2, -1}.numel()), ContainsSubstring("[2, -1] has a negative extent"));
  CHECK_THROWS_WITH((Shape{int64_t{1} << 40, int64_t{1} << 40}.numel()), ContainsSubstring("64 bits"));
}
