use fieldbook_core::document::Edit;

use super::*;

/// The story holds, and its judge is no yes-man: what changes behind the phones' backs after their last sync is named, each by itself.
#[tokio::test(flavor = "multi_thread")]
async fn the_verdict_names_what_differs() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::load(None, std::iter::empty()).unwrap();
    config.listen = ([127, 0, 0, 1], 0).into();
    config.data_dir = folder.path().join("server");
    let listener = serve::bind(&mut config).unwrap();
    let app = App::open(config, Arc::new(SystemClock)).unwrap();
    let hub = Hub::start(app.clone(), GateProgram::InProcess).unwrap();
    let running = serve::start(app.clone(), hub, listener).unwrap();
    let (stage, runtime, path) = (app.clone(), Handle::current(), folder.path().to_owned());
    blocking(move || {
        let cast = found(&stage).unwrap();
        let phone = |who| Handset::enrol(&stage, &runtime, who, &path).unwrap();
        let phones = Phones { li: phone(&cast.li), wang: phone(&cast.wang), chen: phone(&cast.chen) };
        let mut verdict = Verdict::default();
        let leads = story::play(&stage, &cast, &phones, &mut verdict).unwrap();
        assert!(verdict.wrong().is_empty(), "{:#?}", verdict.wrong());

        let now_ms = stage.now_ms();
        let edit = Edit::Set { field: "department".into(), value: "放射科".into() };
        stage.company.edit_as_office(leads.shared.id, &[edit], now_ms).unwrap();
        stage.company.assign(leads.moved.id, cast.li.user, cast.zhou.user, "退回", now_ms).unwrap();
        for phone in phones.all() {
            verdict.compare(&stage, phone).unwrap();
        }
        verdict.expect_no_byte(&phones.wang, leads.moved.id).unwrap();
        let wrong = verdict.wrong().join("\n");
        for (whose, what) in [
            ("李销售", format!("phone and the server differ in lead {}", leads.shared.id)),
            ("陈主管", format!("phone and the server differ in lead {}", leads.shared.id)),
            ("李销售", format!("phone lacks lead {}", leads.moved.id)),
            ("王销售", format!("phone holds lead {}, which is not its user's", leads.moved.id)),
            ("王销售", format!("phone still speaks of lead {}", leads.moved.id)),
        ] {
            assert!(
                wrong.contains(&format!("{whose}'s {what}")),
                "{whose}'s {what} is not named in:\n{wrong}"
            );
        }
        assert!(!verdict.tell().unwrap());
    })
    .await;
    running.stop().await.unwrap();
}
