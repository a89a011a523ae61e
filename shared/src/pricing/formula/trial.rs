//! Trying a formula before it is saved.
//!
//! Each variable takes its smallest, middle and largest value and those numbers of the formula that lie between, because
//! that is where formulas change (`if width > 500`, `1 / (width - 500)`). All combinations are tried if they are few,
//! else all corners and an even spread of the rest. It finds mistakes; it proves nothing, so a price is checked again
//! whenever one is made.

use rust_decimal::Decimal;

use super::{
    Formula, FormulaError, PricingError,
    expression::{Condition, Number},
    variables::Values,
};

/// Evaluations per formula: a formula of the largest allowed size takes some 20 µs.
const MAX_TRIALS: usize = 5_000;
const MAX_POINTS_PER_VARIABLE: usize = 8;

pub(super) fn try_out(formula: &Formula) -> Result<(), FormulaError> {
    let mut notable = Notable::default();
    notable.number(&formula.tree);
    let points: Vec<Vec<Decimal>> = formula
        .variables
        .iter()
        .enumerate()
        .map(|(index, variable)| {
            let points = points(&variable.values, &notable.literals);
            // What the formula does not mention need not be varied.
            if notable.variables.contains(&index) { points } else { points.into_iter().take(1).collect() }
        })
        .collect();
    combinations(&points).try_for_each(|values| match formula.evaluate(&values) {
        Ok(_) => Ok(()),
        Err(error) => Err(refusal(formula, &notable, &values, &error)),
    })
}

fn refusal(formula: &Formula, notable: &Notable, values: &[Decimal], error: &PricingError) -> FormulaError {
    let named = formula.variables.iter().zip(values).enumerate();
    FormulaError {
        position: error.position(),
        reason: match error {
            PricingError::DivisionByZero { .. } => "the formula divides by zero".to_owned(),
            PricingError::TooLarge { .. } => "a number in the formula becomes too large".to_owned(),
            other => other.to_string(),
        },
        values: named
            .filter(|(index, _)| notable.variables.contains(index))
            .map(|(_, (variable, value))| (variable.name.clone(), value.normalize()))
            .collect(),
    }
}

/// Ends of the range first, so that the plainest failing values are the ones reported.
fn points(values: &Values, literals: &[Decimal]) -> Vec<Decimal> {
    match values {
        Values::OneOf(values) => values.clone(),
        Values::Range { min, max } => {
            let middle = (*max - *min).checked_div(Decimal::TWO).map_or(*min, |half| min + half);
            let between = literals.iter().copied().filter(|literal| min < literal && literal < max);
            let mut points = vec![*min, *max];
            for point in [middle].into_iter().chain(between) {
                if points.len() < MAX_POINTS_PER_VARIABLE && !points.contains(&point) {
                    points.push(point);
                }
            }
            points.dedup();
            points
        }
    }
}

fn combinations(points: &[Vec<Decimal>]) -> Box<dyn Iterator<Item = Vec<Decimal>> + '_> {
    let all: u128 = points.iter().map(|points| points.len() as u128).product();
    if all <= MAX_TRIALS as u128 {
        return Box::new((0..all).map(|n| pick(points, n, usize::MAX)));
    }
    let corners: u128 = points.iter().map(|points| points.len().min(2) as u128).product();
    let corners = (0..corners).take(MAX_TRIALS / 2).map(|n| pick(points, n, 2));
    let step = (all / (MAX_TRIALS as u128 / 2)) | 1; // odd, so that it does not fall in step with pairs of ends
    let spread = (0..MAX_TRIALS as u128 / 2).map(move |n| pick(points, (n * step) % all, usize::MAX));
    Box::new(corners.chain(spread))
}

/// The `n`-th combination, counting in a number system with one digit per variable.
fn pick(points: &[Vec<Decimal>], mut n: u128, at_most: usize) -> Vec<Decimal> {
    points
        .iter()
        .map(|points| {
            let digits = points.len().min(at_most);
            let digit = usize::try_from(n % digits as u128).unwrap_or_default();
            n /= digits as u128;
            points[digit]
        })
        .collect()
}

/// The literals and variables that occur in a formula.
#[derive(Default)]
struct Notable {
    literals: Vec<Decimal>,
    variables: Vec<usize>,
}

impl Notable {
    fn number(&mut self, number: &Number) {
        match number {
            Number::Literal(value) => self.literals.push(*value),
            Number::Variable(index) => self.variables.push(*index),
            Number::Negative(number) => self.number(number),
            Number::Arithmetic(_, sides, _) => self.numbers(sides.as_slice()),
            Number::Call(_, arguments, _) => self.numbers(arguments),
            Number::If(condition, branches) => {
                self.condition(condition);
                self.numbers(branches.as_slice());
            }
        }
    }

    fn numbers(&mut self, numbers: &[Number]) {
        for number in numbers {
            self.number(number);
        }
    }

    fn condition(&mut self, condition: &Condition) {
        match condition {
            Condition::Always(_) => {}
            Condition::Compare(_, sides) => self.numbers(sides.as_slice()),
            Condition::All(parts) | Condition::Any(parts) => {
                for part in parts {
                    self.condition(part);
                }
            }
            Condition::Not(condition) => self.condition(condition),
        }
    }
}
