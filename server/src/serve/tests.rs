use fieldbook_core::access::Role;
use fieldbook_core::ids::{DeviceId, UserId};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::*;
use crate::app::SystemClock;
use crate::auth::Scope;
use crate::control::{self, Order};
use crate::hub::GateProgram;

/// A server on a free port of this machine, with further settings.
async fn serve(folder: &std::path::Path, settings: &[(&str, String)]) -> (Arc<App>, Running) {
    let mut variables = vec![
        ("FIELDBOOK_SERVER_LISTEN".to_owned(), "127.0.0.1:0".to_owned()),
        ("FIELDBOOK_SERVER_DATA_DIR".to_owned(), folder.join("data").display().to_string()),
        ("FIELDBOOK_SERVER_SHUTDOWN_S".to_owned(), "1".to_owned()),
    ];
    variables.extend(settings.iter().map(|(k, v)| (k.to_string(), v.clone())));
    let mut config = Config::load(None, variables).unwrap();
    let listener = bind(&mut config).unwrap();
    let app = App::open(config, Arc::new(SystemClock)).unwrap();
    let hub = Hub::start(app.clone(), GateProgram::InProcess).unwrap();
    let running = start(app.clone(), hub, listener).unwrap();
    (app, running)
}

async fn get<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A server that closes without TLS's goodbye is an error after the whole answer.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_answers_knows_its_own_address_and_ends_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let (app, running) = serve(folder.path(), &[]).await;
    let address = running.address;
    assert_eq!(app.config.public_url(), format!("http://{address}"), "port 0 became a real one");
    let ready = get(&mut TcpStream::connect(address).await.unwrap(), "/readyz").await;
    assert!(ready.starts_with("HTTP/1.1 200") && ready.ends_with("ready\n"), "{ready}");
    let metrics = get(&mut TcpStream::connect(address).await.unwrap(), "/metrics").await;
    assert!(metrics.starts_with("HTTP/1.1 200"), "this machine may: {metrics}");

    running.stop().await.unwrap();
    assert!(*app.stopping.borrow());
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
    assert!(app.company.users().is_err(), "the store is closed");
    drop(app);
    let (again, running) = serve(folder.path(), &[]).await;
    assert_eq!(again.company.epoch(), 1);
    running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_spoken_when_a_certificate_is_given_and_a_new_one_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let write = || {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(folder.path().join("cert.pem"), made.cert.pem()).unwrap();
        std::fs::write(folder.path().join("key.pem"), made.signing_key.serialize_pem()).unwrap();
        made.cert.der().clone()
    };
    let first = write();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let settings = [("FIELDBOOK_TLS_CERT", path("cert.pem")), ("FIELDBOOK_TLS_KEY", path("key.pem"))];
    let (app, running) = serve(folder.path(), &settings).await;
    assert!(app.config.public_url().starts_with("https://"));
    let address = running.address;
    let trusting = |certificate| async move {
        let mut roots = RootCertStore::empty();
        roots.add(certificate).unwrap();
        let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
        let client =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let client = client.with_root_certificates(roots).with_no_client_auth();
        let stream = TcpStream::connect(address).await.unwrap();
        TlsConnector::from(Arc::new(client)).connect(ServerName::try_from("localhost").unwrap(), stream).await
    };
    let answer = get(&mut trusting(first.clone()).await.unwrap(), "/healthz").await;
    assert!(answer.ends_with("ok\n"), "{answer}");
    let plain = get(&mut TcpStream::connect(address).await.unwrap(), "/healthz").await;
    assert!(!plain.contains("ok\n"), "{plain}");

    let second = write();
    running.reload_certificate();
    assert!(trusting(first).await.is_err());
    assert!(trusting(second).await.is_ok());
    running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_reaches_a_running_server_through_the_data_folder() {
    let folder = tempfile::tempdir().unwrap();
    let (app, running) = serve(folder.path(), &[]).await;
    let door = control::listen(app.clone()).unwrap();
    let data_dir = app.config.data_dir.clone();
    let ask = |order: Order| {
        let data_dir = data_dir.clone();
        blocking(move || control::ask(&data_dir, &order).unwrap())
    };
    let init = || Order::Init { name: "管理员".into(), again: false };
    let code = ask(init()).await.unwrap();
    assert_eq!(code["code"].as_str().map(str::len), Some(29));
    assert!(ask(init()).await.unwrap_err().contains("--again"));

    let file = folder.path().join("leads.csv");
    std::fs::write(&file, "客户名称,电话\n示例医院,13800000001\n,\n,不是号码\n").unwrap();
    let errors = folder.path().join("leads.errors.csv");
    let order = Order::Import {
        file,
        errors: errors.clone(),
        owner: None,
        team: None,
        namespace: None,
        dry_run: false,
    };
    let report = ask(order).await.unwrap();
    assert_eq!((report["imported"].as_u64(), report["rejected"].as_u64()), (Some(1), Some(1)));
    assert!(std::fs::read_to_string(errors).unwrap().contains("不是号码"));

    let backup = folder.path().join("backup");
    assert_eq!(ask(Order::Backup { to: backup.clone() }).await.unwrap()["epoch"], 1);
    assert!(backup.join("manifest.json").exists());

    let issue = || {
        let (user, device) = (UserId([1; 8]), DeviceId([2; 8]));
        let now_ms = app.now_ms();
        let mut entropy = Entropy::from_system();
        app.auth.issue_access(user, device, Role::Rep, Scope::Full, now_ms, &mut entropy).unwrap().0
    };
    let good = |token: &str| app.auth.verify_access(token, app.now_ms()).is_ok();
    let (first, count) = (issue(), |answer: serde_json::Value| answer["distrusted"].as_array().map(Vec::len));
    assert_eq!(count(ask(Order::RotateKeys { distrust: false }).await.unwrap()), Some(0));
    let second = issue();
    assert!(good(&first) && good(&second), "the old key verifies what it signed");
    let distrusted = ask(Order::RotateKeys { distrust: true }).await.unwrap();
    assert!(count(distrusted).is_some_and(|keys| keys >= 2));
    assert!(!good(&first) && !good(&second) && good(&issue()), "and not once it is distrusted");

    let taken = App::open(app.config.clone(), Arc::new(SystemClock)).map(|_| ()).unwrap_err().to_string();
    assert!(taken.contains("in use"), "{taken}");
    door.abort();
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_taken_address_is_refused_before_anything_is_opened() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let variables = [("FIELDBOOK_SERVER_LISTEN".to_owned(), address.clone())];
    let mut config = Config::load(None, variables).unwrap();
    let refused = bind(&mut config).unwrap_err().to_string();
    assert!(refused.contains(&address), "{refused}");
}

