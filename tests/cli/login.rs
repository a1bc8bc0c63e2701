//! Logging in and out, contexts, where tokens go.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

use super::place::{PASSWORD, Place};

#[test]
fn a_login_is_kept_for_its_owner_and_forgotten() {
    let place = Place::new();
    let url = place.url();
    place.run(&["whoami", "--server", &url]).bad(4, "cronapi login --server");
    let wrong = ["login", "--server", &url, "--user", "admin", "--password-stdin"];
    let refused = place.with_input(&wrong, "wrong").bad(4, "");
    assert!(!refused.err.contains("CRONAPI_TOKEN"), "{refused:?}");
    let said = place.with_input(&wrong, &format!("{PASSWORD}\n")).good();
    assert!(said.out.is_empty() && said.err.contains("as admin (admin)"), "{said:?}");

    let folder = place.home.path().join(".config/cronapi");
    let mode = |file: &str| folder.join(file).metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("tokens.toml"), 0o600);
    let config = std::fs::read_to_string(folder.join("config.toml")).unwrap();
    let tokens = std::fs::read_to_string(folder.join("tokens.toml")).unwrap();
    assert!(tokens.contains("access") && !config.contains("ey"), "{config}");
    assert!(!tokens.contains(PASSWORD));

    assert_eq!(place.run(&["whoami", "-o", "name"]).good().out, "admin\n");
    let contexts = place.run(&["context", "list", "-o", "json"]).good().json();
    assert_eq!(contexts["items"][0]["current"], true);
    assert_eq!(contexts["items"][0]["logged_in"], true);
    place.run(&["logout"]).good();
    place.run(&["whoami"]).bad(4, "not logged in");
}

#[test]
fn an_access_token_that_ended_is_renewed_and_everywhere_means_everywhere() {
    let place = Place::logged_in();
    let file = place.home.path().join(".config/cronapi/tokens.toml");
    let tokens = std::fs::read_to_string(&file).unwrap();
    let line = tokens.lines().find(|line| line.starts_with("access")).unwrap();
    // Not a good one any more.
    std::fs::write(&file, tokens.replace(line, "access = \"ended\"")).unwrap();
    place.run(&["whoami"]).good();
    let renewed = std::fs::read_to_string(&file).unwrap();
    assert!(!renewed.contains("\"ended\"") && renewed.contains("refresh"), "{renewed}");
    let other = Place { node: None, home: tempfile::tempdir().unwrap() };
    std::fs::create_dir_all(other.home.path().join(".config/cronapi")).unwrap();
    for name in ["config.toml", "tokens.toml"] {
        let to = other.home.path().join(".config/cronapi").join(name);
        std::fs::copy(file.with_file_name(name), to).unwrap();
    }
    other.run(&["whoami"]).good();
    place.run(&["logout", "--everywhere"]).good();
    other.run(&["whoami"]).bad(4, "cronapi login");
}

#[test]
fn variables_stand_over_the_context_and_a_flag_over_them() {
    let place = Place::logged_in();
    let created = place.run(&["token", "create", "ci", "--role", "viewer", "-o", "json"]).good();
    let token = created.json()["token"].as_str().unwrap().to_owned();
    let env = [("CRONAPI_TOKEN", token.as_str())];
    let me = place.with_env(&["whoami", "-o", "json"], &env).good().json();
    assert_eq!(me["role"], "viewer");
    let context = place.run(&["context", "list", "-o", "name"]).good().out;
    let asked = ["whoami", "-o", "json", "--context", context.trim()];
    assert_eq!(place.with_env(&asked, &env).good().json()["role"], "admin");
    let other = [("CRONAPI_SERVER", "http://127.0.0.1:9"), env[0]];
    place.with_env(&["whoami"], &other).bad(6, "127.0.0.1:9");
    place
        .with_input(
            &["login", "--token-stdin", "--context", "ci", "--server", &place.url()],
            &token,
        )
        .good();
    assert_eq!(place.run(&["whoami", "-o", "json"]).good().json()["role"], "viewer");
    place.run(&["context", "use", "cii"]).bad(3, "there are: ");
    place.run(&["context", "delete", "ci"]).good();
    place.run(&["--context", "ci", "whoami"]).bad(3, "there is no context ci");
}

/// The token of a context goes to the servers of that context only.
#[test]
fn a_token_is_not_sent_to_another_server() {
    let place = Place::logged_in();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", other.local_addr().unwrap());
    let asked = std::thread::spawn(move || {
        let (mut connection, _) = other.accept().unwrap();
        let mut head = Vec::new();
        let mut piece = [0; 1024];
        while !head.windows(4).any(|end| end == b"\r\n\r\n") {
            let count = connection.read(&mut piece).unwrap();
            head.extend_from_slice(&piece[..count]);
        }
        connection.write_all(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 2\r\n\r\n{}").unwrap();
        String::from_utf8(head).unwrap()
    });
    place.run(&["whoami", "--server", &url]).bad(4, "not logged in");
    let head = asked.join().unwrap().to_lowercase();
    assert!(head.starts_with("get /auth/me") && !head.contains("authorization"), "{head}");
}

#[test]
fn nobody_to_ask_is_wrong_usage() {
    let place = Place::new();
    let url = place.url();
    place.run(&["login", "--server", &url]).bad(2, "--user");
    place.run(&["login", "--server", &url, "--user", "a"]).bad(2, "--password-stdin");
    let help = place.run(&["login", "--help"]).good();
    assert!(!help.out.contains("--password "), "a password is no argument: {help:?}");
}

#[test]
fn the_signing_key_is_replaced_and_the_audit_tells_it() {
    let place = Place::logged_in();
    place.run(&["key", "rotate"]).good();
    place.run(&["whoami"]).good();
    let keys = place.run(&["key", "list", "-o", "json"]).good().json();
    assert_eq!(keys["items"].as_array().unwrap().len(), 2, "{keys}");
    let exported = place.run(&["audit", "--export"]).good();
    let records: Vec<serde_json::Value> =
        exported.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(records.iter().any(|record| record["action"] == "access.rotate-key"), "{exported:?}");
    place.run(&["key", "rotate", "--revoke", "--yes"]).good();
    place.run(&["whoami"]).bad(4, "cronapi login");
    place.run(&["audit", "--export", "--verify"]).bad(2, "--export");
}
