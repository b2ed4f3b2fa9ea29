//! Whether a policy fits together: every formula is read with the words that it may use, every name that is referred to is there, every
//! number makes sense. Everything that is wrong is told at once, each with its place.

use std::collections::BTreeSet;

use super::assignment::Route;
use super::expression::Expression;
use super::formula::{FormulaError, Term, Vocabulary};
use super::stages::Proof;
use super::{Condition, Fact, Fault, Policy, PolicyError, terms};
use crate::document::schema;
use crate::ids::DocKind;
use crate::language::Words;
use crate::limits;

/// Required fields of a form: no more, or reps stop filling them in (C5).
const FIELDS_MAX: usize = 5;
/// What stands around a section where it is kept.
const SECTION_FRAME_BYTES: usize = 64;
/// Characters of a word of dictation: no name is longer.
const WORD_MAX_CHARS: usize = 32;
/// Rows of any list of a policy.
const ROWS_MAX: usize = 200;

impl Policy {
    /// Reads the formulas and looks for everything that does not fit.
    pub(super) fn checked(mut self) -> Result<Self, PolicyError> {
        let mut found = Faults::default();
        self.read_formulas(&mut found);
        self.look_at_names(&mut found);
        self.look_at_fields(&mut found);
        self.look_at_numbers(&mut found);
        self.look_at_words(&mut found);
        self.look_at_sizes(&mut found);
        if found.0.is_empty() { Ok(self) } else { Err(PolicyError::Wrong(found.0)) }
    }

    /// Reads a condition on a lead in the words of this policy.
    ///
    /// # Errors
    /// [`FormulaError`]: where and why.
    pub fn condition(&self, source: &str) -> Result<Condition, FormulaError> {
        let kinds: Vec<(&str, &str)> =
            self.signals.iter().map(|kind| (kind.name.as_str(), kind.id.as_str())).collect();
        let mut condition = Condition::of(source);
        condition.read(&Vocabulary { terms: terms::LEAD, signals: &kinds })?;
        Ok(condition)
    }

    fn read_formulas(&mut self, found: &mut Faults) {
        let kinds: Vec<(String, String)> =
            self.signals.iter().map(|kind| (kind.name.clone(), kind.id.clone())).collect();
        let kinds: Vec<(&str, &str)> = kinds.iter().map(|(name, id)| (name.as_str(), id.as_str())).collect();
        let lead = Vocabulary { terms: terms::LEAD, signals: &kinds };
        // What stages need decides the stage, so it cannot speak of it.
        let without: Vec<Term> = terms::LEAD.iter().copied().filter(|term| term.english != "stage").collect();
        let of_stage = Vocabulary { terms: &without, signals: &kinds };
        let rep = Vocabulary::of(terms::REP);
        for (at, scene) in self.intake.scenes.iter_mut().enumerate() {
            found.read(&mut scene.when, &lead, || format!("intake.scenes[{at}].when"));
        }
        for (at, question) in self.intake.questions.iter_mut().enumerate() {
            if let Some(when) = &mut question.when {
                found.read(when, &lead, || format!("intake.questions[{at}].when"));
            }
        }
        for (at, rule) in self.intake.tags.iter_mut().enumerate() {
            found.read(&mut rule.when, &lead, || format!("intake.tags[{at}].when"));
        }
        for (at, node) in self.assignment.nodes.iter_mut().enumerate() {
            found.read(&mut node.when, &lead, || format!("assignment.nodes[{at}].when"));
            if let Some(Route { only: Some(only), .. }) = &mut node.to {
                found.read(only, &rep, || format!("assignment.nodes[{at}].to.only"));
            }
        }
        for (at, stage) in self.stages.iter_mut().enumerate() {
            for (need_at, need) in stage.needs.iter_mut().enumerate() {
                if let Proof::When { holds } = &mut need.what {
                    found.read(holds, &of_stage, || format!("stages[{at}].needs[{need_at}].when.holds"));
                }
            }
        }
        for (at, task) in self.tasks.iter_mut().enumerate() {
            if let Some(when) = &mut task.when {
                found.read(when, &lead, || format!("tasks[{at}].when"));
            }
        }
        found.read(&mut self.scores.health, &lead, || "scores.health".to_owned());
        found.read(&mut self.scores.depth, &lead, || "scores.depth".to_owned());
        for (at, item) in self.scores.card.iter_mut().enumerate() {
            found.read(&mut item.when, &lead, || format!("scores.card[{at}].when"));
        }
        for (at, next) in self.talk.next_best.iter_mut().enumerate() {
            found.read(&mut next.when, &lead, || format!("talk.next_best[{at}].when"));
        }
    }

