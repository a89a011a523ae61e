//! From text to tree. Rhai reads the text; what it read is taken over piece by piece, so whatever is not listed here is
//! refused, with its place.

use rhai::{Engine, Expr, FnCallExpr, LexError, ParseErrorType, Stmt, StmtBlock};
use rust_decimal::Decimal;

use super::{
    FormulaError, FormulaVariables, Position,
    expression::{Arithmetic, Comparison, Condition, Function, Number},
};

const MAX_LENGTH: usize = 2_000;
const MAX_DEPTH: usize = 40;
/// Digits after the point that `round` may keep.
const MAX_ROUND_DIGITS: u32 = 10;

/// Words that mean something in a formula, or would to somebody who reads one.
const OWN_WORDS: [&str; 8] = ["min", "max", "round", "ceil", "floor", "abs", "true", "false"];

type Parsed<T> = Result<T, FormulaError>;

pub(super) fn parse(text: &str, variables: &FormulaVariables) -> Parsed<Number> {
    if text.trim().is_empty() {
        return Err(FormulaError::whole("the formula is empty"));
    }
    if text.len() > MAX_LENGTH {
        return Err(FormulaError::whole(format!("the formula is longer than {MAX_LENGTH} characters")));
    }
    let ast = reader().compile_expression(text).map_err(|error| {
        let position = if error.position().is_none() { end_of(text) } else { place(error.position()) };
        let reason = match character_at(text, position) {
            Some(';') => "`;` is not used in formulas".to_owned(),
            Some(',') => "`,` is not expected here; decimals are written with a point".to_owned(),
            _ => in_plain_words(error.err_type()),
        };
        FormulaError::at(position, reason)
    })?;
    match ast.statements() {
        [Stmt::Expr(expression)] => Reader { variables }.number(expression),
        _ => Err(FormulaError::whole("the formula is not one expression")),
    }
}

/// Whether a dimension may have this name.
pub(super) fn is_name(name: &str) -> bool {
    let mut characters = name.chars();
    characters.next().is_some_and(|first| first.is_ascii_lowercase())
        && characters.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && name.len() <= 40
        && !OWN_WORDS.contains(&name)
        && reader()
            .compile_expression(name)
            .is_ok_and(|ast| matches!(ast.statements(), [Stmt::Expr(e)] if matches!(**e, Expr::Variable(..))))
}

fn reader() -> Engine {
    let mut engine = Engine::new_raw();
    engine.set_max_expr_depths(MAX_DEPTH).set_allow_looping(false).set_max_string_size(100);
    engine
}

struct Reader<'a> {
    variables: &'a FormulaVariables,
}

