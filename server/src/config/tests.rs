use std::path::{Path, PathBuf};

use super::*;

fn from(text: &str, environment: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let mut given = file::parse(Path::new("fieldbook.toml"), text)?;
    given.extend(environment.iter().map(|(name, value)| {
        let key =
            keys::KEYS.iter().find(|k| k.env() == *name).map_or(name.to_string(), |k| k.name.to_owned());
        Given { key, value: value.to_string(), place: Place::Environment(name.to_string()) }
    }));
    Config::build(given)
}

fn refused(text: &str, environment: &[(&str, &str)]) -> String {
    from(text, environment).expect_err("must be refused").to_string()
}

#[test]
fn nothing_given_gives_the_documented_defaults() {
    let config = from("", &[]).unwrap();
    assert_eq!(config.listen.to_string(), "127.0.0.1:8470");
    assert_eq!(config.engine, Engine::Redb);
    assert_eq!(config.auth.access_ttl_s, 900);
    assert_eq!(config.timezone.iana_name(), Some("Asia/Shanghai"));
    assert_eq!(config.public_url(), "http://127.0.0.1:8470");
    assert!(config.tls.is_none());
}

#[test]
fn the_file_sets_and_the_environment_wins() {
    let text = "[store]\nengine = \"sled\"\n[auth]\naccess_ttl_s = 1_200\nalgorithm = \"HS256\"\n";
    let config = from(text, &[("FIELDBOOK_AUTH_ACCESS_TTL_S", "300")]).unwrap();
    assert_eq!((config.engine, config.auth.access_ttl_s), (Engine::Sled, 300));
    assert_eq!(config.auth.algorithm, KeyAlgorithm::Hs256);
}

#[test]
fn an_unknown_key_is_refused_with_its_place_and_a_hint() {
    let message = refused("[store]\n\n  engin = \"redb\"\n", &[]);
    assert_eq!(message, "fieldbook.toml:3:3: there is no key `store.engin`; did you mean `store.engine`?");
    let message = refused("", &[("FIELDBOOK_LOG_LEVLE", "info")]);
    assert!(message.starts_with("environment variable FIELDBOOK_LOG_LEVLE: "), "{message}");
    assert!(message.ends_with("did you mean `log.level`?"), "{message}");
    assert!(refused("zzz = 1", &[]).contains("config --explain"));
}

#[test]
fn a_bad_value_is_refused_with_its_place_and_what_was_expected() {
    for (text, expected) in [
        (
            "auth.access_ttl_s = 5",
            "fieldbook.toml:1:6: `auth.access_ttl_s` cannot be \"5\": expected a whole number from 60 to 86400",
        ),
        (
            "store.engine = 3",
            "fieldbook.toml:1:7: `store.engine` cannot be \"3\": expected one of redb, sled",
        ),
        ("company.timezone = \"Mars/Olympus\"", "no such IANA time zone"),
        ("server.public_url = \"ftp://x\"", "expected http://host or https://host"),
        ("tls.cert = \"a.pem\"", "`tls.cert` and `tls.key` belong together"),
        ("log.level = \"a=b=c\"", "log.level"),
        ("gate.workers = [1]", "expected a whole number"),
    ] {
        let message = refused(text, &[]);
        assert!(message.contains(expected), "{text}: {message}");
    }
    assert!(refused("[store\n", &[]).starts_with("fieldbook.toml:1:"));
}

#[test]
fn the_explanation_is_itself_a_valid_file_that_changes_nothing() {
    let text = keys::explain();
    let config = from(&text, &[]).unwrap();
    assert_eq!(format!("{config:?}"), format!("{:?}", from("", &[]).unwrap()));
    for key in keys::KEYS {
        assert!(text.contains(key.help) && text.contains(&key.env()), "{}", key.name);
    }
}

#[test]
fn a_named_file_must_exist_and_other_programs_variables_are_none_of_ours() {
    let missing = Config::load(Some(PathBuf::from("/nowhere/fieldbook.toml")), std::iter::empty());
    assert!(matches!(missing, Err(ConfigError::Unreadable { .. })));
    let other =
        [("PATH".to_owned(), "x".to_owned()), ("FIELDBOOK_COMPANY_NAME".to_owned(), "Acme".to_owned())];
    assert_eq!(Config::load(None, other).unwrap().company_name, "Acme");
}
