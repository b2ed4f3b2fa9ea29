use proptest::prelude::*;

use super::*;

const BUDGET: &[&str] = &["已确认≥100万", "已确认50-100万", "待确认"];

const NAMES: &[Term] = &[
    Term::number("行业潜力值", "industry_potential"),
    Term::number("采购活跃度", "buying_activity"),
    Term::text("预算匹配度", "budget_match", BUDGET),
    Term::text("行业", "industry", &[]),
    Term::truth("有明确采购时间表", "has_timetable"),
];

const WORDS: Vocabulary<'static> =
    Vocabulary { terms: NAMES, signals: &[("下载", "download"), ("页面停留", "dwell")] };

/// C50 as the source has it, line breaks included.
const HEALTH: &str = "IF(行业潜力值>80, 30, IF(行业潜力值>60, 20, 10)) +
IF(采购活跃度>=3, 25, IF(采购活跃度>=1, 15, 0)) +
IF(预算匹配度=\"已确认≥100万\", 45, IF(预算匹配度=\"已确认50-100万\", 30, 15))";

/// Knows these names, and of no signal.
struct Facts<'a>(&'a [(&'a str, Value)]);

impl Known for Facts<'_> {
    fn name(&self, term: &Term) -> Option<Value> {
        self.0.iter().find(|(name, _)| *name == term.name).map(|(_, value)| value.clone())
    }

    fn signals(&self, _: &Counted) -> Option<Decimal> {
        None
    }
}

fn number(source: &str, known: &[(&str, Value)]) -> Result<Value, Undetermined> {
    let formula = Formula::read(source, &WORDS, Sort::Number).unwrap_or_else(|e| panic!("{source}: {e}"));
    formula.work_out(&Facts(known))
}

fn truth(source: &str, known: &[(&str, Value)]) -> Result<Value, Undetermined> {
    let formula = Formula::read(source, &WORDS, Sort::Truth).unwrap_or_else(|e| panic!("{source}: {e}"));
    formula.work_out(&Facts(known))
}

fn missing(names: &[&str]) -> Result<Value, Undetermined> {
    Err(Undetermined::Missing(names.iter().map(|name| (*name).to_owned()).collect()))
}

/// The page that tells a business user what can be written.
const PAGE: &str = include_str!("../../../../docs/rules/formulas.md");

/// The rows of the table of the page that begins with this head, their cells trimmed.
fn table(head: &str) -> Vec<Vec<&'static str>> {
    let from = PAGE.find(head).unwrap_or_else(|| panic!("no table {head}"));
    let rows = PAGE[from..].lines().skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

fn decimal(text: &str) -> Result<Value, Undetermined> {
    Ok(Value::Number(text.parse().unwrap()))
}

#[test]
fn the_health_score_is_worked_out_as_it_was_pasted() {
    for (potential, activity, budget, score) in [
        (81, 3, BUDGET[0], 30 + 25 + 45),
        (80, 2, BUDGET[1], 20 + 15 + 30),
        (61, 1, BUDGET[2], 20 + 15 + 15),
        (60, 0, BUDGET[0], 10 + 45),
        (0, 0, BUDGET[2], 10 + 15),
    ] {
        let known = [
            ("行业潜力值", potential.into()),
            ("采购活跃度", activity.into()),
            ("预算匹配度", budget.into()),
        ];
        assert_eq!(number(HEALTH, &known), Ok(score.into()), "{known:?}");
    }
}

#[test]
fn every_name_of_a_vocabulary_can_be_written() {
    for term in NAMES {
        for written in [term.name, term.english, &format!("\u{feff} {}\u{2003}", term.name)] {
            let formula = Formula::read(written, &WORDS, term.sort).unwrap();
            assert_eq!(formula.root, check::Node::Name(*term), "{written}");
        }
    }
}

#[test]
fn a_text_stays_as_it_is() {
    let same = |source: &str, text: &str| {
        let formula = Formula::read(source, &WORDS, Sort::Text).unwrap_or_else(|e| panic!("{source}: {e}"));
        assert_eq!(formula.work_out(&Facts(&[])), Ok(text.into()), "{source}");
    };
    same("“（新），≥ 100—200　＝”", "（新），≥ 100—200　＝");
    same("“他说\"好\"”", "他说\"好\"");
    same("\"他说\"\"好\"\"\"", "他说\"好\"");
    same("「a」", "a");
}

#[test]
fn the_page_tells_what_is_so() {
    let formula = PAGE.split("```text\n").nth(1).unwrap().split("\n```").next().unwrap();
    assert_eq!(formula, HEALTH);
    let examples = table("| 行业潜力值 |");
    assert_eq!(examples.len(), 3);
    for row in examples {
        let [potential, activity, budget, score] = row[..] else { panic!("{row:?}") };
        let whole = |text: &str| Value::from(text.parse::<i64>().unwrap());
        let known = [
            ("行业潜力值", whole(potential)),
            ("采购活跃度", whole(activity)),
            ("预算匹配度", budget.into()),
        ];
        assert_eq!(number(HEALTH, &known), Ok(whole(score)), "{row:?}");
    }
    let refusals = table("| Formula | Refusal |");
    assert_eq!(refusals.len(), 5);
    for row in refusals {
        let refused = Formula::read(row[0].trim_matches('`'), &WORDS, Sort::Number).unwrap_err();
        assert_eq!(refused.chinese(), row[1]);
    }
    let named: String = table("| Function |").concat().concat();
    for (english, chinese) in check::function_names() {
        assert!(
            named.contains(&format!("`{english}(")) && named.contains(&format!("`{chinese}`")),
            "{english}"
        );
    }
    for bound in [limits::FORMULA_MAX_CHARS, check::NODES_MAX, check::HEIGHT_MAX, check::FRAMES_MAX / 2 - 1] {
        let (thousands, rest) = (bound / 1_000, bound % 1_000);
        let written = if thousands > 0 { format!("{thousands},{rest:03}") } else { rest.to_string() };
        assert!(PAGE.contains(&written), "{written}");
    }
}

#[test]
fn the_signs_of_a_chinese_keyboard_mean_what_excels_do() {
    let typed = "＝ＩＦ（行业潜力值＞80，30，如果（行业潜力值＞６０，20，10））＋IF(采购活跃度≥3，25，IF(采购活跃度≥1、15、0))　+ \
                 IF(预算匹配度＝“已确认≥100万”，45，IF(预算匹配度=「已确认50-100万」，30，15))";
    let one = Formula::read(HEALTH, &WORDS, Sort::Number).unwrap();
    let other = Formula::read(typed, &WORDS, Sort::Number).unwrap();
    assert_eq!(one.root, other.root);
    assert_eq!(other.source(), typed, "it is shown as it was written");
}

#[test]
fn numbers_are_decimal() {
    for (source, result) in [
        ("0.1+0.2", "0.3"),
        ("10÷4", "2.5"),
        ("-(2−5)×3", "9"),
        ("50%*行业潜力值", "35"),
        ("ROUND(2.5,0)+ROUND(-0.125,2)", "2.87"),
        ("MIN(3,行业潜力值)+MAX(-1,-2)+SUM(1,2,3)+ABS(-4)", "12"),
        ("1e3", "1000"),
        ("industry_potential", "70"),
    ] {
        assert_eq!(number(source, &[("行业潜力值", 70.into())]), decimal(result), "{source}");
    }
    assert_eq!(truth("0.1+0.2=0.3", &[]), Ok(true.into()));
    let shown = |source| match number(source, &[]) {
        Ok(Value::Number(number)) => number.to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!(["50%*70", "-(3-3)", "IF(1=1,1.00,1)"].map(shown), ["35", "0", "1"]);
    assert_eq!(shown("5——3"), "2");
    assert_eq!(shown("5—3"), "2");
    assert_eq!(number("1/(3-3)", &[]), Err(Undetermined::DividesByZero));
    let large = "9999999999999999*9999999999999999";
    assert_eq!(number(large, &[]), Err(Undetermined::TooLarge));
}

#[test]
fn what_is_not_known_matters_only_where_it_matters() {
    let high = [("行业潜力值", Value::from(90))];
    for (source, result) in [
        ("AND(行业潜力值<80,采购活跃度>1)", Ok(false.into())),
        ("OR(采购活跃度>1,行业潜力值>80)", Ok(true.into())),
        ("AND(行业潜力值>80,采购活跃度>1)", missing(&["采购活跃度"])),
        ("NOT(有明确采购时间表)", missing(&["有明确采购时间表"])),
        ("IF(行业潜力值>80,TRUE,有明确采购时间表)", Ok(true.into())),
        ("IF(有明确采购时间表,行业潜力值>80,行业潜力值>70)", Ok(true.into())),
        ("IF(有明确采购时间表,行业潜力值>95,行业潜力值>70)", missing(&["有明确采购时间表"])),
        ("CONTAINS(行业,\"新能源汽车\")", missing(&["行业"])),
        ("采购活跃度+行业潜力值>IF(包含(行业,\"车\"),1,2)", missing(&["采购活跃度", "行业"])),
        ("采购活跃度/0>1", missing(&["采购活跃度"])),
    ] {
        assert_eq!(truth(source, &high), result, "{source}");
    }
    let region = |source| truth(source, &[("行业", "浙A杭州".into())]);
    assert_eq!(region("开头是(行业,“浙A”)"), Ok(true.into()));
    assert_eq!(region("BEGINS(行业,“杭州”)"), Ok(false.into()));
    // A fact of another sort than its name is none.
    assert_eq!(number("行业潜力值", &[("行业潜力值", "高".into())]), missing(&["行业潜力值"]));
}

#[test]
fn a_wrong_formula_is_refused_with_place_and_reason() {
    use Problem::*;
    let never = NeverSo("预算匹配度", "已确认>=100万".into(), BUDGET);
    for (source, at, problem) in [
        ("", 1, Empty),
        ("  ＝ ", 5, Empty),
        ("IF(行业潜力值>80,30", 15, Unfinished),
        ("行业潜力值+", 7, Unfinished),
        ("1+“高", 5, Unfinished),
        ("行业潜力值 80", 7, Unexpected),
        ("采购活跃度>=3 AND 有明确采购时间表", 10, Unexpected),
        ("IF(1=1;2;3)", 7, Unexpected),
        ("1+潜力值", 3, UnknownName("潜力值".into(), Some("行业潜力值"))),
        ("5万+1", 1, UnknownName("5万".into(), None)),
        ("A1+1", 1, UnknownName("A1".into(), None)),
        ("1+平均(1,2)", 3, UnknownFunction("平均".into())),
        ("2^3", 2, NotSupported("^")),
        ("1+{1,2}", 3, NotSupported("{ }")),
        ("IF(行业潜力值>80,30)", 1, Arguments("IF".into(), Takes::Exactly(3))),
        ("1+IF (1=1,2)", 3, Arguments("IF".into(), Takes::Exactly(3))),
        ("IF(并且(1=1),1,2)", 4, Arguments("并且".into(), Takes::AtLeast(2))),
        ("1+IF(1=1,,3)", 3, Omitted("IF".into())),
        ("1+行业潜力值 (2)", 3, UnknownFunction("行业潜力值".into())),
        ("ROUND(1,2.5)", 9, Digits),
        ("ROUND(1,7)", 9, Digits),
        ("IF(行业潜力值>80,30,20))", 19, Unexpected),
        ("IF(1=1,2,3}", 11, Unexpected),
        ("预算匹配度：“高”", 1, Unexpected),
        ("IF(CONTAINS(行业,“车”“电”),1,2)", 19, Unexpected),
        ("IF(CONTAINS(行业,“车””电”),1,2)", 19, Unexpected),
        ("1+行业", 3, Sort { needed: super::Sort::Number, found: super::Sort::Text }),
        ("行业潜力值>1", 6, Sort { needed: super::Sort::Number, found: super::Sort::Truth }),
        ("IF(行业,1,2)", 4, Sort { needed: super::Sort::Truth, found: super::Sort::Text }),
        ("IF(行业>\"汽车\",1,2)", 6, Sort { needed: super::Sort::Number, found: super::Sort::Text }),
        ("IF(行业潜力值=\"高\",1,2)", 9, Unlike(super::Sort::Number, super::Sort::Text)),
        ("IF(1=1,1,\"二\")", 10, Unlike(super::Sort::Number, super::Sort::Text)),
        ("IF(预算匹配度=\"已确认>=100万\",1,2)", 10, never),
    ] {
        let refused = Formula::read(source, &WORDS, super::Sort::Number).unwrap_err();
        assert_eq!(refused, FormulaError { at, problem }, "{source}");
        assert!(refused.chinese().starts_with(&format!("第{at}个字符：")), "{}", refused.chinese());
    }
}

#[test]
fn signals_are_counted_and_added_up() {
    struct Told(Option<Decimal>, std::cell::RefCell<Vec<Counted>>);
    impl Known for Told {
        fn name(&self, _: &Term) -> Option<Value> {
            None
        }
        fn signals(&self, counted: &Counted) -> Option<Decimal> {
            self.1.borrow_mut().push(counted.clone());
            self.0
        }
    }
    let counted = |about: &str, within_days, measure| {
        let kind = if measure == Measure::Count { "download" } else { "dwell" };
        Counted { kind: kind.into(), about: about.into(), within_days, measure }
    };
    for (source, asked) in [
        ("次数(\"下载\")", counted("", None, Measure::Count)),
        ("COUNT(“download”，“集采应对指南”)", counted("集采应对指南", None, Measure::Count)),
        ("累计(\"页面停留\",\"脊柱内固定\",30)", counted("脊柱内固定", Some(30), Measure::Total)),
    ] {
        let formula = Formula::read(source, &WORDS, Sort::Number).unwrap_or_else(|e| panic!("{source}: {e}"));
        let told = Told(Some(Decimal::from(3)), Vec::new().into());
        assert_eq!(formula.work_out(&told), Ok(3.into()), "{source}");
        assert_eq!(told.1.into_inner(), [asked], "{source}");
        assert!(matches!(formula.work_out(&Told(None, Vec::new().into())), Err(Undetermined::Missing(_))));
    }
    let kinds = || vec!["下载".to_owned(), "页面停留".to_owned()];
    for (source, at, problem) in [
        ("次数(“下栽”)", 4, Problem::UnknownSignal("下栽".into(), kinds())),
        ("次数()", 1, Problem::Arguments("次数".into(), Takes::Between(1, 3))),
        ("1+次数(“下载”,“”,0)", 14, Problem::Days("次数".into(), 3_650)),
        ("次数(“下载”,“”,行业潜力值)", 12, Problem::Days("次数".into(), 3_650)),
        ("次数(行业)", 4, Problem::NotWrittenOut("次数".into())),
        ("次数(3)", 4, Problem::Sort { needed: Sort::Text, found: Sort::Number }),
    ] {
        let refused = Formula::read(source, &WORDS, Sort::Number).unwrap_err();
        assert_eq!(refused, FormulaError { at, problem }, "{source}");
    }
}

#[test]
fn a_formula_is_bounded() {
    let read = |source: String| Formula::read(&source, &WORDS, Sort::Number).map_err(|e| e.problem);
    let sum = |terms: usize| vec!["1"; terms].join("+");
    assert!(read(sum(200)).is_ok());
    assert_eq!(read(sum(1_000)), Err(Problem::TooDeep));
    let brackets = |deep: usize| format!("{}1{}", "1+(".repeat(deep), ")".repeat(deep));
    assert!(read(brackets(35)).is_ok());
    assert_eq!(read(brackets(72)), Err(Problem::TooDeep));
    assert!(read(format!("{}1{}", "IF(1=1,2,".repeat(35), ")".repeat(35))).is_ok());
    for deep in ["(", "-", "IF(1=1,", "NOT("] {
        let deep = deep.repeat(1_000);
        let refused = read(deep.chars().take(limits::FORMULA_MAX_CHARS).collect());
        assert!(matches!(refused, Err(Problem::TooDeep | Problem::Unfinished)), "{refused:?}");
    }
    let nested = format!("{}1{}", "(".repeat(500), ")".repeat(500));
    assert_eq!(read(nested), Err(Problem::TooDeep));
    assert_eq!(read(sum(limits::FORMULA_MAX_CHARS)), Err(Problem::TooLong));
}

/// Formulas that give a number, and conditions.
fn formulas() -> impl Strategy<Value = (String, String)> {
    let leaf = (
        prop_oneof![Just("行业潜力值"), Just("采购活跃度"), Just("0"), Just("2"), Just("0.5")],
        prop_oneof![
            Just("有明确采购时间表"),
            Just("TRUE"),
            Just("CONTAINS(行业,\"车\")"),
            Just("预算匹配度=\"待确认\"")
        ],
    );
    let leaf = leaf.prop_map(|(number, truth)| (number.to_owned(), truth.to_owned()));
    leaf.prop_recursive(5, 40, 3, |inner| {
        (inner.clone(), inner.clone(), inner, 0..7usize).prop_map(|((n, t), (m, u), (o, v), which)| {
            let number = match which {
                0 => format!("({n}+{m})"),
                1 => format!("{n}*{m}"),
                2 => format!("IF({t},{n},{m})"),
                3 => format!("{n}/{m}"),
                4 => format!("MAX({n},{m},{o})"),
                5 => format!("-({n}-{m})"),
                _ => format!("ROUND({n},1)"),
            };
            let truth = match which {
                0 => format!("AND({t},{u})"),
                1 => format!("OR({t},{u},{v})"),
                2 => format!("NOT({t})"),
                3 => format!("{n}>={m}"),
                4 => format!("IF({t},{u},{v})"),
                5 => format!("({n}={m})"),
                _ => t,
            };
            (number, truth)
        })
    })
}

proptest! {
    /// A phone that knows less never says anything else than the server that knows more.
    #[test]
    fn what_is_said_with_less_known_is_said_with_more(
        (of_number, of_truth) in formulas(),
        known in prop::array::uniform5(any::<bool>()),
        (potential, activity) in (0..3i64, 0..3i64),
        timetable in any::<bool>(),
    ) {
        let all = [
            ("行业潜力值", Value::from(potential)),
            ("采购活跃度", activity.into()),
            ("有明确采购时间表", timetable.into()),
            ("行业", "汽车".into()),
            ("预算匹配度", "待确认".into()),
        ];
        let some: Vec<_> = all.iter().zip(known).filter(|(_, known)| *known).map(|(fact, _)| fact.clone()).collect();
        for (source, gives) in [(&of_number, Sort::Number), (&of_truth, Sort::Truth)] {
            let formula = Formula::read(source, &WORDS, gives).unwrap();
            let (less, more) = (formula.work_out(&Facts(&some)), formula.work_out(&Facts(&all)));
            match less {
                Ok(value) => prop_assert_eq!(Ok(value), more.clone(), "{}", source),
                Err(Undetermined::Missing(names)) => {
                    prop_assert!(names.iter().all(|name| some.iter().all(|(known, _)| known != name)));
                }
                Err(_) => {}
            }
            prop_assert!(!matches!(more, Err(Undetermined::Missing(_))), "{} {:?}", source, more);
        }
    }

    #[test]
    fn whatever_is_pasted_is_read_or_refused_at_a_place(
        source in "([行业潜力值采购活跃度预算匹配\"“”（），＞≥=+*/(){}:&^%#@!,;. 0-9A-C万]|IF\\(|AND\\(|行业潜力值){0,40}",
        gives in prop_oneof![Just(Sort::Number), Just(Sort::Truth), Just(Sort::Text)],
    ) {
        match Formula::read(&source, &WORDS, gives) {
            Ok(formula) => drop(formula.work_out(&Facts(&[]))),
            Err(refused) => {
                prop_assert!(refused.at >= 1 && refused.at <= source.chars().count() + 1, "{}", refused);
                prop_assert!(!refused.to_string().is_empty());
            }
        }
    }
}
