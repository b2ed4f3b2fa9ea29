//! Working a formula out. What is not known is carried along until it is clear whether the result depends on it.

use std::collections::BTreeSet;

use rust_decimal::{Decimal, RoundingStrategy};

use super::check::{Arithmetic, Comparison, Fold, Node};
use super::{Counted, Known, Sort, Term, Undetermined, Value};

type Worked = Result<Value, Undetermined>;
type Fact<'a> = &'a dyn Known;

pub(super) fn out(node: &Node, fact: Fact<'_>) -> Worked {
    match node {
        Node::Number(number) => Ok(Value::Number(*number)),
        Node::Text(text) => Ok(Value::Text(text.clone())),
        Node::Truth(truth) => Ok(Value::Truth(*truth)),
        Node::Name(term) => name(term, fact),
        Node::Signals(counted) => signals(counted, fact),
        Node::Negative(of) => Ok(Value::Number(-number(of, fact)?)),
        Node::Absolute(of) => Ok(Value::Number(number(of, fact)?.abs())),
        Node::Round(of, digits) => {
            let of = number(of, fact)?;
            Ok(Value::Number(of.round_dp_with_strategy(*digits, RoundingStrategy::MidpointAwayFromZero)))
        }
        Node::Arithmetic(op, left, right) => {
            let (left, right) = both(out(left, fact), out(right, fact))?;
            arithmetic(*op, as_number(left), as_number(right)).map(Value::Number)
        }
        Node::Compare(op, left, right) => {
            let (left, right) = both(out(left, fact), out(right, fact))?;
            Ok(Value::Truth(compare(*op, &left, &right)))
        }
        Node::If(condition, then, otherwise) => match out(condition, fact) {
            Ok(condition) => out(if condition == Value::Truth(true) { then } else { otherwise }, fact),
            // Whatever it turns out to be, the result is the same.
            Err(why) => match (out(then, fact), out(otherwise, fact)) {
                (Ok(then), Ok(otherwise)) if then == otherwise => Ok(then),
                _ => Err(why),
            },
        },
        Node::All(parts) => settled_by(false, parts, fact),
        Node::Any(parts) => settled_by(true, parts, fact),
        Node::Not(of) => Ok(Value::Truth(out(of, fact)? != Value::Truth(true))),
        Node::Fold(fold, parts) => fold_all(*fold, parts, fact),
        Node::Contains(text, part) => texts(text, part, fact, |text, part| text.contains(part)),
        Node::Begins(text, part) => texts(text, part, fact, |text, part| text.starts_with(part)),
    }
}

fn texts(text: &Node, part: &Node, fact: Fact<'_>, so: fn(&str, &str) -> bool) -> Worked {
    Ok(Value::Truth(match both(out(text, fact), out(part, fact))? {
        (Value::Text(text), Value::Text(part)) => so(&text, &part),
        _ => false,
    }))
}

fn name(term: &Term, fact: Fact<'_>) -> Worked {
    let known = fact.name(term).filter(|value| {
        matches!(
            (value, term.sort),
            (Value::Number(_), Sort::Number) | (Value::Text(_), Sort::Text) | (Value::Truth(_), Sort::Truth)
        )
    });
    known.ok_or_else(|| Undetermined::Missing(BTreeSet::from([term.name.to_owned()])))
}

fn signals(counted: &Counted, fact: Fact<'_>) -> Worked {
    let measured = fact.signals(counted).map(Value::Number);
    measured.ok_or_else(|| Undetermined::Missing(BTreeSet::from([counted.kind.clone()])))
}

/// Both values, or all that is missing for either.
fn both(left: Worked, right: Worked) -> Result<(Value, Value), Undetermined> {
    match (left, right) {
        (Ok(left), Ok(right)) => Ok((left, right)),
        (Err(left), Err(right)) => Err(left.and(right)),
        (Err(why), _) | (_, Err(why)) => Err(why),
    }
}

impl Undetermined {
    /// What stands in the way of two results; what could be found out counts before what cannot be worked out.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Missing(mut names), Self::Missing(more)) => {
                names.extend(more);
                Self::Missing(names)
            }
            (missing @ Self::Missing(_), _) | (_, missing @ Self::Missing(_)) => missing,
            (why, _) => why,
        }
    }
}

fn number(node: &Node, fact: Fact<'_>) -> Result<Decimal, Undetermined> {
    out(node, fact).map(as_number)
}

/// The number that the check has seen to.
fn as_number(value: Value) -> Decimal {
    match value {
        Value::Number(number) => number,
        Value::Text(_) | Value::Truth(_) => Decimal::ZERO,
    }
}

fn arithmetic(op: Arithmetic, left: Decimal, right: Decimal) -> Result<Decimal, Undetermined> {
    let result = match op {
        Arithmetic::Add => left.checked_add(right),
        Arithmetic::Subtract => left.checked_sub(right),
        Arithmetic::Multiply => left.checked_mul(right),
        Arithmetic::Divide if right.is_zero() => return Err(Undetermined::DividesByZero),
        Arithmetic::Divide => left.checked_div(right),
    };
    result.ok_or(Undetermined::TooLarge)
}

fn compare(op: Comparison, left: &Value, right: &Value) -> bool {
    let order = match (left, right) {
        (Value::Number(left), Value::Number(right)) => left.cmp(right),
        (Value::Text(left), Value::Text(right)) => left.cmp(right),
        (Value::Truth(left), Value::Truth(right)) => left.cmp(right),
        _ => return false,
    };
    match op {
        Comparison::Equal => order.is_eq(),
        Comparison::NotEqual => order.is_ne(),
        Comparison::Less => order.is_lt(),
        Comparison::LessOrEqual => order.is_le(),
        Comparison::Greater => order.is_gt(),
        Comparison::GreaterOrEqual => order.is_ge(),
    }
}

/// One part that is `settles` settles it, whatever is not known of the others.
fn settled_by(settles: bool, parts: &[Node], fact: Fact<'_>) -> Worked {
    let mut open: Option<Undetermined> = None;
    for part in parts {
        match out(part, fact) {
            Ok(Value::Truth(truth)) if truth == settles => return Ok(Value::Truth(settles)),
            Ok(_) => {}
            Err(why) => open = Some(open.map_or(why.clone(), |before| before.and(why))),
        }
    }
    open.map_or(Ok(Value::Truth(!settles)), Err)
}

fn fold_all(fold: Fold, parts: &[Node], fact: Fact<'_>) -> Worked {
    let mut so_far: Worked = Ok(Value::Number(Decimal::ZERO));
    for (at, part) in parts.iter().enumerate() {
        let next = out(part, fact);
        so_far = match both(so_far, next) {
            Ok((_, next)) if at == 0 => Ok(next),
            Ok((so_far, next)) => {
                let (so_far, next) = (as_number(so_far), as_number(next));
                match fold {
                    Fold::Sum => arithmetic(Arithmetic::Add, so_far, next),
                    Fold::Least => Ok(so_far.min(next)),
                    Fold::Most => Ok(so_far.max(next)),
                }
                .map(Value::Number)
            }
            Err(why) => Err(why),
        };
    }
    so_far
}
