//! Backups of a node that goes on meanwhile, what is restored from them, and what `doctor` says
//! about directories that were tampered with.

mod doctor;
mod fixture;
mod old;
mod restored;
mod whole;
