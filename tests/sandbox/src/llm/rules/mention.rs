//! Where the products and materials of the request are named in a mail, as near as people write them.

use super::super::request::{Material, Product};
use super::fold::{fold, fold_spelled_out};
use super::token::{Kind, Token, tokens_of_line};

/// A name as it is looked for: its words and signs, folded.
#[derive(Debug)]
pub(super) struct Name {
    /// Whose name it is: an index into what was given.
    owner: usize,
    words: Vec<[String; 2]>,
}

/// A name found: who may be meant, and the tokens it takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mention {
    pub(super) owners: Vec<usize>,
    pub(super) from: usize,
    pub(super) to: usize,
}

/// Endings that a word takes in the plural and in the cases.
const ENDINGS: [&str; 38] = [
    "s", "es", "e", "n", "en", "er", "ern", "em", "x", "a", "i", "o", "y", "u", "os", "as", "is", "ow", "om", "ami",
    "ach", "ej", "ego", "he", "hi", "ne", "ar", "or", "na", "et", "ens", "im", "iem", "ie", "ek", "ych", "'s", "t",
];
/// Signs that may stand between the words of a name, or be left out.
const BETWEEN: [&str; 4] = ["-", "–", "/", "&"];

pub(super) fn product_names(products: &[Product]) -> Vec<Name> {
    let all = |product: &Product| {
        std::iter::once(product.name.clone()).chain(product.aliases.clone()).chain([product.sku.clone()]).collect()
    };
    names(products.iter().map(all))
}

pub(super) fn material_names(materials: &[Material]) -> Vec<Name> {
    let all = |material: &Material| {
        std::iter::once(material.name.clone()).chain(material.aliases.clone()).chain([material.code.clone()]).collect()
    };
    names(materials.iter().map(all))
}

/// Names of any owners, one list each.
pub(super) fn names(owners: impl Iterator<Item = Vec<String>>) -> Vec<Name> {
    let mut names = Vec::new();
    for (owner, list) in owners.enumerate() {
        for name in list {
            let plain = tokens_of_line(&name, 0);
            let spelled = tokens_of_line(&fold_spelled_out(&name), 0);
            let same = plain.len() == spelled.len();
            let words: Vec<[String; 2]> = plain
                .iter()
                .enumerate()
                .filter(|(_, token)| !is_between(token))
                .map(|(at, token)| {
                    [fold(&token.text), if same { spelled[at].text.clone() } else { token.text.clone() }]
                })
                .collect();
            // `Recyclingkarton 300 g/m²` is called so without its numbers, too.
            let before_number =
                words.iter().take_while(|word| !word[0].starts_with(|first: char| first.is_ascii_digit())).count();
            let short = words[..before_number].to_vec();
            if before_number < words.len() && short.iter().map(|word| word[0].chars().count()).sum::<usize>() >= 4 {
                names.push(Name { owner, words: short });
            }
            if !words.is_empty() {
                names.push(Name { owner, words });
            }
        }
    }
    names
}

/// All names in the tokens from `from` to `to`; the longest wins, and names do not overlap.
pub(super) fn find(tokens: &[Token], from: usize, to: usize, names: &[Name], language: &str) -> Vec<Mention> {
    let mut mentions = Vec::new();
    let mut at = from;
    while at < to {
        match longest(&tokens[..to], at, names, language) {
            Some(mention) => {
                at = mention.to;
                mentions.push(mention);
            }
            None => at += 1,
        }
    }
    mentions
}

fn longest(tokens: &[Token], at: usize, names: &[Name], language: &str) -> Option<Mention> {
    // The end first, then how near the words come to the name.
    let mut best: Option<(usize, u8)> = None;
    let mut owners = Vec::new();
    for name in names {
        let Some(rank) = name.at(tokens, at, language) else { continue };
        if best.is_none_or(|best| rank > best) {
            best = Some(rank);
            owners.clear();
        }
        if best == Some(rank) && !owners.contains(&name.owner) {
            owners.push(name.owner);
        }
    }
    best.map(|(to, _)| Mention { owners, from: at, to })
}

impl Name {
    /// Where the name ends if it starts at `at`, and how exact it is.
    fn at(&self, tokens: &[Token], at: usize, language: &str) -> Option<(usize, u8)> {
        let (mut place, mut nearness) = (at, u8::MAX);
        for (number, word) in self.words.iter().enumerate() {
            if number > 0 {
                while tokens.get(place).is_some_and(is_between) {
                    place += 1;
                }
            }
            let token = tokens.get(place)?;
            let near = word.iter().filter_map(|form| self.nearness_of(form, &token.text, language)).max()?;
            nearness = nearness.min(near);
            place += 1;
        }
        Some((place, nearness))
    }
}