    fn look_at_names(&self, found: &mut Faults) {
        let stages = found.unique("stages", self.stages.iter().map(|stage| stage.id.as_str()));
        let signals = found.unique("signals", self.signals.iter().map(|kind| kind.id.as_str()));
        let rows = found.unique("advancement.rows", self.advancement.rows.iter().map(|row| row.id.as_str()));
        found.unique("tasks", self.tasks.iter().map(|task| task.id.as_str()));
        found.unique("intake.questions", self.intake.questions.iter().map(|question| question.id.as_str()));
        found.unique("scores.loss.ticks", self.scores.loss.ticks.iter().map(|tick| tick.id.as_str()));
        for (at, stage) in self.stages.iter().enumerate() {
            for (need_at, need) in stage.needs.iter().enumerate() {
                if let Proof::Signal { kind } = &need.what {
                    found.signal(&signals, format!("stages[{at}].needs[{need_at}].signal.kind"), kind);
                }
            }
        }
        for (at, kind) in self.scores.activity_signals.iter().enumerate() {
            found.signal(&signals, format!("scores.activity_signals[{at}]"), kind);
        }
        found.signal(&signals, "figures.trial_signal".to_owned(), &self.figures.trial_signal);
        for (name, kind) in [
            ("renewal_signal", &self.figures.renewal_signal),
            ("complaint_signal", &self.figures.complaint_signal),
            ("deal_signal", &self.figures.deal_signal),
        ] {
            if let Some(kind) = kind {
                found.signal(&signals, format!("figures.{name}"), kind);
            }
        }
        for (at, kind) in self.signals.iter().enumerate() {
            let levels: BTreeSet<_> = kind.levels.iter().map(|level| level.trim()).collect();
            if levels.contains("") || levels.len() < kind.levels.len() {
                let (chinese, english) = ("等级为空或重复", "a level is empty or there twice");
                found.tell(format!("signals[{at}].levels"), chinese.into(), english.into());
            }
        }
        for (at, task) in self.tasks.iter().enumerate() {
            let facts = std::iter::once((format!("tasks[{at}].after"), &task.after));
            let done = task.done_by.iter().enumerate();
            let done = done.map(|(by_at, fact)| (format!("tasks[{at}].done_by[{by_at}]"), fact));
            for (path, fact) in facts.chain(done) {
                match fact {
                    Fact::Signal(kind) => found.signal(&signals, path, kind),
                    Fact::Stage(stage) => found.known(path, stage, &stages, "阶段", "stage"),
                    _ => {}
                }
            }
        }
        for (at, stage) in self.stages.iter().enumerate() {
            for (need_at, need) in stage.needs.iter().enumerate() {
                let Proof::Ticks { rows: ticks } = &need.what else { continue };
                for (row_at, row) in ticks.iter().enumerate() {
                    let path = format!("stages[{at}].needs[{need_at}].ticks.rows[{row_at}]");
                    found.known(path, row, &rows, "推进表行", "row of the advancement table");
                }
            }
        }
        found.known("figures.dwell_stage".into(), &self.figures.dwell_stage, &stages, "阶段", "stage");
        for (at, stage) in self.figures.four_acts_stages.iter().enumerate() {
            found.known(format!("figures.four_acts_stages[{at}]"), stage, &stages, "阶段", "stage");
        }
    }

