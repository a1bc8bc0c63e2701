//! The page as bytes: what `build.rs` had Vite make of the sources beside this file, or why there
//! is none. A crate of its own, so that a change of the page does not build the daemon anew.
//!
//! `CRONAPI_UI` says what a build wants: `auto` (the default: the page where Node.js is found),
//! `require` (fail without it), `skip`. `CRONAPI_UI_DIST` names a folder with a page built before.

/// A file of the page.
#[derive(Clone, Copy, Debug)]
pub struct File {
    /// Its path under `/ui/`.
    pub path: &'static str,
    /// Its bytes.
    pub bytes: &'static [u8],
    /// The same, compressed with brotli, where that is smaller.
    pub brotli: Option<&'static [u8]>,
}

include!(concat!(env!("OUT_DIR"), "/files.rs"));

/// The file at `path`, such as `assets/index-….js`.
pub fn file(path: &str) -> Option<&'static File> {
    FILES.iter().find(|file| file.path == path)
}
