//! Tests of whole nodes and of the library's contract with our storage.

mod batching;
mod cluster;
mod damage;
mod disk_admission;
mod fixture;
mod formats;
mod golden;
mod install;
mod kill;
mod mended;
mod moving;
mod proofs;
mod restart;
mod suite;
mod transfer;
mod transfer_disk;
