//! What a document costs, printed by `cargo test -p fieldbook-core cost -- --nocapture`, with bounds so loose that only a
//! change of order of magnitude trips them.

use std::time::Instant;

use super::*;

#[test]
fn cost_of_a_lead_with_twenty_changes() {
    let mut doc = Doc::genesis(DocKind::Lead);
    let names = ["customer_name", "contact_phone", "need", "hospital", "department"];
    for n in 0..20u8 {
        let value = format!("值{n}");
        let mut edits = vec![set(names[usize::from(n) % names.len()], value.as_str())];
        if n % 4 == 0 {
            let body = format!(r#"{{"type":"visit","note":"第{n}次拜访"}}"#);
            edits.push(Edit::Append { log: "events".into(), id: EntryId([n; 16]), body });
        }
        doc.edit(actor(n % 3), &stamp(n % 3, 1_700_000_000_000 + i64::from(n)), &edits).unwrap();
    }
    let saved = doc.save();
    let one = doc.clone().edit(actor(1), &stamp(1, 9), &[set("need", "采购")]).unwrap();
    let author = Author { device: actor(1).device, user: UserId([1; 8]), may: WriteScope::Everything };
    let us = |f: &mut dyn FnMut()| {
        // The quietest of ten rounds: other work on the machine only ever adds.
        let rounds = (0..10).map(|_| {
            let start = Instant::now();
            (0..50).for_each(|_| f());
            start.elapsed().as_secs_f64() * 1e6 / 50.0
        });
        rounds.fold(f64::INFINITY, f64::min)
    };
    let load = us(&mut || drop(Doc::load(DocKind::Lead, &saved).unwrap()));
    let trusted = us(&mut || drop(Doc::load_trusted(DocKind::Lead, &saved).unwrap()));
    let clone = us(&mut || drop(doc.clone()));
    let edit = us(&mut || drop(doc.clone().edit(actor(1), &stamp(1, 9), &[set("need", "采购")]).unwrap()));
    let root = us(&mut || drop(doc.root(&NoClocks)));
    let log = us(&mut || drop(doc.log("events", &NoClocks)));
    let conflicts = us(&mut || drop(doc.conflicts(&NoClocks)));
    let save = us(&mut || drop(doc.save()));
    let unsealed = us(&mut || doc.clone().apply(&[&one.change]).unwrap());
    let admit = us(&mut || drop(admit(&doc, &author, &[&one.change], &AdmitLimits::default()).unwrap()));
    let print = format!(
        "saved {} B, genesis {} B, one change {} B; µs: load {load:.0}, load_trusted {trusted:.0}, clone {clone:.0}, \
         edit {edit:.0}, root {root:.0}, log {log:.0}, conflicts {conflicts:.0}, save {save:.0}, apply {unsealed:.0}, admit {admit:.0}",
        saved.len(),
        genesis::genesis(DocKind::Lead).bytes.len(),
        one.change.len(),
    );
    #[allow(clippy::print_stdout, reason = "the figures are what this test is for")]
    {
        println!("{print}");
    }
    assert!(saved.len() < 2_000, "{print}");
}
