//! What is told about settings, and which of them counts.

use std::path::PathBuf;

use super::*;

fn none(_: &str) -> Option<String> {
    None
}

#[test]
fn nothing_given_is_enough() {
    let config = Config::load(&Flags::default(), &none).unwrap();
    assert_eq!(config.listen.to_string(), "127.0.0.1:8000");
    assert_eq!(config.data, PathBuf::from("cron_state.db"));
    assert!(config.slots >= 2);
}

#[test]
fn flags_beat_environment_beats_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c.toml");
    std::fs::write(&path, "listen = '127.0.0.1:1'\nslots = 7\ndrain = '1s'\n").unwrap();
    let flags =
        Flags::default().with("listen", "127.0.0.1:3").with("config", path.to_string_lossy());
    let env = |name: &str| match name {
        "CRONAPI_LISTEN" => Some("127.0.0.1:2".to_string()),
        "CRONAPI_SLOTS" => Some("9".to_string()),
        _ => None,
    };
    let config = Config::load(&flags, &env).unwrap();
    assert_eq!((config.listen.port(), config.slots, config.drain.secs()), (3, 9, 1));
}

#[test]
fn every_fault_is_told_with_its_source() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c.toml");
    std::fs::write(&path, "lisen = 'x'\ndrain = 'soon'\n").unwrap();
    let flags = Flags::default().with("config", path.to_string_lossy());
    let env = |name: &str| match name {
        "CRONAPI_SLOTS" => Some("0".to_string()),
        "CRONAPI_LABELS" => Some("region".to_string()),
        _ => None,
    };
    let faults = Config::load(&flags, &env).unwrap_err();
    let told = faults.iter().map(Fault::to_string).collect::<Vec<_>>().join("\n");
    for want in [
        "did you mean listen",
        "c.toml:1: lisen",
        "c.toml:2: drain",
        "CRONAPI_SLOTS",
        "CRONAPI_LABELS",
    ] {
        assert!(told.contains(want), "{want} in {told}");
    }
}

#[test]
fn a_password_does_not_show() {
    let env = |name: &str| (name == "CRONAPI_ADMIN_PASSWORD").then(|| "correct horse".to_string());
    let config = Config::load(&Flags::default(), &env).unwrap();
    assert!(!format!("{config:?}").contains("horse"));
}

const LONG_KEY: &str = "a key of the cluster, long enough";

fn of(pairs: &[(&str, &str)]) -> Result<Config, String> {
    let env = |name: &str| {
        pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| value.to_string())
    };
    Config::load(&Flags::default(), &env)
        .map_err(|faults| faults.iter().map(Fault::to_string).collect::<Vec<_>>().join("\n"))
}

#[test]
fn a_node_alone_needs_to_know_nothing_about_others() {
    let config = of(&[]).unwrap();
    assert_eq!(config.cluster_listen.to_string(), "127.0.0.1:8001");
    assert_eq!((config.advertise, config.join, config.voters), (None, Vec::new(), 3));
    assert!(config.cluster_key.is_none());
}

#[test]
fn a_node_of_a_cluster_is_told_in_the_environment() {
    let config = of(&[
        ("CRONAPI_CLUSTER_LISTEN", "0.0.0.0:0"),
        ("CRONAPI_ADVERTISE", "node1.example:8001"),
        ("CRONAPI_JOIN", "node1.example:8001, 10.0.0.2:8001,[fd00::3]:8001,10.0.0.2:8001"),
        ("CRONAPI_VOTERS", "5"),
        ("CRONAPI_CLUSTER_KEY", LONG_KEY),
    ])
    .unwrap();
    assert_eq!(config.advertise.as_deref(), Some("node1.example:8001"));
    assert_eq!(config.join, ["node1.example:8001", "10.0.0.2:8001", "[fd00::3]:8001"]);
    assert_eq!(config.voters, 5);
    assert!(!format!("{config:?}").contains("long enough"));
    assert_eq!(config.cluster_key.unwrap().0, LONG_KEY);
}

