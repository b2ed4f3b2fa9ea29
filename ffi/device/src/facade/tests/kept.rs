//! What the server did not merge is still the rep's to read.

use fieldbook_core::ids::DocId;
use fieldbook_core::model::{Event, Import, Visit};
use fieldbook_core::replica::DocEdits;
use fieldbook_core::sync::message::{Answer, FromServer, HoldReason, RefuseCode, Verdict};

use super::Phone;
use crate::Error;
use crate::records::{Happening, KeptItem};
use crate::words::Language;

/// The server answers the act of this number.
fn answer(phone: &Phone, doc: DocId, id: u64, verdict: Verdict) {
    let shared = &phone.book().shared;
    let answers = [FromServer::Answer(Answer { id, doc, verdict })];
    shared.with(|replica, now| replica.take(&answers, replica.now_ms(now))).unwrap();
}

fn lines(kept: &KeptItem) -> Vec<(&str, &str)> {
    kept.words.iter().map(|line| (line.label.as_str(), line.text.as_str())).collect()
}

#[test]
fn set_aside_work_keeps_its_words_until_its_author_lets_it_go() {
    for language in [Language::Chinese, Language::English] {
        let phone = Phone::speaking(1, 1, language);
        let lead = phone.lead("华山医院");
        answer(&phone, lead, 1, Verdict::Durable { at: 1, receipt: Vec::new() });
        let book = phone.book();
        let visit = Visit {
            customer_state: "张院长说3月招标".into(),
            next_action: "送方案".into(),
            note: "机房在二楼".into(),
            ..Visit::default()
        };
        book.log_visit(lead, &visit).unwrap();
        book.tick(lead, "decision_maker", true).unwrap();
        assert_eq!((book.status().unwrap().held, book.kept().unwrap().len()), (0, 0));
        answer(&phone, lead, 2, Verdict::Held { reason: HoldReason::Suffix });
        let refused = Verdict::Refused { code: RefuseCode::TooLarge, detail: "too large".into() };
        answer(&phone, DocId::advancement_of(lead), 3, refused);

        let kept = book.kept().unwrap();
        assert_eq!(book.status().unwrap().held, 2);
        let of = |code: &str| kept.iter().find(|item| item.code == code).unwrap();
        let (held, refused) = (of("held_suffix"), of("refused_work"));
        assert_eq!((held.lead, held.customer_name.as_str()), (Some(lead), "华山医院"));
        let said = lines(held);
        let all: String = said.iter().map(|(label, text)| format!("{label}：{text}\n")).collect();
        for word in ["张院长说3月招标", "送方案", "机房在二楼"] {
            assert!(all.contains(word), "{word} is lost in {all}");
        }
        let state = if language == Language::Chinese { "客户状态" } else { "customer state" };
        assert!(said.contains(&(state, "张院长说3月招标")), "{said:?}");
        let tick = lines(refused);
        assert_eq!((tick.len(), tick[0].1), (1, if language == Language::Chinese { "是" } else { "yes" }));

        book.dismiss_kept(refused.doc, refused.number).unwrap();
        assert_eq!(book.kept().unwrap(), std::slice::from_ref(held), "the other one stays");
        assert_eq!(book.status().unwrap().held, 1);
        assert!(matches!(book.dismiss_kept(refused.doc, refused.number), Err(Error::NotFound(_))));
    }
}

#[test]
fn what_a_table_said_beside_the_fields_is_shown() {
    let phone = Phone::new(1, 1);
    let lead = phone.lead("华山医院");
    let extra = [
        ("Email".to_owned(), "zhang@example.com".to_owned()),
        ("Last Activity".to_owned(), "打开邮件".to_owned()),
    ];
    let import = Event::Import(Import { extra: extra.clone().into(), ..Import::default() });
    phone.book().shared.act(|_, act| Ok(((), vec![DocEdits::of(lead, vec![import.log(act)])]))).unwrap();
    let page = phone.book().lead(lead).unwrap();
    let Happening::Imported { columns } = &page.timeline[0].what else { panic!("{:?}", page.timeline) };
    let shown: Vec<_> = columns.iter().map(|column| (column.name.clone(), column.text.clone())).collect();
    assert_eq!(shown, extra);
    // As it was written before there was a name for it.
    let stored = r#"{"type":"import","external_id":null,"extra":{"City":"杭州"}}"#;
    assert!(matches!(Event::parse(stored), Event::Import(import) if import.extra["City"] == "杭州"));
}
