//! The tree of a formula: numbers and conditions are different types, so a wrong mixture cannot be built.

use std::fmt::Write as _;

use rust_decimal::{Decimal, RoundingStrategy};

use super::{FormulaVariables, Position, PricingError};

#[derive(Debug, Clone)]
pub(super) enum Number {
    Literal(Decimal),
    /// Index into the formula's variables.
    Variable(usize),
    Negative(Box<Self>),
    Arithmetic(Arithmetic, Box<[Self; 2]>, Position),
    Call(Function, Vec<Self>, Position),
    If(Box<Condition>, Box<[Self; 2]>),
}

#[derive(Debug, Clone)]
pub(super) enum Condition {
    Always(bool),
    Compare(Comparison, Box<[Number; 2]>),
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    NotEqual,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Min,
    Max,
    Round { digits: u32 },
    Ceil,
    Floor,
    Abs,
}

impl Number {
    pub(super) fn evaluate(&self, values: &[Decimal]) -> Result<Decimal, PricingError> {
        match self {
            Self::Literal(value) => Ok(*value),
            Self::Variable(index) => Ok(values[*index]),
            Self::Negative(number) => Ok(-number.evaluate(values)?),
            Self::Arithmetic(operation, sides, position) => {
                operation.apply(sides[0].evaluate(values)?, sides[1].evaluate(values)?, *position)
            }
            Self::Call(function, arguments, position) => {
                let arguments: Vec<_> =
                    arguments.iter().map(|argument| argument.evaluate(values)).collect::<Result<_, _>>()?;
                function.apply(&arguments).ok_or(PricingError::TooLarge { position: *position })
            }
            Self::If(condition, branches) => branches[usize::from(!condition.holds(values)?)].evaluate(values),
        }
    }

    /// The formula with its values put in, showing only the branches that were taken. Call after a good evaluation.
    pub(super) fn working(&self, values: &[Decimal], variables: &FormulaVariables) -> String {
        let mut text = String::new();
        self.write(values, 0, &mut text);
        debug_assert_eq!(values.len(), variables.iter().count());
        text
    }

    /// `around` is the binding strength of what stands around; weaker operations get parentheses.
    fn write(&self, values: &[Decimal], around: u8, text: &mut String) {
        match self {
            Self::Literal(value) => write_number(*value, text),
            Self::Variable(index) => write_number(values[*index], text),
            Self::Negative(number) => {
                text.push('-');
                number.write(values, 3, text);
            }
            Self::Arithmetic(operation, sides, _) => {
                let strength = operation.strength();
                let enclosed = strength < around;
                text.push_str(if enclosed { "(" } else { "" });
                sides[0].write(values, strength, text);
                let _ = write!(text, " {} ", operation.symbol());
                sides[1].write(values, strength + 1, text);
                text.push_str(if enclosed { ")" } else { "" });
            }
            Self::Call(function, arguments, _) => {
                text.push_str(function.name());
                for (n, argument) in arguments.iter().enumerate() {
                    text.push_str(if n == 0 { "(" } else { ", " });
                    argument.write(values, 0, text);
                }
                if let Function::Round { digits } = function {
                    let _ = write!(text, ", {digits}");
                }
                text.push(')');
            }
            Self::If(condition, branches) => {
                if let Ok(holds) = condition.holds(values) {
                    branches[usize::from(!holds)].write(values, around, text);
                }
            }
        }
    }
}

fn write_number(value: Decimal, text: &mut String) {
    let _ = if value.is_sign_negative() { write!(text, "({value})") } else { write!(text, "{value}") };
}

impl Condition {
    pub(super) fn holds(&self, values: &[Decimal]) -> Result<bool, PricingError> {
        match self {
            Self::Always(answer) => Ok(*answer),
            Self::Compare(comparison, sides) => {
                Ok(comparison.apply(sides[0].evaluate(values)?, sides[1].evaluate(values)?))
            }
            Self::All(conditions) => {
                for condition in conditions {
                    if !condition.holds(values)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Self::Any(conditions) => {
                for condition in conditions {
                    if condition.holds(values)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Self::Not(condition) => Ok(!condition.holds(values)?),
        }
    }
}

impl Arithmetic {
    fn apply(self, left: Decimal, right: Decimal, position: Position) -> Result<Decimal, PricingError> {
        let result = match self {
            Self::Add => left.checked_add(right),
            Self::Subtract => left.checked_sub(right),
            Self::Multiply => left.checked_mul(right),
            Self::Divide | Self::Remainder if right.is_zero() => {
                return Err(PricingError::DivisionByZero { position });
            }
            Self::Divide => left.checked_div(right),
            Self::Remainder => left.checked_rem(right),
        };
        result.ok_or(PricingError::TooLarge { position })
    }

    fn strength(self) -> u8 {
        match self {
            Self::Add | Self::Subtract => 1,
            Self::Multiply | Self::Divide | Self::Remainder => 2,
        }
    }

    fn symbol(self) -> char {
        match self {
            Self::Add => '+',
            Self::Subtract => '-',
            Self::Multiply => '*',
            Self::Divide => '/',
            Self::Remainder => '%',
        }
    }
}

impl Comparison {
    fn apply(self, left: Decimal, right: Decimal) -> bool {
        match self {
            Self::Less => left < right,
            Self::LessOrEqual => left <= right,
            Self::Greater => left > right,
            Self::GreaterOrEqual => left >= right,
            Self::Equal => left == right,
            Self::NotEqual => left != right,
        }
    }
}

impl Function {
    /// Nothing for a call without arguments, which the syntax refuses.
    fn apply(self, arguments: &[Decimal]) -> Option<Decimal> {
        let first = *arguments.first()?;
        match self {
            Self::Min => arguments.iter().copied().min(),
            Self::Max => arguments.iter().copied().max(),
            Self::Round { digits } => {
                Some(first.round_dp_with_strategy(digits, RoundingStrategy::MidpointAwayFromZero))
            }
            Self::Ceil => Some(first.ceil()),
            Self::Floor => Some(first.floor()),
            Self::Abs => Some(first.abs()),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Min => "min",
            Self::Max => "max",
            Self::Round { .. } => "round",
            Self::Ceil => "ceil",
            Self::Floor => "floor",
            Self::Abs => "abs",
        }
    }
}
