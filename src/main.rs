//! The `cronapi` binary.

fn main() {}
