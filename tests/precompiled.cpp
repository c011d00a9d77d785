// The owner of the precompiled header that all tests share (CMakeLists.txt).
