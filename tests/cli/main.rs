//! The command line as a person uses it: the real program against a real node, in a pipe and
//! on a terminal.
//!
//! Owns: what goes to standard output and what beside it, exit codes, questions, files of the
//! user. Does not own: what the REST interface answers (tests/api).
//!
//! To add a test: a function in the file of its theme; [`place::Place`] is a node and a user's
//! home, [`screen::Screen`] a terminal.

#[path = "../shared/skip.rs"]
mod skip;

mod away;
mod backfills;
mod crontab;
mod data;
mod document;
mod editing;
mod exec;
mod kinds;
mod login;
mod output;
mod pages;
mod place;
mod running;
mod screen;
mod terminal;
mod words;
