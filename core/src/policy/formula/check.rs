//! From text to a tree of which every name is known and every part fits. The parsing is a library's; what of Excel's language there is, and
//! what it means, stands here.

use formualizer_parse::parser::ParserError;
use formualizer_parse::{
    ASTNode, ASTNodeType, BinaryOperator, LiteralValue, Parser, ParserLimits, TokenStream, TokenType,
    UnaryOperator,
};
use rust_decimal::Decimal;

use super::error::{FormulaError, Problem, Takes};
use super::spelling::Spelled;
use super::{Counted, Measure, Sort, Term, Vocabulary};

/// A part of a formula that was checked.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    Number(Decimal),
    Text(String),
    Truth(bool),
    Name(Term),
    Signals(Counted),
    Negative(Box<Node>),
    Arithmetic(Arithmetic, Box<Node>, Box<Node>),
    Compare(Comparison, Box<Node>, Box<Node>),
    If(Box<Node>, Box<Node>, Box<Node>),
    All(Vec<Node>),
    Any(Vec<Node>),
    Not(Box<Node>),
    Fold(Fold, Vec<Node>),
    Absolute(Box<Node>),
    Round(Box<Node>, u32),
    Contains(Box<Node>, Box<Node>),
    Begins(Box<Node>, Box<Node>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// What makes one number of several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fold {
    Sum,
    Least,
    Most,
}

/// The functions, each under its name in English and in Chinese, with how many values it takes.
const FUNCTIONS: &[(Function, &str, &str, Takes)] = &[
    (Function::If, "IF", "如果", Takes::Exactly(3)),
    (Function::All, "AND", "并且", Takes::AtLeast(2)),
    (Function::Any, "OR", "或者", Takes::AtLeast(2)),
    (Function::Not, "NOT", "非", Takes::Exactly(1)),
    (Function::Fold(Fold::Sum), "SUM", "求和", Takes::AtLeast(1)),
    (Function::Fold(Fold::Least), "MIN", "最小", Takes::AtLeast(1)),
    (Function::Fold(Fold::Most), "MAX", "最大", Takes::AtLeast(1)),
    (Function::Absolute, "ABS", "绝对值", Takes::Exactly(1)),
    (Function::Round, "ROUND", "四舍五入", Takes::Exactly(2)),
    (Function::Contains, "CONTAINS", "包含", Takes::Exactly(2)),
    (Function::Begins, "BEGINS", "开头是", Takes::Exactly(2)),
    (Function::Signals(Measure::Count), "COUNT", "次数", Takes::Between(1, 3)),
    (Function::Signals(Measure::Total), "TOTAL", "累计", Takes::Between(1, 3)),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Function {
    If,
    All,
    Any,
    Not,
    Fold(Fold),
    Absolute,
    Round,
    Contains,
    Begins,
    Signals(Measure),
}

/// What the functions are called, in English and in Chinese.
#[cfg(test)]
pub(super) fn function_names() -> impl Iterator<Item = (&'static str, &'static str)> {
    FUNCTIONS.iter().map(|(_, english, chinese, _)| (*english, *chinese))
}

/// Reads and checks a formula that is to give a value of this sort.
pub(super) fn read(source: &str, vocabulary: &Vocabulary<'_>, gives: Sort) -> Result<Node, FormulaError> {
    let spelled = Spelled::of(source);
    let at = |byte: usize, problem| FormulaError::at_char(spelled.chars_before(byte), problem);
    let end = spelled.text.len();
    if spelled.text[1..].trim().is_empty() {
        return Err(at(end, Problem::Empty));
    }
    let bounds = ParserLimits::default()
        .with_ast_nodes(NODES_MAX)
        .with_ast_height(HEIGHT_MAX)
        .with_pratt_frames(FRAMES_MAX);
    // Of the text the tokens tell where in bytes, of the tokens the parser tells which.
    let tokens = TokenStream::new(&spelled.text).map_err(|error| match error.pos < end {
        true => at(error.pos, Problem::Unexpected),
        false => at(end, Problem::Unfinished),
    })?;
    // What the parser makes of a list has no place.
    if let Some(list) = tokens.spans.iter().find(|token| token.token_type == TokenType::Array) {
        return Err(at(list.start, Problem::NotSupported("{ }")));
    }
    let ast = Parser::builder().limits(bounds).parse(&spelled.text).map_err(|error| {
        // A name that is none is told of when it was passed.
        let passed = usize::from(error.message.starts_with("Invalid reference"));
        let token = error.position.and_then(|position| tokens.get(position.saturating_sub(passed)));
        match token {
            _ if is_bound(&error) => at(1, Problem::TooDeep),
            Some(token) => at(token.span.start, Problem::Unexpected),
            None => at(end, Problem::Unfinished),
        }
    })?;
    let checker = Checker { spelled: &spelled, vocabulary };
    let (node, found) = checker.node(&ast)?;
    checker.fits(&ast, gives, found)?;
    Ok(node)
}

/// Whether the parser gave up for the sake of its bounds.
fn is_bound(error: &ParserError) -> bool {
    error.message.starts_with("Formula ")
}

struct Checker<'a> {
    spelled: &'a Spelled,
    vocabulary: &'a Vocabulary<'a>,
}

