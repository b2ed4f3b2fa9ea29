use super::*;
use crate::document::{Doc, Edit};
use crate::ids::{Actor, DeviceId, DocKind, UserId};
use crate::policy::Pack;
use crate::time::{Act, Moment, Stamp};

fn write(doc: &mut Doc, n: u8, edits: impl Fn(&Doc, &Act) -> Vec<Edit>) -> usize {
    let moment = Moment { wall_ms: 1, boot: 1, mono_ms: 1 };
    let act =
        Act::new(Stamp { user: UserId([1; 8]), moment, offset_ms: Some(0), last_contact_ms: 1 }, [n; 32]);
    let edits = edits(doc, &act);
    if !edits.is_empty() {
        doc.edit(Actor { device: DeviceId([1; 8]), incarnation: 1 }, &act.stamp, &edits).unwrap();
    }
    edits.len()
}

fn deal(id: &str, day: &str) -> LostDeal {
    LostDeal {
        id: id.into(),
        day: day.into(),
        point: "账期".into(),
        words: "别家给更长账期".into(),
        answer: "当场给分期模板".into(),
        ..LostDeal::default()
    }
}

/// C38, C39, C48: what the packs of the policy name is there, so that no button opens an empty page.
#[test]
fn everything_that_a_shipped_policy_names_ships() {
    let book = Playbook::shipped();
    for pack in Pack::ALL {
        let policy = pack.policy().unwrap();
        let classes = policy.keywords.classes.iter().map(|class| &class.talk_pack);
        for id in classes.chain([&policy.scores.loss.talk_pack]).filter(|id| !id.is_empty()) {
            assert!(book.packs.contains_key(id), "{}: no talk pack {id:?}", pack.name());
        }
        let steps = policy.nurturing.steps.iter().map(|step| &step.material);
        let next = policy.talk.next_best.iter().map(|next| &next.material);
        for id in steps.chain(next).filter(|id| !id.is_empty()) {
            assert!(book.materials.contains_key(id), "{}: no material {id:?}", pack.name());
        }
    }
    assert!(book.packs.len() >= 12, "C38 has twelve classes");
}

#[test]
fn a_playbook_is_what_was_written_last() {
    let mut doc = Doc::genesis(DocKind::Playbook);
    assert_eq!(&Playbook::read(&doc), Playbook::shipped());
    let text = "[[packs]]\nid = \"price-objection\"\ntitle = \"贵\"\nlines = [\"先问和谁比\"]\nmaterials = [\"sheet\"]\n\
                [[materials]]\nid = \"sheet\"\ntitle = \"测算表\"\nlink = \"https://intranet.example/sheet\"\n";
    let own = Written::from_toml(text).unwrap();
    assert!(write(&mut doc, 1, |doc, act| publish(doc, &own, act)) > 0);
    let book = Playbook::read(&doc);
    // A release that ships other packs changes nothing of what a company has written.
    let entries = doc.log("entries", &crate::document::NoClocks);
    assert!(entries.iter().any(|entry| entry.body.contains("\"own\"")));
    let told = (book.packs.len(), book.packs["price-objection"].title.as_str(), book.materials.len());
    assert_eq!(told, (1, "贵", 1), "what is not written is there no more");
    assert_eq!(write(&mut doc, 2, |doc, act| publish(doc, &own, act)), 0, "the same again is nothing");

    // In the same millisecond, by ids in any order, the later counts.
    for n in 3..20 {
        let mut next = own.clone();
        next.packs[0].title = format!("第{n}版");
        assert_eq!(write(&mut doc, n, |doc, act| publish(doc, &next, act)), 1, "one entry for one change");
        assert_eq!(Playbook::read(&doc).packs["price-objection"].title, next.packs[0].title);
    }
    write(&mut doc, 30, |doc, act| record_lost_deal(doc, deal("a", "2026-03-01"), act));
    write(&mut doc, 31, |doc, act| publish(doc, &own, act));
    assert_eq!(Playbook::read(&doc).lost_deals.len(), 1, "packs are published beside lost deals");
    assert_eq!(write(&mut doc, 32, |doc, act| withdraw_lost_deal(doc, "a", act)), 1);
    assert_eq!(write(&mut doc, 33, |doc, act| withdraw_lost_deal(doc, "a", act)), 0);
    assert!(Playbook::read(&doc).lost_deals.is_empty());
}

