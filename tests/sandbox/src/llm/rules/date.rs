//! Full dates, and the one by which the goods must be there.

use chrono::NaiveDate;

use super::phrases::{PRICE_WORDS, UNTIL};
use super::token::{Kind, Token, tokens_of_line};
use super::unit::Unit;

/// A date in the text: tokens `from..to`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Dated {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) day: NaiveDate,
}

/// Beginnings of the months' names, folded, without those that are other words.
const MONTHS: [&str; 12] = [
    "jan,janv,january,januar,janvier,enero,gennaio,janeiro,januari,stycznia,januari",
    "feb,fev,february,februar,fevrier,febrero,febbraio,fevereiro,februari,lutego",
    "mar,marz,march,mars,marzo,marco,maart,marca",
    "apr,april,avril,abril,aprile,kwietnia,avr",
    "may,mai,mayo,maggio,maio,mei,maja,maj",
    "jun,june,juni,juin,junio,giugno,junho,czerwca",
    "jul,july,juli,juillet,julio,luglio,julho,lipca",
    "aug,august,aout,agosto,augustus,sierpnia,augusti",
    "sep,sept,september,septembre,septiembre,settembre,setembro,wrzesnia",
    "oct,okt,october,oktober,octobre,octubre,ottobre,outubro,pazdziernika",
    "nov,november,novembre,noviembre,novembro,listopada",
    "dec,dez,december,dezember,decembre,diciembre,dicembre,dezembro,grudnia",
];

/// All full dates: `08.01.2027`, `28/02/2027`, `2027-01-08`, `4 janvier 2027`, `January 4, 2027`.
pub(super) fn find(tokens: &[Token], english: bool) -> Vec<Dated> {
    let mut dates = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        match date_at(tokens, at, english) {
            Some(date) => {
                at = date.to;
                dates.push(date);
            }
            None => at += 1,
        }
    }
    dates
}

fn date_at(tokens: &[Token], at: usize, english: bool) -> Option<Dated> {
    let dated = |to: usize, day: Option<NaiveDate>| day.map(|day| Dated { from: at, to, day });
    let number = |at: usize| {
        tokens
            .get(at)
            .filter(|token| token.kind == Kind::Number)
            .and_then(|token| token.text.trim_start_matches('-').parse::<u32>().ok())
    };
    let first = &tokens[at];
    if first.kind == Kind::Number {
        let parts: Vec<&str> = first.text.split('.').collect();
        if let [day, month, year] = parts[..] {
            return dated(at + 1, date(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?));
        }
        let separated = tokens.get(at + 1).is_some_and(|sign| sign.joined && sign.is_one_of(&["/", "-"]));
        if let (true, Some(one), Some(two), Some(three)) = (separated, number(at), number(at + 2), number(at + 4)) {
            if one > 1000 {
                return dated(at + 5, date(one, two, three));
            }
            // Day first everywhere but in the United States, which the text does not tell: twelve and less stay doubtful.
            let day_first = date(three, two, one);
            return dated(
                at + 5,
                if english && one <= 12 && two <= 12 && one != two {
                    None
                } else {
                    day_first.or_else(|| date(three, one, two))
                },
            );
        }
        let dot = usize::from(
            tokens.get(at + 1).is_some_and(|token| token.is_one_of(&[".", "er", "st", "nd", "rd", "th", "º"])),
        );
        let link = usize::from(tokens.get(at + 1 + dot).is_some_and(|token| token.is_one_of(&["de", "of"])));
        let month = month(tokens.get(at + 1 + dot + link)?)?;
        let again =
            usize::from(tokens.get(at + 2 + dot + link).is_some_and(|token| token.is_one_of(&["de", ",", "."])));
        let year = at + 2 + dot + link + again;
        return dated(year + 1, date(number(year)?, month, number(at)?));
    }
    let month = month(first)?;
    let mut year = at + 2;
    while tokens.get(year).is_some_and(|token| token.is_one_of(&[",", "st", "nd", "rd", "th"])) {
        year += 1;
    }
    dated(year + 1, date(number(year)?, month, number(at + 1)?))
}

fn date(year: u32, month: u32, day: u32) -> Option<NaiveDate> {
    let year = i32::try_from(year).ok().filter(|year| (2000..2200).contains(year))?;
    NaiveDate::from_ymd_opt(year, month, day)
}

fn month(token: &Token) -> Option<u32> {
    let place = MONTHS.iter().position(|names| names.split(',').any(|name| token.is(name)))?;
    u32::try_from(place + 1).ok()
}

/// The day by which the goods are wanted: a date after `until` in a sentence that is not about the price.
pub(super) fn deadline(tokens: &[Token], units: &[Unit], dates: &[Dated]) -> Option<NaiveDate> {
    let wanted = dates.iter().filter(|dated| {
        let unit = units.iter().find(|unit| (unit.from..unit.to).contains(&dated.from));
        let about_price =
            unit.is_some_and(|unit| tokens[unit.from..unit.to].iter().any(|token| token.is_one_of(PRICE_WORDS)));
        !about_price && UNTIL.iter().any(|until| precedes(tokens, dated.from, until))
    });
    wanted.map(|dated| dated.day).min()
}

fn precedes(tokens: &[Token], at: usize, phrase: &str) -> bool {
    let words = tokens_of_line(phrase, 0);
    at.checked_sub(words.len())
        .is_some_and(|from| tokens[from..at].iter().zip(&words).all(|(token, word)| token.text == word.text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_in_their_countries_order() {
        let day =
            |text: &str, english| find(&tokens_of_line(text, 0), english).first().map(|dated| dated.day.to_string());
        assert_eq!(day("bis zum 08.01.2027.", false).as_deref(), Some("2027-01-08"));
        assert_eq!(day("entro il 28/02/2027", false).as_deref(), Some("2027-02-28"));
        assert_eq!(day("pour le 4 janvier 2027", false).as_deref(), Some("2027-01-04"));
        assert_eq!(day("before January 4th, 2027", true).as_deref(), Some("2027-01-04"));
        assert_eq!(day("el 3 de mayo de 2027", false).as_deref(), Some("2027-05-03"));
        assert_eq!(day("by 2027-01-08", true).as_deref(), Some("2027-01-08"));
        assert_eq!(day("by 04/05/2027", true), None, "April or May?");
        assert_eq!(day("31.02.2027", false), None);
    }
}