impl Name {
    /// 3 the same word, 2 another form of it, 1 a compound that ends with it or a slip of the pen.
    fn nearness_of(&self, name: &str, word: &str, language: &str) -> Option<u8> {
        if name == word {
            return Some(3);
        }
        let letters = name.chars().count();
        let all_letters: usize = self.words.iter().map(|word| word[0].chars().count()).sum();
        if letters >= 4 && inflected(name, word) || all_letters >= 5 && word.strip_suffix('s') == Some(name) {
            return Some(2);
        }
        let compounds = matches!(language, "de" | "nl" | "sv" | "da");
        if compounds && self.words.len() == 1 && letters >= 5 && ends_with(name, word) {
            return Some(1);
        }
        (letters >= 7 && misspelt(name, word)).then_some(1)
    }
}

fn is_between(token: &Token) -> bool {
    token.kind == Kind::Sign && token.is_one_of(&BETWEEN)
}

/// Another ending: added, or instead of a last vowel in longer words.
fn inflected(name: &str, word: &str) -> bool {
    let added = word.strip_prefix(name).is_some_and(|ending| ENDINGS.contains(&ending));
    let mut stem = name.chars();
    let last = stem.next_back();
    let stem = stem.as_str();
    let changed = name.chars().count() >= 6
        && last.is_some_and(|last| "aeiouy".contains(last) || last == 'c')
        && word
            .strip_prefix(stem)
            .is_some_and(|ending| ending.is_empty() || ENDINGS.contains(&ending) || ending == "ci");
    added || changed
}

fn ends_with(name: &str, word: &str) -> bool {
    let endings = ["", "s", "e", "n", "en", "er", "ern", "r"];
    endings.iter().any(|ending| {
        word.strip_suffix(ending)
            .and_then(|stem| stem.strip_suffix(name))
            .is_some_and(|front| front.chars().count() >= 3)
    })
}

/// The same letters in another order, or one letter wrong, in a long word that starts the same.
fn misspelt(name: &str, word: &str) -> bool {
    let singular = word.strip_suffix('s').filter(|_| !name.ends_with('s')).unwrap_or(word);
    if name.chars().next() != singular.chars().next() || name.chars().count() != singular.chars().count() {
        return false;
    }
    let (mut left, mut right): (Vec<char>, Vec<char>) = (name.chars().collect(), singular.chars().collect());
    let different = left.iter().zip(&right).filter(|(one, other)| one != other).count();
    left.sort_unstable();
    right.sort_unstable();
    different == 1 && name.chars().count() >= 9 || different == 2 && left == right
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(name: &str, text: &str, language: &str) -> Option<String> {
        let tokens = tokens_of_line(text, 0);
        let names = names([vec![name.to_owned()]].into_iter());
        let mention = find(&tokens, 0, tokens.len(), &names, language).pop()?;
        Some(text[tokens[mention.from].start..tokens[mention.to - 1].end].to_owned())
    }

    #[test]
    fn names_are_known_in_their_other_forms() {
        let cases = [
            ("Roll-up", "drei Roll-Ups bitte", "de", "Roll-Ups"),
            ("faixa publicitária", "8 faixas publicitárias", "pt", "faixas publicitárias"),
            ("lettera scatolata", "sei lettere scatolate", "it", "lettere scatolate"),
            ("szyld", "jednego szyldu", "pl", "szyldu"),
            ("Schild", "Messeschilder", "de", "Messeschilder"),
            ("kakémono", "3 kékamonos", "fr", "kékamonos"),
            ("Höhe", "Hoehe", "de", "Hoehe"),
            ("Alu-Dibond", "AluDibond? alu dibond", "de", "alu dibond"),
        ];
        for (name, text, language, expected) in cases {
            assert_eq!(found(name, text, language).as_deref(), Some(expected), "{name} in {text}");
        }
    }

    #[test]
    fn other_words_are_other_words() {
        for (name, text) in [
            ("sign", "signed off"),
            ("placa", "85 places"),
            ("label", "labour"),
            ("lit", "little"),
            ("Banner", "Bannermaterial"),
        ] {
            assert_eq!(found(name, text, "en"), None, "{name} in {text}");
        }
    }
}