#[test]
fn of_too_many_lost_deals_the_oldest_makes_room() {
    let mut doc = Doc::genesis(DocKind::Playbook);
    for n in 0..LOST_DEALS_MAX + 2 {
        let day = format!("2026-{:02}-{:02}", 1 + n / 28, 1 + n % 28);
        let id = format!("{n:04}");
        let moment = Moment { wall_ms: 1, boot: 1, mono_ms: 1 };
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&(n as u64).to_be_bytes());
        let act =
            Act::new(Stamp { user: UserId([1; 8]), moment, offset_ms: Some(0), last_contact_ms: 1 }, seed);
        let edits = record_lost_deal(&doc, deal(&id, &day), &act);
        doc.edit(Actor { device: DeviceId([1; 8]), incarnation: 1 }, &act.stamp, &edits).unwrap();
    }
    let book = Playbook::read(&doc);
    assert_eq!(book.lost_deals.len(), LOST_DEALS_MAX);
    assert!(!book.lost_deals.contains_key("0000"));
    // One that is told anew takes nobody's place, and one that is told again is nothing.
    let told = LostDeal { answer: "另一个办法".into(), ..deal("0200", "2026-03-09") };
    assert_eq!(write(&mut doc, 77, |doc, act| record_lost_deal(doc, told.clone(), act)), 1);
    assert_eq!(write(&mut doc, 78, |doc, act| record_lost_deal(doc, told.clone(), act)), 0);
    assert_eq!(Playbook::read(&doc).lost_deals.len(), LOST_DEALS_MAX);
}

#[test]
fn what_does_not_fit_together_is_told_at_once() {
    let text = "[[packs]]\nid = \"a\"\ntitle = \"\"\nlines = []\nmaterials = [\"none\"]\n[[packs]]\nid = \"a\"\ntitle = \"甲\"\nlines = [\"乙\"]\n\
                [[materials]]\nid = \"m\"\ntitle = \" \"\n";
    let Err(PlaybookError::Wrong(wrong)) = Written::from_toml(text) else { panic!() };
    assert_eq!(
        wrong,
        [
            "packs: an id is empty or there twice",
            "packs \"a\": it needs a title and something to say",
            "packs \"a\": there is no material \"none\"",
            "materials \"m\": it needs a title",
        ]
    );
    let Err(PlaybookError::Shape(shape)) = Written::from_toml("[[packs]]\nid = 1\n") else { panic!() };
    assert!(shape.contains("line 2"), "{shape}");
    assert_eq!(deal("a", "").wrong(), None);
    let empty = LostDeal { words: " ".into(), ..deal("a", "") };
    assert_eq!(empty.wrong().as_deref(), Some("`words` says nothing"));
    let long = LostDeal { answer: "长".repeat(501), ..deal("a", "") };
    assert!(long.wrong().unwrap().starts_with("`answer` has 500"));
    let long = Written {
        materials: vec![Material { id: "m".into(), title: "甲".into(), link: "x".repeat(201) }],
        ..Written::default()
    };
    assert_eq!(long.wrong().len(), 1);
}

/// C94: local search.
#[test]
fn the_playbook_is_searched_by_any_word() {
    let mut book = Playbook::shipped().clone();
    book.lost_deals.insert("a".into(), LostDeal { equipment: "64排CT".into(), ..deal("a", "2026-03-01") });
    let ids = |text: &str| {
        let (packs, deals) = book.search(text);
        let packs: Vec<&str> = packs.iter().map(|pack| pack.id.as_str()).collect();
        (packs.contains(&"payment-terms"), deals.len())
    };
    assert_eq!(ids("账期"), (true, 1));
    assert_eq!(ids("ct"), (false, 1));
    assert_eq!(ids("不存在的词"), (false, 0));
    assert_eq!(book.search("").0.len(), book.packs.len());
}