impl Reader<'_> {
    fn number(&self, expression: &Expr) -> Parsed<Number> {
        let position = place(expression.position());
        match expression {
            Expr::IntegerConstant(value, _) => Ok(Number::Literal(Decimal::from(*value))),
            Expr::DynamicConstant(value, _) => value
                .as_decimal()
                .map(Number::Literal)
                .map_err(|_| FormulaError::at(position, "only numbers can be written here")),
            Expr::Variable(variable, ..) => self.variable(&variable.1, position),
            Expr::FnCall(call, _) => self.call(call, position),
            Expr::Stmt(block) => self.block(block, position),
            Expr::BoolConstant(..) | Expr::And(..) | Expr::Or(..) => Err(FormulaError::at(
                position,
                "a number is needed here, not a condition: use `if condition { … } else { … }`",
            )),
            _ => Err(not_in_formulas(position)),
        }
    }

    fn variable(&self, name: &str, position: Position) -> Parsed<Number> {
        self.variables.position(name).map(Number::Variable).ok_or_else(|| {
            let known = self.variables.names();
            FormulaError::at(position, format!("`{name}` is not known here; the formula can use {known}"))
        })
    }

    fn call(&self, call: &FnCallExpr, position: Position) -> Parsed<Number> {
        let arithmetic = match (call.name.as_str(), call.args.as_slice(), call.is_operator_call()) {
            ("+", [_, _], true) => Arithmetic::Add,
            ("-", [_, _], true) => Arithmetic::Subtract,
            ("*", [_, _], true) => Arithmetic::Multiply,
            ("/", [_, _], true) => Arithmetic::Divide,
            ("%", [_, _], true) => Arithmetic::Remainder,
            ("+", [number], true) => return self.number(number),
            ("-", [number], true) => return Ok(Number::Negative(Box::new(self.number(number)?))),
            ("**", ..) => {
                return Err(FormulaError::at(position, "`**` is not exact: write `width * width` for a square"));
            }
            (name, _, true) if comparison(name).is_some() || name == "!" => {
                return Err(FormulaError::at(
                    position,
                    format!("a number is needed here, but `{name}` gives yes or no: use `if … {{ … }} else {{ … }}`"),
                ));
            }
            (name, _, true) => {
                return Err(FormulaError::at(position, format!("`{name}` is not used in formulas")));
            }
            (name, arguments, false) => return self.function(name, arguments, position),
        };
        let sides = [self.number(&call.args[0])?, self.number(&call.args[1])?];
        Ok(Number::Arithmetic(arithmetic, Box::new(sides), position))
    }

    fn function(&self, name: &str, arguments: &[Expr], position: Position) -> Parsed<Number> {
        let (function, taken) = match (name, arguments) {
            ("min", [_, _, ..]) => (Function::Min, arguments),
            ("max", [_, _, ..]) => (Function::Max, arguments),
            ("round", [_]) => (Function::Round { digits: 0 }, arguments),
            ("round", [_, digits]) => (Function::Round { digits: round_digits(digits)? }, &arguments[..1]),
            ("ceil", [_]) => (Function::Ceil, arguments),
            ("floor", [_]) => (Function::Floor, arguments),
            ("abs", [_]) => (Function::Abs, arguments),
            ("min" | "max", _) => {
                return Err(FormulaError::at(position, format!("`{name}` needs at least two numbers")));
            }
            ("round", _) => {
                return Err(FormulaError::at(position, "`round` needs a number and how many digits to keep"));
            }
            ("ceil" | "floor" | "abs", _) => {
                return Err(FormulaError::at(position, format!("`{name}` needs one number")));
            }
            _ => {
                return Err(FormulaError::at(
                    position,
                    format!("there is no function `{name}`: min, max, round, ceil, floor and abs are known"),
                ));
            }
        };
        let taken = taken.iter().map(|argument| self.number(argument)).collect::<Parsed<_>>()?;
        Ok(Number::Call(function, taken, position))
    }

    /// `{ … }` after `if` or `else`, or an `if` itself, which Rhai wraps into a block.
    fn block(&self, block: &StmtBlock, around: Position) -> Parsed<Number> {
        match block.statements() {
            [statement] => self.statement(statement, around),
            [] => Err(FormulaError::at(around, "an empty `{ }` has no price: write a number or a formula between")),
            [_, second, ..] => Err(FormulaError::at(place(second.position()), "only one formula can stand in `{ }`")),
        }
    }

    fn statement(&self, statement: &Stmt, around: Position) -> Parsed<Number> {
        let position = if statement.position().is_none() { around } else { place(statement.position()) };
        match statement {
            Stmt::Expr(expression) => self.number(expression),
            Stmt::FnCall(call, _) => self.call(call, position),
            Stmt::Block(block) => self.block(block, position),
            Stmt::If(parts, _) => {
                let condition = self.condition(&parts.expr)?;
                let no_else =
                    || FormulaError::at(position, "this `if` needs an `else { … }`: there must always be a price");
                if matches!(parts.branch.statements(), [] | [Stmt::Noop(_)]) {
                    return Err(no_else());
                }
                let branches = [self.block(&parts.body, position)?, self.block(&parts.branch, position)?];
                Ok(Number::If(Box::new(condition), Box::new(branches)))
            }
            _ => Err(not_in_formulas(position)),
        }
    }

    fn condition(&self, expression: &Expr) -> Parsed<Condition> {
        let needed =
            || FormulaError::at(place(expression.position()), "a condition is needed here, such as `quantity >= 100`");
        match expression {
            Expr::BoolConstant(answer, _) => Ok(Condition::Always(*answer)),
            Expr::And(parts, _) => Ok(Condition::All(self.conditions(parts)?)),
            Expr::Or(parts, _) => Ok(Condition::Any(self.conditions(parts)?)),
            Expr::FnCall(call, _) => match (comparison(&call.name), call.args.as_slice()) {
                (Some(comparison), [left, right]) => {
                    let sides = [self.number(left)?, self.number(right)?];
                    Ok(Condition::Compare(comparison, Box::new(sides)))
                }
                (None, [part]) if call.name == "!" => Ok(Condition::Not(Box::new(self.condition(part)?))),
                _ => Err(needed()),
            },
            _ => Err(needed()),
        }
    }

    fn conditions(&self, parts: &[Expr]) -> Parsed<Vec<Condition>> {
        parts.iter().map(|part| self.condition(part)).collect()
    }
}