#[test]
fn a_node_of_a_cluster_is_told_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let (path, key) = (folder.path().join("c.toml"), folder.path().join("key"));
    std::fs::write(&key, format!("{LONG_KEY}\n")).unwrap();
    let text = format!(
        "cluster_listen = '10.0.0.1:9'\njoin = ['a:1', 'b:2']\nvoters = 1\n\
         cluster_key_file = '{}'\n",
        key.display()
    );
    std::fs::write(&path, text).unwrap();
    let config = of(&[("CRONAPI_CONFIG", path.to_str().unwrap())]).unwrap();
    assert_eq!(config.cluster_listen.to_string(), "10.0.0.1:9");
    assert_eq!((config.join.len(), config.voters), (2, 1));
    assert_eq!(config.cluster_key.unwrap().0, LONG_KEY);
}

#[test]
fn what_can_not_be_dialled_is_refused_each_by_name() {
    let bad = "a,b:,:1,c:0,d:65536,e f:1,::1:8001,[::g]:1,0.0.0.0:1,http://h:1,i:+1";
    let told = of(&[("CRONAPI_JOIN", bad)]).unwrap_err();
    for item in bad.split(',') {
        assert!(told.contains(&format!("CRONAPI_JOIN: {item:?}")), "{item} in {told}");
    }
    let told = of(&[("CRONAPI_ADVERTISE", "[::]:1"), ("CRONAPI_VOTERS", "8")]).unwrap_err();
    assert!(told.contains("CRONAPI_ADVERTISE") && told.contains("CRONAPI_VOTERS"), "{told}");
}

#[test]
fn an_address_that_others_reach_needs_a_name_and_a_key_is_long() {
    let told = of(&[("CRONAPI_CLUSTER_LISTEN", "[::]:8001")]).unwrap_err();
    assert!(told.contains("--advertise: is needed"), "{told}");
    // Without a key one is made at the start.
    of(&[("CRONAPI_CLUSTER_LISTEN", "10.0.0.1:0")]).unwrap();
    of(&[("CRONAPI_CLUSTER_LISTEN", "[::1]:0")]).unwrap();
    let short = [("CRONAPI_CLUSTER_LISTEN", "10.0.0.1:1"), ("CRONAPI_CLUSTER_KEY", "short")];
    let told = of(&short).unwrap_err();
    assert!(told.contains("CRONAPI_CLUSTER_KEY: has 5 characters"), "{told}");
    assert!(!told.contains("short"), "{told}");
    let lost = [("CRONAPI_CLUSTER_LISTEN", "10.0.0.1:1"), ("CRONAPI_CLUSTER_KEY_FILE", "/no/key")];
    let told = of(&lost).unwrap_err();
    assert_eq!(told.lines().count(), 1, "{told}");
    assert!(told.starts_with("CRONAPI_CLUSTER_KEY_FILE: /no/key"), "{told}");
}

/// Writes a configuration file and gives its path.
fn file(folder: &tempfile::TempDir, text: &str) -> String {
    let path = folder.path().join("c.toml");
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_string()
}

#[test]
fn proxies_are_networks() {
    let given = ("CRONAPI_TRUSTED_PROXIES", "10.0.0.0/8, 192.0.2.7,fd00::/8");
    let config = of(&[given]).unwrap();
    for (address, trusted) in [("10.1.2.3", true), ("192.0.2.8", false), ("fd00::1", true)] {
        assert_eq!(config.proxies.trusts(address.parse().unwrap()), trusted, "{address}");
    }
    assert!(!of(&[]).unwrap().proxies.trusts("127.0.0.1".parse().unwrap()));
    let told = of(&[("CRONAPI_TRUSTED_PROXIES", "front.example")]).unwrap_err();
    assert!(told.contains("CRONAPI_TRUSTED_PROXIES: \"front.example\""), "{told}");
}

#[test]
fn every_fault_of_a_file_is_told_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let text = "# a comment\nvoters = 'three'\njoin = 'a:1'\n\nslots = 0\nadmin_password = 'x'\n";
    let path = file(&folder, text);
    let told = of(&[("CRONAPI_CONFIG", &path)]).unwrap_err();
    for want in
        ["c.toml:2: voters", "c.toml:3: join", "c.toml:5: slots", "c.toml:6: admin_password"]
    {
        assert!(told.contains(want), "{want} in {told}");
    }
    assert!(told.contains("did you mean admin_password_file"), "{told}");
    assert_eq!(told.lines().count(), 4, "{told}");
    let path = file(&folder, "listen = '127.0.0.1:1'\nslots = = 3\n");
    let told = of(&[("CRONAPI_CONFIG", &path)]).unwrap_err();
    assert!(told.contains("c.toml:2"), "{told}");
}

