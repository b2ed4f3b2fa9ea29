use super::*;
use crate::document::Doc;
use crate::ids::{Actor, DeviceId, DocKind, EntryId, UserId};
use crate::time::{Act, Moment, Stamp};

fn act(n: u8, at_ms: i64) -> Act {
    let moment = Moment { wall_ms: at_ms, boot: 1, mono_ms: u64::try_from(at_ms).unwrap() };
    Act::new(Stamp { user: UserId([n; 8]), moment, offset_ms: Some(0), last_contact_ms: 1 }, [n; 32])
}

fn write(doc: &mut Doc, act: &Act, edits: &[crate::document::Edit]) {
    let actor = Actor { device: DeviceId([1; 8]), incarnation: 1 };
    doc.edit(actor, &act.stamp, edits).unwrap();
}

fn changed(from: &str, to: &str) -> Result<Policy, PolicyError> {
    let text = Pack::Medical.toml();
    assert!(text.contains(from), "the pack has no {from:?}");
    Policy::from_toml(&text.replacen(from, to, 1))
}

#[test]
fn every_pack_fits_together_and_is_kept_as_it_was_written() {
    for pack in Pack::ALL {
        let policy = pack.policy().unwrap_or_else(|e| panic!("{}: {e}", pack.name()));
        let kept = Policy::from_json(policy.to_json().into()).unwrap();
        assert_eq!(kept, policy, "{}", pack.name());
        for (section, says) in policy.to_json() {
            let bytes = says.to_string().len();
            assert!(
                bytes < crate::limits::VALUE_MAX_BYTES / 2,
                "{} {section} has {bytes} bytes",
                pack.name()
            );
        }
    }
}

#[test]
fn a_company_writes_only_what_it_changes() {
    let text = "base = \"medical\"\nname = \"智康\"\n[calendar]\nvague_purposes = [\"沟通\"]\n";
    let policy = Policy::from_toml(text).unwrap();
    let shipped = Pack::Medical.policy().unwrap();
    assert_eq!((policy.name.as_str(), policy.calendar.vague_purposes.len()), ("智康", 1));
    assert_eq!(policy.stages, shipped.stages);
    let of_education = Policy::from_toml("base = \"education\"\n").unwrap();
    assert_eq!(of_education, Pack::Education.policy().unwrap());
    assert_eq!(Policy::from_toml("base = \"banking\"\n"), Err(PolicyError::NoPack("banking".into())));
}

#[test]
fn what_has_not_the_shape_of_a_policy_is_told_with_its_line() {
    for (text, told) in [
        ("base = \"medical\"\n[talk]\nnext_contact_days = \"3\"\nnext_contact_title = \"\"\n", "line 3"),
        ("base = \"medical\"\n[calendar]\nvague = []\n", "unknown field `vague`"),
        ("base = \"medical\"\n[kalender]\n", "unknown field `kalender`"),
        ("name = \"x\"\n", "missing field `intake`"),
        ("base = \"medical\"\n[calendar\n", "line 2"),
        ("base = \"medical\"\n[assignment.response]\nthen = \"shout\"\n", "line 3"),
    ] {
        let Err(PolicyError::Shape(shape)) = Policy::from_toml(text) else { panic!("{text}") };
        assert!(shape.contains(told), "{text}: {shape}");
    }
}

