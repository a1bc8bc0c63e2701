//! The rules of this code base that a compiler does not know, held by a test.
//!
//! Owns: which module may import which, sizes, names, words that have no place here, what
//! a `mod.rs` says, and that the documents are whole. Does not own: what `clippy` can tell
//! (Cargo.toml and clippy.toml: functions over 70 lines, unwraps, the wall clock).
//!
//! A rule is a function from the tree to the breaches it finds; each has a test on planted
//! breaches beside it, so that a rule that stopped looking is noticed.
//!
//! To add a rule: a function in the file of its subject, a test on a planted breach, a test
//! in this file that runs it over the tree. Exceptions are lists with a name, and may only
//! shrink: a test fails when one is no longer needed.

mod circles;
mod docs;
mod layers;
mod names;
mod sizes;
mod source;
mod words;

use std::path::Path;

use source::Tree;

fn tree() -> Tree {
    Tree::read(Path::new(env!("CARGO_MANIFEST_DIR")))
}

/// Fails with every breach at once.
fn hold(rule: &str, breaches: Vec<String>) {
    assert!(breaches.is_empty(), "\n{rule}:\n  {}\n", breaches.join("\n  "));
}

#[test]
fn imports_point_one_way() {
    hold(
        "docs/architecture.md, the module map, says who may import whom",
        layers::imports(&tree()),
    );
}

#[test]
fn no_new_circle_of_files() {
    hold("files import each other in a circle: move what they share", circles::breaches(&tree()));
}

#[test]
fn what_is_confined_stays_where_it_is() {
    hold("these belong in one place each", layers::confined(&tree()));
}

#[test]
fn every_module_is_on_the_map() {
    hold("layers.rs has no line for these", layers::unknown(&tree()));
}

#[test]
fn files_stay_small() {
    let found = sizes::files(&tree());
    for warning in &found.warnings {
        eprintln!("warning: {warning}");
    }
    hold("a file has 500 lines at most; which noun is hiding in it?", found.breaches);
}

#[test]
fn lines_stay_short() {
    hold("a line has 100 columns at most", sizes::lines(&tree()));
}

#[test]
fn names_say_what_a_thing_is() {
    hold("these names say nothing", names::banned(&tree()));
}

#[test]
fn a_schema_is_of_one_type() {
    hold("two types have one schema: rename one", names::schemas(&tree()));
}

#[test]
fn nothing_is_left_for_later() {
    hold("finish it, or write an issue", words::unfinished(&tree()));
}

#[test]
fn words_are_those_of_the_field() {
    hold("docs/contributing.md has another word for these", words::replaced(&tree()));
}

#[test]
fn what_is_skipped_is_seen() {
    hold("say it with tests/shared/skip.rs, which is counted", words::unseen(&tree()));
}

#[test]
fn nothing_panics_where_it_can_answer() {
    hold("refuse with a value: only tests may panic", words::panics(&tree()));
}

#[test]
fn nothing_names_the_machine_it_was_written_on() {
    hold("paths of one machine mean nothing on another", words::machines(&tree()));
}

#[test]
fn every_module_says_what_it_owns_and_how_to_add_to_it() {
    hold("the header of a mod.rs: what it owns, and how to add to it", docs::headers(&tree()));
}

#[test]
fn every_problem_is_explained() {
    hold("docs/errors.md has a heading for each code of src/api", docs::problems(&tree()));
}

#[test]
fn every_limit_is_named() {
    hold("docs/limits.md names every limit of src/model/limits.rs", docs::limits(&tree()));
}

#[test]
fn every_page_is_in_the_index() {
    hold("docs/README.md links every page", docs::index(&tree()));
}

#[test]
fn links_lead_somewhere() {
    hold("these links lead nowhere", docs::links(&tree()));
}