#[test]
fn what_is_printed_can_be_used_as_a_file_and_is_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let text =
        "join = ['a:1', 'b:2']\nvoters = 5\nlog = \"a=\\\"b\\\"\"\n[labels]\n\"x.y\" = 'eu'\n";
    let path = file(&folder, text);
    let set = [
        ("CRONAPI_CONFIG", path.as_str()),
        ("CRONAPI_SLOTS", "9"),
        ("CRONAPI_ADMIN_PASSWORD", "correct horse"),
        ("CRONAPI_METRICS_LISTEN", "127.0.0.1:9"),
    ];
    let env = |name: &str| set.iter().find(|(known, _)| *known == name).map(|(_, v)| v.to_string());
    let flags = Flags::default().with("drain", "1m");
    let loaded = Config::look(&flags, &env, &[]);
    let printed = loaded.print();
    for want in [
        "slots = 9    # CRONAPI_SLOTS\n",
        "drain = \"1m\"    # --drain\n",
        "voters = 5    # ",
        "data = \"cron_state.db\"    # default\n",
        "# admin_password is hidden    # CRONAPI_ADMIN_PASSWORD\n",
        "# advertise is not set\n",
    ] {
        assert!(printed.contains(want), "{want} in {printed}");
    }
    assert!(printed.contains("c.toml:2: voters") && !printed.contains("horse"), "{printed}");
    let again = file(&folder, &printed);
    let again = of(&[("CRONAPI_CONFIG", &again)]).unwrap();
    let mut first = loaded.outcome.unwrap();
    first.admin_password = None;
    assert_eq!(format!("{again:?}"), format!("{first:?}"));
}

#[test]
fn nothing_given_prints_what_holds() {
    let folder = tempfile::tempdir().unwrap();
    let printed = Config::look(&Flags::default(), &none, &[]).print();
    let path = file(&folder, &printed);
    let mut again = of(&[("CRONAPI_CONFIG", &path)]).unwrap();
    let config = Config::load(&Flags::default(), &none).unwrap();
    // The file itself is kept from jobs, and there is none otherwise.
    assert!(again.jobs.isolation.keep.pop().is_some_and(|kept| kept.ends_with("c.toml")));
    assert_eq!(format!("{again:?}"), format!("{config:?}"));
    for (at, line) in printed.lines().enumerate() {
        assert!(line.ends_with("# default") || line.ends_with("is not set"), "{at}: {line}");
    }
}

#[test]
fn an_address_that_others_reach_needs_tls_or_a_word_that_it_does_not() {
    let told = of(&[("CRONAPI_LISTEN", "0.0.0.0:8000")]).unwrap_err();
    assert!(told.starts_with("CRONAPI_LISTEN: 0.0.0.0:8000 can be reached"), "{told}");
    assert!(told.contains("--tls-cert") && told.contains("CRONAPI_ALLOW_HTTP"), "{told}");
    of(&[("CRONAPI_LISTEN", "[::1]:8000")]).unwrap();
    let config = of(&[("CRONAPI_LISTEN", "0.0.0.0:1"), ("CRONAPI_ALLOW_HTTP", "true")]).unwrap();
    assert!(config.tls.is_none());
    let tls = [
        ("CRONAPI_LISTEN", "0.0.0.0:1"),
        ("CRONAPI_TLS_CERT", "/c"),
        ("CRONAPI_TLS_KEY", "/k"),
        ("CRONAPI_TLS_CLIENT_CA", "/a"),
    ];
    let files = of(&tls).unwrap().tls.unwrap();
    assert_eq!(files.cert, PathBuf::from("/c"));
    assert_eq!(files.client_ca, Some(PathBuf::from("/a")));
    for (given, at) in [
        (&tls[..2], "CRONAPI_TLS_CERT: needs its private key"),
        (&tls[2..3], "CRONAPI_TLS_KEY: needs its certificate"),
        (&tls[3..], "CRONAPI_TLS_CLIENT_CA: counts with"),
        (&[("CRONAPI_ALLOW_HTTP", "maybe")], "CRONAPI_ALLOW_HTTP: \"maybe\""),
    ] {
        let told = of(given).unwrap_err();
        assert!(told.starts_with(at) && told.lines().count() == 1, "{told}");
    }
}

