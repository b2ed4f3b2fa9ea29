//! What a rep may and may not write into a lead.

use fieldbook_core::model::{Contact, LeadFields};

use super::Phone;
use crate::Error;
use crate::records::LeadQuery;
use crate::words::Language;

#[test]
fn an_edit_does_not_empty_what_is_mandatory() {
    let phone = Phone::new(1, 1);
    let lead = phone.lead("湘雅医院");
    let name = |name: &str| LeadFields { customer_name: Some(name.into()), ..LeadFields::default() };
    let need = |need: &str| LeadFields { need: Some(need.into()), ..LeadFields::default() };
    let nothing = LeadFields::default;
    for (set, clear, refusal) in [
        (name(" "), "", "missing"),
        (name("待确认"), "", "missing"),
        (need("租赁"), "", "missing"),
        (nothing(), "contact_phone", "missing"),
        (name("湘雅二院"), "customer_name", "missing"),
        (nothing(), "deleted", "invalid"),
        (nothing(), "schema", "invalid"),
        (nothing(), "notes", "invalid"),
        (nothing(), "nonsense", "invalid"),
        (LeadFields { deleted: Some(true), ..nothing() }, "", "invalid"),
        (need("维保"), "brand", ""),
        (name("湘雅三院"), "", ""),
    ] {
        let clear: Vec<String> = [clear].into_iter().filter(|c| !c.is_empty()).map(str::to_owned).collect();
        let answer = phone.book().edit_lead(lead, &set, &clear);
        assert_eq!(answer.as_ref().err().map_or("", Error::code), refusal, "{set:?} {clear:?}");
    }
    let fields = phone.book().lead(lead).unwrap().fields;
    assert_eq!((fields.customer_name.as_deref(), fields.need.as_deref()), (Some("湘雅三院"), Some("维保")));
}

#[test]
fn contacts_todos_and_tags_come_and_go() {
    let phone = Phone::new(1, 1);
    let lead = phone.lead("协和医院");
    let book = phone.book();
    let contact = Contact { name: Some("张院长".into()), ..Contact::default() };
    let id = book.add_contact(lead, &contact).unwrap();
    book.remove_contact(lead, id).unwrap();
    let (first, second) = (
        book.add_todo(lead, "发手册", Some("2026-03-02")).unwrap(),
        book.add_todo(lead, "回访", None).unwrap(),
    );
    book.complete_todo(lead, first, true).unwrap();
    assert!(book.today().unwrap().todos.is_empty(), "what is done is not due");
    book.complete_todo(lead, first, false).unwrap();
    assert_eq!(book.today().unwrap().todos.len(), 1);
    book.remove_todo(lead, second).unwrap();
    book.tag(lead, "集采敏感", Some(3)).unwrap();
    book.tag(lead, "老客户", None).unwrap();
    book.untag(lead, "集采敏感").unwrap();
    let page = book.lead(lead).unwrap();
    assert!(page.contacts.is_empty());
    assert_eq!(page.todos.iter().map(|todo| todo.id).collect::<Vec<_>>(), [first]);
    assert_eq!(page.tags.iter().map(|tag| tag.name.as_str()).collect::<Vec<_>>(), ["老客户"]);
}

#[test]
fn a_deleted_lead_is_found_among_the_deleted() {
    let phone = Phone::new(1, 1);
    let leads: Vec<_> = ["东院", "西院", "南院"].map(|name| phone.lead(name)).into();
    phone.book().delete_lead(leads[1]).unwrap();
    let ids = |query: LeadQuery| phone.list(query).into_iter().map(|row| row.id).collect::<Vec<_>>();
    let deleted = LeadQuery { deleted: true, ..LeadQuery::default() };
    assert_eq!(ids(deleted.clone()), [leads[1]]);
    assert_eq!(ids(LeadQuery { text: "xy".into(), ..deleted.clone() }), [leads[1]]);
    assert!(ids(LeadQuery { text: "dy".into(), ..deleted.clone() }).is_empty());
    assert!(ids(LeadQuery { offset: 1, ..deleted.clone() }).is_empty());
    assert_eq!(ids(LeadQuery::default()).len(), 2);
    phone.book().undo().unwrap();
    assert!(ids(deleted).is_empty());
}

#[test]
fn sentences_come_in_the_language_of_the_handle() {
    for language in [Language::Chinese, Language::English] {
        let phone = Phone::speaking(1, 1, language);
        assert_eq!(phone.book().language(), language);
        let said = phone.book().sentence("offline");
        assert_eq!(said.is_ascii(), language == Language::English, "{said}");
    }
}
