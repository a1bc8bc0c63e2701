//! Tests of whole nodes and of the library's contract with our storage.

mod fixture;
mod restart;
