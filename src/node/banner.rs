//! What a person sees at the start, on standard output.

use std::io::Write;
use std::path::Path;

/// Shows it. A closed standard output is no reason not to run.
pub fn show(text: &str) {
    let mut out = std::io::stdout();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// The banner: where to go, and the first password when it was made up.
pub fn text(base: &str, data: &Path, generated: Option<&str>) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let mut text = format!(
        "\n  CronAPI {version}\n\n  REST      {base}\n  API docs  {base}/docs\n  data      {}\n",
        data.display()
    );
    text.extend(generated.map(password));
    text
}

/// The first password, when it was made up.
pub fn password(password: &str) -> String {
    format!(
        "\n  First start: user admin, password {password}\n  \
         It is shown this once. Change it with PUT /auth/password.\n"
    )
}
