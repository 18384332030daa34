//! The test is in `tests/`; it needs a program of its own, whose allocator looks at what is freed.