    fn look_at_fields(&self, found: &mut Faults) {
        let fields = |found: &mut Faults, path: &str, fields: &[String]| {
            for (at, field) in fields.iter().enumerate() {
                if schema::field(DocKind::Lead, field).is_none() {
                    let (chinese, english) =
                        (format!("线索没有字段“{field}”"), format!("a lead has no field {field:?}"));
                    found.tell(format!("{path}[{at}]"), chinese, english);
                }
            }
        };
        fields(found, "intake.required", &self.intake.required);
        fields(found, "intake.before_next_visit", &self.intake.before_next_visit);
        fields(found, "figures.key_fields", &self.figures.key_fields);
        found.at_most("intake.required", self.intake.required.len(), FIELDS_MAX);
        for (at, scene) in self.intake.scenes.iter().enumerate() {
            let path = format!("intake.scenes[{at}].fields");
            fields(found, &path, &scene.fields);
            found.at_most(&path, scene.fields.len(), FIELDS_MAX);
        }
    }

    fn look_at_numbers(&self, found: &mut Faults) {
        let response = &self.assignment.response;
        found.positive("assignment.response.within_minutes", response.within_minutes.into());
        found.positive("assignment.response.failed_contacts", response.failed_contacts.into());
        found.positive("assignment.lost_after_hours", self.assignment.lost_after_hours.into());
        found.positive("assignment.results_days", self.assignment.results_days.into());
        found.positive("intake.required", self.intake.required.len() as u64);
        found.positive("stages", self.stages.len() as u64);
        found.positive(
            "advancement.rows",
            self.advancement.rows.iter().map(|row| u64::from(row.weight)).sum(),
        );
        found.positive("scores.objections.count", self.scores.objections.count.into());
        for (at, step) in self.nurturing.steps.iter().enumerate() {
            found.positive(&format!("nurturing.steps[{at}].day"), step.day.into());
        }
        for (at, task) in self.tasks.iter().enumerate() {
            found.positive(&format!("tasks[{at}].within_hours"), task.within_hours.into());
            let plain = task.when.is_none() && task.from_hours.is_none();
            if task.blocks_stage && !(plain && matches!(task.after, Fact::Stage(_) | Fact::Signal(_))) {
                let (chinese, english) = (
                    "阻止推进的任务只能由阶段或信号触发，且没有条件与开始时间",
                    "a task that blocks is opened by a stage or a signal, without a condition and at once",
                );
                found.tell(format!("tasks[{at}].blocks_stage"), chinese.into(), english.into());
            }
            if task.from_hours.is_some_and(|from| from >= task.within_hours) {
                let (chinese, english) = ("必须早于截止时间", "has to be before the deadline");
                found.tell(format!("tasks[{at}].from_hours"), chinese.into(), english.into());
            }
        }
        if self.scores.tiers.windows(2).any(|pair| pair[0].at_least <= pair[1].at_least) {
            let (chinese, english) = ("分档须由高到低", "tiers go from the highest down");
            found.tell("scores.tiers".into(), chinese.into(), english.into());
        }
        if self.scores.tiers.last().is_none_or(|tier| tier.at_least > 0) {
            let (chinese, english) = ("最低一档须从 0 分开始", "the lowest tier begins at 0");
            found.tell("scores.tiers".into(), chinese.into(), english.into());
        }
        for (path, rows) in [
            ("signals", self.signals.len()),
            ("stages", self.stages.len()),
            ("tasks", self.tasks.len()),
            ("assignment.nodes", self.assignment.nodes.len()),
            ("intake.tags", self.intake.tags.len()),
            ("intake.questions", self.intake.questions.len()),
            ("scores.card", self.scores.card.len()),
            ("advancement.rows", self.advancement.rows.len()),
            ("nurturing.steps", self.nurturing.steps.len()),
        ] {
            found.at_most(path, rows, ROWS_MAX);
        }
    }
}