#[test]
fn secrets_come_from_files_and_credentials() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_string();
    std::fs::write(path("cluster_key"), format!("{LONG_KEY}\n")).unwrap();
    std::fs::write(path("password"), "from a file\n").unwrap();
    let (credentials, password) = (path(""), path("password"));
    let config =
        of(&[("CREDENTIALS_DIRECTORY", &credentials), ("CRONAPI_ADMIN_PASSWORD_FILE", &password)])
            .unwrap();
    assert_eq!(config.cluster_key.unwrap().0, LONG_KEY);
    assert_eq!(config.admin_password.unwrap().0, "from a file");
}

#[test]
fn a_secret_that_everybody_can_read_is_warned_of() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("password");
    std::fs::write(&path, "secret enough").unwrap();
    let env = |name: &str| {
        (name == "CRONAPI_ADMIN_PASSWORD_FILE").then(|| path.to_str().unwrap().to_string())
    };
    for (mode, warned) in [(0o600, 0), (0o644, 1)] {
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        let warnings = Config::look(&Flags::default(), &env, &[]).warnings;
        assert_eq!(warnings.len(), warned, "{warnings:?}");
        assert!(!warnings.concat().contains("enough"));
    }
}

#[test]
fn a_variable_that_is_nearly_right_is_warned_of() {
    let names = ["CRONAPI_SLOT", "CRONAPI_PORT_8000_TCP", "CRONAPI_LOG", "CRONAPI_TOKEN", "PATH"];
    let names = names.map(str::to_string);
    let warnings = Config::look(&Flags::default(), &none, &names).warnings;
    assert_eq!(warnings, ["CRONAPI_SLOT: is not read; did you mean CRONAPI_SLOTS?"]);
}

#[test]
fn the_address_of_a_redis_is_taken_and_not_shown() {
    let redis = |name: &str| (name == "REDIS_URL").then(|| "redis://:pw@redis:6379".to_string());
    let looked = Config::look(&Flags::default(), &redis, &[]);
    let shown: Vec<_> = looked.settings.iter().filter(|it| it.key == "redis_url").collect();
    assert!(shown.iter().all(|it| it.secret) && shown.len() == 1, "{shown:?}");
    assert!(!format!("{:?}", looked.settings).contains("pw@"));
}

#[test]
fn where_the_own_node_listens_needs_no_other_setting() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c.toml");
    std::fs::write(&path, "listen = '127.0.0.1:1'\n").unwrap();
    let file = path.to_string_lossy().into_owned();
    let in_file = |name: &str| (name == "CRONAPI_CONFIG").then(|| file.clone());
    let listen = |env: Env<'_>| Config::rest(env).unwrap().0.to_string();
    assert_eq!(listen(&in_file), "127.0.0.1:1");
    // A cluster address that would be refused does not matter here.
    let env = |name: &str| match name {
        "CRONAPI_LISTEN" | "CRONAPI_CLUSTER_LISTEN" => Some("0.0.0.0:8000".to_string()),
        _ => None,
    };
    assert_eq!(listen(&env), "0.0.0.0:8000");
    assert_eq!(listen(&none), "127.0.0.1:8000");
    std::fs::write(&path, "tls_cert = 'c'\ntls_key = 'k'\n").unwrap();
    assert_eq!(Config::rest(&in_file).unwrap().1.unwrap().cert, PathBuf::from("c"));
    let bad = |name: &str| (name == "CRONAPI_LISTEN").then(|| "8000".to_string());
    assert_eq!(Config::rest(&bad).unwrap_err()[0].at, "CRONAPI_LISTEN");
}

#[test]
fn a_port_alone_is_advertised_under_the_name_of_the_machine() {
    let flags = |advertise: &str| Flags::default().with("advertise", advertise);
    let config = Config::load(&flags(":8001"), &none).unwrap();
    assert_eq!(config.advertise, Some(format!("{}:8001", host_name())));
    for bad in [":", ":0", ":x", "::8001"] {
        assert_eq!(Config::load(&flags(bad), &none).unwrap_err()[0].at, "--advertise", "{bad}");
    }
}