#[test]
fn everything_that_does_not_fit_is_told_with_its_place() {
    for (from, to, path, chinese) in [
        (
            "when = '预算万元>=100'",
            "when = '预算>=100'",
            "intake.tags[0].when",
            "第1个字符：没有名为“预算”的指标，是否为“预算万元”",
        ),
        (
            "rows = [\"decision_maker\", ",
            "rows = [\"decider\", ",
            "stages[4].needs[0].ticks.rows[0]",
            "没有推进表行“decider”",
        ),
        ("signal = \"wechat_added\"", "signal = \"wechat\"", "tasks[0].after", "没有信号“wechat”"),
        ("id = \"screening\"", "id = \"assigned\"", "stages[1].id", "编号“assigned”重复"),
        (
            "\"hospital\", \"department\"",
            "\"hospital\", \"ward\"",
            "intake.before_next_visit[1]",
            "线索没有字段“ward”",
        ),
        ("at_least = 0", "at_least = 10", "scores.tiers", "最低一档须从 0 分开始"),
        ("at_least = 60", "at_least = 90", "scores.tiers", "分档须由高到低"),
        ("within_minutes = 120", "within_minutes = 0", "assignment.response.within_minutes", "必须大于 0"),
        ("次数(\"院长约见\")", "次数(\"院长来访\")", "scores.depth", "没有名为“院长来访”的信号"),
        (
            "holds = '预算匹配度<>\"待确认\"'",
            "holds = '阶段=\"初筛\"'",
            "stages[2].needs[1].when.holds",
            "没有名为“阶段”的指标",
        ),
        (
            "required = [\"customer_name\"",
            "required = [\"brand\",\"province\",\"industry\",\"customer_name\"",
            "intake.required",
            "最多 5 项",
        ),
        ("dwell_stage = \"solution\"", "dwell_stage = \"talk\"", "figures.dwell_stage", "没有阶段“talk”"),
    ] {
        let Err(PolicyError::Wrong(faults)) = changed(from, to) else { panic!("{to}") };
        let told = faults.iter().any(|fault| fault.path == path && fault.chinese.contains(chinese));
        assert!(told, "{to}: {faults:?}");
    }
    let text = Pack::Medical
        .toml()
        .replace("预算万元>=100", "预算")
        .replace("within_minutes = 120", "within_minutes = 0");
    let Err(PolicyError::Wrong(faults)) = Policy::from_toml(&text) else { panic!() };
    assert_eq!(faults.len(), 2, "all at once: {faults:?}");
}

/// C43, C44 by the words of the company: those that it adds, takes away or has instead; the lists that it does not name are those that ship.
#[test]
fn a_company_changes_the_words_of_dictation() {
    let read = |policy: &Policy, text: &str| {
        let note = crate::language::read_note(text, jiff::civil::date(2026, 2, 17), policy.dictation.words());
        (note.device, note.brand)
    };
    let some = |device: &str, brand: &str| (Some(device.to_owned()), Some(brand.to_owned()));
    let text = "院长要买两台光量子筛查仪，倾向晨光医仪";
    let shipped = Pack::Medical.policy().unwrap();
    assert_eq!(read(&shipped, text).1, None);
    let own =
        "base = \"medical\"\n[dictation.brands]\nmakers = { add = [\"晨光医仪\"], without = [\"GE\"] }\n";
    let own = Policy::from_toml(own).unwrap();
    assert_eq!(read(&own, text).1, Some("晨光医仪".to_owned()));
    let (of_shipped, of_own) = (read(&shipped, "倾向GE的CT"), read(&own, "倾向GE的CT"));
    assert_eq!((of_shipped, of_own.1), (some("CT", "GE"), None), "a maker that was taken away is none");
    assert_eq!(read(&own, "倾向联影的CT"), some("CT", "联影"), "the others stay");
    let kept = Policy::from_json(own.to_json().into()).unwrap();
    assert_eq!((read(&kept, text), kept == own), (read(&own, text), true));
    let manufacturing = Pack::Manufacturing.policy().unwrap();
    assert_eq!(read(&manufacturing, "王总想买三台注塑机，倾向海天"), some("注塑机", "海天"));
    let more = "base = \"manufacturing\"\n[dictation.brands]\nmakers = { add = [\" 晨光机电 \"] }\n";
    let more = Policy::from_toml(more).unwrap();
    assert_eq!(
        read(&more, "王总想买三台注塑机，倾向晨光机电"),
        some("注塑机", "晨光机电"),
        "beside the pack's"
    );
    assert_eq!(read(&more, "王总想买三台注塑机，倾向海天"), some("注塑机", "海天"));
    let lower =
        Policy::from_toml("base = \"medical\"\n[dictation.brands]\nmakers = { without = [\"ge\"] }\n")
            .unwrap();
    assert_eq!(read(&lower, "倾向GE的CT").1, None, "as a word is looked up, without regard to case");
    let education = Pack::Education.policy().unwrap();
    assert_eq!(read(&education, "孩子妈妈想报奥数，倾向学而思"), some("奥数", "学而思"));
}