impl Policy {
    /// Lists that are there, and words that can be heard.
    fn look_at_words(&self, found: &mut Faults) {
        if self.dictation.is_empty() {
            return;
        }
        let shipped = Words::medical().lists();
        let tables = shipped.keys().map(String::as_str).collect();
        for (table, lists) in &self.dictation.lists {
            let path = format!("dictation.{table}");
            found.known(path.clone(), table, &tables, "词表", "table of word lists");
            let Some(names) = shipped.get(table) else { continue };
            let known = names.keys().map(String::as_str).collect();
            for (list, change) in lists {
                let path = format!("{path}.{list}");
                found.known(path.clone(), list, &known, "词表", "word list");
                if names.get(list) == Some(&true)
                    && change.words().any(|word| word.trim().chars().count() != 1)
                {
                    let (chinese, english) = ("每项只能是一个字", "each of its words is a single character");
                    found.tell(path.clone(), chinese.into(), english.into());
                }
                for word in change.words() {
                    let length = word.trim().chars().count();
                    if length == 0 || length > WORD_MAX_CHARS {
                        let (chinese, english) = (
                            format!("词“{word}”须有 1 到 {WORD_MAX_CHARS} 个字"),
                            format!("the word {word:?} has to have 1 to {WORD_MAX_CHARS} characters"),
                        );
                        found.tell(path.clone(), chinese, english);
                    }
                }
            }
        }
    }

    /// A section is a value of a document.
    fn look_at_sizes(&self, found: &mut Faults) {
        for (section, says) in self.to_json() {
            let bytes = says.to_string().len() + section.len() + SECTION_FRAME_BYTES;
            if bytes > limits::VALUE_MAX_BYTES {
                let (most, kib) = (limits::VALUE_MAX_BYTES, bytes / 1_024);
                let (chinese, english) = (
                    format!("内容有 {kib} KiB，最多 {} KiB", most / 1_024),
                    format!("it has {kib} KiB, and {} at the most", most / 1_024),
                );
                found.tell(section, chinese, english);
            }
        }
    }
}

/// What was found wrong so far.
#[derive(Default)]
struct Faults(Vec<Fault>);

impl Faults {
    fn tell(&mut self, path: String, chinese: String, english: String) {
        self.0.push(Fault { path, chinese, english });
    }

    fn read(&mut self, of: &mut dyn Expression, words: &Vocabulary<'_>, path: impl Fn() -> String) {
        if let Err(refused) = of.read(words) {
            self.tell(path(), refused.chinese(), refused.to_string());
        }
    }

    /// The ids of a list, none of them twice.
    fn unique<'a>(&mut self, path: &str, ids: impl Iterator<Item = &'a str>) -> BTreeSet<&'a str> {
        let mut seen = BTreeSet::new();
        for (at, id) in ids.enumerate() {
            if id.is_empty() {
                self.tell(format!("{path}[{at}].id"), "编号为空".into(), "the id is empty".into());
            } else if !seen.insert(id) {
                let (chinese, english) = (format!("编号“{id}”重复"), format!("the id {id:?} is there twice"));
                self.tell(format!("{path}[{at}].id"), chinese, english);
            }
        }
        seen
    }

    fn known(&mut self, path: String, name: &str, names: &BTreeSet<&str>, chinese: &str, english: &str) {
        if !names.contains(name) {
            let there = names.iter().copied().collect::<Vec<_>>();
            let (in_chinese, in_english) = (there.join("、"), there.join(", "));
            self.tell(
                path,
                format!("没有{chinese}“{name}”，只有：{in_chinese}"),
                format!("there is no {english} {name:?}, only: {in_english}"),
            );
        }
    }

    fn signal(&mut self, signals: &BTreeSet<&str>, path: String, kind: &str) {
        self.known(path, kind, signals, "信号", "signal");
    }

    fn positive(&mut self, path: &str, number: u64) {
        if number == 0 {
            self.tell(path.to_owned(), "必须大于 0".into(), "has to be more than 0".into());
        }
    }

    fn at_most(&mut self, path: &str, there: usize, most: usize) {
        if there > most {
            let (chinese, english) =
                (format!("有 {there} 项，最多 {most} 项"), format!("{there} rows, and {most} at the most"));
            self.tell(path.to_owned(), chinese, english);
        }
    }
}