#[test]
fn upkeep_is_due_at_its_hour_of_the_companys_day() {
    for (zone, hour, now, next) in [
        ("Asia/Shanghai", "3", "2026-11-25T18:59:59Z", "2026-11-25T19:00:00Z"),
        ("Asia/Shanghai", "3", "2026-11-25T19:00:00Z", "2026-11-26T19:00:00Z"),
        ("Asia/Shanghai", "0", "2026-12-31T15:00:00Z", "2026-12-31T16:00:00Z"),
        ("UTC", "23", "2026-11-26T23:30:00Z", "2026-11-27T23:00:00Z"),
        // The night on which three o'clock comes an hour sooner, and one that has no two o'clock.
        ("Europe/Berlin", "3", "2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z"),
        ("Europe/Berlin", "2", "2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z"),
    ] {
        let settings = [("FIELDBOOK_STORE_UPKEEP_HOUR", hour), ("FIELDBOOK_COMPANY_TIMEZONE", zone)];
        let config = Config::load(None, settings.map(|(k, v)| (k.to_owned(), v.to_owned()))).unwrap();
        let ms = |text: &str| text.parse::<Timestamp>().unwrap().as_millisecond();
        assert_eq!(upkeep_after(&config, ms(now)), ms(next), "{zone} {hour} {now}");
    }
    let config = Config::load(None, []).unwrap();
    assert_eq!(config.upkeep_hour, 3);
    assert!(upkeep_after(&config, i64::MAX) > 0);
}

#[test]
fn upkeep_and_a_backup_wait_for_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let data = ("FIELDBOOK_SERVER_DATA_DIR".to_owned(), folder.path().join("data").display().to_string());
    let app = App::open(Config::load(None, [data]).unwrap(), Arc::new(SystemClock)).unwrap();
    let alone = app.whole_store.lock().unwrap();
    assert!(!nightly_work(&app), "it is tried again");
    let (done, made) = std::sync::mpsc::channel();
    let backup = std::thread::spawn({
        let (app, to) = (app.clone(), folder.path().join("backup"));
        move || done.send(crate::backup::make(&app, &to).is_ok())
    });
    // Whoever does not wait is done by then; whoever waits never is.
    assert!(made.recv_timeout(Duration::from_millis(500)).is_err(), "the backup did not wait");
    drop(alone);
    assert!(made.recv().unwrap(), "and then it is made");
    backup.join().unwrap().unwrap();
    assert!(nightly_work(&app));
}
