//! Integration tests on real parts.
fn main() {}
