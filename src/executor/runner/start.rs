//! The moment at which an attempt begins to act.

/// Asked directly before a process is started or a request is sent, and told directly after.
/// A closure is told, and always allows.
pub trait Start: Send {
    /// Whether the attempt may still begin. When not, nothing was done, and the outcome of
    /// [`super::run`] only says that.
    fn may(&self) -> bool {
        true
    }

    /// It has begun: the process's number, or none for a request.
    fn begun(self, process: Option<u32>);
}

impl<F: FnOnce(Option<u32>) + Send> Start for F {
    fn begun(self, process: Option<u32>) {
        self(process);
    }
}

/// # Errors
/// A sentence, when it may not.
pub(super) fn ask(start: &impl Start) -> Result<(), String> {
    if start.may() { Ok(()) } else { Err("was not started: it may not begin any more".to_owned()) }
}