#[test]
fn a_pool_is_for_nodes_that_join_each_other() {
    let pool = |join: Option<&str>| {
        let flags = Flags::default().with("data_pool", "pool");
        join.map_or(flags.clone(), |join| flags.with("join", join))
    };
    let faults = Config::load(&pool(None), &none).unwrap_err();
    assert!(faults[0].to_string().starts_with("--join: is needed with --data-pool"), "{faults:?}");
    let config = Config::load(&pool(Some("nodes:8001")), &none).unwrap();
    assert_eq!(config.data_pool, Some(PathBuf::from("pool")));
}

#[test]
fn tls_can_stand_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c.toml");
    std::fs::write(&path, "listen = '0.0.0.0:1'\nallow_http = true\n").unwrap();
    of(&[("CRONAPI_CONFIG", path.to_str().unwrap())]).unwrap();
    std::fs::write(&path, "listen = '0.0.0.0:1'\ntls_cert = 'c'\ntls_key = 'k'\n").unwrap();
    let config = of(&[("CRONAPI_CONFIG", path.to_str().unwrap())]).unwrap();
    assert_eq!(config.tls.unwrap().key, PathBuf::from("k"));
}

#[test]
fn the_key_before_needs_the_new_one_and_a_length() {
    let old = ("CRONAPI_CLUSTER_KEY_OLD", "the key before, long enough");
    let config = of(&[("CRONAPI_CLUSTER_KEY", LONG_KEY), old]).unwrap();
    assert_eq!(config.cluster_key_old.unwrap().0, old.1);
    assert!(of(&[old]).unwrap_err().starts_with("CRONAPI_CLUSTER_KEY_OLD: is what"));
    let short = [("CRONAPI_CLUSTER_KEY", LONG_KEY), ("CRONAPI_CLUSTER_KEY_OLD", "short")];
    assert!(of(&short).unwrap_err().starts_with("CRONAPI_CLUSTER_KEY_OLD: has 5"));
}

#[test]
fn a_login_provider_is_told_in_the_file_and_its_faults_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c.toml");
    let load = |text: &str| {
        std::fs::write(&path, text).unwrap();
        of(&[
            ("CRONAPI_CONFIG", path.to_str().unwrap()),
            ("CRONAPI_OIDC_CLIENT_SECRET", "the clients secret"),
        ])
    };
    let good = "[oidc]\nissuer = 'https://id.example'\nclient_id = 'c'\n\
                redirect_url = 'http://localhost:8000/auth/oidc/callback'\n\
                [[oidc.roles]]\ngroup = 'ops'\nrole = 'operator'\njobs = ['etl-*']\n";
    let config = load(good).unwrap();
    assert!(!format!("{config:?}").contains("clients secret"));
    let oidc = config.oidc.unwrap().0;
    assert_eq!(oidc.client_secret.as_deref(), Some("the clients secret"));
    assert_eq!((oidc.session.secs(), oidc.roles[0].scope.jobs.len()), (43_200, 1));
    for (from, to, told) in [
        ("https://id", "http://id", "oidc.issuer in the configuration file"),
        ("http://localhost", "http://localhost.evil", "oidc.redirect_url in"),
        ("'operator'", "'king'", "oidc in the configuration file"),
        ("client_id", "clientid", "oidc in the configuration file"),
        ("etl-*", "e t", "oidc.roles[0].jobs in"),
        ("[[oidc.roles]]", "session = 'soon'\n[[oidc.roles]]", "oidc.session in"),
        ("[[oidc.roles]]", "scopes = []\n[[oidc.roles]]", "oidc.scopes in"),
    ] {
        let found = load(&good.replace(from, to)).unwrap_err();
        assert!(found.contains(told), "{to}: {found}");
    }
}

#[test]
fn every_row_has_a_reader_and_a_default_that_is_read() {
    let loaded = Config::look(&Flags::default(), &none, &[]);
    loaded.outcome.unwrap();
    let asked: Vec<&str> = loaded.settings.iter().map(|setting| setting.key).collect();
    // The secret of a provider is asked for where there is one; the last is a word, not a setting.
    let apart = ["oidc.client_secret", "move_aside_damaged"];
    for row in table::TABLE.iter().filter(|row| !apart.contains(&row.key)) {
        let times = asked.iter().filter(|key| **key == row.key).count();
        assert_eq!(times, 1, "{} is asked for {times} times", row.key);
        assert!(!row.about.is_empty() && (row.flag.is_none() || !row.help.is_empty()), "{row:?}");
    }
}