fn comparison(name: &str) -> Option<Comparison> {
    Some(match name {
        "<" => Comparison::Less,
        "<=" => Comparison::LessOrEqual,
        ">" => Comparison::Greater,
        ">=" => Comparison::GreaterOrEqual,
        "==" => Comparison::Equal,
        "!=" => Comparison::NotEqual,
        _ => return None,
    })
}

fn round_digits(expression: &Expr) -> Parsed<u32> {
    match expression {
        Expr::IntegerConstant(digits, _) => u32::try_from(*digits).ok().filter(|digits| *digits <= MAX_ROUND_DIGITS),
        _ => None,
    }
    .ok_or_else(|| {
        let reason = format!("the digits to keep must be a whole number from 0 to {MAX_ROUND_DIGITS}");
        FormulaError::at(place(expression.position()), reason)
    })
}

fn not_in_formulas(position: Position) -> FormulaError {
    FormulaError::at(position, "formulas have only numbers, names, + - * / %, comparisons, functions and if … else")
}

fn place(position: rhai::Position) -> Position {
    Position { line: position.line().unwrap_or(1), column: position.position().unwrap_or(1).max(1) }
}

fn character_at(text: &str, position: Position) -> Option<char> {
    text.lines().nth(position.line - 1)?.chars().nth(position.column - 1)
}

fn end_of(text: &str) -> Position {
    let last = text.lines().last().unwrap_or_default();
    Position { line: text.lines().count().max(1), column: last.chars().count() + 1 }
}

/// Rhai speaks of scripts and tokens to programmers; the reader here keeps a price list.
fn in_plain_words(error: &ParseErrorType) -> String {
    match error {
        ParseErrorType::UnexpectedEOF => "the formula ends too early".to_owned(),
        ParseErrorType::BadInput(LexError::UnexpectedInput(found)) if found == "{EOF}" => {
            "the formula ends too early".to_owned()
        }
        ParseErrorType::BadInput(LexError::UnexpectedInput(found)) => {
            format!("`{}` is not expected here", found.escape_debug())
        }
        ParseErrorType::BadInput(LexError::MalformedNumber(number)) => {
            format!("`{number}` is not a number: write 1234.5, with a point and without separators")
        }
        ParseErrorType::MissingToken(token, _) => format!("`{token}` is missing here"),
        ParseErrorType::Reserved(word) => format!("`{word}` is not used in formulas"),
        ParseErrorType::ExprTooDeep => "the formula is nested too deeply".to_owned(),
        ParseErrorType::ExprExpected(_) => "a number or a formula is missing here".to_owned(),
        ParseErrorType::MismatchedType(..) => "a condition is needed here, such as `quantity >= 100`".to_owned(),
        ParseErrorType::UnknownOperator(operator) => {
            format!("`{operator}` is not used in formulas")
        }
        other => format!("this is not a formula: {}", lower_first(&other.to_string())),
    }
}

fn lower_first(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map(|first| first.to_lowercase().chain(characters).collect()).unwrap_or_default()
}