#[test]
fn a_word_list_that_is_none_is_told_with_its_place() {
    let text = "base = \"medical\"\n[dictation.brands]\nmaker = { add = [\"甲\"] }\nmakers = { add = [\" \"] }\n[dictation.brand]\nmakers = {}\n";
    let Err(PolicyError::Wrong(faults)) = Policy::from_toml(text) else { panic!() };
    let told: Vec<_> = faults.iter().map(|fault| fault.path.as_str()).collect();
    assert_eq!(told, ["dictation.brand", "dictation.brands.maker", "dictation.brands.makers"]);
    assert!(faults[1].chinese.starts_with("没有词表“maker”，只有："), "{faults:?}");
    let letters = "base = \"medical\"\n[dictation.people]\nsurnames = { add = [\"欧阳\"] }\n";
    let Err(PolicyError::Wrong(faults)) = Policy::from_toml(letters) else { panic!() };
    assert!(
        faults[0].path == "dictation.people.surnames" && faults[0].chinese.contains("一个字"),
        "{faults:?}"
    );
    let Err(PolicyError::Shape(shape)) =
        Policy::from_toml("base = \"medical\"\n[dictation.brands]\nmakers = [\"甲\"]\n")
    else {
        panic!()
    };
    assert!(shape.contains("line 3"), "{shape}");
}

/// C52: what is changed today counts from the moment that was said, and what was judged before stays judged.
#[test]
fn a_version_is_in_force_from_its_moment() {
    let mut doc = Doc::genesis(DocKind::Policy);
    assert_eq!(PolicyHistory::read(&doc), PolicyHistory::shipped());
    let published = act(1, 1_000);
    let medical = Pack::Medical.policy().unwrap();
    let (first, edits) = publish(&doc, &medical, 5_000, UserId([9; 8]), "开始", &published).unwrap();
    let sections = edits.len() - 2;
    write(&mut doc, &published, &edits);
    let second = act(2, 2_000);
    let changed = changed("next_contact_days = 3", "next_contact_days = 5").unwrap();
    let (next, edits) = publish(&doc, &changed, 9_000, UserId([9; 8]), "", &second).unwrap();
    assert_eq!((sections, edits.len()), (15, 3), "one section, the version, and which is the newest");
    write(&mut doc, &second, &edits);
    let history = PolicyHistory::read(&doc);
    let ids: Vec<_> = [0, 4_999, 5_000, 8_999, 9_000].map(|at_ms| history.at(at_ms).id).into();
    assert_eq!(ids, [EntryId([0; 16]), EntryId([0; 16]), first, first, next]);
    let days = |id| history.version(id).unwrap().policy.as_ref().unwrap().talk.next_contact_days;
    assert_eq!((days(first), days(next)), (3, 5));
    let version = history.version(first).unwrap();
    assert_eq!((version.note.as_str(), version.by), ("开始", UserId([9; 8])));
    assert_eq!(
        publish(&doc, &medical, 2_999, UserId([9; 8]), "", &act(3, 3_000)),
        Err(PublishError::InThePast)
    );
}

/// What a newer version wrote judges nothing here: the version before it is not in force any more.
#[test]
fn a_policy_that_is_not_understood_is_not_replaced_by_an_older_one() {
    let mut doc = Doc::genesis(DocKind::Policy);
    let published = act(1, 1_000);
    let (id, mut edits) =
        publish(&doc, &Pack::Medical.policy().unwrap(), 5_000, UserId([9; 8]), "", &published).unwrap();
    for edit in &mut edits {
        if let crate::document::Edit::Append { body, .. } = edit {
            *body = body.replace("vague_purposes", "vague_aims");
        }
    }
    write(&mut doc, &published, &edits);
    let history = PolicyHistory::read(&doc);
    assert_eq!((history.at(6_000).id, history.at(6_000).policy.is_none()), (id, true));
}