type Checked = Result<(Node, Sort), FormulaError>;

impl Checker<'_> {
    fn node(&self, ast: &ASTNode) -> Checked {
        match &ast.node_type {
            ASTNodeType::Literal(literal) => self.literal(ast, literal),
            ASTNodeType::Reference { original, .. } => self.name(ast, original),
            ASTNodeType::UnaryOp { op, expr } => self.unary(ast, *op, expr),
            ASTNodeType::BinaryOp { op, left, right } => self.binary(ast, *op, left, right),
            ASTNodeType::Function { name, args } => self.function(ast, name, args),
            // A blank or a line break stands between the function and its bracket.
            ASTNodeType::Call { callee, args } => match &callee.node_type {
                ASTNodeType::Reference { original, .. } => self.function(callee, original, args),
                _ => Err(self.error(callee, Problem::Unexpected)),
            },
            ASTNodeType::Array(_) | ASTNodeType::Omitted => Err(self.error(ast, Problem::Unexpected)),
        }
    }

    fn literal(&self, ast: &ASTNode, literal: &LiteralValue) -> Checked {
        match literal {
            LiteralValue::Text(text) => Ok((Node::Text(text.clone()), Sort::Text)),
            LiteralValue::Boolean(truth) => Ok((Node::Truth(*truth), Sort::Truth)),
            LiteralValue::Int(_) | LiteralValue::Number(_) => {
                // As it was written: the library's number is binary.
                let text = ast.source_token.as_ref().map_or("", |token| token.value.as_str());
                let number = Decimal::from_str_exact(text).or_else(|_| Decimal::from_scientific(text));
                let number = number.map_err(|_| self.error(ast, Problem::Number(text.to_owned())))?;
                Ok((Node::Number(number), Sort::Number))
            }
            _ => Err(self.error(ast, Problem::Unexpected)),
        }
    }

    fn name(&self, ast: &ASTNode, name: &str) -> Checked {
        match self.vocabulary.terms.iter().find(|term| term.name == name || term.english == name) {
            Some(term) => Ok((Node::Name(*term), term.sort)),
            None => {
                let like = |term: &&Term| term.name.contains(name) || name.contains(term.name);
                let like = self.vocabulary.terms.iter().find(like).map(|term| term.name);
                Err(self.error(ast, Problem::UnknownName(name.to_owned(), like)))
            }
        }
    }

    fn unary(&self, ast: &ASTNode, op: UnaryOperator, of: &ASTNode) -> Checked {
        let of = |needed| self.of_sort(of, needed).map(Box::new);
        let node = match op {
            UnaryOperator::Plus => *of(Sort::Number)?,
            UnaryOperator::Minus => Node::Negative(of(Sort::Number)?),
            UnaryOperator::Percent => {
                let hundredth = Box::new(Node::Number(Decimal::new(1, 2)));
                Node::Arithmetic(Arithmetic::Multiply, of(Sort::Number)?, hundredth)
            }
            _ => return Err(self.error(ast, Problem::Unexpected)),
        };
        Ok((node, Sort::Number))
    }

    fn binary(&self, ast: &ASTNode, op: BinaryOperator, left: &ASTNode, right: &ASTNode) -> Checked {
        let arithmetic = |op| {
            let (left, right) = (self.of_sort(left, Sort::Number)?, self.of_sort(right, Sort::Number)?);
            Ok((Node::Arithmetic(op, left.into(), right.into()), Sort::Number))
        };
        let compare = |op| self.comparison(ast, op, left, right);
        match op {
            BinaryOperator::Add => arithmetic(Arithmetic::Add),
            BinaryOperator::Subtract => arithmetic(Arithmetic::Subtract),
            BinaryOperator::Multiply => arithmetic(Arithmetic::Multiply),
            BinaryOperator::Divide => arithmetic(Arithmetic::Divide),
            BinaryOperator::Equal => compare(Comparison::Equal),
            BinaryOperator::NotEqual => compare(Comparison::NotEqual),
            BinaryOperator::Less => compare(Comparison::Less),
            BinaryOperator::LessEqual => compare(Comparison::LessOrEqual),
            BinaryOperator::Greater => compare(Comparison::Greater),
            BinaryOperator::GreaterEqual => compare(Comparison::GreaterOrEqual),
            BinaryOperator::Power => Err(self.error(ast, Problem::NotSupported("^"))),
            BinaryOperator::Concat => Err(self.error(ast, Problem::NotSupported("&"))),
            BinaryOperator::Range => Err(self.error(ast, Problem::NotSupported(":"))),
            _ => Err(self.error(ast, Problem::Unexpected)),
        }
    }

    fn comparison(&self, ast: &ASTNode, op: Comparison, left: &ASTNode, right: &ASTNode) -> Checked {
        let ((one, sort), (other, other_sort)) = (self.node(left)?, self.node(right)?);
        if sort != other_sort {
            return Err(self.error(ast, Problem::Unlike(sort, other_sort)));
        }
        let is_order = !matches!(op, Comparison::Equal | Comparison::NotEqual);
        if is_order && sort != Sort::Number {
            return Err(self.error(ast, Problem::Sort { needed: Sort::Number, found: sort }));
        }
        self.can_be(right, &one, &other)?;
        self.can_be(left, &other, &one)?;
        Ok((Node::Compare(op, one.into(), other.into()), Sort::Truth))
    }

    /// Whether what is compared with a name is among what it can be.
    fn can_be(&self, text_at: &ASTNode, name: &Node, text: &Node) -> Result<(), FormulaError> {
        match (name, text) {
            (Node::Name(term), Node::Text(text))
                if !term.values.is_empty() && !term.values.contains(&text.as_str()) =>
            {
                Err(self.error(text_at, Problem::NeverSo(term.name, text.clone(), term.values)))
            }
            _ => Ok(()),
        }
    }

    fn function(&self, ast: &ASTNode, called: &str, args: &[ASTNode]) -> Checked {
        let is_called = |(_, english, chinese, _): &&(Function, &str, &str, Takes)| {
            called.eq_ignore_ascii_case(english) || called == *chinese
        };
        let Some((function, _, _, takes)) = FUNCTIONS.iter().find(is_called) else {
            return Err(self.error(ast, Problem::UnknownFunction(called.to_owned())));
        };
        let wrong = || self.error(ast, Problem::Arguments(called.to_owned(), *takes));
        if !takes.allows(args.len()) {
            return Err(wrong());
        }
        if args.iter().any(|arg| matches!(arg.node_type, ASTNodeType::Omitted)) {
            return Err(self.error(ast, Problem::Omitted(called.to_owned())));
        }
        let all = |needed| args.iter().map(|arg| self.of_sort(arg, needed)).collect::<Result<Vec<_>, _>>();
        Ok(match (function, args) {
            (Function::If, [condition, then, otherwise]) => {
                let condition = self.of_sort(condition, Sort::Truth)?;
                let ((then, sort), (other, other_sort)) = (self.node(then)?, self.node(otherwise)?);
                if sort != other_sort {
                    return Err(self.error(otherwise, Problem::Unlike(sort, other_sort)));
                }
                (Node::If(condition.into(), then.into(), other.into()), sort)
            }
            (Function::All, _) => (Node::All(all(Sort::Truth)?), Sort::Truth),
            (Function::Any, _) => (Node::Any(all(Sort::Truth)?), Sort::Truth),
            (Function::Not, [of]) => (Node::Not(self.of_sort(of, Sort::Truth)?.into()), Sort::Truth),
            (Function::Fold(fold), _) => (Node::Fold(*fold, all(Sort::Number)?), Sort::Number),
            (Function::Absolute, [of]) => {
                (Node::Absolute(self.of_sort(of, Sort::Number)?.into()), Sort::Number)
            }
            (Function::Round, [of, digits]) => {
                let of = self.of_sort(of, Sort::Number)?;
                (Node::Round(of.into(), self.digits(digits)?), Sort::Number)
            }
            (Function::Contains, [text, part]) => {
                let (text, part) = (self.of_sort(text, Sort::Text)?, self.of_sort(part, Sort::Text)?);
                (Node::Contains(text.into(), part.into()), Sort::Truth)
            }
            (Function::Begins, [text, part]) => {
                let (text, part) = (self.of_sort(text, Sort::Text)?, self.of_sort(part, Sort::Text)?);
                (Node::Begins(text.into(), part.into()), Sort::Truth)
            }
            (Function::Signals(measure), args) => {
                (Node::Signals(self.signals(called, *measure, args)?), Sort::Number)
            }
            _ => return Err(wrong()),
        })
    }

    /// Signals of a kind, perhaps about something, perhaps of the last days: all of it written out, so that it can be checked here.
    fn signals(&self, called: &str, measure: Measure, args: &[ASTNode]) -> Result<Counted, FormulaError> {
        let text = |at: usize| match args.get(at).map(|arg| self.node(arg)).transpose()? {
            None => Ok(String::new()),
            Some((Node::Text(text), _)) => Ok(text),
            Some((_, Sort::Text)) => Err(self.error(&args[at], Problem::NotWrittenOut(called.to_owned()))),
            Some((_, found)) => Err(self.error(&args[at], Problem::Sort { needed: Sort::Text, found })),
        };
        let (kind, about) = (text(0)?, text(1)?);
        let known = self.vocabulary.signals.iter().find(|(name, id)| *name == kind || *id == kind);
        let Some((_, id)) = known else {
            let kinds = self.vocabulary.signals.iter().map(|(name, _)| (*name).to_owned()).collect();
            return Err(self.error(&args[0], Problem::UnknownSignal(kind, kinds)));
        };
        let within_days = args.get(2).map(|days| self.days(called, days)).transpose()?;
        Ok(Counted { kind: (*id).to_owned(), about, within_days, measure })
    }

    fn days(&self, called: &str, ast: &ASTNode) -> Result<u32, FormulaError> {
        let days = match self.node(ast)? {
            (Node::Number(days), _) if days.is_integer() => u32::try_from(days).ok(),
            _ => None,
        };
        let days = days.filter(|days| (1..=DAYS_MAX).contains(days));
        days.ok_or_else(|| self.error(ast, Problem::Days(called.to_owned(), DAYS_MAX)))
    }

    /// How many digits behind the point a number is rounded to: written out, none to six.
    fn digits(&self, ast: &ASTNode) -> Result<u32, FormulaError> {
        let digits = match self.node(ast)? {
            (Node::Number(number), _) if number.is_integer() => {
                u32::try_from(number).ok().filter(|digits| *digits <= 6)
            }
            _ => None,
        };
        digits.ok_or_else(|| self.error(ast, Problem::Digits))
    }

    fn of_sort(&self, ast: &ASTNode, needed: Sort) -> Result<Node, FormulaError> {
        let (node, found) = self.node(ast)?;
        self.fits(ast, needed, found).map(|()| node)
    }

    fn fits(&self, ast: &ASTNode, needed: Sort, found: Sort) -> Result<(), FormulaError> {
        match needed == found {
            true => Ok(()),
            false => Err(self.error(ast, Problem::Sort { needed, found })),
        }
    }

    fn error(&self, ast: &ASTNode, problem: Problem) -> FormulaError {
        let byte = ast.source_token.as_ref().map_or(1, |token| token.start);
        FormulaError::at_char(self.spelled.chars_before(byte), problem)
    }
}

/// Parts of a formula.
pub(super) const NODES_MAX: usize = 1_024;
/// How long a chain of operators is, a sum say: little enough for any stack.
pub(super) const HEIGHT_MAX: usize = 200;
/// How deep brackets and functions are nested, and the operators before them: twice the brackets in `1+(1+(…`.
pub(super) const FRAMES_MAX: usize = 72;
/// How many days back signals are counted: ten years.
const DAYS_MAX: u32 = 3_650;
